/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/controller.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/gpus.h"
#include "controller/jobs.h"
#include "controller/managed.h"
#include "net/tls_client.h"
#include "net/watchdog.h"
#include "runtime/local/folder.h"
#include "runtime/local/log_file.h"
#include "store/keys.h"
#include "store/usage.h"

#define LOG_ROTATE_PERIOD SEC(30)
#define LEDGER_PERIOD     SEC(1)
#define SETTLE_MAX        SEC(10) /* for adopted replicas to answer a probe */
#define GPUS_FIRST_MAX    SEC(3)  /* for the first reading: what runs already has its place by it */
enum { LOG_SIZE_MAX = 16 * 1024 * 1024 };

void event_note_of(struct controller *c, const struct resource_kind *kind, struct str object,
                   const char *reason, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    struct err err;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    log_info("event", log_text(kind == &model_kind ? "model" : "job", object),
             log_str("reason", reason), log_str("message", message));
    const struct store_event event = {
        .at = clock_wall(),
        .actor = STR("controller"),
        .kind = str_from(kind->name),
        .name = object,
        .reason = str_from(reason),
        .message = str_from(message),
    };
    if (store_add_event(c->store, &event, &err))
        log_error("the event cannot be stored", log_str("error", err.message));
}

/* ---- the state folder ---- */

/* One controller per state folder: the lock ends with the process, however it ends. */
static int lock_folder(struct controller *c, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/lock", c->state_dir);
    c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->lock_fd < 0)
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB))
        return err_set(
            err, ERR_CONFLICT,
            "Fairway is already running with the state folder %s; stop it with `fairway down`, "
            "or give this one another --state",
            c->state_dir);
    return 0;
}

int controller_read_token(struct controller *c, const char *file,
                          char ret_token[REPLICA_TOKEN_LEN + 1], struct err *err)
{
    char path[PATH_MAX];
    unsigned char bytes[REPLICA_TOKEN_LEN / 2];
    snprintf(path, sizeof(path), "%s/%s", c->state_dir, file);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    ssize_t got = read(fd, ret_token, REPLICA_TOKEN_LEN);
    if (got != REPLICA_TOKEN_LEN) {
        CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
        for (size_t i = 0; i < sizeof(bytes); i++)
            snprintf(ret_token + 2 * i, 3, "%02x", bytes[i]);
        got = pwrite(fd, ret_token, REPLICA_TOKEN_LEN, 0);
        if (fsync(fd))
            got = -1;
    }
    ret_token[REPLICA_TOKEN_LEN] = 0;
    close(fd);
    return got == REPLICA_TOKEN_LEN ? 0 : err_set(err, ERR_IO, "%s cannot be written", path);
}

static int open_state(struct controller *c, struct err *err)
{
    char path[PATH_MAX];
    int error = folder_make(c->state_dir, err);
    snprintf(path, sizeof(path), "%s/log", c->state_dir);
    if (!error)
        error = folder_make(path, err);
    snprintf(path, sizeof(path), "%s/run", c->state_dir); /* how members of jobs ended */
    if (!error)
        error = folder_make(path, err);
    if (!error)
        error = lock_folder(c, err);
    if (!error)
        error = controller_read_token(c, "instance", c->instance, err); /* marks its processes */
    snprintf(path, sizeof(path), "%s/fairway.db", c->state_dir);
    return error ? error : store_open(path, &c->store, err);
}

int controller_publish_keys(struct controller *c, struct err *err)
{
    struct key_table *keys;
    int error = key_table_load(c->store, &keys, err);
    if (error)
        return error;
    c->gateways.keys_version++;
    c->options.publish_keys(c->options.ctx, keys);
    return 0;
}

/* ---- the loop ---- */

static void on_wake(struct loop_timer *timer)
{
    reconcile(container_of(timer, struct controller, wake));
}

static void on_rotate(struct loop_timer *timer)
{
    struct controller *c = container_of(timer, struct controller, rotate);
    char path[PATH_MAX];
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        list_each(r, &m->replicas, struct managed_replica, link)
        {
            replica_log_path(r, path);
            (void)!log_file_rotate(path, LOG_SIZE_MAX); /* tried again next time */
        }
    }
    jobs_rotate_logs(c, LOG_SIZE_MAX);
    loop_timer_start(c->loop, timer, LOG_ROTATE_PERIOD);
}

