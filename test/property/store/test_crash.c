/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer is killed with SIGKILL at random moments, 50 times over on one store. Each time: the
 * file is whole, every change that was acknowledged is there, and at most the one in flight besides.
 */
#include <signal.h>
#include <sys/wait.h>

#include "api/model.h"
#include "unit/store/store_test.h"

enum { KILLS = 50, MODELS = 5 };

static const char *const names[MODELS] = {"a", "b", "c", "d", "e"};

/* Change number n: model n % MODELS gets n replicas (and a replica's row, and an event). */
static void write_change(struct store *s, int n)
{
    struct arena a;
    struct resource *stored;
    enum store_outcome outcome;
    struct str name = str_from(names[n % MODELS]);
    arena_init(&a, 1 << 20);
    struct resource *wanted = test_model(&a, names[n % MODELS], n % 1000);
    wanted->metadata.annotations =
        (struct schema_map){&(struct schema_pair){STR("n"), arena_printf(&a, "%d", n)}, 1};
    if (store_put(s, &a, wanted, n, &stored, &outcome, NULL) ||
        store_put_replica(s, &(struct store_replica){.id = name, .pid = n}, NULL) ||
        store_add_event(s, &(struct store_event){.at = n, .name = name}, NULL))
        _exit(1);
    arena_fini(&a);
}

static void write_for_ever(const char *path, int first, int acknowledge)
{
    struct store *s;
    if (store_open(path, &s, NULL))
        _exit(1);
    for (int n = first;; n++) {
        write_change(s, n);
        if (write(acknowledge, &n, sizeof(n)) != sizeof(n))
            _exit(1);
    }
}

static int change_of(struct test_store *t, const char *name)
{
    struct resource *r;
    uint64_t n = 0;
    int error = store_get(t->store, &t->arena, &model_kind, str_from(name), &r, &t->err);
    if (error == ERR_NOT_FOUND)
        return 0;
    if (error)
        fail_msg("%s", t->err.message);
    assert_int_equal(str_to_u64(r->metadata.annotations.items[0].value, &n), 0);
    assert_int_equal(model_from(r)->spec.replicas, n % 1000);
    return (int)n;
}

static void check_store(struct test_store *t, int acknowledged, uint64_t seed, int kill)
{
    struct store_replica *replicas;
    struct store_event *events;
    size_t count;
    test_store_open(t); /* checks the file's integrity */
    int models = 0;
    for (int i = 0; i < MODELS; i++) {
        int last = acknowledged - (acknowledged % MODELS - i + MODELS) % MODELS;
        int found = change_of(t, names[i]);
        PROPERTY(found == MAX(last, 0) || found == acknowledged + 1, seed, kill);
        models += found > 0;
    }
    assert_int_equal(store_list_replicas(t->store, &t->arena, &replicas, &count, &t->err), 0);
    PROPERTY(count >= (size_t)MIN(acknowledged, MODELS), seed, kill);
    for (size_t i = 0; i < count; i++)
        PROPERTY(replicas[i].pid > acknowledged - MODELS && replicas[i].pid <= acknowledged + 1,
                 seed, kill);
    assert_int_equal(
        store_list_events(t->store, &t->arena, STR_NONE, STR_NONE, 1, &events, &count, &t->err), 0);
    int newest = count ? (int)events[0].at : 0;
    PROPERTY(newest == acknowledged || newest == acknowledged + 1, seed, kill);
    PROPERTY(models >= MIN(acknowledged, MODELS), seed, kill);
    store_close(t->store);
    t->store = NULL;
    arena_reset(&t->arena);
}

static void test_nothing_acknowledged_is_lost(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    struct test_store t;
    int acknowledged = 0;
    test_store_init(&t);
    store_close(t.store);
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t writer = fork();
        assert_true(writer >= 0);
        if (writer == 0) {
            close(ends[0]);
            write_for_ever(t.path, acknowledged + 1, ends[1]);
        }
        close(ends[1]);
        for (uint64_t left = test_below(&chance, 6); left > 0; left--)
            assert_int_equal(read(ends[0], &acknowledged, sizeof(int)), sizeof(int));
        usleep((useconds_t)test_below(&chance, 4000)); /* the moment is the test's random input */
        assert_int_equal(kill(writer, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(writer, &status, 0), writer);
        assert_true(WIFSIGNALED(status));
        while (read(ends[0], &acknowledged, sizeof(int)) == sizeof(int))
            ;
        close(ends[0]);
        check_store(&t, acknowledged, seed, kill_number);
    }
    PROPERTY(acknowledged > KILLS, seed, acknowledged);
    test_store_open(&t);
    test_store_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_acknowledged_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
