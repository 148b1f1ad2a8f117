/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas as processes: start, probe, end. Those that somebody else runs: remote.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/managed.h"
#include "store/store.h"

#define PROBE_PERIOD_STARTING MSEC(100) /* a model that has loaded is used at once */
#define PROBE_TIMEOUT         SEC(5)

enum { LEASE_TEXT_MAX = 16 * 1024 };

extern char **environ;

static void on_probe_timer(struct loop_timer *timer);

void replica_log_path(const struct managed_replica *r, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/log/%s-%llu.log", r->model->controller->state_dir, r->model->name,
             (unsigned long long)r->id);
}

static struct replica_rules rules_of(const struct managed_model *m)
{
    struct replica_rules rules = m->controller->options.rules;
    rules.startup_timeout = m->wish.model->spec.probes.startup;
    rules.failure_threshold = (unsigned)m->wish.model->spec.probes.failures;
    return rules;
}

/* ---- room ---- */

static void on_room(struct cluster_guest *room)
{
    struct managed_replica *r = container_of(room, struct managed_replica, room);
    replica_placed(&r->core, clock_now());
}

static void on_evicted(struct cluster_guest *room)
{
    struct managed_replica *r = container_of(room, struct managed_replica, room);
    bool lost = room->work.evict_why == SCHED_ROOM_LOST;
    enum replica_reason reason = lost ? REPLICA_ROOM_LOST : REPLICA_EVICTED;
    event_note(r->model->controller, str_from(r->model->name), "Evicted", "replica %llu: %s",
               (unsigned long long)r->id, replica_reason_text(reason));
    replica_drain(&r->core, reason, clock_now());
}

int replica_request(const struct managed_model *m, struct place_request *ret_request,
                    struct err *err)
{
    const uint64_t mib = 1 << 20;
    int error = resources_request(&m->wish.model->spec.resources, cluster_gpu_model,
                                  m->controller->cluster, ret_request, err);
    ret_request->memory = (int64_t)((wish_memory(&m->wish) + mib - 1) / mib);
    return error;
}

static void describe_room(struct managed_replica *r, const struct place_request *request)
{
    const struct model_spec *spec = &r->model->wish.model->spec;
    r->room.work.spec = (struct sched_spec){
        .id = r->id,
        .queue = cluster_queue(r->model->controller->cluster, spec->tenant),
        .priority = (int)spec->priority,
        .created = clock_now(),
        .inference = true,
        .preemptible = true, /* by other inference */
        .members_min = 1,
        .members_max = 1,
        .request = *request,
    };
}

void replica_ask_room(struct managed_replica *r, const struct place_request *request)
{
    struct controller *c = r->model->controller;
    nsec now = clock_now();
    if (model_is_remote(r->model)) {
        replica_placed(&r->core, now);
        return;
    }
    describe_room(r, request);
    if (cluster_submit(c->cluster, &r->room, now)) {
        event_note(c, str_from(r->model->name), "TooMany",
                   "replica %llu: %d replicas and jobs are as many as this machine counts",
                   (unsigned long long)r->id, CLUSTER_GUESTS_MAX);
        replica_drain(&r->core, REPLICA_EVICTED, now);
    }
}

int replica_restore_room(struct managed_replica *r, const struct json *lease)
{
    struct cluster *cluster = r->model->controller->cluster;
    struct place_request request = {0};
    struct place_lease there;
    struct err err;
    int error = cluster_lease_read(cluster, lease, &there);
    if (error)
        return error;
    if (replica_request(r->model, &request, &err))
        request = (struct place_request){0}; /* its next process asks anew */
    describe_room(r, &request);
    return cluster_restore(cluster, &r->room, &there, 1, clock_now());
}

/* For the process that the model wants now, in the room that it has. */
static bool has_room(const struct managed_replica *r, const struct place_request *request)
{
    return r->room.work.state == SCHED_RUNNING &&
           memcmp(&r->room.work.spec.request, request, sizeof(*request)) == 0;
}

