/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for servers: a certificate and key that can be loaded anew while connections run (those keep what they began with).
 * TLS 1.2 and later; ALPN h2 (if the server wants it) and http/1.1.
 *
 * Thread rule: tls_server_reload and new connections from any thread.
 */
#ifndef FAIRWAY_NET_TLS_H
#define FAIRWAY_NET_TLS_H

#include "base/err.h"
#include "base/str.h"

struct tls_server;
struct ssl_st;

struct tls_server_options {
    const char *certificate_file, *key_file;
    const char *client_ca_file; /* who signs certificates of clients; NULL: none is asked for */
    bool client_required; /* a client without one is refused; else only one with a wrong one */
};

[[nodiscard]] int tls_server_new(const struct tls_server_options *options,
                                 struct tls_server **ret_tls, struct err *err);
/* Reads the files again. On failure the old ones stay in use. */
[[nodiscard]] int tls_server_reload(struct tls_server *t, struct err *err);
void tls_server_free(
    struct tls_server *t); /* no server uses it any more; running connections may */

/* A new connection's state, accepting. For src/net only. offers_h2: before http/1.1, by ALPN. */
struct ssl_st *tls_server_accept(struct tls_server *t, bool offers_h2);
/* The subject of the peer's certificate, which has been verified; to be freed. NULL: it sent none. For src/net only. */
[[nodiscard]] char *tls_peer_subject(const struct ssl_st *ssl);

#endif
