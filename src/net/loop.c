/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"

/* Timers that have moved to later and would be looked at within this time are so at once: one alarm for many of them. */
#define LOOK_AHEAD MSEC(100)

struct loop {
    uv_loop_t uv;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_async_t wake;
    uv_timer_t alarm; /* armed for the earliest timer, or for an earlier instant */
    nsec alarm_due;   /* NSEC_NEVER: not armed */
    struct heap timers;
    uint64_t timers_started;
    _Atomic(struct mail *) mailbox; /* the newest first */
    struct mail *deferred, **deferred_end;
    atomic_bool stopping;
    unsigned work; /* that runs in libuv's threads */
    nsec now;
    bool now_fresh;
    _Atomic uint64_t turns;
    atomic_int thread;
};

/* ---- time ---- */

nsec loop_now(const struct loop *loop)
{
    if (!loop->now_fresh) {
        struct loop *cache =
            (struct loop *)loop; /* every loop is made by loop_new, none is const */
        cache->now = clock_now();
        cache->now_fresh = true;
    }
    return loop->now;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

uint64_t loop_progress(struct loop *loop)
{
    return atomic_load_explicit(&loop->turns, memory_order_relaxed) +
           uv_metrics_idle_time(&loop->uv);
}

int loop_thread(const struct loop *loop)
{
    return atomic_load(&loop->thread);
}

/* ---- timers ---- */

static struct loop_timer *timer_of(const struct heap_node *node)
{
    return container_of(node, struct loop_timer, node);
}

static bool fires_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct loop_timer *x = timer_of(a), *y = timer_of(b);
    return x->looked_at != y->looked_at ? x->looked_at < y->looked_at
                                        : x->looked_at_order < y->looked_at_order;
}

static bool has_moved(const struct loop_timer *timer)
{
    return timer->looked_at != timer->due || timer->looked_at_order != timer->order;
}

static void set_place(struct loop *loop, struct loop_timer *timer)
{
    timer->looked_at = timer->due;
    timer->looked_at_order = timer->order;
    if (heap_has(&timer->node))
        heap_changed(&loop->timers, &timer->node);
    else
        heap_insert(&loop->timers, &timer->node);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, nsec delay)
{
    CHECK(timer->fire && (!timer->loop || timer->loop == loop));
    timer->due = nsec_after(loop_now(loop), MAX(delay, 0));
    timer->order = ++loop->timers_started;
    timer->loop = loop;
    /* Time-outs move with every byte, and nearly never fire. */
    if (!heap_has(&timer->node) || timer->due < timer->looked_at)
        set_place(loop, timer);
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (heap_has(&timer->node))
        heap_remove(&timer->loop->timers, &timer->node);
    timer->loop = NULL;
}

bool loop_timer_running(const struct loop_timer *timer)
{
    return heap_has(&timer->node);
}

static void on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = container_of(alarm, struct loop, alarm);
    loop->alarm_due = NSEC_NEVER;
    loop->now_fresh = false;
    nsec now = loop_now(loop);
    /* A timer started from here waits for the next alarm, or it could keep the loop here for ever. */
    uint64_t last = loop->timers_started;
    struct heap_node *top;
    while ((top = heap_top(&loop->timers))) {
        struct loop_timer *timer = timer_of(top);
        if (has_moved(timer) && timer->looked_at <= now + LOOK_AHEAD) {
            set_place(loop, timer);
            continue;
        }
        if (timer->looked_at > now || timer->order > last)
            break;
        loop_timer_stop(timer);
        timer->fire(timer);
    }
}

/* libuv counts in whole milliseconds: rounding up never fires early. An alarm that is too early
 * stays: it finds nothing due and is set anew, which is cheaper than moving it with every timer. */
