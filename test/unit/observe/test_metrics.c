/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/metrics.h"

#include <math.h>
#include <pthread.h>

#include "test.h"

static struct metrics *m;
static struct buf out;

static int set_up(void **state)
{
    m = metrics_new();
    buf_init(&out, 4 << 20);
    return 0;
}

static int tear_down(void **state)
{
    metrics_free(m);
    buf_fini(&out);
    return 0;
}

static const struct metric_spec requests = {METRIC_COUNTER,
                                            "inference_requests_total",
                                            "Requests by \"status\".\nNext \\ line.",
                                            {"model_name", "status"},
                                            NULL,
                                            0};
static const struct metric_spec length = {
    METRIC_GAUGE, "inference_queue_length", "Waiting.", {"model_name"}, NULL, 0};
static const double bounds[] = {0.1, 1, 2.5};
static const struct metric_spec duration = {
    METRIC_HISTOGRAM, "inference_duration_seconds", "Time.", {"model_name"}, bounds, 3};
static const struct metric_spec up = {METRIC_GAUGE, "fairway_up", "Up.", {NULL}, NULL, 0};

static const char *written(enum metrics_format format)
{
    buf_clear(&out);
    metrics_write(m, format, &out);
    return buf_cstr(&out);
}

static struct metric *series1(const struct metric_spec *spec, struct str value)
{
    return metric_series(metrics_family(m, spec), &value);
}

static void fill(void)
{
    struct metric *ok =
        metric_series(metrics_family(m, &requests), (struct str[]){STR("chat"), STR("ok")});
    metric_add(ok, 1);
    metric_add(ok, 2);
    metric_add(
        metric_series(metrics_family(m, &requests), (struct str[]){STR("a\"b\\c\n\xFF"), STR("")}),
        0.5);
    struct metric *waiting = series1(&length, STR("chat"));
    metric_set(waiting, 7);
    metric_add(waiting, -2);
    metric_set(series1(&length, STR("lost")), NAN);
    struct metric *time = series1(&duration, STR("chat"));
    static const double values[] = {0.05, 0.1, 0.11, 2.5, 99};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        metric_observe(time, values[i]);
    metric_observe(time, NAN);
    metric_set(series1(&up, STR_NONE), 1);
}

static void test_prometheus_text(void **state)
{
    fill();
    assert_string_equal(
        written(METRICS_PROMETHEUS),
        "# HELP inference_requests_total Requests by \"status\".\\nNext \\\\ line.\n"
        "# TYPE inference_requests_total counter\n"
        "inference_requests_total{model_name=\"chat\",status=\"ok\"} 3\n"
        "inference_requests_total{model_name=\"a\\\"b\\\\c\\n\xEF\xBF\xBD\",status=\"\"} 0.5\n"
        "# HELP inference_queue_length Waiting.\n"
        "# TYPE inference_queue_length gauge\n"
        "inference_queue_length{model_name=\"chat\"} 5\n"
        "inference_queue_length{model_name=\"lost\"} NaN\n"
        "# HELP inference_duration_seconds Time.\n"
        "# TYPE inference_duration_seconds histogram\n"
        "inference_duration_seconds_bucket{model_name=\"chat\",le=\"0.1\"} 2\n"
        "inference_duration_seconds_bucket{model_name=\"chat\",le=\"1\"} 3\n"
        "inference_duration_seconds_bucket{model_name=\"chat\",le=\"2.5\"} 4\n"
        "inference_duration_seconds_bucket{model_name=\"chat\",le=\"+Inf\"} 5\n"
        "inference_duration_seconds_sum{model_name=\"chat\"} 101.76\n"
        "inference_duration_seconds_count{model_name=\"chat\"} 5\n"
        "# HELP fairway_up Up.\n"
        "# TYPE fairway_up gauge\n"
        "fairway_up 1\n");
    assert_true(metric_value(series1(&duration, STR("chat"))) == 5);
}

