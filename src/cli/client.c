/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>

enum { REPLY_MAX = 64 * 1024 * 1024, URL_MAX = 2048 };

void client_reply_fini(struct client_reply *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->text);
}

static size_t collect(char *bytes, size_t size, size_t count, void *ctx)
{
    struct buf *text = ctx;
    buf_put(text, (struct str){bytes, size * count});
    return text->error ? 0 : size * count;
}

static size_t pass(char *bytes, size_t size, size_t count, void *ctx)
{
    const struct client_stream *s = ctx;
    return s->chunk(s->ctx, (struct str){bytes, size * count}) ? size * count : 0;
}

/* A handle for the socket file of the state folder. */
static CURL *open_admin(const char *state_dir, const char *path, char socket_path[PATH_MAX],
                        char url[URL_MAX])
{
    CURL *curl = curl_easy_init();
    CHECK(curl);
    snprintf(socket_path, PATH_MAX, "%s/admin.sock", state_dir);
    snprintf(url, URL_MAX, "http://fairway%s", path);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    return curl;
}

static int transport_error(CURLcode code, const char *state_dir, struct err *err)
{
    if (code == CURLE_COULDNT_CONNECT)
        return err_set(
            err, ERR_UNAVAILABLE,
            "Fairway is not running with the state folder %s; start it with `fairway up`",
            state_dir);
    return err_set(err, ERR_IO, "the connection to Fairway failed: %s", curl_easy_strerror(code));
}

/* {"error":{"message":...}} of a reply that says no. */
static int server_error(const struct client_reply *r, struct err *err)
{
    const struct json *message = json_get(json_get(r->body, STR("error")), STR("message"));
    int code = r->status == 404   ? ERR_NOT_FOUND
               : r->status == 409 ? ERR_CONFLICT
               : r->status < 500  ? ERR_INVALID
                                  : ERR_INTERNAL;
    if (message && message->type == JSON_STRING)
        return err_set(err, code, "%.*s", STR_ARG(message->text));
    return err_set(err, code, "Fairway answered with status %d", r->status);
}

int client_call(const char *state_dir, const char *method, const char *path, struct str body,
                struct client_reply *ret_reply, struct err *err)
{
    char socket_path[PATH_MAX], url[URL_MAX];
    struct client_reply r = {0};
    long status = 0;
    CURL *curl = open_admin(state_dir, path, socket_path, url);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    arena_init(&r.arena, REPLY_MAX);
    buf_init(&r.text, REPLY_MAX);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (body.ptr) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.ptr);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r.text);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    r.status = (int)status;
    int error = code ? transport_error(code, state_dir, err) : 0;
    if (!error && r.text.len)
        error = json_parse(&r.arena, buf_str(&r.text), &r.body, err);
    if (!error && r.status >= 400)
        error = server_error(&r, err);
    if (error)
        client_reply_fini(&r);
    else
        *ret_reply = r;
    return error;
}

int client_stream(const struct client_stream *s, int *ret_status, struct err *err)
{
    char socket_path[PATH_MAX], url[URL_MAX], bearer[512];
    long status = 0;
    CURL *curl = open_admin(s->state_dir, s->path ? s->path : "/", socket_path, url);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (s->url) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, NULL);
        curl_easy_setopt(curl, CURLOPT_URL, s->url);
    }
    if (s->api_key) {
        snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", s->api_key);
        headers = curl_slist_append(headers, bearer);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (s->post.ptr) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->post.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, s->post.ptr);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)s);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    *ret_status = (int)status;
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR) /* the latter: chunk() wanted no more */
        return 0;
    if (s->url)
        return err_set(err, ERR_IO, "%s: %s", s->url, curl_easy_strerror(code));
    return transport_error(code, s->state_dir, err);
}

int client_show(const char *state_option, const char *path, enum cli_output output,
                void (*print)(const struct json *body))
{
    char state[PATH_MAX];
    struct client_reply reply;
    struct err err;
    if (cli_state_dir(state_option, state, &err) ||
        client_call(state, "GET", path, STR_NONE, &reply, &err))
        return cli_fail(&err);
    if (output == CLI_TABLE)
        print(reply.body);
    else
        cli_print_tree(reply.body, output);
    client_reply_fini(&reply);
    return CLI_OK;
}
