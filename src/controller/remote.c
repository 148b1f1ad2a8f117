/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/upstream.h"
#include "base/clock.h"
#include "base/mem.h"
#include "controller/managed.h"
#include "net/resolve.h"

#define PROBE_TIMEOUT     SEC(5)
#define PROBE_DELAY_FIRST MSEC(100) /* doubled with every failure in a row up to probes.period */
#define RESOLVE_PERIOD    SEC(30)
enum { KEY_MAX = 8192, PROBE_DOUBLINGS_MAX = 20 };

enum probe_step { PROBE_HEALTH, PROBE_MODELS };

struct remote {
    struct upstream *upstream; /* ref */
    char address[RESOLVE_ADDRESS_MAX];
    nsec resolved; /* when the address was found */
    struct resolve *resolve;
    enum probe_step step;
    int status;
    bool has_no_health; /* GET /health says 404 */
    bool reload_failed; /* and was said */
    unsigned failures;  /* in a row */
    char problem[ERR_MESSAGE_MAX];
};

bool model_is_remote(const struct managed_model *m)
{
    return m->wish.model->spec.engine.type == MODEL_ENGINE_REMOTE;
}

struct str remote_url(const struct managed_replica *r)
{
    return str_from(r->remote->upstream->text);
}

struct str remote_address(const struct managed_replica *r)
{
    return str_from(r->remote->address);
}

struct upstream *remote_upstream(const struct managed_replica *r)
{
    return r->remote->upstream;
}

const char *remote_problem(const struct managed_replica *r)
{
    return r->remote->problem;
}

/* ---- key and authorities ---- */

static int check_key(struct str key, const char *where, struct err *err)
{
    const char *problem = upstream_check_key(key);
    if (key.len == 0)
        return err_set(err, ERR_INVALID, "%s has no API key", where);
    return problem ? err_set(err, ERR_INVALID, "%s: %s", where, problem) : 0;
}

static int read_key_file(const char *path, char text[KEY_MAX], struct str *ret_key, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, err_from_errno(errno), "engine.apiKeyFile %s: %s", path,
                       strerror(errno));
    ssize_t got = read(fd, text, KEY_MAX);
    int number = errno;
    close(fd);
    if (got < 0)
        return err_set(err, err_from_errno(number), "engine.apiKeyFile %s: %s", path,
                       strerror(number));
    if (got == KEY_MAX)
        return err_set(err, ERR_TOO_BIG, "engine.apiKeyFile %s: %d bytes and more are no API key",
                       path, KEY_MAX);
    *ret_key = str_trim((struct str){text, (size_t)got});
    return check_key(*ret_key, path, err);
}

/* Empty: none is wanted. */
static int read_key(const struct model_spec *spec, char text[KEY_MAX], struct str *ret_key,
                    struct err *err)
{
    const char *variable = spec->engine.api_key_env.ptr;
    *ret_key = STR_NONE;
    if (spec->engine.api_key_file.len)
        return read_key_file(spec->engine.api_key_file.ptr, text, ret_key, err);
    if (!spec->engine.api_key_env.len)
        return 0;
    const char *value = getenv(variable);
    if (!value)
        return err_set(err, ERR_NOT_FOUND,
                       "engine.apiKeyEnv: Fairway was started without the variable %s", variable);
    *ret_key = str_from(value);
    return check_key(*ret_key, variable, err);
}

/* Shared by the model's replicas: the system's authorities are a megabyte. */
static int load_authorities(struct managed_model *m, struct err *err)
{
    struct str file = m->wish.model->spec.engine.ca_file;
    return m->tls ? 0 : tls_client_new(file.len ? file.ptr : NULL, &m->tls, err);
}

static int make_upstream(struct managed_model *m, struct str url, struct upstream **ret_upstream,
                         struct err *err)
{
    char text[KEY_MAX];
    struct str key;
    int error = read_key(&m->wish.model->spec, text, &key, err);
    if (!error && str_starts(url, STR("https://")))
        error = load_authorities(m, err);
    if (!error)
        *ret_upstream = upstream_new(url, m->tls, key);
    explicit_bzero(text, sizeof(text));
    return error;
}