/* A new process may need other room than the last one had. False: it waits for it, or cannot be. */
static bool ensure_room(struct managed_replica *r)
{
    struct controller *c = r->model->controller;
    struct place_request request;
    struct err err;
    if (model_is_remote(r->model))
        return true;
    if (replica_request(r->model, &request, &err)) {
        replica_drain(&r->core, REPLICA_ROOM_LOST, clock_now());
        return false;
    }
    if (has_room(r, &request))
        return true;
    cluster_leave(c->cluster, &r->room, clock_now());
    replica_unplaced(&r->core, clock_now());
    replica_ask_room(r, &request);
    c->again = true;
    return false;
}

struct managed_replica *replica_new(struct managed_model *m)
{
    struct managed_replica *r = NEW(struct managed_replica);
    r->model = m;
    r->id = ++m->controller->next_id;
    r->revision = m->wish.revision;
    r->rules = rules_of(m);
    r->probe_timer.fire = on_probe_timer;
    r->room.name = str_from(m->title);
    r->room.start = on_room;
    r->room.evict = on_evicted;
    replica_init(&r->core, clock_now());
    list_append(&m->replicas, &r->link);
    return r;
}

static void forget_process(struct managed_replica *r)
{
    loop_timer_stop(&r->probe_timer);
    if (r->probe)
        http_call_cancel(r->probe);
    r->probe = NULL;
    process_release(r->process);
    r->process = NULL;
    remote_free(r);
    r->unanswered = false;
}

void replica_let_go(struct managed_replica *r)
{
    forget_process(r);
    cluster_leave(r->model->controller->cluster, &r->room, clock_now());
    list_remove(&r->link);
    mem_free(r);
}

void replica_free(struct managed_replica *r)
{
    CHECK(!replica_has_process(&r->core));
    replica_let_go(r);
}

/* ---- what happens to a process ---- */

void replica_forget(struct controller *c, uint64_t run)
{
    char id[24];
    struct err err;
    snprintf(id, sizeof(id), "%llu", (unsigned long long)run);
    if (store_delete_replica(c->store, str_from(id), &err) && err.code != ERR_NOT_FOUND)
        log_error("the stored replica cannot be deleted", log_str("error", err.message));
}

void replica_on_exited(void *ctx, const struct process_end *end)
{
    struct managed_replica *r = ctx;
    struct controller *c = r->model->controller;
    bool asked = r->core.state == REPLICA_DRAINING;
    char text[PROCESS_END_TEXT_MAX];
    process_end_text(end, text);
    event_note(c, str_from(r->model->name), asked ? "Stopped" : "Exited",
               "replica %llu: process %d %s%s", (unsigned long long)r->id,
               (int)process_pid(r->process), asked ? "" : "ended by itself: ", text);
    forget_process(r);
    replica_forget(c, r->run);
    replica_exited(&r->core, &r->rules, clock_now());
    reconcile(c);
    replicas_tell_if_settled(c);
}

static void on_probe_head(void *ctx, int status, const struct http_headers *headers)
{
    struct managed_replica *r = ctx;
    r->probe_status = status;
}

static void on_probe_body(void *ctx, struct str bytes)
{
}

static nsec probe_delay(const struct managed_replica *r)
{
    if (r->remote)
        return remote_probe_delay(r);
    return r->core.state == REPLICA_STARTING ? PROBE_PERIOD_STARTING
                                             : r->model->wish.model->spec.probes.period;
}

void replica_probe_ended(struct managed_replica *r, bool ok)
{
    struct controller *c = r->model->controller; /* `r` may be gone after a reconcile */
    enum replica_state before = r->core.state;
    nsec since = r->core.since, now = clock_now();
    r->unanswered = r->unanswered && !(r->remote && ok);
    replica_probed(&r->core, &r->rules, ok, now);
    if (before == REPLICA_STARTING && r->core.state == REPLICA_READY)
        r->room.work.spec.start_cost = now - since;
    loop_timer_start(c->loop, &r->probe_timer, probe_delay(r));
    if (r->core.state != before) {
        event_note(c, str_from(r->model->name),
                   r->core.state == REPLICA_READY ? "Ready" : "Unready", "replica %llu: %s",
                   (unsigned long long)r->id, replica_reason_text(r->core.reason));
        reconcile(c);
    }
    replicas_tell_if_settled(c);
}

