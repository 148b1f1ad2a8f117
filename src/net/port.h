/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: none. */
#ifndef FAIRWAY_NET_PORT_H
#define FAIRWAY_NET_PORT_H

#include "base/err.h"
#include "base/str.h"

/*
 * ERR_CONFLICT when somebody listens on the port already. Sockets that share a port (SO_REUSEPORT) would not notice: two programs
 * would silently take turns.
 */
[[nodiscard]] int port_check_free(struct str host, uint16_t port, struct err *err);

#endif
