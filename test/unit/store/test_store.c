/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "api/model.h"
#include "api/node.h"
#include "store_test.h"

static struct test_store t;
static struct resource *stored;
static enum store_outcome outcome;

static int set_up(void **state)
{
    test_store_init(&t);
    return 0;
}

static int tear_down(void **state)
{
    test_store_fini(&t);
    return 0;
}

static int put(struct resource *wanted)
{
    return store_put(t.store, &t.arena, wanted, SEC(1769860800), &stored, &outcome, &t.err);
}

static void reopen(void)
{
    store_close(t.store);
    test_store_open(&t);
}

static void test_create_and_replace(void **state)
{
    assert_int_equal(put(test_model(&t.arena, "chat", 1)), 0);
    assert_int_equal(outcome, STORE_CREATED);
    assert_int_equal(stored->metadata.generation, 1);
    assert_true(str_eq(stored->metadata.creation_timestamp, STR("2026-01-31T12:00:00.000Z")));
    assert_int_equal(stored->metadata.uid.len, 36);
    struct resource *first = stored;

    assert_int_equal(put(test_model(&t.arena, "chat", 1)), 0);
    assert_int_equal(outcome, STORE_UNCHANGED);
    assert_true(str_eq(stored->metadata.resource_version, first->metadata.resource_version));

    assert_int_equal(put(test_model(&t.arena, "chat", 2)), 0);
    assert_int_equal(outcome, STORE_CHANGED);
    assert_int_equal(stored->metadata.generation, 2);
    assert_int_equal(model_from(stored)->spec.replicas, 2);
    assert_true(str_eq(stored->metadata.uid, first->metadata.uid));
    assert_false(str_eq(stored->metadata.resource_version, first->metadata.resource_version));

    struct resource *labelled = test_model(&t.arena, "chat", 2);
    labelled->metadata.labels =
        (struct schema_map){&(struct schema_pair){STR("team"), STR("a")}, 1};
    struct str version = stored->metadata.resource_version;
    assert_int_equal(put(labelled), 0);
    assert_int_equal(outcome, STORE_CHANGED);
    assert_int_equal(stored->metadata.generation, 2); /* the spec is the same */
    assert_false(str_eq(stored->metadata.resource_version, version));
    assert_true(str_eq(stored->metadata.labels.items[0].value, STR("a")));
}

static void test_preconditions(void **state)
{
    struct resource *wanted = test_model(&t.arena, "chat", 1);
    wanted->metadata.resource_version = STR("5");
    assert_int_equal(put(wanted), ERR_CONFLICT);
    assert_non_null(strstr(t.err.message, "does not exist"));
    assert_int_equal(put(test_model(&t.arena, "chat", 1)), 0);
    struct str old = stored->metadata.resource_version;
    assert_int_equal(put(test_model(&t.arena, "chat", 2)), 0);

    wanted->metadata.resource_version = old;
    assert_int_equal(put(wanted), ERR_CONFLICT);
    assert_non_null(strstr(t.err.message, "Model chat has changed: its resourceVersion is "));
    wanted->metadata.resource_version = stored->metadata.resource_version;
    wanted->metadata.uid = STR("another");
    assert_int_equal(put(wanted), ERR_CONFLICT);
    assert_string_equal(t.err.message, "metadata.uid: cannot be changed");
    wanted->metadata.uid = stored->metadata.uid;
    assert_int_equal(put(wanted), 0);
    assert_int_equal(model_from(stored)->spec.replicas, 1);

    assert_int_equal(store_delete(t.store, &model_kind, STR("chat"), old, &t.err), ERR_CONFLICT);
    assert_int_equal(
        store_delete(t.store, &model_kind, STR("chat"), stored->metadata.resource_version, &t.err),
        0);
    assert_int_equal(store_delete(t.store, &model_kind, STR("chat"), STR_NONE, &t.err),
                     ERR_NOT_FOUND);
}

