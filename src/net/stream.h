/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected stream of bytes: TCP or a socket file, plain or under TLS. Internal to src/net: the seam between
 * the protocol code and the loop. Completion-shaped: bytes arrived, all is written, it is over.
 *
 * Writes are gathered and handed to the kernel once at the end of the loop's turn. Reading into a buffer shared by the loop: an idle
 * stream holds none.
 *
 * Ownership: a stream belongs to its owner until stream_close, after which no event comes. Events may close the stream.
 * Thread rule: on the loop's thread.
 */
#ifndef FAIRWAY_NET_STREAM_H
#define FAIRWAY_NET_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "net/loop.h"

struct stream;
struct uv_stream_s;
struct tls_client;
struct tls_server;

struct stream_events {
    /* Of stream_connect only, first. Under TLS: the server is the one that was expected. */
    void (*connected)(void *ctx);
    void (*bytes)(void *ctx, struct str bytes); /* borrowed until it returns */
    void (*drained)(void *ctx);                 /* nothing is left to write; may be NULL */
    /* 0: the peer has ended its side; else it broke. The owner still has to close. No bytes come after it. */
    void (*ended)(void *ctx, int error);
    void *ctx;
};

/* Takes a waiting connection off a listening handle. */
[[nodiscard]] int stream_accept(struct loop *loop, struct uv_stream_s *listener,
                                const struct stream_events *events, struct stream **ret_stream);
/* From here on an accepted stream speaks TLS; `received`: what came of it already. offers_h2: by ALPN, before http/1.1. */
void stream_start_tls(struct stream *s, struct tls_server *tls, bool offers_h2,
                      struct str received);
bool stream_chose_h2(const struct stream *s); /* by ALPN */
/* The subject of the client's certificate, to be freed; NULL if there is none. */
[[nodiscard]] char *stream_peer_subject(const struct stream *s);
/* A numeric address. tls: NULL for a plain one; else the certificate must be for server_name. Failure comes as `ended`. */
struct stream *stream_connect(struct loop *loop, struct str host, uint16_t port,
                              struct tls_client *tls, struct str server_name,
                              const struct stream_events *events);
/* In `ended`: why there is no TLS with the server; "" for any other end. */
const char *stream_tls_failure(const struct stream *s);

void stream_set_events(struct stream *s, const struct stream_events *events);
void stream_read(struct stream *s, bool on); /* off at first */
void stream_write(struct stream *s, struct str bytes);
size_t stream_unsent(const struct stream *s); /* bytes that the kernel has not taken */
/* Bytes that the peer has not acknowledged: the kernel's buffer too, which may hold megabytes. */
size_t stream_untaken(const struct stream *s);
/* Sends what is written, then ends our side; reading goes on. */
void stream_end(struct stream *s);
void stream_close(struct stream *s); /* at once; what is unsent is dropped */

/* "127.0.0.1:4711", "unix" */
enum { STREAM_PEER_MAX = 64 };
void stream_peer(const struct stream *s, char text[STREAM_PEER_MAX]);

#endif
