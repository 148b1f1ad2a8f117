/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by up.c (the program) and up_demo.c (the first model, and what a person sees meanwhile). */
#ifndef FAIRWAY_CLI_UP_INTERNAL_H
#define FAIRWAY_CLI_UP_INTERNAL_H

#include "base/str.h"
#include "base/time.h"
#include "cli/cli.h"

struct up_options {
    const char *listen, *demo, *state, *tls_certificate, *tls_key, *tls_client_ca, *log_format,
        *log_level;
    bool detach, quiet, proxy_protocol;
    struct str host;
    uint16_t port;
    nsec grace, keepalive;
    int ready_fd; /* one byte is written when ready ("r") or failed ("f"); -1: none */
};

/* Applies the model `chat` from options->demo and shows its way to readiness. */
[[nodiscard]] int up_demo(const struct up_options *o, const char *url, struct err *err);

#endif