static void set_alarm(struct loop *loop)
{
    struct heap_node *top = heap_top(&loop->timers);
    nsec due = top ? timer_of(top)->looked_at : NSEC_NEVER;
    if (due >= loop->alarm_due)
        return;
    uint64_t at = (uint64_t)((due + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC), now = uv_now(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm, at > now ? at - now : 0, 0);
    loop->alarm_due = due;
}

/* ---- mail and deferred tasks ---- */

void loop_post(struct loop *loop, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do
        mail->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &newest, mail,
                                                  memory_order_release, memory_order_relaxed));
    if (!newest) /* else whoever filled the empty box has rung */
        uv_async_send(&loop->wake);
}

/* Returns whether there was any. */
static bool deliver_mail(struct loop *loop)
{
    struct mail *newest = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (newest) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    bool any = oldest;
    while (oldest) {
        struct mail *next = oldest->next; /* delivering may end the mail's memory */
        oldest->deliver(oldest);
        oldest = next;
    }
    return any;
}

void loop_defer(struct loop *loop, struct mail *task)
{
    task->next = NULL;
    *loop->deferred_end = task;
    loop->deferred_end = &task->next;
}

static void run_deferred(struct loop *loop)
{
    while (loop->deferred) {
        struct mail *task = loop->deferred;
        loop->deferred = task->next;
        if (!loop->deferred)
            loop->deferred_end = &loop->deferred;
        task->deliver(task);
    }
}

/* ---- the loop ---- */

void loop_work_began(struct loop *loop)
{
    loop->work++;
}

void loop_work_ended(struct loop *loop)
{
    loop->work--;
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = container_of(wake, struct loop, wake);
    deliver_mail(loop);
    if (atomic_load(&loop->stopping))
        uv_stop(&loop->uv);
}

/* After the timers, before the loop sleeps: what timers deferred, then the alarm. */
static void on_before_poll(uv_prepare_t *handle)
{
    struct loop *loop = container_of(handle, struct loop, before_poll);
    run_deferred(loop);
    set_alarm(loop);
    loop->now_fresh = false;
    atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
}

static void on_after_poll(uv_check_t *handle)
{
    run_deferred(container_of(handle, struct loop, after_poll));
}

struct loop *loop_new(void)
{
    /* libuv writes to sockets without MSG_NOSIGNAL; a peer that left must not end the process. */
    signal(SIGPIPE, SIG_IGN);
    struct loop *loop = NEW(struct loop);
    loop->alarm_due = NSEC_NEVER;
    loop->deferred_end = &loop->deferred;
    heap_init(&loop->timers, fires_before);
    CHECK(uv_loop_init(&loop->uv) == 0);
    CHECK(uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME) == 0);
    CHECK(uv_async_init(&loop->uv, &loop->wake, on_wake) == 0);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_prepare_init(&loop->uv, &loop->before_poll);
    uv_check_init(&loop->uv, &loop->after_poll);
    uv_prepare_start(&loop->before_poll, on_before_poll);
    uv_check_start(&loop->after_poll, on_after_poll);
    return loop;
}

void loop_free(struct loop *loop)
{
    CHECK(!atomic_load(&loop->mailbox));
    run_deferred(loop);
    struct heap_node *top;
    while ((top = heap_top(&loop->timers)))
        loop_timer_stop(timer_of(top));
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_close((uv_handle_t *)&loop->after_poll, NULL);
    while (loop->work)
        uv_run(&loop->uv, UV_RUN_ONCE);
    /* What its owner has closed already finishes closing, which may close more in turn; what is
     * still open is found below. */
    for (int turn = 0; turn < 16 && uv_run(&loop->uv, UV_RUN_NOWAIT); turn++)
        run_deferred(loop);
    CHECK(uv_loop_close(&loop->uv) == 0);
    heap_fini(&loop->timers);
    mem_free(loop);
}

void loop_run(struct loop *loop)
{
    atomic_store(&loop->thread, gettid());
    if (!atomic_load(&loop->stopping))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    while (deliver_mail(loop))
        run_deferred(loop);
    run_deferred(loop);
    atomic_store(&loop->thread, 0);
    atomic_store(&loop->stopping, false);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
}
