/* SPDX-License-Identifier: Apache-2.0 */
/* Every message of test/data/http against a server, with another request behind it. */
#include "messages.h"
#include "server_fixture.h"

static struct fixture f;
static int wrong; /* all of them are shown, not the first only */

static int setup(void **state)
{
    f = (struct fixture){.limits = http_limits_default()};
    wrong = 0;
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(&f);
    return 0;
}

/* The answer to the message and one more request, to the end of the connection. */
static struct buf ask(const struct message *m)
{
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 20);
    fixture_send(fd, buf_str(&m->bytes));
    fixture_send(fd, STR("GET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    fixture_read_all(fd, &answer);
    close(fd);
    return answer;
}

static bool has(const struct buf *answer, struct str text)
{
    return str_find(buf_str(answer), text) < answer->len;
}

static void refuse(const struct message *m)
{
    struct buf answer = ask(m);
    int status = fixture_status(buf_str(&answer));
    if (status != m->status || !has(&answer, STR("\r\nconnection: close\r\n")) ||
        has(&answer, STR("GET /"))) {
        print_message("%s: %d, not %d: %.*s\n", m->name, status, m->status, (int)answer.len,
                      answer.ptr);
        wrong++;
    }
    buf_fini(&answer);
}

static void serve(const struct message *m)
{
    struct buf answer = ask(m);
    struct str text = buf_str(&answer);
    if (str_starts(text, STR("HTTP/1.1 100 ")))
        text = str_sub(text, str_find(text, STR("\r\n\r\n")) + 4, text.len);
    bool went_on = has(&answer, STR("GET /after "));
    if (fixture_status(text) != 200 || went_on == m->close) {
        print_message("%s: %.*s\n", m->name, (int)answer.len, answer.ptr);
        wrong++;
    }
    buf_fini(&answer);
}

static void test_hostile(void **state)
{
    assert_true(messages_each("hostile.txt", refuse) >= 400);
    assert_int_equal(wrong, 0);
}

static void test_legal(void **state)
{
    assert_true(messages_each("legal.txt", serve) >= 80);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_legal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
