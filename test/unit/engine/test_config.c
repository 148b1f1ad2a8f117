/* SPDX-License-Identifier: Apache-2.0 */
/* Flags, environment, defaults, and the words for what is wrong. */
#include "engine/config.h"

#include "test.h"

static struct engine_config config;
static struct err err;

static int clean(void **state)
{
    static const char *const names[] = {
        "MODEL_PATH", "MODEL_NAME", "MAX_CONCURRENT_REQUESTS", "MAX_MODEL_LEN",
        "LOG_FORMAT", "LOG_LEVEL",  "GPU_MEMORY_UTILIZATION",  "TENSOR_PARALLEL_SIZE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    return 0;
}

static int read_line(const char *line)
{
    static char program[] = "fairway-engine", copy[512];
    char *argv[16] = {program}, *save;
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return engine_config_read(argc, argv, &config, &err);
}

static bool is(struct str text, const char *expected)
{
    return str_eq(text, str_from(expected));
}

static void test_defaults(void **state)
{
    assert_int_equal(read_line("--model models/chat.Q4.gguf"), 0);
    assert_true(is(config.name, "chat.Q4"));
    assert_true(is(config.host, "127.0.0.1"));
    assert_int_equal(config.port, 8000);
    assert_int_equal(config.slots, 32);
    assert_int_equal(config.length_max, 4096);
    assert_int_equal(config.micro_batch, 32);
    assert_int_equal(config.drain_timeout, SEC(30));
    assert_true(config.threads >= 1 && !config.simulated);
}

static void test_the_environment_is_read_and_flags_win(void **state)
{
    setenv("MODEL_PATH", "/a/b.gguf", 1);
    setenv("MODEL_NAME", "demo", 1);
    setenv("MAX_CONCURRENT_REQUESTS", "7", 1);
    setenv("MAX_MODEL_LEN", "999", 1);
    assert_int_equal(read_line("--context=2048 --port 0"), 0);
    assert_true(is(config.model, "/a/b.gguf") && is(config.name, "demo"));
    assert_int_equal(config.slots, 7);
    assert_int_equal(config.length_max, 2048);
    assert_int_equal(config.port, 0);
    setenv("MAX_CONCURRENT_REQUESTS", "many", 1);
    assert_int_equal(read_line(""), ERR_INVALID);
    assert_string_equal(err.message,
                        "MAX_CONCURRENT_REQUESTS: \"many\": expected a whole number from 1 to 256");
}

static void test_simulation(void **state)
{
    assert_int_equal(read_line("--simulate prefill=100,startup=1s500ms,fail=0.25,slots=3"), 0);
    assert_true(config.simulated && is(config.name, "simulated"));
    assert_true(config.profile.prefill == 100 && config.profile.decode == 50);
    assert_int_equal(config.profile.startup, MSEC(1500));
    assert_true(config.profile.fail == 0.25);
    assert_int_equal(config.slots, 3);
    assert_int_equal(read_line("--simulate cache=1000"), 0);
    assert_int_equal(config.profile.cache, 1000);
    assert_int_equal(read_line("--simulate= --slots 5"), 0);
    assert_int_equal(config.profile.slots, 5);
    assert_int_equal(read_line("--simulate fail=2"), ERR_INVALID);
    assert_non_null(strstr(err.message, "fail=2: expected a share from 0 to 1"));
    assert_int_equal(read_line("--simulate speed=2"), ERR_INVALID);
    assert_non_null(strstr(err.message, "unknown key \"speed\""));
}

static void test_wrong_usage(void **state)
{
    assert_int_equal(read_line(""), ERR_INVALID);
    assert_non_null(strstr(err.message, "no model"));
    assert_int_equal(read_line("--model x --port"), ERR_INVALID);
    assert_non_null(strstr(err.message, "--port needs a value"));
    assert_int_equal(read_line("--model x --slots 0"), ERR_INVALID);
    assert_int_equal(read_line("--model x --slots=257"), ERR_INVALID);
    assert_int_equal(read_line("--model x --step soon"), ERR_INVALID);
    assert_int_equal(read_line("--model x --log-format xml"), ERR_INVALID);
    assert_int_equal(read_line("--nothing"), ERR_INVALID);
    assert_int_equal(read_line("--help"), 0);
    assert_true(config.help);
}

static void test_help_names_every_option(void **state)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    engine_config_help(&text);
    assert_non_null(strstr(buf_cstr(&text), "MAX_CONCURRENT_REQUESTS"));
    assert_non_null(strstr(text.ptr, "--drain-timeout"));
    assert_non_null(strstr(text.ptr, "crash_after"));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, clean),
        cmocka_unit_test_setup_teardown(test_the_environment_is_read_and_flags_win, clean, clean),
        cmocka_unit_test_setup(test_simulation, clean),
        cmocka_unit_test_setup(test_wrong_usage, clean),
        cmocka_unit_test(test_help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
