/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, deferred tasks, and mail from several threads. */
#include <pthread.h>

#include "base/clock.h"
#include "net/loop.h"
#include "test.h"

static struct loop *loop;
static char order[64];

static int setup(void **state)
{
    loop = loop_new();
    order[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    loop_free(loop);
    return 0;
}

/* ---- timers ---- */

struct lettered {
    struct loop_timer timer;
    char letter;
    nsec fired;
};

static void on_fire(struct loop_timer *timer)
{
    struct lettered *l = container_of(timer, struct lettered, timer);
    strncat(order, &l->letter, 1);
    l->fired = clock_now();
    if (l->letter == 'z')
        loop_stop(loop);
}

static void start(struct lettered *l, char letter, nsec delay)
{
    l->timer.fire = on_fire;
    l->letter = letter;
    loop_timer_start(loop, &l->timer, delay);
}

static void test_timers_fire_in_order(void **state)
{
    struct lettered t[6] = {0};
    nsec began = clock_now();
    start(&t[0], 'z', MSEC(30));
    start(&t[1], 'b', MSEC(10));
    start(&t[2], 'c', MSEC(20));
    start(&t[3], 'a', -5);
    start(&t[4], 'x', MSEC(15));
    start(&t[5], 'd', MSEC(1));
    start(&t[5], 'd', MSEC(25)); /* moved */
    loop_timer_stop(&t[4].timer);
    assert_false(loop_timer_running(&t[4].timer));
    assert_true(loop_timer_running(&t[5].timer));
    loop_run(loop);
    assert_string_equal(order, "abcdz");
    assert_true(t[0].fired - began >= MSEC(30));
    assert_false(loop_timer_running(&t[0].timer));
}

/* Later, later still, and back to before the first time; beside one that is moved to its very instant. */
static void test_a_timer_that_moves(void **state)
{
    struct lettered t[4] = {0};
    start(&t[0], 'z', MSEC(40));
    start(&t[1], 'a', MSEC(10));
    start(&t[1], 'a', MSEC(60));
    start(&t[1], 'a', MSEC(30));
    start(&t[1], 'a', MSEC(5));
    start(&t[2], 'c', MSEC(1));
    start(&t[3], 'b', MSEC(20));
    start(&t[2], 'c', MSEC(20));
    loop_run(loop);
    assert_string_equal(order, "abcz");
}

static void test_same_instant_in_order_of_start(void **state)
{
    struct lettered t[4] = {0};
    for (int i = 0; i < 4; i++)
        start(&t[i], "abcz"[i], MSEC(5));
    loop_run(loop);
    assert_string_equal(order, "abcz");
}

static struct lettered other;

static void stop_the_other(struct loop_timer *timer)
{
    loop_timer_stop(&other.timer);
}

static void test_a_stopped_timer_never_fires(void **state)
{
    struct loop_timer first = {.fire = stop_the_other};
    struct lettered last = {0};
    other = (struct lettered){0};
    loop_timer_start(loop, &first, MSEC(5));
    start(&other, 'x', MSEC(5));
    start(&last, 'z', MSEC(6));
    loop_run(loop);
    assert_string_equal(order, "z");
}

static int rounds;

static void again_and_again(struct loop_timer *timer)
{
    if (++rounds < 100)
        loop_timer_start(loop, timer, 0);
}

/* A timer that starts itself at once does not keep the others from their turn. */
static void test_restart_at_once(void **state)
{
    struct loop_timer busy = {.fire = again_and_again};
    struct lettered last = {0};
    rounds = 0;
    loop_timer_start(loop, &busy, 0);
    start(&last, 'z', MSEC(200));
    loop_run(loop);
    assert_int_equal(rounds, 100);
}

/* ---- deferred tasks ---- */

struct task {
    struct mail mail;
    char letter;
};

static struct task second;

static void on_task(struct mail *mail)
{
    struct task *t = container_of(mail, struct task, mail);
    strncat(order, &t->letter, 1);
    if (t->letter == 'a')
        loop_defer(loop, &second.mail);
    if (t->letter == 'z')
        loop_stop(loop);
}

static void test_deferred_in_order(void **state)
{
    struct task a = {{.deliver = on_task}, 'a'}, b = {{.deliver = on_task}, 'b'};
    second = (struct task){{.deliver = on_task}, 'z'};
    loop_defer(loop, &a.mail);
    loop_defer(loop, &b.mail);
    loop_run(loop);
    assert_string_equal(order, "abz");
}

/* ---- mail ---- */

enum { SENDERS = 4, MAILS = 5000 };

struct numbered {
    struct mail mail;
    int sender, number;
};

static struct numbered mails[SENDERS][MAILS];
static int next_number[SENDERS], delivered;

static void on_mail(struct mail *mail)
{
    struct numbered *n = container_of(mail, struct numbered, mail);
    assert_int_equal(n->number, next_number[n->sender]);
    next_number[n->sender]++;
    if (++delivered == SENDERS * MAILS)
        loop_stop(loop);
}

static void *send_mails(void *arg)
{
    struct numbered *mine = arg;
    for (int i = 0; i < MAILS; i++)
        loop_post(loop, &mine[i].mail);
    return NULL;
}

static void test_mail_from_several_threads(void **state)
{
    pthread_t threads[SENDERS];
    delivered = 0;
    for (int s = 0; s < SENDERS; s++) {
        next_number[s] = 0;
        for (int i = 0; i < MAILS; i++)
            mails[s][i] = (struct numbered){{.deliver = on_mail}, s, i};
        pthread_create(&threads[s], NULL, send_mails, mails[s]);
    }
    loop_run(loop);
    for (int s = 0; s < SENDERS; s++)
        pthread_join(threads[s], NULL);
    assert_int_equal(delivered, SENDERS * MAILS);
}

/* What was posted before the stop is delivered before loop_run returns. */
static void test_mail_before_the_stop(void **state)
{
    struct task a = {{.deliver = on_task}, 'y'};
    loop_stop(loop);
    loop_post(loop, &a.mail);
    loop_run(loop);
    assert_string_equal(order, "y");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_timer_that_moves),
        TEST(test_timers_fire_in_order),
        TEST(test_same_instant_in_order_of_start),
        TEST(test_a_stopped_timer_never_fires),
        TEST(test_restart_at_once),
        TEST(test_deferred_in_order),
        TEST(test_mail_from_several_threads),
        TEST(test_mail_before_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
