/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway up`: composes gateway and controller in one process, and shows what it is doing. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/up_internal.h"
#include "net/tls.h"
#include "net/watchdog.h"
#include "observe/metrics.h"
#include "observe/otlp.h"
#include "observe/tracer.h"
#include "runtime/local/folder.h"
#include "store/keys.h"

/* All traces are sampled; those of a slow collector give way in a ring of about 4 MB. */
#define TRACE_RATIO      1.0
#define TRACE_SLOW       SEC(10)
#define TRACE_LAST_WORDS SEC(2)
#define STUCK_AFTER      SEC(1)
#define REPLACED_GRACE   SEC(3600) /* for the last streams of a process that another has replaced */
enum { TRACE_SPANS_MAX = 4096 };

/* ---- options ---- */

/* "127.0.0.1:8080", "[::1]:8080", ":8080", "8080" */
static int parse_listen(struct up_options *o, struct err *err)
{
    struct str text = str_from(o->listen);
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    struct str host = colon ? str_sub(text, 0, colon - 1) : STR_NONE;
    uint64_t port;
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_sub(host, 1, host.len - 1);
    if (str_to_u64(str_sub(text, colon, text.len), &port) || port > UINT16_MAX)
        return err_set(err, ERR_INVALID,
                       "--listen takes ADDRESS:PORT such as 127.0.0.1:8080, not %s", o->listen);
    o->host = host.len ? host : STR("127.0.0.1");
    o->port = (uint16_t)port;
    return 0;
}

static bool is_loopback(struct str host)
{
    return str_starts(host, STR("127.")) || str_eq(host, STR("::1"));
}

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
    gateway_set_routes(up->gateway, take_routes);
    routes_unref(take_routes);
}

static void publish_keys(void *ctx, struct key_table *take_keys)
{
    struct up *up = ctx;
    gateway_set_keys(up->gateway, take_keys);
}

static struct usage *take_usage(void *ctx, struct arena *a, size_t *ret_count)
{
    struct up *up = ctx;
    return gateway_take_usage(up->gateway, a, ret_count);
}

static void add_usage(void *ctx, const struct usage *rows, size_t count)
{
    struct up *up = ctx;
    gateway_add_usage(up->gateway, rows, count);
}

static bool write_request(void *ctx, struct str id, struct json_writer *w)
{
    struct up *up = ctx;
    return gateway_write_request(up->gateway, id, w);
}

static void write_load(void *ctx, size_t requests_max, struct json_writer *w)
{
    struct up *up = ctx;
    gateway_write_load(up->gateway, w);
    gateway_write_requests(up->gateway, requests_max, w);
}

static int start_gateway(struct up *up, struct err *err)
{
    struct gateway_options options = gateway_options_default();
    options.host = up->o.host;
    options.port = up->o.port;
    options.metrics = up->metrics;
    options.tracer = up->tracer;
    options.watchdog = up->watchdog;
    options.keys_required = !is_loopback(up->o.host);
    options.listeners = up->offer.listeners;
    options.listener_count = up->offer.listener_count;
    options.access_log = !up->o.quiet;
    options.keepalive = up->o.keepalive;
    options.proxy_protocol = up->o.proxy_protocol;
    if (up->o.tls_certificate) {
        const struct tls_server_options tls = {
            .certificate_file = up->o.tls_certificate,
            .key_file = up->o.tls_key,
            .client_ca_file = up->o.tls_client_ca,
            .client_required = up->o.tls_client_ca != NULL,
        };
        int error = tls_server_new(&tls, &up->tls, err);
        if (error)
            return error;
        options.tls = up->tls;
    }
    int error = gateway_start(&options, &up->gateway, err);
    if (error)
        return error;
    up->offer.listener_count = 0; /* they are the gateway's now */
    bool v6 = str_find_char(up->o.host, ':') < up->o.host.len;
    snprintf(up->url, sizeof(up->url), v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u",
             up->tls ? "https" : "http", STR_ARG(up->o.host), gateway_port(up->gateway));
    return 0;
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
        .gateway_url = up->url,
        .metrics = up->metrics,
        .watchdog = up->watchdog,
        .rules = replica_rules_default(),
        .publish = publish,
        .publish_keys = publish_keys,
        .take_usage = take_usage,
        .add_usage = add_usage,
        .write_request = write_request,
        .write_load = write_load,
        .settled = up_on_settled,
        .admin_listener = admin_listener,
        .ctx = up,
    };
    return controller_start(&options, &up->controller, err);
}

static int start_tracing(struct up *up, struct err *err)
{
    const struct tracer_options tracer = {
        .ratio = TRACE_RATIO, .slow = TRACE_SLOW, .capacity = TRACE_SPANS_MAX};
    const struct otlp_options otlp = {.endpoint = otlp_endpoint_from_env(),
                                      .service_name = "fairway-gateway"};
    if (!otlp.endpoint)
        return 0;
    up->tracer = tracer_new(&tracer);
    return otlp_start(up->tracer, &otlp, &up->otlp, err);
}

static void report_stuck(void *ctx, const char *name, nsec stuck, struct str backtrace)
{
    log_error("a loop is stuck", log_str("loop", name), log_dur("for", stuck),
              log_text("backtrace", backtrace));
}

/* Bodies of some 100 KB come and go: the heap must not give its pages back and fault them in for each. */
static void keep_heap(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

/* A stream takes two descriptors. Programs that use select() need the low soft limit; Fairway does not. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* the old one serves, if fewer */
}

static int start(struct up *up, struct err *err)
{
    keep_heap();
    raise_file_limit();
    const struct watchdog_options watchdog = {.limit = STUCK_AFTER, .report = report_stuck};
    up->metrics = metrics_new();
    up->watchdog = watchdog_new(&watchdog);
    int error = up->o.replace ? up_ask_old(up, err) : 0;
    if (!error)
        error = start_tracing(up, err);
    if (!error)
        error = start_gateway(up, err);
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

static void end(struct up *up)
{
    if (up->gateway) {
        struct up_reporter *reporter = up->replaced ? up_reporter_start(up) : NULL;
        gateway_drain(up->gateway, grace(up));
        up_reporter_end(reporter);
        if (up->controller)
            end_controller(up);
        gateway_free(up->gateway);
    }
    if (up->otlp) {
        otlp_stop(up->otlp, TRACE_LAST_WORDS);
        otlp_free(up->otlp);
    }
    up_replace_fini(up);
    tracer_free(up->tracer);
    tls_server_free(up->tls);
    watchdog_free(up->watchdog);
    metrics_free(up->metrics);
}

/* ---- signals ---- */

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static uint32_t next_signal(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof(info)) == sizeof(info) ? info.ssi_signo : 0;
}

static void reload(struct up *up)
{
    struct err err;
    if (!up->tls)
        return;
    if (tls_server_reload(up->tls, &err))
        log_error("the certificates stay as they were", log_str("error", err.message));
    else
        log_info("certificates loaded anew");
}

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
        else if (next_signal(signals) == SIGHUP)
            reload(up);
        else
            break;
}

/* A second signal ends the patience with running requests. */
static void *hurry_on_signal(void *arg)
{
    struct up *up = arg;
    int fd = open_signals();
    while (next_signal(fd) == SIGHUP)
        ;
    gateway_hurry(up->gateway);
    return NULL;
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
    pthread_t impatience;
    int result = CLI_OK;
    if (up->o.demo)
        result = up_demo(&up->o, up->url, &err) ? cli_fail(&err) : CLI_OK;
    else
        fprintf(stderr, "Fairway listens on %s\n", up->url);
    if (up->o.ready_fd >= 0)
        leave_terminal(&up->o, result == CLI_OK);
    if (result == CLI_OK)
        wait_for_the_end(up, signals);
    if (up->replaced)
        log_info("another process has taken over: what runs here ends, then this process does");
    else if (!up->o.quiet)
        fprintf(stderr, "Stopping: running requests end first; again to cut them off.\n");
    if (pthread_create(&impatience, NULL, hurry_on_signal, up) == 0)
        pthread_detach(impatience);
    return result;
}

static int run_here(struct up_options *o)
{
    struct err err;
    struct up up = {.o = *o,
                    .handover_listener = -1,
                    .conversation = -1,
                    .mutex = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER};
    int signals = open_signals();
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
    enum log_format format = LOG_LOGFMT;
    enum log_level level = LOG_INFO;
    if (o->log_format && log_format_parse(str_from(o->log_format), &format))
        return err_set(err, ERR_INVALID, "--log-format takes logfmt or json, not %s",
                       o->log_format);
    if (o->log_level && log_level_parse(str_from(o->log_level), &level))
        return err_set(err, ERR_INVALID, "--log-level takes debug, info, warn or error, not %s",
                       o->log_level);
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
    log_setup(level, format, fd);
    return 0;
}

static int run(int argc, char **argv)
{
    static char state[PATH_MAX];
    struct up_options o = {.ready_fd = -1,
                           .listen = getenv("FAIRWAY_LISTEN"),
                           .grace = SEC(30),
                           .keepalive = gateway_options_default().keepalive};
    const char *state_option = NULL, *keepalive = NULL;
    const struct cli_option options[] = {
        {"--keepalive", 0, &keepalive, NULL},
        {"--listen", 'l', &o.listen, NULL},
        {"--state", 0, &state_option, NULL},
        {"--demo", 0, &o.demo, NULL},
        {"--detach", 'd', NULL, &o.detach},
        {"--quiet", 'q', NULL, &o.quiet},
        {"--tls-client-ca", 0, &o.tls_client_ca, NULL},
        {"--proxy-protocol", 0, NULL, &o.proxy_protocol},
        {"--replace", 0, NULL, &o.replace},
        {"--tls-cert", 0, &o.tls_certificate, NULL},
        {"--tls-key", 0, &o.tls_key, NULL},
        {"--log-format", 0, &o.log_format, NULL},
        {"--log-level", 0, &o.log_level, NULL},
    };
    struct err err;
    int count;
    int done = cli_parse(&verb_up, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    o.listen_given = o.listen != NULL;
    if (!o.listen)
        o.listen = "127.0.0.1:8080";
    if (keepalive && (nsec_parse(str_from(keepalive), &o.keepalive) || o.keepalive < MSEC(1)))
        return cli_usage(&verb_up, "--keepalive takes a duration such as 15s, not %s", keepalive);
    if (!o.tls_certificate != !o.tls_key)
        return cli_usage(&verb_up, "--tls-cert and --tls-key go together");
    if (o.tls_client_ca && !o.tls_certificate)
        return cli_usage(&verb_up, "--tls-client-ca needs --tls-cert and --tls-key");
    if (cli_state_dir(state_option, state, &err))
        return cli_fail(&err);
    o.state = state;
    if (parse_listen(&o, &err) || setup_log(&o, &err))
        return cli_fail(&err);
    return o.detach ? run_detached(&o) : run_here(&o);
}

const struct verb verb_up = {
    .name = "up",
    .arguments = "[--listen ADDRESS:PORT] [--state FOLDER] [--demo FILE.gguf] [--detach]",
    .summary = "Run Fairway on this machine: gateway, controller and models",
    .help =
        "  -l, --listen ADDRESS:PORT  where clients connect (127.0.0.1:8080; or FAIRWAY_LISTEN). "
        "On an\n"
        "                             address that is not loopback every client needs an API key\n"
        "      --state FOLDER         where state is kept ($XDG_STATE_HOME/fairway; or "
        "FAIRWAY_STATE)\n"
        "      --demo FILE.gguf       serve this file as the model `chat`\n"
        "  -d, --detach               return when the models are ready; `fairway down` stops it\n"
        "      --replace              take over from the Fairway that runs with this state folder: "
        "no "
        "request\n"
        "                             is lost, and its models go on; if none runs, just start\n"
        "  -q, --quiet                no access log\n"
        "      --tls-cert FILE, --tls-key FILE   serve https; SIGHUP loads them anew\n"
        "      --tls-client-ca FILE   only clients with a certificate that these authorities "
        "signed\n"
        "      --proxy-protocol       every connection begins with a PROXY header (v1 or v2) of a "
        "load "
        "balancer\n"
        "      --log-format FORMAT    logfmt (default) or json\n"
        "      --log-level LEVEL      debug, info (default), warn or error\n\n"
        "Ctrl-C lets running requests end, then stops the models too; twice cuts requests off.\n",
    .run = run,
};
