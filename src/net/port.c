/* SPDX-License-Identifier: Apache-2.0 */
#include "net/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

int port_check_free(struct str host, uint16_t port, struct err *err)
{
    struct sockaddr_storage address;
    char text[64];
    int on = 1;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(host));
    if (uv_ip4_addr(text, port, (struct sockaddr_in *)&address) &&
        uv_ip6_addr(text, port, (struct sockaddr_in6 *)&address))
        return 0; /* whoever listens will say what is wrong with it */
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, ERR_IO, "socket: %s", strerror(errno));
    /* Connections that linger from before are no obstacle, listening sockets are. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int failed = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
    close(fd);
    if (failed)
        return err_set(err, failed == EADDRINUSE ? ERR_CONFLICT : ERR_IO,
                       "cannot listen on %s port %u: %s; choose another with --listen", text, port,
                       strerror(failed));
    return 0;
}
