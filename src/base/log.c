/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

/* A line of at most PIPE_BUF bytes is written to a pipe as one piece. What does not fit is left out
 * and marked. */
enum { LINE_MAX_BYTES = PIPE_BUF, CUT_ROOM = 16, VALUE_MAX = 1024 };

static struct {
    enum log_level least;
    enum log_format format;
    int fd;
} setup = {LOG_INFO, LOG_LOGFMT, STDERR_FILENO};

static const struct str level_names[] = {STR("debug"), STR("info"), STR("warn"), STR("error")};
static const struct str format_names[] = {STR("logfmt"), STR("json")};

void log_setup(enum log_level least, enum log_format format, int fd)
{
    setup.least = least;
    setup.format = format;
    setup.fd = fd;
}

bool log_enabled(enum log_level level)
{
    return level >= setup.least;
}

static int find_name(const struct str *names, size_t count, struct str name, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(names[i], name)) {
            *ret_index = i;
            return 0;
        }
    }
    return ERR_INVALID;
}

int log_level_parse(struct str name, enum log_level *ret_level)
{
    size_t index;
    int error = find_name(level_names, ARRAY_LEN(level_names), name, &index);
    if (!error)
        *ret_level = (enum log_level)index;
    return error;
}

int log_format_parse(struct str name, enum log_format *ret_format)
{
    size_t index;
    int error = find_name(format_names, ARRAY_LEN(format_names), name, &index);
    if (!error)
        *ret_format = (enum log_format)index;
    return error;
}

static bool needs_quotes(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return text.len == 0;
}

static void put_text(struct buf *line, struct str text)
{
    text = utf8_cut(text, VALUE_MAX);
    if (setup.format == LOG_JSON || needs_quotes(text))
        json_put_str(line, text);
    else
        buf_put(line, text);
}

static void put_value(struct buf *line, const struct log_field *field)
{
    char duration[NSEC_TEXT_MAX];
    switch (field->kind) {
    case LOG_FIELD_STR:
        put_text(line, field->text);
        break;
    case LOG_FIELD_INT:
        buf_printf(line, "%lld", (long long)field->integer);
        break;
    case LOG_FIELD_DOUBLE: {
        struct json_writer w;
        json_writer_init(&w, line, 0);
        json_double(&w, field->number);
        break;
    }
    case LOG_FIELD_DURATION:
        if (setup.format == LOG_JSON) /* programs want seconds, people a unit */
            buf_printf(line, "%.9g", nsec_to_seconds(field->duration));
        else
            buf_put(line, str_from(nsec_format(field->duration, duration)));
        break;
    case LOG_FIELD_BOOL:
        buf_put(line, field->boolean ? STR("true") : STR("false"));
        break;
    }
}

static void put_field(struct buf *line, const struct log_field *field)
{
    size_t before = line->len;
    bool json = setup.format == LOG_JSON;
    if (before > 1)
        buf_put_char(line, json ? ',' : ' ');
    buf_printf(line, json ? "\"%s\":" : "%s=", field->key);
    put_value(line, field);
    if (line->error) {
        line->error = 0;
        buf_truncate(line, before);
    }
}

static void write_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t written = write(fd, bytes.ptr, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nobody to tell */
        bytes = str_sub(bytes, (size_t)written, bytes.len);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    char now[CLOCK_RFC3339_MAX];
    int saved_errno = errno;
    struct log_field head[] = {log_str("time", clock_rfc3339(clock_wall(), now)),
                               log_text("level", level_names[level]), log_str("event", event)};
    bool json = setup.format == LOG_JSON, cut = false;
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES - CUT_ROOM);
    if (json)
        buf_put_char(&line, '{');
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        put_field(&line, &head[i]);
    for (size_t i = 0; i < count; i++) {
        size_t before = line.len;
        put_field(&line, &fields[i]);
        cut |= line.len == before;
    }
    line.max = LINE_MAX_BYTES;
    if (cut)
        put_field(&line, &(struct log_field){"cut", LOG_FIELD_BOOL, .boolean = true});
    buf_put(&line, json ? STR("}\n") : STR("\n"));
    write_all(setup.fd, buf_str(&line));
    buf_fini(&line);
    errno = saved_errno;
}
