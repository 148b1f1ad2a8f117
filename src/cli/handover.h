/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one `fairway up` takes over from another that runs on the same state folder: a conversation over the socket file
 * STATE/handover.sock (mode 0600), one line of JSON at a time.
 *
 *   new                                   old
 *   {"handover":1,"ask":"offer"}    -->
 *                                   <--   {"handover":1,"host":...,"port":...,"listeners":N,"admin":true}, and the sockets
 *   {"ask":"release"}               -->   its controller ends and leaves the replicas; the state folder is unlocked
 *                                   <--   {"released":true}
 *   {"ask":"drain"}                 -->   the new one serves: the old one accepts nothing more
 *
 * Rules: up to "drain" the old one serves; if the other end is lost before, it goes on as it was. Each line begins with what
 * is asked or said; members that are not known are passed over. The first line says the newest version that the new one
 * speaks, the answer the version that is spoken from there on: the smaller of both. {"error":TEXT} refuses at any place.
 *
 * Ownership: descriptors are the caller's. Thread rule: one thread; calls block, for a bounded time.
 */
#ifndef FAIRWAY_CLI_HANDOVER_H
#define FAIRWAY_CLI_HANDOVER_H

#include <stdint.h>

#include "base/err.h"

enum { HANDOVER_VERSION = 1, HANDOVER_LISTENERS_MAX = 64, HANDOVER_HOST_MAX = 64 };

struct handover_offer {
    char host[HANDOVER_HOST_MAX]; /* that clients connect to */
    uint16_t port;
    int listeners[HANDOVER_LISTENERS_MAX]; /* of the gateway's workers */
    unsigned listener_count;
    int admin; /* of the admin API; 0: none */
};

/* ---- the new one ---- */

/* ERR_NOT_FOUND: no Fairway runs there. *ret_fd is the conversation. */
[[nodiscard]] int handover_ask(const char *state_dir, int *ret_fd, struct handover_offer *ret_offer,
                               struct err *err);
[[nodiscard]] int handover_release(int fd, struct err *err);
[[nodiscard]] int handover_finish(int fd, struct err *err); /* "drain" */
void handover_offer_close(struct handover_offer *offer);    /* its sockets */

/* ---- the old one ---- */

[[nodiscard]] int handover_listen(const char *state_dir, int *ret_fd, struct err *err);
/* Takes a conversation off the listening socket and makes the offer. */
[[nodiscard]] int handover_answer(int listener, const struct handover_offer *offer, int *ret_fd,
                                  struct err *err);
[[nodiscard]] int handover_await_release(int fd, struct err *err);
[[nodiscard]] int handover_released(int fd, struct err *err);
[[nodiscard]] int handover_await_finish(int fd, struct err *err);

#endif