/* What was not stored stays here until it is. */
static void store_usage(struct controller *c)
{
    struct err err;
    if (!c->usage_count) {
        arena_reset(&c->usage_arena);
        c->usage = c->options.take_usage(c->options.ctx, &c->usage_arena, &c->usage_count);
        gateways_settle(&c->gateways, STR_NONE, c->usage, c->usage_count);
    }
    if (!c->usage_count)
        return;
    if (usage_add(c->store, c->usage, c->usage_count, &err))
        log_error("usage cannot be stored yet", log_str("error", err.message));
    else
        c->usage_count = 0;
}

static void on_ledger(struct loop_timer *timer)
{
    struct controller *c = container_of(timer, struct controller, ledger);
    store_usage(c);
    loop_timer_start(c->loop, timer, LEDGER_PERIOD);
}

static void on_settle(struct loop_timer *timer)
{
    replicas_stop_waiting(container_of(timer, struct controller, settle));
}

/* All that is stored of a kind. */
static void load(struct controller *c, const struct resource_kind *kind,
                 void (*set)(struct controller *c, const struct resource *stored))
{
    struct arena arena;
    struct resource **stored;
    size_t count = 0;
    struct err err;
    arena_init(&arena, SIZE_MAX);
    if (store_list(c->store, &arena, kind, &stored, &count, &err))
        log_error("what is stored cannot be read", log_str("kind", kind->plural),
                  log_str("error", err.message));
    for (size_t i = 0; i < count; i++)
        set(c, stored[i]);
    arena_fini(&arena);
}

static void on_begin(struct mail *mail)
{
    struct controller *c = container_of(mail, struct controller, begin);
    struct gpu_inventory unused;
    (void)gpus_last(c->gpus, GPUS_FIRST_MAX, &unused);
    c->unlimited = true; /* what runs already has what it has */
    node_place(c);
    node_load(c);
    tenants_load(c);
    tenants_load_used(c);
    load(c, &model_kind, model_set);
    load(c, &job_kind, job_set);
    replicas_adopt(c);
    jobs_adopted(c);
    c->unlimited = false;
    node_place(c);
    loop_timer_start(c->loop, &c->rotate, LOG_ROTATE_PERIOD);
    loop_timer_start(c->loop, &c->ledger, LEDGER_PERIOD);
    loop_timer_start(c->loop, &c->settle, SETTLE_MAX);
    reconcile(c);
    replicas_tell_if_settled(c);
}

static void on_gpus_changed(struct mail *mail)
{
    struct controller *c = container_of(mail, struct controller, gpus_changed);
    atomic_store(&c->gpus_posted, false);
    node_place(c);
    reconcile(c);
}

/* On the thread that reads them. */
static void tell_gpus_changed(void *ctx)
{
    struct controller *c = ctx;
    if (!atomic_exchange(&c->gpus_posted, true))
        loop_post(c->loop, &c->gpus_changed);
}

static void on_drained(void *arg)
{
    struct controller *c = arg;
    c->draining--;
    controller_if_all_ended(c);
}

static void stop(struct controller *c)
{
    c->stopping = true;
    store_usage(c);
    store_usage(c); /* what came while earlier rows waited */
    c->draining = c->joining ? 2 : 1;
    http_server_drain(c->admin, SEC(2), on_drained, c);
    if (c->joining)
        http_server_drain(c->joining, SEC(2), on_drained, c);
    reconcile(c);
}

static void on_stop(struct mail *mail)
{
    stop(container_of(mail, struct controller, stop));
}

static void on_leave(struct mail *mail)
{
    struct controller *c = container_of(mail, struct controller, leave);
    c->leaving = true;
    (void)http_server_listener(c->admin); /* its socket file stays for the next one */
    stop(c);
}

static void let_replicas_go(struct controller *c)
{
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        list_each(r, &m->replicas, struct managed_replica, link) replica_let_go(r);
    }
}

