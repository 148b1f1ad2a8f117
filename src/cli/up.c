/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway up`: composes gateway and controller in one process, and shows what it is doing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/join.h"
#include "cli/up_internal.h"
#include "gpu/simulated.h"
#include "net/tls.h"
#include "runtime/local/folder.h"
#include "store/keys.h"

#define REPLACED_GRACE SEC(3600) /* for the last streams of a process that another has replaced */

/* fairway-engine lies beside fairway, unless FAIRWAY_ENGINE says where. */
static int find_engine(char path[PATH_MAX], struct err *err)
{
    const char *given = getenv("FAIRWAY_ENGINE");
    ssize_t len = given ? snprintf(path, PATH_MAX, "%s", given)
                        : readlink("/proc/self/exe", path, PATH_MAX - 32);
    if (len < 0)
        return err_set(err, ERR_IO, "/proc/self/exe: %s", strerror(errno));
    if (given)
        return 0;
    while (len > 0 && path[len - 1] != '/')
        len--;
    snprintf(path + len, PATH_MAX - (size_t)len, "fairway-engine");
    return 0;
}

/* ---- composition ---- */

static void publish(void *ctx, struct routes *take_routes)
{
    struct up *up = ctx;
    gateway_set_routes(up->front.gateway, take_routes);
    routes_unref(take_routes);
}

static void publish_keys(void *ctx, struct key_table *take_keys)
{
    struct up *up = ctx;
    gateway_set_keys(up->front.gateway, take_keys);
}

static struct usage *take_usage(void *ctx, struct arena *a, size_t *ret_count)
{
    struct up *up = ctx;
    struct usage *rows = gateway_take_usage(up->front.gateway, a, ret_count);
    gateway_usage_told(up->front.gateway, rows,
                       *ret_count); /* the controller keeps them until they are stored */
    return rows;
}

static void add_usage(void *ctx, const struct usage *rows, size_t count)
{
    struct up *up = ctx;
    gateway_add_usage(up->front.gateway, rows, count);
}

static struct sync_state report(void *ctx, struct arena *a, bool whole)
{
    struct up *up = ctx;
    return gateway_report(up->front.gateway, a, whole);
}

static void follow(void *ctx, const struct sync_orders *orders)
{
    struct up *up = ctx;
    gateway_follow(up->front.gateway, orders);
}

static bool write_request(void *ctx, struct str id, struct json_writer *w)
{
    struct up *up = ctx;
    return gateway_write_request(up->front.gateway, id, w);
}

static void write_load(void *ctx, size_t requests_max, struct json_writer *w)
{
    struct up *up = ctx;
    gateway_write_load(up->front.gateway, w);
    gateway_write_requests(up->front.gateway, requests_max, w);
}

int up_start_controller(struct up *up, int admin_listener, struct err *err)
{
    char engine[PATH_MAX];
    int error = find_engine(engine, err);
    if (error)
        return error;
    const struct controller_options options = {
        .state_dir = up->o.state,
        .engine_path = engine,
        .gateway_url = up->front.url,
        .metrics = up->front.metrics,
        .watchdog = up->front.watchdog,
        .rules = replica_rules_default(),
        .gpus = up->o.gpus,
        .publish = publish,
        .publish_keys = publish_keys,
        .take_usage = take_usage,
        .add_usage = add_usage,
        .report = report,
        .follow = follow,
        .write_request = write_request,
        .write_load = write_load,
        .settled = up_on_settled,
        .join_host = up->o.join_host,
        .join_port = up->o.join_port,
        .join_tls = up->join_tls,
        .admin_listener = admin_listener,
        .ctx = up,
    };
    return controller_start(&options, &up->controller, err);
}

static int start_front(struct up *up, struct err *err)
{
    int error = front_start(&up->front, up->offer.listeners, up->offer.listener_count, err);
    if (!error)
        up->offer.listener_count = 0; /* they are the gateway's now */
    return error;
}

/* The same certificate as for clients, but no certificate is asked for: there is the token. */
static int load_join_tls(struct up *up, struct err *err)
{
    const struct tls_server_options options = {.certificate_file = up->o.front.tls_certificate,
                                               .key_file = up->o.front.tls_key};
    return up->o.join_listen && options.certificate_file
               ? tls_server_new(&options, &up->join_tls, err)
               : 0;
}

static int start(struct up *up, struct err *err)
{
    int error = front_init(&up->front, err);
    if (!error && up->o.replace)
        error = up_ask_old(up, err);
    if (!error)
        error = start_front(up, err);
    if (!error)
        error = load_join_tls(up, err);
    if (!error)
        error = up_release_old(up, err);
    if (!error)
        error = up_start_controller(up, up->offer.admin, err);
    if (!error)
        error = up_take_over(up, err);
    if (!error)
        up_listen_for_next(up);
    up->started = !error;
    return error;
}

/* The replicas of a process that is replaced, or that failed to replace another, go on. */
static void end_controller(struct up *up)
{
    if (up->conversation >= 0)
        controller_leave(up->controller);
    else
        controller_stop(up->controller);
    controller_free(up->controller);
}

static nsec grace(const struct up *up)
{
    if (up->replaced)
        return REPLACED_GRACE;
    return up->started ? up->o.grace : 0;
}

/* While a replaced process drains, its gateway is one of those of the controller that has taken over. */
static struct join *join_successor(struct up *up)
{
    char url[PATH_MAX];
    struct join *join;
    struct err err;
    if (!up->replaced)
        return NULL;
    snprintf(url, sizeof(url), "unix:%s/admin.sock", up->o.state);
    const struct join_options options = {.controller = {.url = url},
                                         .gateway = up->front.gateway,
                                         .address = up->front.url,
                                         .metrics = up->front.metrics,
                                         .insists = true};
    int error = join_begin(&options, &join, &err);
    CHECK(!error); /* it insists */
    return join;
}

static void end(struct up *up)
{
    if (up->front.gateway) {
        struct join *join = join_successor(up);
        gateway_drain(up->front.gateway, grace(up));
        join_end(join);
        if (up->controller)
            end_controller(up);
        gateway_free(up->front.gateway);
    }
    up_replace_fini(up);
    tls_server_free(up->join_tls);
    front_fini(&up->front);
}

/* ---- signals ---- */

static bool is_asked_to_hand_over(const struct up *up, int signals)
{
    struct pollfd sources[] = {{.fd = signals, .events = POLLIN},
                               {.fd = up->handover_listener, .events = POLLIN}};
    while (poll(sources, ARRAY_LEN(sources), -1) < 0)
        ;
    return sources[0].revents == 0;
}

/* Returns when it is time to end. */
static void wait_for_the_end(struct up *up, int signals)
{
    while (!up->replaced)
        if (is_asked_to_hand_over(up, signals))
            up->replaced = up_hand_over(up);
        else if (front_next_signal(signals) == SIGHUP)
            front_reload(&up->front, up->join_tls);
        else
            break;
}

/* The detached process says how it went and lets go of its parent's terminal or pipes. */
static void leave_terminal(const struct up_options *o, bool ready)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/fairway.log", o->state);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(log >= 0 ? log : nothing, STDERR_FILENO);
    (void)!write(o->ready_fd, ready ? "r" : "f", 1);
    close(o->ready_fd);
    close(nothing);
    if (log >= 0)
        close(log);
}

static int serve(struct up *up, int signals)
{
    struct err err;
    int result = CLI_OK;
    if (up->o.demo)
        result = up_demo(&up->o, up->front.url, &err) ? cli_fail(&err) : CLI_OK;
    else
        fprintf(stderr, "Fairway listens on %s\n", up->front.url);
    if (up->o.ready_fd >= 0)
        leave_terminal(&up->o, result == CLI_OK);
    if (result == CLI_OK)
        wait_for_the_end(up, signals);
    if (up->replaced)
        log_info("another process has taken over: what runs here ends, then this process does");
    else if (!up->o.front.quiet)
        fprintf(stderr, "Stopping: running requests end first; again to cut them off.\n");
    front_hurry_on_signal(&up->front);
    return result;
}

static int run_here(struct up_options *o)
{
    struct err err;
    struct up up = {.o = *o,
                    .front = {.o = o->front},
                    .handover_listener = -1,
                    .conversation = -1,
                    .mutex = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER};
    int signals = front_open_signals();
    int error = start(&up, &err);
    int result = error ? cli_fail(&err) : serve(&up, signals);
    end(&up);
    close(signals);
    return result;
}

/* ---- --detach ---- */

/* The child is a session of its own; the parent waits until it is ready or has failed. */
static int run_detached(struct up_options *o)
{
    int ready[2], status;
    char answer = 0;
    if (pipe2(ready, O_CLOEXEC))
        return CLI_FAILED;
    pid_t child = fork();
    if (child == 0) {
        close(ready[0]);
        setsid();
        o->ready_fd = ready[1];
        _exit(run_here(o));
    }
    close(ready[1]);
    ssize_t got = child > 0 ? read(ready[0], &answer, 1) : -1;
    close(ready[0]);
    if (got == 1 && answer == 'r') {
        fprintf(stderr,
                "Fairway goes on in the background (process %d); `fairway down` stops it.\n",
                child);
        return CLI_OK;
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                   WEXITSTATUS(status)
               ? WEXITSTATUS(status)
               : CLI_FAILED;
}

static int setup_log(const struct up_options *o, struct err *err)
{
    char path[PATH_MAX];
    int fd = STDERR_FILENO;
    if (o->demo || o->detach) { /* the terminal is for people then */
        int error = folder_make(o->state, err);
        if (error)
            return error;
        snprintf(path, sizeof(path), "%s/fairway.log", o->state);
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    return front_setup_log(&o->front, fd, err);
}

/* The keys of remote engines pass there. */
static int parse_join_listen(struct up_options *o)
{
    if (!o->join_listen)
        return 0;
    if (front_parse_address(o->join_listen, &o->join_host, &o->join_port))
        return cli_usage(&verb_up,
                         "--join-listen takes ADDRESS:PORT such as 127.0.0.1:8081, not %s",
                         o->join_listen);
    if (!front_is_loopback(o->join_host) && !o->front.tls_certificate)
        return cli_usage(&verb_up,
                         "--join-listen %s is not loopback: it needs --tls-cert and "
                         "--tls-key",
                         o->join_listen);
    return 0;
}

static int parse_gpus(struct up_options *o)
{
    static struct gpu_inventory gpus;
    char node[RESOURCE_NAME_MAX + 1];
    struct err err;
    if (!o->gpus_text)
        return 0;
    if (gpu_simulated_parse(str_from(o->gpus_text), controller_node_name(node), &gpus, &err))
        return cli_usage(&verb_up, "--gpus: %s", err.message);
    o->gpus = &gpus;
    return 0;
}

static int run(int argc, char **argv)
{
    static char state[PATH_MAX];
    struct up_options o = {.ready_fd = -1, .grace = SEC(30)};
    const char *state_option = NULL;
    const struct cli_option options[] = {
        {"--state", 0, &state_option, NULL},
        {"--demo", 0, &o.demo, NULL},
        {"--detach", 'd', NULL, &o.detach},
        {"--replace", 0, NULL, &o.replace},
        {"--join-listen", 0, &o.join_listen, NULL},
        {"--gpus", 0, &o.gpus_text, NULL},
        FRONT_CLI_OPTIONS(o.front),
    };
    struct err err;
    int count;
    int done = cli_parse(&verb_up, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    done = front_parse(&verb_up, &o.front);
    if (done)
        return done;
    done = parse_join_listen(&o);
    if (!done)
        done = parse_gpus(&o);
    if (done)
        return done;
    if (cli_state_dir(state_option, state, &err))
        return cli_fail(&err);
    o.state = state;
    if (setup_log(&o, &err))
        return cli_fail(&err);
    return o.detach ? run_detached(&o) : run_here(&o);
}

const struct verb verb_up = {
    .name = "up",
    .arguments = "[--listen ADDRESS:PORT] [--state FOLDER] [--demo FILE.gguf] [--detach]",
    .summary = "Run Fairway on this machine: gateway, controller and models",
    .help = FRONT_HELP_LISTEN
    "      --state FOLDER         where state is kept ($XDG_STATE_HOME/fairway; or "
    "FAIRWAY_STATE)\n"
    "      --demo FILE.gguf       serve this file as the model `chat`\n"
    "  -d, --detach               return when the models are ready; `fairway down` stops it\n"
    "      --replace              take over from the Fairway that runs with this state folder: "
    "no request\n"
    "                             is lost, and its models go on; if none runs, just "
    "start\n" FRONT_HELP
    "      --join-listen ADDRESS:PORT  where gateways of other machines join (`fairway gateway`), "
    "with the token\n"
    "                             that is in join.token of the state folder\n"
    "      --gpus LIST            show these GPUs instead of those that are here, as in "
    "8xH100-80G,4xA10-24G\n"
    "\nCtrl-C lets running requests end, then stops the models too; twice cuts requests off.\n",
    .run = run,
};
