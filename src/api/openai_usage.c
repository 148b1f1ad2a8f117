/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_usage.h"

#include "base/json.h"

enum { USAGE_PROMPT, USAGE_COMPLETION, USAGE_DETAILS, USAGE_MEMBERS };

static uint64_t count_of(struct str raw)
{
    uint64_t count = 0;
    if (raw.ptr)
        (void)!json_raw_u64(raw, &count); /* what is no number counts nothing */
    return count;
}

/* The value of a member "usage": an object with at least one of the two counts. */
static bool read_object(struct str raw, struct openai_usage *ret_usage)
{
    struct json_span cached = {.key = STR("cached_tokens")};
    struct json_span members[USAGE_MEMBERS] = {
        [USAGE_PROMPT] = {.key = STR("prompt_tokens")},
        [USAGE_COMPLETION] = {.key = STR("completion_tokens")},
        [USAGE_DETAILS] = {.key = STR("prompt_tokens_details")},
    };
    size_t offset;
    if (!raw.ptr || json_scan(raw, members, USAGE_MEMBERS, &offset) ||
        (!members[USAGE_PROMPT].value.ptr && !members[USAGE_COMPLETION].value.ptr))
        return false;
    if (members[USAGE_DETAILS].value.ptr &&
        json_scan(members[USAGE_DETAILS].value, &cached, 1, &offset))
        cached.value = STR_NONE;
    *ret_usage = (struct openai_usage){
        .prompt_tokens = count_of(members[USAGE_PROMPT].value),
        .completion_tokens = count_of(members[USAGE_COMPLETION].value),
        .cached_tokens = count_of(cached.value),
    };
    return true;
}

bool openai_read_usage(struct str answer, struct openai_usage *ret_usage)
{
    struct json_span usage = {.key = STR("usage")};
    size_t offset;
    return json_scan(answer, &usage, 1, &offset) == 0 && read_object(usage.value, ret_usage);
}

/* Where `"usage": {` stands; inside a JSON text its quotes would be escaped. Else the length. */
static size_t find_member(struct str events)
{
    static const struct str name = STR("\"usage\"");
    for (size_t from = 0;;) {
        size_t at = from + str_find(str_sub(events, from, events.len), name);
        if (at >= events.len)
            return events.len;
        size_t next = at + name.len;
        while (next < events.len && (events.ptr[next] == ' ' || events.ptr[next] == ':'))
            next++;
        if (next < events.len && events.ptr[next] == '{')
            return at;
        from = next;
    }
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool has_no_choices(struct str choices)
{
    struct str inner = str_sub(choices, 1, choices.len - 1);
    return choices.len >= 2 && choices.ptr[0] == '[' && str_trim(inner).len == 0;
}

/* Of the event whose line begins at `events`; ret_end: behind the event. */
static bool read_event(struct str events, struct openai_usage *ret_usage, bool *ret_alone,
                       size_t *ret_end)
{
    enum { MEMBER_USAGE, MEMBER_CHOICES, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("usage")}, {.key = STR("choices")}};
    size_t end = 0, offset;
    while (end < events.len && !is_line_end(events.ptr[end]))
        end++;
    struct str line = str_sub(events, 0, end);
    while (end < events.len && is_line_end(events.ptr[end]))
        end++;
    *ret_end = end;
    if (!str_starts(line, STR("data:")) ||
        json_scan(str_trim(str_sub(line, 5, line.len)), members, MEMBERS, &offset))
        return false;
    struct str choices = members[MEMBER_CHOICES].value;
    *ret_alone = choices.ptr && has_no_choices(choices);
    return read_object(members[MEMBER_USAGE].value, ret_usage);
}

bool openai_find_usage(struct str events, struct openai_usage *ret_usage, struct str *ret_alone)
{
    size_t from = 0, end;
    bool is_alone;
    *ret_alone = STR_NONE;
    for (;;) {
        size_t begin = from + find_member(str_sub(events, from, events.len));
        if (begin == events.len)
            return false;
        while (begin > from && !is_line_end(events.ptr[begin - 1]))
            begin--;
        if (read_event(str_sub(events, begin, events.len), ret_usage, &is_alone, &end)) {
            if (is_alone)
                *ret_alone = str_sub(events, begin, begin + end);
            return true;
        }
        from = begin + end;
    }
}
