/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/resource.h"
#include "cli/client.h"

enum { MANIFEST_MAX = 16 * 1024 * 1024, FILES_MAX = 64 };

/* "-" is standard input. */
static int read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *room;
    size_t got;
    if (!file)
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    while ((room = buf_reserve(out, 65536)) && (got = fread(room, 1, 65536, file)) > 0)
        buf_commit(out, got);
    int failed = ferror(file);
    if (file != stdin)
        fclose(file);
    if (out->error)
        return err_set(err, out->error, "%s: over %d MiB", path, MANIFEST_MAX >> 20);
    return failed ? err_set(err, ERR_IO, "%s cannot be read", path) : 0;
}

static int apply_one(const char *state, const struct resource *resource, struct err *err)
{
    struct client_reply reply;
    struct json_writer w;
    struct buf text;
    char path[512];
    buf_init(&text, MANIFEST_MAX);
    json_writer_init(&w, &text, 0);
    resource_encode(resource, &w);
    snprintf(path, sizeof(path), "/apis/fairway.dev/v1/%s/%.*s", resource->type->plural,
             STR_ARG(resource->metadata.name));
    int error = client_call(state, "PUT", path, buf_str(&text), &reply, err);
    buf_fini(&text);
    if (error)
        return error;
    printf("%s/%.*s %s\n", resource->type->plural, STR_ARG(resource->metadata.name),
           cli_text(json_get(reply.body, STR("outcome")), "applied"));
    client_reply_fini(&reply);
    return 0;
}

/* All documents are checked before the first is sent. */
static int apply_file(const char *state, const char *path, struct err *err)
{
    struct resource **resources;
    struct arena a;
    struct buf text;
    size_t count = 0;
    arena_init(&a, 4 * MANIFEST_MAX);
    buf_init(&text, MANIFEST_MAX);
    int error = read_file(path, &text, err);
    if (!error && resource_read(&a, buf_str(&text), &resources, &count, err))
        error = err_wrap(err, err->code, "%s", path);
    for (size_t i = 0; i < count && !error; i++)
        error = apply_one(state, resources[i], err);
    buf_fini(&text);
    arena_fini(&a);
    return error;
}

static int run(int argc, char **argv)
{
    const char *arguments[FILES_MAX], *state_option = NULL, *file = NULL;
    const struct cli_option options[] = {{"--filename", 'f', &file, NULL},
                                         {"--state", 0, &state_option, NULL}};
    int count;
    int done = cli_parse(&verb_apply, argc, argv, options, ARRAY_LEN(options), arguments,
                         FILES_MAX - 1, &count);
    if (done)
        return MAX(done, 0);
    if (file)
        arguments[count++] = file;
    if (count == 0)
        return cli_usage(&verb_apply, "say which file: -f FILE, or - for standard input");
    char state[PATH_MAX];
    struct err err;
    int error = cli_state_dir(state_option, state, &err);
    for (int i = 0; i < count && !error; i++)
        error = apply_file(state, arguments[i], &err);
    return error ? cli_fail(&err) : CLI_OK;
}

const struct verb verb_apply = {
    .name = "apply",
    .arguments = "-f FILE...",
    .summary = "Create or replace what a manifest (YAML or JSON) describes",
    .help = "  -f, --filename FILE   - for standard input\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
