/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API keys: made at random (256 bits), shown once, stored as HMAC-SHA256 under the store's secret.
 *
 * A key belongs to a tenant, which may have several, and may expire.
 *
 * The gateway checks keys against a table in memory, never against the store: load one, swap it in,
 * free the old one. Ownership: a table is its loader's. Thread rule: any thread; a table does not
 * change, any number of threads may look things up in it.
 */
#ifndef FAIRWAY_STORE_KEYS_H
#define FAIRWAY_STORE_KEYS_H

#include "store/store.h"

enum { KEY_TEXT_MAX = 48 };

struct key_info {
    struct str name, tenant; /* DNS labels */
    nsec created, expires;   /* wall clock; expires NSEC_NEVER: it does not */
};

/* "fw-" and 43 characters. ERR_CONFLICT if there is a key of that name. */
[[nodiscard]] int keys_create(struct store *s, const struct key_info *wanted,
                              char ret_key[KEY_TEXT_MAX], struct err *err);
[[nodiscard]] int keys_delete(struct store *s, struct str name, struct err *err);

[[nodiscard]] int keys_list(struct store *s, struct arena *a, struct key_info **ret_keys,
                            size_t *ret_count, struct err *err); /* by name */

struct key_table;

[[nodiscard]] int key_table_load(struct store *s, struct key_table **ret_table, struct err *err);
void key_table_free(struct key_table *t); /* NULL is fine */
size_t key_table_count(const struct key_table *t);

/* Borrowed from the table; NULL if the text is no key of ours. Whether it has expired is the
 * caller's question. */
const struct key_info *key_table_find(const struct key_table *t, struct str key);
const struct key_info *key_table_at(const struct key_table *t, size_t i); /* i < count */

#endif
