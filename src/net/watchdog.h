/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports a loop whose callback has not returned for too long, with a backtrace of its thread, once for each time it is
 * stuck. A loop that waits, or is busy with many short turns, is not stuck.
 *
 * Costs: one thread that looks twice in `limit`. The backtrace is taken by a signal to the loop's thread (the first real-time one);
 * a thread that sleeps in the kernel for good gives none.
 *
 * Ownership: loops are borrowed until watchdog_forget or watchdog_free. One watchdog at a time in a process.
 * Thread rule: any thread; `report` is called on the watchdog's own.
 */
#ifndef FAIRWAY_NET_WATCHDOG_H
#define FAIRWAY_NET_WATCHDOG_H

#include "base/str.h"
#include "base/time.h"

struct loop;
struct watchdog;

struct watchdog_options {
    nsec limit; /* so long without progress: stuck */
    /* backtrace: a line for each frame, empty if there is none. */
    void (*report)(void *ctx, const char *name, nsec stuck, struct str backtrace);
    void *ctx;
};

struct watchdog *watchdog_new(const struct watchdog_options *options);
void watchdog_free(struct watchdog *w); /* NULL is fine */

enum { WATCHDOG_LOOPS_MAX = 64 }; /* further loops are not watched */

void watchdog_watch(struct watchdog *w, struct loop *loop, const char *name /* static */);
void watchdog_forget(struct watchdog *w, struct loop *loop); /* before the loop is freed */

#endif