static void on_probe_done(void *ctx, int error)
{
    struct managed_replica *r = ctx;
    r->probe = NULL;
    r->unanswered = r->unanswered && error;
    replica_probe_ended(r, !error && r->probe_status == 200);
}

static void on_probe_timer(struct loop_timer *timer)
{
    struct managed_replica *r = container_of(timer, struct managed_replica, probe_timer);
    if (r->remote) {
        remote_probe(r);
        return;
    }
    const struct http_call_request request = {
        .host = STR("127.0.0.1"),
        .port = r->port,
        .method = STR("GET"),
        .target = STR("/ready"),
        .connect_timeout = PROBE_TIMEOUT,
        .head_timeout = PROBE_TIMEOUT,
        .idle_timeout = PROBE_TIMEOUT,
    };
    const struct http_call_events events = {on_probe_head, on_probe_body, on_probe_done, r};
    r->probe_status = 0;
    r->probe = http_call_start(r->model->controller->client, &request, &events);
}

/* ---- start ---- */

/* A port that is free now; the engine binds it a moment later. If somebody else was quicker it exits and is started on another. */
uint16_t replica_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (bind(fd, (struct sockaddr *)&address, size) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        address.sin_port = 0;
    close(fd);
    return ntohs(address.sin_port);
}

void replica_new_token(char token[REPLICA_TOKEN_LEN + 1])
{
    unsigned char bytes[REPLICA_TOKEN_LEN / 2];
    CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

int replica_remember(struct managed_replica *r, struct err *err)
{
    char id[24];
    struct buf lease;
    buf_init(&lease, LEASE_TEXT_MAX);
    cluster_lease_write(r->model->controller->cluster, &r->room, 0, &lease);
    snprintf(id, sizeof(id), "%llu", (unsigned long long)r->run);
    const struct store_replica row = {
        .id = str_from(id),
        .model = str_from(r->model->name),
        .revision = r->revision,
        .slots = r->slots,
        .token = str_from(r->token),
        .port = r->port,
        .pid = r->process ? process_pid(r->process) : 0,
        .pid_start_time = r->process ? process_start_time(r->process) : 0,
        .started_at = clock_wall(),
        .lease = buf_str(&lease),
    };
    int error = store_put_replica(r->model->controller->store, &row, err);
    buf_fini(&lease);
    return error;
}

/* "{port}" in an argument becomes the port; if it is in none, "--port N" is added. */
static const char **build_argv(const struct managed_replica *r, struct arena *a)
{
    const char *const *args = r->model->wish.args;
    size_t count = 0, placed = 0;
    while (args[count])
        count++;
    const char **argv = arena_array(a, count + 3, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        struct str arg = str_from(args[i]);
        size_t at = str_find(arg, STR("{port}"));
        argv[i] = arg.ptr;
        if (at == arg.len)
            continue;
        struct str rest = str_sub(arg, at + 6, arg.len);
        argv[i] = arena_printf(a, "%.*s%u%.*s", (int)at, arg.ptr, r->port, STR_ARG(rest)).ptr;
        placed++;
    }
    if (!placed) {
        argv[count] = "--port";
        argv[count + 1] = arena_printf(a, "%u", r->port).ptr;
    }
    return argv;
}

/* Of two with one name getenv finds the first. */
const char **replica_environment(const char *const *front, struct arena *a)
{
    size_t ours = 0, count = 0, n = 0;
    while (environ[ours])
        ours++;
    while (front[count])
        count++;
    const char **env = arena_array(a, ours + count + 1, sizeof(char *));
    CHECK(env);
    for (size_t i = 0; i < count; i++)
        env[n++] = front[i];
    for (size_t i = 0; i < ours; i++)
        if (!str_starts(str_from(environ[i]), STR(REPLICA_MARK "=")))
            env[n++] = environ[i];
    return env;
}

/* The mark, what it may see of the GPUs, if there are any, and what the model says. */
static const char **build_env(const struct managed_replica *r, struct arena *a)
{
    const struct controller *c = r->model->controller;
    const char *const *wished = r->model->wish.env;
    char devices[CLUSTER_DEVICES_MAX];
    size_t count = 0, n = 0;
    while (wished[count])
        count++;
    const char **front = arena_array(a, count + 3, sizeof(char *));
    CHECK(front);
    front[n++] = arena_printf(a, REPLICA_MARK "=%s:%s", c->instance, r->token).ptr;
    if (cluster_has_gpus(c->cluster)) {
        cluster_devices(c->cluster, &r->room, 0, devices);
        front[n++] = arena_printf(a, "CUDA_VISIBLE_DEVICES=%s", devices).ptr;
    }
    for (size_t i = 0; i < count; i++)
        front[n++] = wished[i];
    return replica_environment(front, a);
}

static int spawn(struct managed_replica *r, struct err *err)
{
    const struct wish *wish = &r->model->wish;
    struct controller *c = r->model->controller;
    char log_path[PATH_MAX];
    struct arena a;
    r->port = replica_free_port();
    replica_new_token(r->token);
    /* Stored before it runs: a crash of ours in between leaves a process that its mark tells. */
    int error = replica_remember(r, err);
    if (error)
        return error;
    replica_log_path(r, log_path);
    arena_init(&a, SIZE_MAX);
    const struct process_spec spec = {
        .argv = build_argv(r, &a),
        .env = build_env(r, &a),
        .log_path = log_path,
        .memory_max = (uint64_t)wish->model->spec.resources.memory,
    };
    const struct process_events events = {replica_on_exited, r};
    error = process_spawn(c->loop, &spec, &events, &r->process, err);
    arena_fini(&a);
    return error ? error : replica_remember(r, err);
}

static int start_anything(struct managed_replica *r, struct err *err)
{
    const struct wish *wish = &r->model->wish;
    r->revision = wish->revision;
    r->rules = rules_of(r->model);
    r->run = ++r->model->controller->next_id;
    r->slots = (unsigned)wish->model->spec.engine.max_concurrent_requests;
    return model_is_remote(r->model) ? remote_start(r, err) : spawn(r, err);
}

static void note_started(struct managed_replica *r)
{
    struct controller *c = r->model->controller;
    if (r->remote)
        event_note(c, str_from(r->model->name), "Started", "replica %llu: at %.*s",
                   (unsigned long long)r->id, STR_ARG(remote_url(r)));
    else
        event_note(c, str_from(r->model->name), "Started", "replica %llu: process %d on port %u",
                   (unsigned long long)r->id, (int)process_pid(r->process), r->port);
}

static void start(struct managed_replica *r)
{
    struct controller *c = r->model->controller;
    struct err err;
    if (start_anything(r, &err)) {
        event_note(c, str_from(r->model->name), "StartFailed", "replica %llu: %s",
                   (unsigned long long)r->id, err.message);
        replica_spawn_failed(&r->core, &r->rules, clock_now());
        return;
    }
    replica_spawned(&r->core, clock_now());
    note_started(r);
    r->unanswered = r->remote && !c->settled; /* it may have been in use before this controller */
    loop_timer_start(c->loop, &r->probe_timer, r->remote ? 0 : PROBE_PERIOD_STARTING);
}

/* ---- end ---- */

/* Nothing of ours runs there: it has ended at once. */
static void end_remote(struct managed_replica *r, bool asked)
{
    struct controller *c = r->model->controller;
    event_note(c, str_from(r->model->name), asked ? "Stopped" : "GivenUp", "replica %llu: %s",
               (unsigned long long)r->id, asked ? "no longer used" : "not ready for too long");
    forget_process(r);
    replica_exited(&r->core, &r->rules, clock_now());
    reconcile(c);
}

void replica_act(struct managed_replica *r, enum replica_action action)
{
    if (r->remote) {
        end_remote(r, action == REPLICA_TERMINATE);
        return;
    }
    switch (action) {
    case REPLICA_SPAWN:
        if (ensure_room(r))
            start(r);
        break;
    case REPLICA_TERMINATE:
        process_signal(r->process, SIGTERM);
        break;
    case REPLICA_KILL:
        event_note(r->model->controller, str_from(r->model->name), "Killed", "replica %llu: %s",
                   (unsigned long long)r->id,
                   r->core.state == REPLICA_DRAINING ? "did not end within its drain time"
                                                     : "not ready for too long");
        process_signal(r->process, SIGKILL);
        break;
    case REPLICA_NOTHING:
        break;
    }
}
