/* SPDX-License-Identifier: Apache-2.0 */
#include "store/usage_report.h"

/* X(member of struct usage, key) */
#define NUMBERS(X)                   \
    X(day, "day")                    \
    X(requests, "requests")          \
    X(input_tokens, "inputTokens")   \
    X(cached_tokens, "cachedTokens") \
    X(output_tokens, "outputTokens") \
    X(cost, "cost")

static void write_row(const struct usage *u, struct json_writer *w)
{
    json_object(w);
    json_member_str(w, STR("tenant"), u->tenant);
    json_member_str(w, STR("model"), u->model);
#define X(member, key) json_member_int(w, STR(key), u->member);
    NUMBERS(X)
#undef X
    json_end(w);
}

void usage_report_write(const struct usage_report *r, struct json_writer *w)
{
    json_object(w);
    json_member_str(w, STR("sender"), r->sender);
    json_member_u64(w, STR("sequence"), r->sequence);
    json_key(w, STR("rows"));
    json_array(w);
    for (size_t i = 0; i < r->count; i++)
        write_row(&r->rows[i], w);
    json_end(w);
    json_end(w);
}

/* ---- reading ---- */

static int read_text(const struct json *object, struct str key, struct str *ret_text,
                     struct err *err)
{
    const struct json *node = json_get(object, key);
    if (!node || node->type != JSON_STRING)
        return err_set(err, ERR_INVALID, "%.*s: text is required", STR_ARG(key));
    *ret_text = node->text;
    return 0;
}

/* What is used is never negative. */
static int read_number(const struct json *object, struct str key, int64_t *ret_number,
                       struct err *err)
{
    if (json_i64(json_get(object, key), ret_number) || *ret_number < 0)
        return err_set(err, ERR_INVALID, "%.*s: a whole number from 0 on is required",
                       STR_ARG(key));
    return 0;
}

static int read_row(const struct json *object, struct usage *u, struct err *err)
{
    int error = read_text(object, STR("tenant"), &u->tenant, err);
    if (!error)
        error = read_text(object, STR("model"), &u->model, err);
#define X(member, key) \
    if (!error)        \
        error = read_number(object, STR(key), &u->member, err);
    NUMBERS(X)
#undef X
    return error;
}

static int read_rows(struct arena *a, const struct json *rows, struct usage_report *r,
                     struct err *err)
{
    if (!rows || rows->type != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "rows: an array is required");
    struct usage *usage = arena_array(a, MAX(rows->count, (size_t)1), sizeof(struct usage));
    if (!usage)
        return err_set(err, ERR_NO_MEMORY, "rows: too many");
    r->rows = usage;
    for (const struct json *row = rows->first; row; row = row->next) {
        int error = read_row(row, &usage[r->count++], err);
        if (error)
            return error;
    }
    return 0;
}

int usage_report_read(struct arena *a, struct str text, struct usage_report *ret_report,
                      struct err *err)
{
    struct json *tree;
    int64_t sequence;
    *ret_report = (struct usage_report){0};
    int error = json_parse(a, text, &tree, err);
    if (!error)
        error = read_text(tree, STR("sender"), &ret_report->sender, err);
    if (!error)
        error = read_number(tree, STR("sequence"), &sequence, err);
    if (error)
        return error;
    ret_report->sequence = (uint64_t)sequence;
    return read_rows(a, json_get(tree, STR("rows")), ret_report, err);
}
