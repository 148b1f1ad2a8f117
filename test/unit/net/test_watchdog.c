/* SPDX-License-Identifier: Apache-2.0 */
#include "net/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "net/loop.h"
#include "test.h"

static struct {
    atomic_int reports;
    char name[32], backtrace[8192];
    nsec stuck;
    pthread_mutex_t mutex;
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void report(void *ctx, const char *name, nsec stuck, struct str backtrace)
{
    pthread_mutex_lock(&seen.mutex);
    snprintf(seen.name, sizeof(seen.name), "%s", name);
    snprintf(seen.backtrace, sizeof(seen.backtrace), "%.*s", STR_ARG(backtrace));
    seen.stuck = stuck;
    pthread_mutex_unlock(&seen.mutex);
    atomic_fetch_add(&seen.reports, 1);
}

static struct loop *loop;

/* Does not return before it was reported. */
static void stick(struct loop_timer *timer)
{
    int before = atomic_load(&seen.reports);
    while (atomic_load(&seen.reports) == before)
        ;
}

static void end(struct loop_timer *timer)
{
    loop_stop(loop);
}

static void test_a_stuck_loop_is_reported_once(void **state)
{
    const struct watchdog_options options = {.limit = MSEC(100), .report = report};
    struct watchdog *w = watchdog_new(&options);
    struct loop *idle = loop_new();
    loop = loop_new();
    struct loop_timer first = {.fire = stick}, second = {.fire = stick}, last = {.fire = end};
    watchdog_watch(w, loop, "of the test");
    watchdog_watch(w, idle, "that nobody runs");
    loop_timer_start(loop, &first, 0);
    loop_timer_start(loop, &second, MSEC(500)); /* it waits between them, which is fine */
    loop_timer_start(loop, &last, MSEC(1000));
    loop_run(loop);
    assert_int_equal(atomic_load(&seen.reports), 2);
    pthread_mutex_lock(&seen.mutex);
    assert_string_equal(seen.name, "of the test");
    assert_true(seen.stuck >= MSEC(100));
    assert_true(strchr(seen.backtrace, '\n') != NULL);
    pthread_mutex_unlock(&seen.mutex);
    watchdog_forget(w, loop);
    watchdog_forget(w, idle);
    watchdog_free(w);
    loop_free(loop);
    loop_free(idle);
}

static void busy(struct loop_timer *timer)
{
    static int turns;
    nsec until = clock_now() + MSEC(2);
    while (clock_now() < until)
        ;
    if (++turns < 200)
        loop_timer_start(loop, timer, 0);
    else
        loop_stop(loop);
}

static void test_a_busy_loop_is_not_stuck(void **state)
{
    const struct watchdog_options options = {.limit = MSEC(100), .report = report};
    struct watchdog *w = watchdog_new(&options);
    loop = loop_new();
    struct loop_timer timer = {.fire = busy};
    int before = atomic_load(&seen.reports);
    watchdog_watch(w, loop, "busy");
    loop_timer_start(loop, &timer, 0);
    loop_run(loop);
    watchdog_free(w);
    assert_int_equal(atomic_load(&seen.reports), before);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stuck_loop_is_reported_once),
        cmocka_unit_test(test_a_busy_loop_is_not_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
