/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for clients: which authorities are trusted. Every connection names the server that it expects, and is refused unless an
 * authority has signed a certificate of that name. TLS 1.2 and later; ALPN http/1.1; SNI for names.
 *
 * Ownership: reference counted. Thread rule: any thread; nothing changes once it is made.
 */
#ifndef FAIRWAY_NET_TLS_CLIENT_H
#define FAIRWAY_NET_TLS_CLIENT_H

#include "base/err.h"
#include "base/str.h"

struct tls_client;
struct ssl_st;

enum { TLS_SERVER_NAME_MAX = 253, TLS_FAILURE_MAX = 160 };

/* ca_file: the certificates of those who sign servers'; NULL: the system's. With one reference. */
[[nodiscard]] int tls_client_new(const char *ca_file, struct tls_client **ret_tls, struct err *err);
/* The same authorities in another process: their certificates in PEM; empty: the system's there. */
[[nodiscard]] int tls_client_from_pem(struct str pem, struct tls_client **ret_tls, struct err *err);
struct str tls_client_pem(const struct tls_client *t); /* borrow */
struct tls_client *tls_client_ref(struct tls_client *t);
void tls_client_unref(struct tls_client *t); /* NULL is fine */

/* A new connection's state. server_name: a host name or a numeric address, up to TLS_SERVER_NAME_MAX. For src/net only. */
struct ssl_st *tls_client_connect(struct tls_client *t, struct str server_name);
/* Why its handshake has failed, right after it did. For src/net only. */
void tls_client_explain(const struct ssl_st *ssl, char text[TLS_FAILURE_MAX]);

#endif