static void test_openmetrics_text(void **state)
{
    fill();
    struct str text = str_from(written(METRICS_OPENMETRICS));
    assert_true(str_ends(text, STR("\nfairway_up 1\n# EOF\n")));
    static const struct str parts[] = {
        STR("# HELP inference_requests Requests by \\\"status\\\".\\nNext"),
        STR("# TYPE inference_requests counter\ninference_requests_total{"),
        STR("_bucket{model_name=\"chat\",le=\"1.0\"} 3\n"),
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        assert_true(str_find(text, parts[i]) < text.len);

    struct str accept = STR("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_int_equal(metrics_format_for(accept), METRICS_OPENMETRICS);
    assert_int_equal(metrics_format_for(STR("*/*")), METRICS_PROMETHEUS);
    assert_int_equal(metrics_format_for(STR_NONE), METRICS_PROMETHEUS);
    assert_non_null(strstr(metrics_content_type(METRICS_PROMETHEUS), "0.0.4"));
}

static void test_same_series(void **state)
{
    assert_ptr_equal(metrics_family(m, &length), metrics_family(m, &length));
    struct metric *one = series1(&length, STR("x"));
    assert_ptr_equal(one, series1(&length, STR("x")));
    assert_ptr_not_equal(one, series1(&length, STR("xx")));
    struct metric_family *f = metrics_family(m, &requests);
    assert_ptr_not_equal(metric_series(f, (struct str[]){STR("ab"), STR("c")}),
                         metric_series(f, (struct str[]){STR("a"), STR("bc")}));
}

static int count_series(const char *name)
{
    struct str rest = str_from(written(METRICS_PROMETHEUS)), line;
    int count = 0;
    while (str_split(&rest, '\n', &line))
        count += str_starts(line, str_from(name));
    return count;
}

static void test_too_many_series_are_other(void **state)
{
    char name[32];
    for (int i = 0; i < 3 * METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof(name), "model-%d", i);
        metric_add(series1(&length, str_from(name)), 1);
    }
    assert_int_equal(count_series("inference_queue_length{"), METRIC_SERIES_MAX);
    assert_true(metric_value(series1(&length, STR("other"))) == 2 * METRIC_SERIES_MAX + 1);
    assert_true(metric_value(series1(&length, STR("model-5"))) == 1);
}

static void test_long_values_are_cut(void **state)
{
    char big[1000];
    memset(big, 'x', sizeof(big));
    series1(&length, (struct str){big, sizeof(big)});
    assert_non_null(strstr(written(METRICS_PROMETHEUS), "xxx\"} 0\n"));
    assert_in_range(out.len, 256, 512);
}

static void test_removal(void **state)
{
    struct str gone = STR("gone");
    struct metric *series = series1(&length, gone);
    metric_set(series, 3);
    metric_remove(metrics_family(m, &length), &gone);
    metric_remove(metrics_family(m, &length), &gone);
    metric_remove(metrics_family(m, &length), &(struct str){"never", 5});
    assert_int_equal(count_series("inference_queue_length{"), 0);
    metric_set(series, 4); /* still memory */
    assert_ptr_equal(series1(&length, gone), series);
    assert_true(metric_value(series) == 0);
    assert_int_equal(count_series("inference_queue_length{"), 1);
}

/* Replicas come and go for ever: memory stays bounded and new ones keep their own series. */
static void test_removed_series_are_reused(void **state)
{
    char name[32], before[32] = "none";
    for (int i = 0; i < 3 * METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof(name), "replica-%d", i);
        metric_observe(series1(&duration, str_from(name)), 1);
        assert_true(metric_value(series1(&duration, str_from(name))) == 1);
        metric_remove(metrics_family(m, &duration), &(struct str){before, strlen(before)});
        strcpy(before, name);
    }
    assert_int_equal(count_series("inference_duration_seconds_count{"), 1);
    assert_non_null(strstr(written(METRICS_PROMETHEUS), "{model_name=\"replica-2999\",le="));
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *count_much(void *arg)
{
    struct metric *counter =
        metric_series(metrics_family(m, &requests), (struct str[]){STR("t"), STR("")});
    struct metric *time = series1(&duration, STR("t"));
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(counter, 1);
        metric_observe(time, i % 3);
        char name[32];
        snprintf(name, sizeof(name), "model-%d", i % 50);
        metric_add(series1(&length, str_from(name)), 1);
    }
    return NULL;
}

static void *scrape_much(void *arg)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 50; i++) {
        buf_clear(&text);
        metrics_write(m, METRICS_OPENMETRICS, &text);
        assert_int_equal(text.error, 0);
    }
    buf_fini(&text);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS + 1];
    for (int i = 0; i <= THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < THREADS ? count_much : scrape_much, NULL), 0);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(metric_value(series1(&duration, STR("t"))) == THREADS * ROUNDS);
    double models = 0;
    char name[32];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "model-%d", i);
        models += metric_value(series1(&length, str_from(name)));
    }
    assert_true(models == THREADS * ROUNDS);
    assert_non_null(strstr(written(METRICS_PROMETHEUS), "status=\"\"} 20000\n"));
}

static void test_promtool(void **state)
{
    if (system("command -v promtool >/dev/null") != 0) {
        printf("SKIPPED: no promtool (package prometheus); the text format goes unchecked\n");
        skip();
    }
    fill();
    FILE *tool = popen("promtool check metrics >/dev/null", "w");
    assert_non_null(tool);
    written(METRICS_PROMETHEUS);
    assert_int_equal(fwrite(out.ptr, 1, out.len, tool), out.len);
    assert_int_equal(pclose(tool), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_prometheus_text),
        TEST(test_openmetrics_text),
        TEST(test_same_series),
        TEST(test_too_many_series_are_other),
        TEST(test_long_values_are_cut),
        TEST(test_removal),
        TEST(test_removed_series_are_reused),
        TEST(test_threads),
        TEST(test_promtool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
