/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/converse.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/client.h"

struct turn {
    struct buf line;   /* of the event stream, or the whole answer if that is no stream */
    struct buf answer; /* the text so far */
    struct buf problem;
};

static void add_message(struct buf *messages, const char *role, struct str text)
{
    if (messages->len)
        buf_put_char(messages, ',');
    buf_printf(messages, "{\"role\":\"%s\",\"content\":", role);
    json_put_str(messages, text);
    buf_put_char(messages, '}');
}

static void take_error(struct turn *t, const struct json *root)
{
    const struct json *message = json_get(json_get(root, STR("error")), STR("message"));
    if (message && message->type == JSON_STRING)
        buf_put(&t->problem, message->text);
}

static void take_event(struct turn *t, struct str data)
{
    struct arena a;
    struct json *root;
    arena_init(&a, CONVERSATION_MAX);
    if (json_parse(&a, data, &root, NULL) == 0) {
        const struct json *choices = json_get(root, STR("choices"));
        const struct json *delta = json_get(choices ? choices->first : NULL, STR("delta"));
        const struct json *text = json_get(delta, STR("content"));
        if (text && text->type == JSON_STRING) {
            buf_put(&t->answer, text->text);
            fwrite(text->text.ptr, 1, text->text.len, stdout);
            fflush(stdout);
        }
        take_error(t, root);
    }
    arena_fini(&a);
}

static bool on_chunk(void *ctx, struct str bytes)
{
    struct turn *t = ctx;
    buf_put(&t->line, bytes);
    for (;;) {
        struct str all = buf_str(&t->line);
        size_t end = str_find_char(all, '\n');
        if (end == all.len)
            return !t->line.error;
        struct str line = str_trim(str_sub(all, 0, end));
        if (str_starts(line, STR("data: {")))
            take_event(t, str_sub(line, 6, line.len));
        buf_drop_front(&t->line, end + 1);
    }
}

static int finish(struct turn *t, int status, struct err *err)
{
    struct arena a;
    struct json *root;
    arena_init(&a, CONVERSATION_MAX);
    /* An answer that is no stream is one line without an end: an error. */
    if (t->line.len && json_parse(&a, buf_str(&t->line), &root, NULL) == 0)
        take_error(t, root);
    arena_fini(&a);
    if (t->problem.len)
        return err_set(err, ERR_IO, "%.*s", STR_ARG(buf_str(&t->problem)));
    return status == 200 ? 0 : err_set(err, ERR_IO, "the answer has status %d", status);
}

int converse(struct conversation *c, struct str said, struct err *err)
{
    struct turn t;
    struct buf body;
    char url[512];
    int status;
    add_message(&c->messages, "user", said);
    buf_init(&body, 2 * CONVERSATION_MAX);
    buf_put(&body, STR("{\"model\":"));
    json_put_str(&body, str_from(c->model));
    buf_put(&body, STR(",\"stream\":true,\"messages\":["));
    buf_put(&body, buf_str(&c->messages));
    buf_put(&body, STR("]}"));
    buf_init(&t.line, CONVERSATION_MAX);
    buf_init(&t.answer, CONVERSATION_MAX);
    buf_init(&t.problem, ERR_MESSAGE_MAX);
    snprintf(url, sizeof(url), "%s/v1/chat/completions", c->base_url);
    const struct client_stream stream = {.state_dir = "",
                                         .url = url,
                                         .post = buf_str(&body),
                                         .api_key = c->api_key,
                                         .chunk = on_chunk,
                                         .ctx = &t};
    int error = client_stream(&stream, &status, err);
    if (!error)
        error = finish(&t, status, err);
    printf("\n");
    add_message(&c->messages, "assistant", buf_str(&t.answer));
    buf_fini(&t.line);
    buf_fini(&t.answer);
    buf_fini(&t.problem);
    buf_fini(&body);
    return error;
}
