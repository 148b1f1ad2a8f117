/* SPDX-License-Identifier: Apache-2.0 */
/* fairway-engine: one model, one HTTP server, one decode thread. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/config.h"
#include "engine/llama_model.h"
#include "engine/service.h"
#include "engine/sim_model.h"

#define FLUSH_TIME   SEC(2) /* for the last bytes of the last answers */
#define GIVE_UP_TIME SEC(5) /* for the decode thread to end its step */

struct engine {
    struct engine_config config;
    struct loop *loop;
    struct model *model;
    struct scheduler *scheduler;
    struct metrics *metrics;
    struct service *service;
    struct http_server *server;
    struct mail terminate;
    struct loop_timer timer; /* of the drain, then of the give-up */
    bool stopping, computing_ended, serving_ended;
    int exit_code;
};

static void end_if_over(struct engine *e)
{
    if (e->computing_ended && e->serving_ended)
        loop_stop(e->loop);
}

static void on_server_ended(void *arg)
{
    struct engine *e = arg;
    e->serving_ended = true;
    end_if_over(e);
}

static void on_stopped(void *ctx)
{
    struct engine *e = ctx;
    e->computing_ended = true;
    end_if_over(e);
}

/* A step that never ends. All clients have their answers by now. */
static void give_up(struct loop_timer *timer)
{
    struct engine *e = container_of(timer, struct engine, timer);
    log_warn("the model does not stop computing; ending anyway");
    _exit(e->exit_code);
}

static void stop(struct engine *e)
{
    if (e->stopping)
        return;
    e->stopping = true;
    scheduler_stop(e->scheduler);
    e->timer.fire = give_up;
    loop_timer_start(e->loop, &e->timer, GIVE_UP_TIME);
    if (e->server)
        http_server_drain(e->server, FLUSH_TIME, on_server_ended, e);
    else
        on_server_ended(e);
}

static void on_idle(void *ctx)
{
    stop(ctx);
}

static void on_drain_timeout(struct loop_timer *timer)
{
    struct engine *e = container_of(timer, struct engine, timer);
    log_warn("requests still run at the end of the drain; they end with an error");
    service_cut(e->service);
    stop(e);
}

static void on_terminate(struct mail *mail)
{
    struct engine *e = container_of(mail, struct engine, terminate);
    log_info("draining", log_dur("at_most", e->config.drain_timeout));
    e->timer.fire = on_drain_timeout;
    loop_timer_start(e->loop, &e->timer, e->config.drain_timeout);
    service_drain(e->service);
}

static void on_loaded(void *ctx, const struct err *err)
{
    struct engine *e = ctx;
    if (err) {
        log_error("no model", log_str("reason", err->message));
        e->exit_code = 1;
        service_drain(e->service);
        return;
    }
    const struct model_info *info = &e->model->info;
    log_info("ready", log_text("model", e->config.name), log_text("about", info->description),
             log_int("context", info->length_max), log_int("slots", info->sequences),
             log_int("kv", info->kv_total));
    service_ready(e->service);
}

/* Signals arrive here only, so that no handler interrupts anything. The second one does not wait. */
static void *wait_for_signals(void *arg)
{
    struct engine *e = arg;
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &number);
    loop_post(e->loop, &e->terminate);
    sigwait(&set, &number);
    _exit(128 + number);
}

static void watch_signals(struct engine *e)
{
    pthread_t thread;
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    e->terminate.deliver = on_terminate;
    CHECK(pthread_create(&thread, NULL, wait_for_signals, e) == 0);
    pthread_detach(thread);
}

static struct model *make_model(const struct engine_config *c, struct err *err)
{
    if (c->simulated)
        return sim_model_new(&c->profile, (uint32_t)c->length_max, (uint32_t)c->prefill_max);
#ifdef FAIRWAY_LLAMA
    return llama_model_new(&(struct llama_options){.path = c->model.ptr,
                                                   .sequences = (uint32_t)c->slots,
                                                   .length_max = (uint32_t)c->length_max,
                                                   .kv_total = (uint32_t)c->kv_total,
                                                   .micro_batch = (uint32_t)c->micro_batch,
                                                   .prefill_max = (uint32_t)c->prefill_max,
                                                   .threads = (uint32_t)c->threads});
#else
    err_set(err, ERR_UNSUPPORTED,
            "this fairway-engine was built without libllama: run scripts/deps-llama and build "
            "again, or use --simulate");
    return NULL;
#endif
}

static int serve(struct engine *e, struct err *err)
{
    const struct engine_config *c = &e->config;
    struct http_server_options options = {.host = c->host,
                                          .port = (uint16_t)c->port,
                                          .limits = http_limits_default(),
                                          .service = service_http(e->service)};
    int error = http_server_new(e->loop, &options, &e->server, err);
    if (error)
        return error;
    int port = http_server_port(e->server);
    log_info("listening", log_text("host", c->host), log_int("port", port));
    /* For whoever started it with port 0. */
    printf("listening on %.*s:%d\n", STR_ARG(c->host), port);
    fflush(stdout);
    return 0;
}

static int start(struct engine *e, struct err *err)
{
    const struct engine_config *c = &e->config;
    e->model = make_model(c, err);
    if (!e->model)
        return err->code;
    e->loop = loop_new();
    watch_signals(e); /* before there are other threads: they inherit what is blocked */
    e->metrics = metrics_new();
    e->scheduler =
        scheduler_new(&(struct scheduler_options){.model = e->model,
                                                  .loop = e->loop,
                                                  .queue_max = (uint32_t)c->queue_max,
                                                  .prefill_max = (uint32_t)c->prefill_max,
                                                  .step_target = c->step_target,
                                                  .loaded = on_loaded,
                                                  .stopped = on_stopped,
                                                  .ctx = e});
    e->service = service_new(&(struct service_options){
        .scheduler = e->scheduler,
        .model = e->model,
        .name = c->name,
        .gpu_id = c->simulated ? STR("0") : STR_NONE,
        .metrics = e->metrics,
        .faults = {.fail = c->profile.fail,
                   .crash_after = c->profile.crash_after,
                   .seed = c->profile.seed},
        .idle = on_idle,
        .ctx = e,
    });
    return serve(e, err);
}

static void finish(struct engine *e)
{
    loop_timer_stop(&e->timer);
    if (e->server)
        http_server_free(e->server);
    service_free(e->service);
    scheduler_free(e->scheduler);
    metrics_free(e->metrics);
    loop_free(e->loop);
}

static int show_help(void)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    engine_config_help(&text);
    fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    static struct engine e;
    struct err err = {0};
    int error = engine_config_read(argc, argv, &e.config, &err);
    if (!error && e.config.help)
        return show_help();
    if (!error && e.config.version) {
        puts("fairway-engine " FAIRWAY_VERSION);
        return 0;
    }
    if (error) {
        fprintf(stderr, "fairway-engine: %s\n", err.message);
        return 2;
    }
    log_setup(e.config.log_level, e.config.log_format, STDERR_FILENO);
    error = start(&e, &err);
    if (error) {
        log_error("cannot start", log_str("reason", err.message));
        _exit(1);
    }
    loop_run(e.loop);
    finish(&e);
    return e.exit_code;
}
