/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/worker.h"

#include <openssl/rand.h>

#include "base/clock.h"
#include "gateway/endpoint.h"
#include "net/watchdog.h"

/* Above what one read and a held event bring. */
enum {
    SCRATCH_MAX = 16 * 1024 * 1024,
    SPOKEN_MAX = 6 * SCRATCH_MAX, /* anthropic_stream.h */
};

static void on_set_table(struct mail *mail)
{
    struct worker *w = container_of(mail, struct worker, set_table);
    struct table *old = w->table;
    w->table = atomic_exchange(&w->pending_table, NULL);
    table_unref(old);
}

void worker_set_table(struct worker *w, struct table *take_table)
{
    struct table *waiting = atomic_exchange(&w->pending_table, take_table);
    /* One that was not yet fetched: its mail is on the way and will bring this one. */
    if (waiting)
        table_unref(waiting);
    else
        loop_post(w->loop, &w->set_table);
}

static void on_accept(struct mail *mail)
{
    http_server_accept(container_of(mail, struct worker, accept)->server);
}

static void drained(void *arg)
{
    struct worker *w = arg;
    gateway_worker_drained(w->gateway);
}

static void on_drain(struct mail *mail)
{
    struct worker *w = container_of(mail, struct worker, drain);
    w->draining = true;
    http_server_drain(w->server, w->grace, drained, w);
}

static void on_hurry(struct mail *mail)
{
    struct worker *w = container_of(mail, struct worker, hurry);
    if (w->draining)
        http_server_drain(w->server, 0, drained, w);
}

static void on_stop(struct mail *mail)
{
    struct worker *w = container_of(mail, struct worker, stop);
    gateway_stop_timers(w->gateway, w);
    http_server_free(w->server);
    http_client_free(w->client);
    loop_stop(w->loop);
}

void worker_accept(struct worker *w)
{
    loop_post(w->loop, &w->accept);
}

void worker_drain(struct worker *w, nsec grace)
{
    w->grace = grace;
    loop_post(w->loop, &w->drain);
}

void worker_hurry(struct worker *w)
{
    loop_post(w->loop, &w->hurry);
}

void worker_stop(struct worker *w)
{
    loop_post(w->loop, &w->stop);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    loop_run(w->loop);
    return NULL;
}

int worker_init(struct worker *w, struct gateway *g, const struct gateway_options *options,
                uint16_t port, int listener, struct err *err)
{
    *w = (struct worker){.gateway = g, .options = options};
    buf_init(&w->scratch, SCRATCH_MAX);
    buf_init(&w->spoken, SPOKEN_MAX);
    records_init(&w->records);
    w->set_table.deliver = on_set_table;
    w->accept.deliver = on_accept;
    w->drain.deliver = on_drain;
    w->hurry.deliver = on_hurry;
    w->stop.deliver = on_stop;
    if (RAND_bytes((unsigned char *)&w->rng.seed, sizeof(w->rng.seed)) != 1)
        return err_set(err, ERR_INTERNAL, "the machine gives no random bytes");
    w->loop = loop_new();
    const struct http_server_options server = {
        .host = options->host,
        .port = port,
        .share_port = true,
        .take_listener = listener,
        .waits = listener != 0,
        .tls = options->tls,
        .limits = options->limits,
        .proxy_protocol = options->proxy_protocol,
        .service = endpoint_service(w),
    };
    int error = http_server_new(w->loop, &server, &w->server, err);
    if (error) {
        loop_free(w->loop);
        return error;
    }
    const struct http_client_options client = {
        .idle_max = 64, .idle_timeout = SEC(60), .head_max = 32 * 1024};
    w->client = http_client_new(w->loop, &client);
    return 0;
}

void worker_start(struct worker *w)
{
    if (w->options->watchdog)
        watchdog_watch(w->options->watchdog, w->loop, "gateway worker");
    int error = pthread_create(&w->thread, NULL, run, w);
    CHECK(!error);
}

void worker_fini(struct worker *w)
{
    if (w->options->watchdog)
        watchdog_forget(w->options->watchdog, w->loop);
    table_unref(atomic_exchange(&w->pending_table, NULL));
    table_unref(w->table);
    buf_fini(&w->scratch);
    buf_fini(&w->spoken);
    records_fini(&w->records);
    loop_free(w->loop);
}