static void test_get_and_list(void **state)
{
    struct resource **list, *found;
    size_t count;
    assert_int_equal(store_get(t.store, &t.arena, &model_kind, STR("b"), &found, &t.err),
                     ERR_NOT_FOUND);
    assert_string_equal(t.err.message, "Model b: not found");
    assert_int_equal(store_list(t.store, &t.arena, &model_kind, &list, &count, &t.err), 0);
    assert_int_equal(count, 0);
    for (int i = 30; i > 0; i--) {
        char name[16];
        snprintf(name, sizeof(name), "m%02d", i);
        assert_int_equal(put(test_model(&t.arena, name, i)), 0);
    }
    struct resource *node = resource_new(&node_kind, &t.arena);
    node->metadata.name = STR("m01"); /* same name, other kind */
    assert_int_equal(put(node), 0);
    reopen();
    assert_int_equal(store_list(t.store, &t.arena, &model_kind, &list, &count, &t.err), 0);
    assert_int_equal(count, 30);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(model_from(list[i])->spec.replicas, i + 1);
    assert_int_equal(store_get(t.store, &t.arena, &node_kind, STR("m01"), &found, &t.err), 0);
    assert_ptr_equal(found->type, &node_kind);
    struct arena small;
    arena_init(&small, 4096);
    assert_int_equal(store_list(t.store, &small, &model_kind, &list, &count, &t.err),
                     ERR_NO_MEMORY);
    arena_fini(&small);
}

static void test_status(void **state)
{
    assert_int_equal(put(test_model(&t.arena, "chat", 2)), 0);
    struct resource *first = stored, *found;
    struct resource_condition condition = {.type = STR("Ready"), .status = CONDITION_TRUE};
    stored->status.ready_replicas = 2;
    stored->status.conditions = (struct schema_objects){&condition, 1};
    assert_int_equal(store_put_status(t.store, stored, &t.err), 0);
    assert_int_equal(store_get(t.store, &t.arena, &model_kind, STR("chat"), &found, &t.err), 0);
    assert_int_equal(found->status.ready_replicas, 2);
    assert_int_equal(found->status.conditions.count, 1);
    assert_int_equal(found->metadata.generation, 1);
    assert_false(str_eq(found->metadata.resource_version, first->metadata.resource_version));

    struct str version = found->metadata.resource_version;
    assert_int_equal(store_put_status(t.store, found, &t.err), 0); /* nothing new */
    assert_int_equal(store_get(t.store, &t.arena, &model_kind, STR("chat"), &found, &t.err), 0);
    assert_true(str_eq(found->metadata.resource_version, version));

    assert_int_equal(put(test_model(&t.arena, "chat", 3)), 0);
    assert_int_equal(stored->status.ready_replicas, 2); /* a put leaves it */

    found->metadata.uid = STR("an earlier one");
    assert_int_equal(store_put_status(t.store, found, &t.err), ERR_NOT_FOUND);
}

static void test_replicas(void **state)
{
    struct store_replica a = {.id = STR("chat-1"),
                              .model = STR("chat"),
                              .revision = UINT64_MAX - 2,
                              .pid = 4711,
                              .pid_start_time = UINT64_MAX,
                              .token = STR("t"),
                              .port = 8001,
                              .slots = 2,
                              .started_at = SEC(5)};
    struct store_replica b = a, *list;
    size_t count;
    b.id = STR("chat-0");
    assert_int_equal(store_put_replica(t.store, &a, &t.err), 0);
    assert_int_equal(store_put_replica(t.store, &b, &t.err), 0);
    a.slots = 4;
    assert_int_equal(store_put_replica(t.store, &a, &t.err), 0);
    reopen();
    assert_int_equal(store_list_replicas(t.store, &t.arena, &list, &count, &t.err), 0);
    assert_int_equal(count, 2);
    assert_true(str_eq(list[0].id, STR("chat-0")) && list[0].slots == 2);
    assert_true(str_eq(list[1].model, STR("chat")) && list[1].revision == UINT64_MAX - 2 &&
                list[1].pid == 4711 && list[1].pid_start_time == UINT64_MAX &&
                str_eq(list[1].token, STR("t")) && list[1].port == 8001 && list[1].slots == 4 &&
                list[1].started_at == SEC(5));
    assert_int_equal(store_delete_replica(t.store, STR("chat-1"), &t.err), 0);
    assert_int_equal(store_delete_replica(t.store, STR("chat-1"), &t.err), ERR_NOT_FOUND);
    assert_int_equal(store_list_replicas(t.store, &t.arena, &list, &count, &t.err), 0);
    assert_int_equal(count, 1);
}

