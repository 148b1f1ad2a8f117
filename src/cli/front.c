/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/front.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "net/tls.h"
#include "net/watchdog.h"
#include "observe/metrics.h"
#include "observe/otlp.h"
#include "observe/tracer.h"

/* All traces are sampled; those of a slow collector give way in a ring of about 4 MB. */
#define TRACE_RATIO      1.0
#define TRACE_SLOW       SEC(10)
#define TRACE_LAST_WORDS SEC(2)
#define STUCK_AFTER      SEC(1)
enum { TRACE_SPANS_MAX = 4096 };

/* ---- options ---- */

int front_parse_address(const char *address, struct str *ret_host, uint16_t *ret_port)
{
    struct str text = str_from(address);
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    struct str host = colon ? str_sub(text, 0, colon - 1) : STR_NONE;
    uint64_t port;
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_sub(host, 1, host.len - 1);
    if (str_to_u64(str_sub(text, colon, text.len), &port) || port > UINT16_MAX)
        return ERR_INVALID;
    *ret_host = host.len ? host : STR("127.0.0.1");
    *ret_port = (uint16_t)port;
    return 0;
}

int front_parse(const struct verb *v, struct front_options *o)
{
    if (!o->listen)
        o->listen = getenv("FAIRWAY_LISTEN");
    o->listen_given = o->listen != NULL;
    if (!o->listen)
        o->listen = "127.0.0.1:8080";
    o->keepalive = gateway_options_default().keepalive;
    if (o->keepalive_text &&
        (nsec_parse(str_from(o->keepalive_text), &o->keepalive) || o->keepalive < MSEC(1)))
        return cli_usage(v, "--keepalive takes a duration such as 15s, not %s", o->keepalive_text);
    if (!o->tls_certificate != !o->tls_key)
        return cli_usage(v, "--tls-cert and --tls-key go together");
    if (o->tls_client_ca && !o->tls_certificate)
        return cli_usage(v, "--tls-client-ca needs --tls-cert and --tls-key");
    if (front_parse_address(o->listen, &o->host, &o->port))
        return cli_usage(v, "--listen takes ADDRESS:PORT such as 127.0.0.1:8080, not %s",
                         o->listen);
    return 0;
}

int front_setup_log(const struct front_options *o, int fd, struct err *err)
{
    enum log_format format = LOG_LOGFMT;
    enum log_level level = LOG_INFO;
    if (o->log_format && log_format_parse(str_from(o->log_format), &format))
        return err_set(err, ERR_INVALID, "--log-format takes logfmt or json, not %s",
                       o->log_format);
    if (o->log_level && log_level_parse(str_from(o->log_level), &level))
        return err_set(err, ERR_INVALID, "--log-level takes debug, info, warn or error, not %s",
                       o->log_level);
    log_setup(level, format, fd);
    return 0;
}

bool front_is_loopback(struct str host)
{
    return str_starts(host, STR("127.")) || str_eq(host, STR("::1"));
}

/* ---- what stands around the gateway ---- */

static int start_tracing(struct front *f, struct err *err)
{
    const struct tracer_options tracer = {
        .ratio = TRACE_RATIO, .slow = TRACE_SLOW, .capacity = TRACE_SPANS_MAX};
    const struct otlp_options otlp = {.endpoint = otlp_endpoint_from_env(),
                                      .service_name = "fairway-gateway"};
    if (!otlp.endpoint)
        return 0;
    f->tracer = tracer_new(&tracer);
    return otlp_start(f->tracer, &otlp, &f->otlp, err);
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

int front_init(struct front *f, struct err *err)
{
    const struct watchdog_options watchdog = {.limit = STUCK_AFTER, .report = report_stuck};
    keep_heap();
    raise_file_limit();
    f->metrics = metrics_new();
    f->watchdog = watchdog_new(&watchdog);
    return start_tracing(f, err);
}

int front_start(struct front *f, const int *listeners, unsigned count, struct err *err)
{
    struct gateway_options options = gateway_options_default();
    options.host = f->o.host;
    options.port = f->o.port;
    options.metrics = f->metrics;
    options.tracer = f->tracer;
    options.watchdog = f->watchdog;
    options.keys_required = !front_is_loopback(f->o.host);
    options.listeners = listeners;
    options.listener_count = count;
    options.access_log = !f->o.quiet;
    options.keepalive = f->o.keepalive;
    options.proxy_protocol = f->o.proxy_protocol;
    if (f->o.tls_certificate) {
        const struct tls_server_options tls = {
            .certificate_file = f->o.tls_certificate,
            .key_file = f->o.tls_key,
            .client_ca_file = f->o.tls_client_ca,
            .client_required = f->o.tls_client_ca != NULL,
        };
        int error = tls_server_new(&tls, &f->tls, err);
        if (error)
            return error;
        options.tls = f->tls;
    }
    int error = gateway_start(&options, &f->gateway, err);
    if (error)
        return error;
    bool v6 = str_find_char(f->o.host, ':') < f->o.host.len;
    snprintf(f->url, sizeof(f->url), v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u",
             f->tls ? "https" : "http", STR_ARG(f->o.host), gateway_port(f->gateway));
    return 0;
}

void front_fini(struct front *f)
{
    if (f->otlp) {
        otlp_stop(f->otlp, TRACE_LAST_WORDS);
        otlp_free(f->otlp);
    }
    tracer_free(f->tracer);
    tls_server_free(f->tls);
    watchdog_free(f->watchdog);
    metrics_free(f->metrics);
}

/* ---- signals ---- */

int front_open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

uint32_t front_next_signal(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof(info)) == sizeof(info) ? info.ssi_signo : 0;
}

static void reload(struct tls_server *tls)
{
    struct err err;
    if (!tls)
        return;
    if (tls_server_reload(tls, &err))
        log_error("the certificates stay as they were", log_str("error", err.message));
    else
        log_info("certificates loaded anew");
}

void front_reload(struct front *f, struct tls_server *also)
{
    reload(f->tls);
    reload(also);
}

static void *hurry_on_signal(void *arg)
{
    struct front *f = arg;
    int fd = front_open_signals();
    while (front_next_signal(fd) == SIGHUP)
        ;
    gateway_hurry(f->gateway);
    return NULL;
}

void front_hurry_on_signal(struct front *f)
{
    pthread_t impatience;
    if (pthread_create(&impatience, NULL, hurry_on_signal, f) == 0)
        pthread_detach(impatience);
}
