/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, for the tests of src/store. */
#ifndef FAIRWAY_STORE_TEST_H
#define FAIRWAY_STORE_TEST_H

#include <unistd.h>

#include "store/store.h"
#include "test.h"

struct test_store {
    char folder[64];
    char path[96];
    struct store *store;
    struct arena arena;
    struct err err;
};

static inline void test_store_open(struct test_store *t)
{
    if (store_open(t->path, &t->store, &t->err))
        fail_msg("%s", t->err.message);
}

static inline void test_store_init(struct test_store *t)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(t->folder, sizeof(t->folder), "%.40s/fairway-test-XXXXXX",
             temporary ? temporary : "/tmp");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof(t->path), "%s/store.db", t->folder);
    arena_init(&t->arena, 64 << 20);
    test_store_open(t);
}

static inline void test_store_fini(struct test_store *t)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    store_close(t->store);
    arena_fini(&t->arena);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char path[112];
        snprintf(path, sizeof(path), "%s%s", t->path, suffixes[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(t->folder), 0);
}

/* A model as `fairway apply` would read it. */
static inline struct resource *test_model(struct arena *a, const char *name, int replicas)
{
    struct resource **resources;
    size_t count;
    struct err err;
    struct str text = arena_printf(a,
                                   "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: %s}\n"
                                   "spec: {engine: {type: simulate}, replicas: %d}\n",
                                   name, replicas);
    if (resource_read(a, text, &resources, &count, &err))
        fail_msg("%s", err.message);
    return resources[0];
}

#endif