void remote_reload(struct managed_replica *r)
{
    struct upstream *old = r->remote->upstream, *new;
    struct managed_model *m = r->model;
    struct err err;
    if (r->revision != m->wish.revision) /* the new key may be for other servers */
        return;
    bool was_said = r->remote->reload_failed;
    r->remote->reload_failed = make_upstream(m, remote_url(r), &new, &err) != 0;
    if (r->remote->reload_failed && !was_said)
        event_note(m->controller, str_from(m->name), "ReloadFailed",
                   "replica %llu: %s; the old key and authorities stay in use",
                   (unsigned long long)r->id, err.message);
    if (r->remote->reload_failed)
        return;
    if (new->tls == old->tls && str_eq(new->authorization, old->authorization)) {
        upstream_unref(new);
        return;
    }
    r->remote->upstream = new;
    upstream_unref(old);
    loop_timer_start(m->controller->loop, &m->controller->wake,
                     0); /* the gateways must hear of it */
}

/* ---- begin and end ---- */

static bool is_taken(const struct managed_replica *self, struct str url)
{
    list_each(r, &self->model->replicas, struct managed_replica, link)
    {
        bool is_same = r != self && r->remote && r->revision == self->revision;
        if (is_same && str_eq(remote_url(r), url))
            return true;
    }
    return false;
}

int remote_start(struct managed_replica *r, struct err *err)
{
    const struct schema_strings *urls = &r->model->wish.model->spec.engine.urls;
    struct upstream *upstream;
    size_t i = 0;
    while (i < urls->count && is_taken(r, urls->items[i]))
        i++;
    if (i == urls->count)
        return err_set(err, ERR_CONFLICT, "each of engine.urls has its replica already");
    int error = make_upstream(r->model, urls->items[i], &upstream, err);
    if (error)
        return error;
    r->remote = NEW(struct remote);
    r->remote->upstream = upstream;
    r->port = upstream->url.port;
    if (upstream->url.numeric)
        snprintf(r->remote->address, sizeof(r->remote->address), "%.*s",
                 STR_ARG(upstream->url.host));
    return 0;
}

void remote_free(struct managed_replica *r)
{
    if (!r->remote)
        return;
    if (r->remote->resolve)
        resolve_cancel(r->remote->resolve);
    upstream_unref(r->remote->upstream);
    mem_free(r->remote);
    r->remote = NULL;
}

/* ---- probes ---- */

nsec remote_probe_delay(const struct managed_replica *r)
{
    nsec period = r->model->wish.model->spec.probes.period;
    if (r->core.state != REPLICA_STARTING)
        return period;
    return MIN(PROBE_DELAY_FIRST << MIN(r->remote->failures, (unsigned)PROBE_DOUBLINGS_MAX),
               period);
}

static void probe_ok(struct managed_replica *r)
{
    r->remote->failures = 0;
    r->remote->problem[0] = 0;
    replica_probe_ended(r, true);
}

/* Said once, not with every probe. */
static void probe_failed(struct managed_replica *r, const char *what, const char *why)
{
    struct remote *remote = r->remote;
    char problem[ERR_MESSAGE_MAX];
    snprintf(problem, sizeof(problem), "%.*s: %s%s", STR_ARG(remote_url(r)), what, why);
    remote->failures++;
    if (strcmp(problem, remote->problem) != 0) {
        memcpy(remote->problem, problem, sizeof(problem));
        event_note(r->model->controller, str_from(r->model->name), "ProbeFailed",
                   "replica %llu: %s", (unsigned long long)r->id, problem);
    }
    replica_probe_ended(r, false);
}

static void ask(struct managed_replica *r, enum probe_step step);

static const char *target_of(enum probe_step step)
{
    return step == PROBE_HEALTH ? "/health" : "/v1/models";
}

/* Health is often told to anybody: whether the key is still good shows elsewhere. */
static bool is_health_enough(const struct managed_replica *r)
{
    return r->core.state == REPLICA_READY && !r->remote->upstream->authorization.len;
}

