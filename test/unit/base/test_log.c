/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "test.h"

static int pipe_ends[2];
static char line[PIPE_BUF + 1];

static void start(enum log_level least, enum log_format format)
{
    assert_int_equal(pipe(pipe_ends), 0);
    log_setup(least, format, pipe_ends[1]);
}

/* What was logged since start(). */
static const char *stop(void)
{
    close(pipe_ends[1]);
    ssize_t size = read(pipe_ends[0], line, PIPE_BUF);
    assert_true(size >= 0);
    line[size] = 0;
    close(pipe_ends[0]);
    log_setup(LOG_INFO, LOG_LOGFMT, STDERR_FILENO);
    return line;
}

static void test_logfmt(void **state)
{
    start(LOG_INFO, LOG_LOGFMT);
    log_info("replica ready", log_str("model", "chat"), log_int("port", -8001),
             log_dur("took", MSEC(1500)), log_bool("ok", true), log_double("rate", 0.25),
             log_str("odd", "a=b \"c\"\n"), log_text("empty", STR_NONE));
    const char *text = stop();
    assert_memory_equal(text, "time=20", 7);
    assert_string_equal(
        strchr(text, ' '),
        " level=info event=\"replica ready\" model=chat port=-8001 took=1.5s ok=true "
        "rate=0.25 odd=\"a=b \\\"c\\\"\\n\" empty=\"\"\n");
}

static void test_json(void **state)
{
    start(LOG_DEBUG, LOG_JSON);
    log_debug("x\ty", log_dur("took", MSEC(1500)), log_str("name", "\xFF"), log_bool("no", false));
    struct arena arena;
    arena_init(&arena, 65536);
    struct json *root;
    struct err err;
    struct str text = str_from(stop());
    assert_true(str_ends(text, STR("}\n")));
    if (json_parse(&arena, text, &root, &err))
        fail_msg("%s: %s", line, err.message);
    assert_true(str_eq(json_get(root, STR("level"))->text, STR("debug")));
    assert_true(str_eq(json_get(root, STR("event"))->text, STR("x\ty")));
    assert_true(json_get(root, STR("took"))->number == 1.5);
    assert_true(str_eq(json_get(root, STR("name"))->text, STR("\xEF\xBF\xBD")));
    assert_int_equal(json_get(root, STR("no"))->type, JSON_BOOL);
    arena_fini(&arena);
}

static void test_level(void **state)
{
    start(LOG_WARN, LOG_LOGFMT);
    assert_false(log_enabled(LOG_INFO));
    log_info("no");
    log_warn("yes");
    const char *text = stop();
    assert_null(strstr(text, "event=no"));
    assert_non_null(strstr(text, "level=warn event=yes\n"));

    enum log_level level = LOG_ERROR;
    enum log_format format = LOG_LOGFMT;
    assert_int_equal(log_level_parse(STR("debug"), &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse(STR("loud"), &level), ERR_INVALID);
    assert_int_equal(log_format_parse(STR("json"), &format), 0);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse(STR("xml"), &format), ERR_INVALID);
}

/* A line never passes PIPE_BUF; what is left out is said. */
static void test_long_lines_are_cut(void **state)
{
    static char big[3000];
    memset(big, 'x', sizeof(big));
    struct str text = {big, sizeof(big)};
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        start(LOG_INFO, (enum log_format)format);
        log_info("big", log_text("a", text), log_text("b", text), log_text("c", text),
                 log_text("d", text), log_int("e", 7));
        struct str written = str_from(stop());
        assert_true(written.len <= PIPE_BUF);
        bool json = format == LOG_JSON;
        assert_true(
            str_ends(written, json ? STR(",\"e\":7,\"cut\":true}\n") : STR(" e=7 cut=true\n")));
        assert_true(str_find(written, STR("xxx")) < written.len);
    }
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 20; i++)
        log_info("many", log_str("who", arg), log_int("i", i));
    return NULL;
}

static void test_lines_do_not_mix(void **state)
{
    start(LOG_INFO, LOG_LOGFMT);
    pthread_t threads[2];
    char names[2][400];
    for (int i = 0; i < 2; i++) {
        memset(names[i], 'a' + i, sizeof(names[i]));
        names[i][sizeof(names[i]) - 1] = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    close(pipe_ends[1]);
    struct buf all;
    buf_init(&all, 1 << 20);
    for (ssize_t n = 1; n > 0;) {
        char *room = buf_reserve(&all, 4096);
        n = read(pipe_ends[0], room, 4096);
        buf_commit(&all, (size_t)MAX(n, 0));
    }
    close(pipe_ends[0]);
    log_setup(LOG_INFO, LOG_LOGFMT, STDERR_FILENO);
    struct str rest = buf_str(&all), one;
    int lines = 0;
    while (str_split(&rest, '\n', &one)) {
        if (one.len == 0)
            continue;
        lines++;
        size_t who = str_find(one, STR("who=")) + 4;
        struct str value = str_sub(one, who, who + 399);
        assert_true(str_eq(value, str_from(names[0])) || str_eq(value, str_from(names[1])));
    }
    assert_int_equal(lines, 40);
    buf_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_lines_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
