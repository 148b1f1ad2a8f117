/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event loop per thread, the timers on it, and the mailbox by which other threads reach it.
 *
 * This is the seam to libuv: services see struct loop, timers and mail only, so that the loop
 * beneath can change without touching them. (Library code inside src/net and src/runtime may ask
 * for the uv_loop_t.)
 *
 * Thread rule: everything is called on the loop's own thread, except loop_post, loop_stop, loop_progress and loop_thread,
 * which any thread may call.
 */
#ifndef FAIRWAY_NET_LOOP_H
#define FAIRWAY_NET_LOOP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/heap.h"
#include "base/time.h"

struct loop;
struct uv_loop_s;

struct loop *loop_new(void);
/* Nothing may be open on the loop any more except timers (which are dropped) and undelivered mail
 * (a broken invariant). */
void loop_free(struct loop *loop);

/* Runs until loop_stop. Undelivered mail is delivered before it returns. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread */

/* For a watchdog, from any thread. Grows while the loop waits and with every turn that it takes: two equal readings mean that a
 * callback has not returned in between. */
uint64_t loop_progress(struct loop *loop);
int loop_thread(
    const struct loop *loop); /* the kernel's number of the thread that runs it; 0: none does */

/* The monotonic clock (base/clock.h), for who has a loop at hand. */
nsec loop_now(const struct loop *loop);
struct uv_loop_s *loop_uv(struct loop *loop);
/* For src/net: work in libuv's threads, which loop_free waits for. */
void loop_work_began(struct loop *loop);
void loop_work_ended(struct loop *loop);

/*
 * A one-shot timer in the caller's memory. Start and stop take effect at once; a stopped timer
 * never fires, so its memory may go right after. Starting a running timer moves it. Timers due at
 * the same instant fire in the order they were started.
 */
struct loop_timer {
    void (*fire)(struct loop_timer *timer); /* set by the caller before the first start */
    struct loop *loop;                      /* below: the loop's business; all zero = stopped */
    nsec due;
    uint64_t order;
    nsec
        looked_at; /* when, by its place in the heap: one that moved to later moves there only then */
    uint64_t looked_at_order;
    struct heap_node node;
};

void loop_timer_start(struct loop *loop, struct loop_timer *timer, nsec delay);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_running(const struct loop_timer *timer);

/*
 * Mail: a message in the sender's memory, delivered on the loop's thread, in order per sender. From
 * loop_post until deliver() it belongs to the loop; a mail must not be posted again before. Bounded
 * because every mail is part of an object that has a bound of its own. Posting never blocks and
 * never fails.
 */
struct mail {
    void (*deliver)(struct mail *mail);
    struct mail *next; /* the mailbox's business */
};

void loop_post(struct loop *loop, struct mail *mail); /* any thread */

/* Runs `task` on this loop at the end of the present turn, after all I/O events of the turn (for
 * batching). Same rules as mail, same thread only. */
void loop_defer(struct loop *loop, struct mail *task);

#endif