static void on_answered(struct managed_replica *r)
{
    struct remote *remote = r->remote;
    int status = remote->status;
    char what[64];
    if (remote->step == PROBE_HEALTH) {
        remote->has_no_health = status == 404 || status == 405;
        if (remote->has_no_health || (status == 200 && !is_health_enough(r))) {
            ask(r, PROBE_MODELS);
            return;
        }
    }
    bool has_no_list = remote->step == PROBE_MODELS && status == 404 && !remote->has_no_health;
    if (status == 200 || has_no_list) {
        probe_ok(r);
        return;
    }
    bool is_refused = status == 401 || status == 403;
    snprintf(what, sizeof(what), "GET %s says %d %s", target_of(remote->step), status,
             http_reason(status));
    if (is_refused) /* there may be a new one */
        remote_reload(r);
    probe_failed(r, what,
                 is_refused ? ": it wants another API key (engine.apiKeyFile or apiKeyEnv)" : "");
}

static void on_head(void *ctx, int status, const struct http_headers *headers)
{
    ((struct managed_replica *)ctx)->remote->status = status;
}

static void on_body(void *ctx, struct str bytes)
{
}

static void on_done(void *ctx, int error)
{
    struct managed_replica *r = ctx;
    const char *tls = http_call_tls_failure(r->probe);
    char why[TLS_FAILURE_MAX];
    snprintf(why, sizeof(why), "%s", tls[0] ? tls : err_text(error));
    r->probe = NULL;
    if (!error)
        on_answered(r);
    else
        probe_failed(r, why, tls[0] ? " (engine.urls, engine.caFile)" : "");
}

static void ask(struct managed_replica *r, enum probe_step step)
{
    struct remote *remote = r->remote;
    const struct upstream *u = remote->upstream;
    const struct http_header authorization = {STR("authorization"), u->authorization};
    struct http_call_request request = {
        .host = remote_address(r),
        .port = r->port,
        .method = STR("GET"),
        .target = str_from(target_of(step)),
        .headers = &authorization,
        .header_count = u->authorization.len ? 1 : 0,
        .connect_timeout = PROBE_TIMEOUT,
        .head_timeout = PROBE_TIMEOUT,
        .idle_timeout = PROBE_TIMEOUT,
    };
    const struct http_call_events events = {on_head, on_body, on_done, r};
    upstream_prepare(u, &request);
    remote->step = step;
    remote->status = 0;
    r->probe = http_call_start(r->model->controller->client, &request, &events);
}

static void begin(struct managed_replica *r)
{
    ask(r, r->remote->has_no_health ? PROBE_MODELS : PROBE_HEALTH);
}

/* The present address as long as it is one of the name's and answers; else the next one. */
static const char *choose(const struct remote *remote, const struct resolve_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        if (!strcmp(answer->addresses[i], remote->address))
            return answer->addresses[(i + (remote->failures > 0)) % answer->count];
    return answer->addresses[0];
}

static void on_resolved(void *ctx, const struct resolve_answer *answer)
{
    struct managed_replica *r = ctx;
    struct remote *remote = r->remote;
    struct controller *c = r->model->controller;
    remote->resolve = NULL;
    if (answer->failure && !remote->address[0]) {
        probe_failed(r, "its name cannot be resolved: ", answer->failure);
        return;
    }
    if (answer->failure) { /* what was right a moment ago */
        begin(r);
        return;
    }
    const char *address = choose(remote, answer);
    bool is_other = strcmp(address, remote->address) != 0, was_known = remote->address[0];
    remote->resolved = clock_now();
    snprintf(remote->address, sizeof(remote->address), "%s", address);
    begin(r);
    if (!is_other || !was_known)
        return;
    r->run = ++c->next_id; /* another server, as far as a gateway can tell */
    reconcile(c);
}

void remote_probe(struct managed_replica *r)
{
    struct remote *remote = r->remote;
    const struct url *url = &remote->upstream->url;
    bool is_fresh =
        remote->resolved && !remote->failures && clock_now() - remote->resolved < RESOLVE_PERIOD;
    if (url->numeric || is_fresh)
        begin(r);
    else
        remote->resolve = resolve_start(r->model->controller->loop, url->host, on_resolved, r);
}
