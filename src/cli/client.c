/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

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

/* ---- calls ---- */

struct client {
    struct client_options options;
    CURL *curl;                 /* own */
    struct curl_slist *headers; /* own */
    char base[URL_MAX];         /* of URLs */
    char socket_path[PATH_MAX]; /* "": by TCP */
};

static int read_url(struct client *c, const char *url, struct err *err)
{
    if (strncmp(url, "unix:", 5) == 0) {
        snprintf(c->socket_path, sizeof(c->socket_path), "%s", url + 5);
        snprintf(c->base, sizeof(c->base), "http://fairway");
        return 0;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID,
                       "%s is no way to a controller: unix:SOCKET, http://HOST:PORT or "
                       "https://HOST:PORT is",
                       url);
    snprintf(c->base, sizeof(c->base), "%s", url);
    return 0;
}

int client_open(const struct client_options *options, struct client **ret_client, struct err *err)
{
    char bearer[512];
    struct client *c = NEW(struct client);
    c->options = *options;
    int error = read_url(c, options->url, err);
    if (error) {
        client_close(c);
        return error;
    }
    c->curl = curl_easy_init();
    CHECK(c->curl);
    c->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (options->token) {
        snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", options->token);
        c->headers = curl_slist_append(c->headers, bearer);
    }
    *ret_client = c;
    return 0;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    mem_free(c);
}

int client_read_token(const char *path, char ret_token[CLIENT_TOKEN_MAX], struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    bool any = fgets(ret_token, CLIENT_TOKEN_MAX, file) != NULL;
    fclose(file);
    ret_token[any ? strcspn(ret_token, "\r\n") : 0] = 0;
    return ret_token[0] ? 0 : err_set(err, ERR_INVALID, "%s: there is no token in it", path);
}

static int transport_error(CURLcode code, const struct client *c, struct err *err)
{
    if (code != CURLE_COULDNT_CONNECT)
        return err_set(err, ERR_IO, "the connection to Fairway failed: %s",
                       curl_easy_strerror(code));
    if (c->socket_path[0])
        return err_set(err, ERR_UNAVAILABLE,
                       "Fairway is not running with the socket %s; start it with `fairway up`",
                       c->socket_path);
    return err_set(err, ERR_UNAVAILABLE, "nothing answers at %s", c->base);
}

/* {"error":{"message":...}} of a reply that says no. */
static int server_error(const struct client_reply *r, struct err *err)
{
    const struct json *message = json_get(json_get(r->body, STR("error")), STR("message"));
    int code = r->status == 401   ? ERR_UNAUTHORIZED
               : r->status == 404 ? ERR_NOT_FOUND
               : r->status == 409 ? ERR_CONFLICT
               : r->status == 429 ? ERR_FULL
               : r->status < 500  ? ERR_INVALID
                                  : ERR_INTERNAL;
    if (message && message->type == JSON_STRING)
        return err_set(err, code, "%.*s", STR_ARG(message->text));
    return err_set(err, code, "Fairway answered with status %d", r->status);
}

/* Where the answer's bytes go. */
struct sink {
    curl_write_callback write;
    void *ctx;
    nsec timeout; /* of the whole; 0: none */
};

static CURLcode perform(struct client *c, const char *method, const char *path, struct str body,
                        const struct sink *sink, int *ret_status)
{
    char url[URL_MAX + PATH_MAX];
    long status = 0;
    snprintf(url, sizeof(url), "%s%s", c->base, path);
    curl_easy_reset(c->curl); /* keeps the connection */
    if (c->socket_path[0])
        curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
    if (c->options.ca_file)
        curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->options.ca_file);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)(sink->timeout / NSEC_PER_MSEC));
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    if (body.ptr) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.ptr);
    }
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, sink->write);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, sink->ctx);
    CURLcode code = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    *ret_status = (int)status;
    return code;
}

int client_send(struct client *c, const char *method, const char *path, struct str body,
                struct client_reply *ret_reply, struct err *err)
{
    struct client_reply r = {0};
    arena_init(&r.arena, REPLY_MAX);
    buf_init(&r.text, REPLY_MAX);
    nsec timeout = c->options.timeout ? c->options.timeout : CLIENT_TIMEOUT;
    const struct sink sink = {collect, &r.text, timeout};
    CURLcode code = perform(c, method, path, body, &sink, &r.status);
    int error = code ? transport_error(code, c, err) : 0;
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

static int not_running(const char *state_dir, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE,
                   "Fairway is not running with the state folder %s; start it with `fairway up`",
                   state_dir);
}

static void admin_url(const char *state_dir, char url[PATH_MAX])
{
    snprintf(url, PATH_MAX, "unix:%s/admin.sock", state_dir);
}

int client_call(const char *state_dir, const char *method, const char *path, struct str body,
                struct client_reply *ret_reply, struct err *err)
{
    char url[PATH_MAX];
    struct client *c;
    admin_url(state_dir, url);
    int error = client_open(&(struct client_options){.url = url}, &c, err);
    if (error)
        return error;
    error = client_send(c, method, path, body, ret_reply, err);
    client_close(c);
    return error == ERR_UNAVAILABLE ? not_running(state_dir, err) : error;
}

int client_stream(const struct client_stream *s, int *ret_status, struct err *err)
{
    char url[PATH_MAX];
    struct client *c;
    const struct sink sink = {pass, (void *)s, 0};
    admin_url(s->state_dir ? s->state_dir : "", url);
    const struct client_options options = {.url = s->url ? s->url : url, .token = s->api_key};
    int error = client_open(&options, &c, err);
    if (error)
        return error;
    CURLcode code =
        perform(c, s->post.ptr ? "POST" : "GET", s->url ? "" : s->path, s->post, &sink, ret_status);
    if (code && code != CURLE_WRITE_ERROR) /* the latter: chunk() wanted no more */
        error = s->url ? err_set(err, ERR_IO, "%s: %s", s->url, curl_easy_strerror(code))
                       : transport_error(code, c, err);
    client_close(c);
    return error == ERR_UNAVAILABLE ? not_running(s->state_dir, err) : error;
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