static void test_events(void **state)
{
    struct store_event *list;
    size_t count;
    for (int i = 0; i < 5; i++) {
        char message[16];
        snprintf(message, sizeof(message), "message %d", i);
        struct store_event e = {.at = SEC(i),
                                .actor = STR("controller"),
                                .kind = STR("Model"),
                                .name = i % 2 ? STR("a") : STR("b"),
                                .reason = STR("Test"),
                                .message = str_from(message)};
        assert_int_equal(store_add_event(t.store, &e, &t.err), 0);
    }
    assert_int_equal(
        store_list_events(t.store, &t.arena, STR_NONE, STR_NONE, 3, &list, &count, &t.err), 0);
    assert_int_equal(count, 3);
    assert_true(str_eq(list[0].message, STR("message 4")) && list[0].at == SEC(4));
    assert_int_equal(
        store_list_events(t.store, &t.arena, STR("Model"), STR("a"), 99, &list, &count, &t.err), 0);
    assert_int_equal(count, 2);
    assert_true(str_eq(list[0].message, STR("message 3")) && str_eq(list[1].name, STR("a")));
}

static void run_sql(const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(t.path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void test_only_the_newest_events_stay(void **state)
{
    struct store_event *list;
    size_t count;
    run_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
            "INSERT INTO events (at, actor, kind, name, reason, message)"
            " SELECT i, '', '', '', '', '' FROM n");
    assert_int_equal(store_add_event(t.store, &(struct store_event){.at = 12001}, &t.err), 0);
    assert_int_equal(
        store_list_events(t.store, &t.arena, STR_NONE, STR_NONE, SIZE_MAX, &list, &count, &t.err),
        0);
    assert_int_equal(count, STORE_EVENTS_MAX);
    assert_int_equal(list[0].at, 12001);
    assert_int_equal(list[count - 1].at, 2002);
}

static void test_file_is_private(void **state)
{
    struct stat info;
    assert_int_equal(stat(t.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_newer_and_damaged_files(void **state)
{
    struct store *other;
    store_close(t.store);
    run_sql("PRAGMA user_version = 99");
    assert_int_equal(store_open(t.path, &other, &t.err), ERR_UNSUPPORTED);
    assert_non_null(strstr(t.err.message, "use a newer fairway"));

    int fd = open(t.path, O_WRONLY);
    assert_true(fd >= 0);
    static const char rubbish[8192] = "this is no database";
    assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), 0), sizeof(rubbish));
    close(fd);
    assert_int_equal(store_open(t.path, &other, &t.err), ERR_IO);
    assert_non_null(strstr(t.err.message, t.path));
    assert_non_null(strstr(t.err.message, "it is damaged"));

    unlink(t.path);
    test_store_open(&t);
    assert_int_equal(store_open("/nowhere/x.db", &other, &t.err), ERR_NOT_FOUND);
    assert_string_equal(t.err.message,
                        "cannot open the store /nowhere/x.db: No such file or directory");
}

static void *put_many(void *arg)
{
    struct arena a;
    struct err err;
    arena_init(&a, 64 << 20);
    for (int i = 1; i <= 20; i++) {
        struct resource *result;
        enum store_outcome how;
        if (store_put(t.store, &a, test_model(&a, arg, i), 0, &result, &how, &err))
            fail_msg("%s", err.message);
        assert_int_equal(result->metadata.generation, i);
    }
    arena_fini(&a);
    return NULL;
}

static void test_threads(void **state)
{
    static char names[4][4] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    struct resource **list;
    size_t count;
    assert_int_equal(store_list(t.store, &t.arena, &model_kind, &list, &count, &t.err), 0);
    assert_int_equal(count, 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_replace),
        TEST(test_preconditions),
        TEST(test_get_and_list),
        TEST(test_status),
        TEST(test_replicas),
        TEST(test_events),
        TEST(test_only_the_newest_events_stay),
        TEST(test_file_is_private),
        TEST(test_newer_and_damaged_files),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