void controller_if_all_ended(struct controller *c)
{
    if (!c->stopping || c->draining)
        return;
    for (struct map_node *n = map_next(&c->models, NULL); n; n = map_next(&c->models, n)) {
        const struct managed_model *m = container_of(n, struct managed_model, node);
        if (c->leaving ? count_replicas(m, REPLICA_DRAINING) : !list_empty(&m->replicas))
            return;
    }
    if (jobs_have_members(c, c->leaving))
        return;
    if (c->leaving)
        let_replicas_go(c);
    jobs_let_go(c);
    loop_stop(c->loop);
}

static void *run(void *arg)
{
    struct controller *c = arg;
    loop_run(c->loop);
    return NULL;
}

/* ---- life ---- */

int controller_start(const struct controller_options *options, struct controller **ret_controller,
                     struct err *err)
{
    const struct http_client_options client = {
        .idle_max = 1, .idle_timeout = SEC(30), .head_max = 32 * 1024};
    struct controller *c = NEW(struct controller);
    c->options = *options;
    c->state_dir = mem_strdup(options->state_dir);
    c->engine_path = mem_strdup(options->engine_path);
    c->gateway_url = mem_strdup(options->gateway_url);
    c->lock_fd = -1;
    c->started = clock_wall();
    c->wake.fire = on_wake;
    c->rotate.fire = on_rotate;
    c->ledger.fire = on_ledger;
    c->settle.fire = on_settle;
    c->begin.deliver = on_begin;
    c->stop.deliver = on_stop;
    c->leave.deliver = on_leave;
    c->gpus_changed.deliver = on_gpus_changed;
    c->cluster = cluster_new(options->metrics);
    map_init(&c->models);
    map_init(&c->jobs);
    arena_init(&c->tenants_arena, SIZE_MAX);
    arena_init(&c->usage_arena, SIZE_MAX);
    arena_init(&c->used_arena, SIZE_MAX);
    gateways_init(&c->gateways);
    c->loop = loop_new();
    c->client = http_client_new(c->loop, &client);
    int error = open_state(c, err);
    if (!error)
        error = controller_publish_keys(c, err);
    if (!error)
        error = admin_start(c, err);
    if (!error && options->join_host.len)
        error = admin_start_joining(c, err);
    if (error) {
        controller_free(c);
        return error;
    }
    loop_post(c->loop, &c->begin);
    c->gpus = gpus_start(&(struct gpus_options){.simulated = options->gpus,
                                                .metrics = options->metrics,
                                                .changed = tell_gpus_changed,
                                                .ctx = c});
    if (options->watchdog)
        watchdog_watch(options->watchdog, c->loop, "controller");
    error = pthread_create(&c->thread, NULL, run, c);
    CHECK(!error);
    *ret_controller = c;
    return 0;
}

void controller_stop(struct controller *c)
{
    loop_post(c->loop, &c->stop);
    pthread_join(c->thread, NULL);
}

void controller_leave(struct controller *c)
{
    loop_post(c->loop, &c->leave);
    pthread_join(c->thread, NULL);
}

int controller_admin_listener(struct controller *c)
{
    return http_server_listener(c->admin);
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    for (struct map_node *n = map_next(&c->models, NULL), *next; n; n = next) {
        struct managed_model *m = container_of(n, struct managed_model, node);
        next = map_next(&c->models, n);
        map_remove(&c->models, n);
        wish_fini(&m->wish);
        tls_client_unref(m->tls);
        mem_free(m->name);
        mem_free(m);
    }
    map_fini(&c->models);
    map_fini(&c->jobs);
    arena_fini(&c->tenants_arena);
    arena_fini(&c->usage_arena);
    arena_fini(&c->used_arena);
    if (c->options.watchdog)
        watchdog_forget(c->options.watchdog, c->loop);
    loop_timer_stop(&c->wake);
    loop_timer_stop(&c->rotate);
    loop_timer_stop(&c->ledger);
    loop_timer_stop(&c->settle);
    gateways_fini(&c->gateways);
    gpus_stop(c->gpus);
    http_server_free(c->admin);
    http_server_free(c->joining);
    http_client_free(c->client);
    loop_free(c->loop);
    cluster_free(c->cluster);
    store_close(c->store);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    mem_free(c->state_dir);
    mem_free(c->engine_path);
    mem_free(c->gateway_url);
    mem_free(c);
}
