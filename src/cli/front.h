/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway as a program: its options, what stands around it (metrics, traces, certificates, watchdog, log) and its signals.
 * `fairway up` puts a controller beside it, `fairway gateway` joins one elsewhere.
 *
 * Signals: SIGINT and SIGTERM end it with grace, a second one without; SIGHUP loads the certificates anew.
 * Ownership: the caller's memory. Thread rule: the thread that started it.
 */
#ifndef FAIRWAY_CLI_FRONT_H
#define FAIRWAY_CLI_FRONT_H

#include "cli/cli.h"
#include "gateway/gateway.h"

struct front_options {
    const char *listen, *tls_certificate, *tls_key, *tls_client_ca, *log_format, *log_level,
        *keepalive_text;
    bool quiet, proxy_protocol;
    /* What front_parse makes of them. */
    bool listen_given;
    struct str host;
    uint16_t port;
    nsec keepalive;
};

/* Rows for cli_parse, and their part of --help. */
#define FRONT_CLI_OPTIONS(o)                                                                    \
    {"--listen", 'l', &(o).listen, NULL}, {"--keepalive", 0, &(o).keepalive_text, NULL},        \
        {"--quiet", 'q', NULL, &(o).quiet}, {"--tls-cert", 0, &(o).tls_certificate, NULL},      \
        {"--tls-key", 0, &(o).tls_key, NULL}, {"--tls-client-ca", 0, &(o).tls_client_ca, NULL}, \
        {"--proxy-protocol", 0, NULL, &(o).proxy_protocol},                                     \
        {"--log-format", 0, &(o).log_format, NULL},                                             \
    {                                                                                           \
        "--log-level", 0, &(o).log_level, NULL                                                  \
    }

#define FRONT_HELP_LISTEN                                                                         \
    "  -l, --listen ADDRESS:PORT  where clients connect (127.0.0.1:8080; or FAIRWAY_LISTEN). On " \
    "an\n"                                                                                        \
    "                             address that is not loopback every client needs an API key\n"
#define FRONT_HELP                                                                              \
    "  -q, --quiet                no access log\n"                                              \
    "      --tls-cert FILE, --tls-key FILE   serve https; SIGHUP loads them anew\n"             \
    "      --tls-client-ca FILE   only clients with a certificate that these authorities "      \
    "signed\n"                                                                                  \
    "      --proxy-protocol       every connection begins with a PROXY header (v1 or v2) of a " \
    "load balancer\n"                                                                           \
    "      --log-format FORMAT    logfmt (default) or json\n"                                   \
    "      --log-level LEVEL      debug, info (default), warn or error\n"

/* Checks what goes together and fills the rest. Returns 0 or the exit code, the error said. */
[[nodiscard]] int front_parse(const struct verb *v, struct front_options *o);
[[nodiscard]] int front_setup_log(const struct front_options *o, int fd, struct err *err);

/* "127.0.0.1:8080", "[::1]:8080", ":8080", "8080" */
[[nodiscard]] int front_parse_address(const char *text, struct str *ret_host, uint16_t *ret_port);
bool front_is_loopback(struct str host);

struct front {
    struct front_options o;
    struct gateway *gateway;
    struct tls_server *tls;
    struct metrics *metrics;
    struct watchdog *watchdog;
    struct tracer *tracer; /* NULL: nobody collects traces */
    struct otlp *otlp;
    char url[256];
};

/* Everything but the gateway. */
[[nodiscard]] int front_init(struct front *f, struct err *err);
/* listeners: of the gateway that this one takes over from; else count 0. */
[[nodiscard]] int front_start(struct front *f, const int *listeners, unsigned count,
                              struct err *err);
void front_fini(struct front *f); /* after gateway_drain and gateway_free, if it was started */

/* ---- signals ---- */

/* A descriptor that tells of them; they interrupt nothing from now on. */
int front_open_signals(void);
uint32_t front_next_signal(int fd);
/* What SIGHUP asks for; also: another server's certificates, or NULL. */
void front_reload(struct front *f, struct tls_server *also);
/* From now on one more signal ends the patience with running requests. */
void front_hurry_on_signal(struct front *f);

#endif
