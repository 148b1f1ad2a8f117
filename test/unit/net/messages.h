/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of test/data/http (generate.py tells the notation), one by one. */
#ifndef FAIRWAY_TEST_MESSAGES_H
#define FAIRWAY_TEST_MESSAGES_H

#include "base/buf.h"
#include "test.h"

struct message {
    char *name;
    int status;
    bool close; /* "200 close" */
    struct buf bytes;
};

static inline void message_unescape(const char **at, const char *end, struct buf *out)
{
    while (*at < end && **at != '*' && **at != '}') {
        char c = *(*at)++;
        if (c == '\\') {
            c = *(*at)++;
            char hex[3] = {*at[0], c == 'x' ? (*at)[1] : 0};
            if (c == 'x')
                *at += 2;
            c = c == 'r'   ? '\r'
                : c == 'n' ? '\n'
                : c == 't' ? '\t'
                : c == 'x' ? (char)strtol(hex, NULL, 16)
                           : c;
        }
        buf_put_char(out, c);
    }
}

/* {TEXT*N}; *at is behind the brace. */
static inline void message_repeat(const char **at, const char *end, struct buf *out)
{
    struct buf text;
    buf_init(&text, 1 << 12);
    message_unescape(at, end, &text);
    assert_int_equal(**at, '*');
    char *rest;
    unsigned long count = strtoul(*at + 1, &rest, 10);
    assert_int_equal(*rest, '}');
    *at = rest + 1;
    for (unsigned long i = 0; i < count; i++)
        buf_put(out, buf_str(&text));
    buf_fini(&text);
}

static inline void message_bytes(const char *at, const char *end, struct buf *out)
{
    while (at < end) {
        if (*at == '{') {
            at++;
            message_repeat(&at, end, out);
        } else if (*at == '*' || *at == '}') {
            buf_put_char(out, *at++);
        } else {
            const char *brace = memchr(at, '{', (size_t)(end - at));
            message_unescape(&at, brace ? brace : end, out);
        }
    }
}

/* Calls `each` with every message of the file; returns how many there are. */
static inline size_t messages_each(const char *file, void (*each)(const struct message *m))
{
    char path[512], *line = NULL;
    size_t size = 0, count = 0;
    snprintf(path, sizeof(path), "%s/http/%s", TEST_DATA, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    for (ssize_t len; (len = getline(&line, &size, in)) > 0; count++) {
        struct message m = {.name = line};
        char *status = strstr(line, " | "), *bytes = status ? strstr(status + 3, " | ") : NULL;
        assert_non_null(bytes);
        *status = *bytes = 0;
        m.status = atoi(status + 3);
        m.close = strstr(status + 3, "close") != NULL;
        buf_init(&m.bytes, 1 << 20);
        message_bytes(bytes + 3, line + len - 1, &m.bytes);
        assert_int_equal(m.bytes.error, 0);
        each(&m);
        buf_fini(&m.bytes);
    }
    free(line);
    fclose(in);
    return count;
}

#endif
