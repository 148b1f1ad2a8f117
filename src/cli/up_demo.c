/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/model.h"
#include "base/clock.h"
#include "cli/client.h"
#include "cli/up_internal.h"

#define READY_WITHIN SEC(300)

/* The stored model stays as the user made it; only its file may be another one now. */
static int apply_demo(const struct up_options *o, struct err *err)
{
    char path[PATH_MAX];
    struct client_reply reply;
    struct json_writer w;
    struct arena a;
    struct buf text;
    if (!realpath(o->demo, path))
        return err_set(err, err_from_errno(errno), "demo model %s: %s", o->demo, strerror(errno));
    arena_init(&a, 1 << 20);
    buf_init(&text, 1 << 20);
    struct model *model = model_from(resource_new(&model_kind, &a));
    model->resource.metadata.name = STR("chat");
    model->spec.source.uri = arena_printf(&a, "file://%s", path);
    /* Eight sequences with KV cells of their own: answers that repeat (docs/engine.md). */
    model->spec.engine.max_concurrent_requests = 8;
    model->spec.engine.context_length = 2048;
    json_writer_init(&w, &text, 0);
    resource_encode(&model->resource, &w);
    int error = client_call(o->state, "PUT", "/apis/fairway.dev/v1/models/chat", buf_str(&text),
                            &reply, err);
    if (!error)
        client_reply_fini(&reply);
    buf_fini(&text);
    arena_fini(&a);
    return error;
}

/* 1 ready, 0 not yet, negative: it cannot. */
static int look(const struct up_options *o, char phase[64], struct err *err)
{
    struct client_reply reply;
    int error =
        client_call(o->state, "GET", "/apis/fairway.dev/v1/models/chat", STR_NONE, &reply, err);
    if (error)
        return error;
    const struct json *status = json_get(reply.body, STR("status"));
    const struct json *conditions = json_get(status, STR("conditions"));
    const char *message =
        cli_text(json_get(conditions ? conditions->first : NULL, STR("message")), "");
    snprintf(phase, 64, "%s", cli_text(json_get(status, STR("phase")), "Unknown"));
    int result = strcmp(phase, "Ready") == 0;
    if (strcmp(phase, "CannotRun") == 0 || strcmp(phase, "DoesNotFit") == 0)
        result = err_set(err, ERR_INVALID, "model chat: %s", message);
    client_reply_fini(&reply);
    return result;
}

static int wait_until_ready(const struct up_options *o, struct err *err)
{
    static const char *const spinner[] = {"|", "/", "-", "\\"};
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    nsec begun = clock_now();
    bool terminal = isatty(STDERR_FILENO);
    char phase[64] = "";
    int state;
    for (unsigned turn = 0; (state = look(o, phase, err)) == 0; turn++) {
        nsec took = clock_now() - begun;
        if (took > READY_WITHIN)
            return err_set(err, ERR_TIMEOUT,
                           "model chat is not ready after five minutes; see `fairway logs chat`");
        if (terminal)
            fprintf(stderr, "\r%s loading the model chat ... %.1f s ", spinner[turn / 2 % 4],
                    nsec_to_seconds(took));
        nanosleep(&pause, NULL);
    }
    if (terminal)
        fprintf(stderr, "\r\033[K");
    if (state < 0)
        return state;
    fprintf(stderr, "The model chat is ready after %.1f s.\n",
            nsec_to_seconds(clock_now() - begun));
    return 0;
}

int up_demo(const struct up_options *o, const char *url, struct err *err)
{
    fprintf(stderr, "Fairway listens on %s; state and logs are in %s\n", url, o->state);
    int error = apply_demo(o, err);
    if (!error)
        error = wait_until_ready(o, err);
    if (error)
        return error;
    fprintf(stderr, "\nTry it:\n\n");
    printf("curl -N %s/v1/chat/completions -H 'Content-Type: application/json' -d "
           "'{\"model\": \"chat\", \"stream\": true, \"temperature\": 0, \"messages\": [{\"role\": "
           "\"user\", "
           "\"content\": \"Explain in one sentence what a GPU does.\"}]}'\n",
           url);
    fflush(stdout);
    fprintf(stderr, "\nor any OpenAI client with the base URL %s/v1, or `fairway chat`.\n", url);
    return 0;
}
