/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/names.h"
#include "base/mem.h"
#include "store/keys_internal.h"

enum { KEY_BYTES = 32 };

/* ---- hashing ---- */

/* A context with the secret in it, from which every hash starts as a copy. */
static EVP_MAC_CTX *new_hasher(const unsigned char secret[STORE_SECRET_SIZE])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    CHECK(mac);
    EVP_MAC_CTX *hasher = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    CHECK(hasher && EVP_MAC_init(hasher, secret, STORE_SECRET_SIZE, params) == 1);
    return hasher;
}

static void hash_key(const EVP_MAC_CTX *hasher, struct str key, unsigned char hash[KEY_HASH_SIZE])
{
    size_t size;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(hasher);
    CHECK(ctx && EVP_MAC_update(ctx, (const unsigned char *)key.ptr, key.len) == 1);
    CHECK(EVP_MAC_final(ctx, hash, &size, KEY_HASH_SIZE) == 1 && size == KEY_HASH_SIZE);
    EVP_MAC_CTX_free(ctx);
}

/* ---- the stored keys ---- */

static void make_key(char text[KEY_TEXT_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[KEY_BYTES + 1] = {0}; /* the last group of six bits is padded with zeros */
    CHECK(RAND_bytes(bytes, KEY_BYTES) == 1);
    char *to = text + sprintf(text, "fw-");
    for (size_t bit = 0; bit < KEY_BYTES * 8; bit += 6) {
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
        *to++ = digits[pair >> (10 - bit % 8) & 63];
    }
    *to = 0;
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

static int check_label(const char *what, struct str text, struct err *err)
{
    const char *problem = name_check_dns_label(text);
    if (!problem)
        return 0;
    return err_set(err, ERR_INVALID, "%s \"%.*s\" %s", what, (int)MIN(text.len, (size_t)64),
                   text.ptr, problem);
}

int keys_create(struct store *s, const struct key_info *wanted, char ret_key[KEY_TEXT_MAX],
                struct err *err)
{
    char key[KEY_TEXT_MAX];
    unsigned char hash[KEY_HASH_SIZE];
    struct query q;
    if (check_label("key name", wanted->name, err) || check_label("tenant", wanted->tenant, err))
        return ERR_INVALID;
    make_key(key);
    EVP_MAC_CTX *hasher = new_hasher(s->secret);
    hash_key(hasher, str_from(key), hash);
    EVP_MAC_CTX_free(hasher);
    db_lock(s->db);
    query_begin(&q, s->db,
                "INSERT INTO keys (name, hash, created, tenant, expires) VALUES (?, ?, ?, ?, ?)");
    query_bind_str(&q, wanted->name);
    query_bind_blob(&q, (struct str){(const char *)hash, sizeof(hash)});
    query_bind_int(&q, wanted->created);
    query_bind_str(&q, wanted->tenant);
    query_bind_int(&q, wanted->expires);
    int error = query_end(&q, err);
    db_unlock(s->db);
    if (error == ERR_CONFLICT)
        return err_set(err, error, "there is a key named %.*s; delete it first",
                       STR_ARG(wanted->name));
    if (!error)
        memcpy(ret_key, key, sizeof(key));
    return error;
}

int keys_delete(struct store *s, struct str name, struct err *err)
{
    struct query q;
    db_lock(s->db);
    query_begin(&q, s->db, "DELETE FROM keys WHERE name = ?");
    query_bind_str(&q, name);
    int error = query_end(&q, err);
    if (!error && db_changes(s->db) == 0)
        error = err_set(err, ERR_NOT_FOUND, "key %.*s: not found", STR_ARG(name));
    db_unlock(s->db);
    return error;
}

#define KEY_COLUMNS "name, tenant, created, expires"

static struct key_info read_info(struct query *q, struct arena *a)
{
    return (struct key_info){query_str(q, 0, a), query_str(q, 1, a), query_int(q, 2),
                             query_int(q, 3)};
}

int keys_list(struct store *s, struct arena *a, struct key_info **ret_keys, size_t *ret_count,
              struct err *err)
{
    struct query q;
    struct buf rows;
    buf_init(&rows, a->cap);
    db_lock(s->db);
    query_begin(&q, s->db, "SELECT " KEY_COLUMNS " FROM keys ORDER BY name");
    while (query_row(&q)) {
        struct key_info info = read_info(&q, a);
        buf_put(&rows, (struct str){(const char *)&info, sizeof(info)});
    }
    int error = query_end(&q, err);
    db_unlock(s->db);
    struct key_info *keys = query_rows(&rows, a);
    if (!error && !keys)
        error = err_set(err, ERR_NO_MEMORY, "the keys need too much memory");
    if (!error) {
        *ret_keys = keys;
        *ret_count = rows.len / sizeof(struct key_info);
    }
    buf_fini(&rows);
    return error;
}

/* ---- the table ---- */

/* The order in which entries are found reveals nothing: nobody can choose a hash without the
 * secret. Only the last comparison decides, and it takes the same time wherever they differ. */
static uint64_t place_of(const unsigned char *hash)
{
    uint64_t place = 0;
    for (int i = 0; i < 8; i++)
        place = place << 8 | hash[i];
    return place;
}

struct key_table *key_table_new(void)
{
    struct key_table *t = NEW(struct key_table);
    arena_init(&t->arena, KEY_TABLE_MAX);
    return t;
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(((const struct key_entry *)a)->hash, ((const struct key_entry *)b)->hash,
                  KEY_HASH_SIZE);
}

void key_table_seal(struct key_table *t)
{
    if (t->entries)
        qsort(t->entries, t->count, sizeof(struct key_entry), compare_hashes);
    t->hasher = new_hasher(t->secret);
}

int key_table_load(struct store *s, struct key_table **ret_table, struct err *err)
{
    struct query q;
    struct buf rows;
    struct key_table *t = key_table_new();
    buf_init(&rows, KEY_TABLE_MAX);
    memcpy(t->secret, s->secret, sizeof(t->secret));
    db_lock(s->db);
    query_begin(&q, s->db, "SELECT " KEY_COLUMNS ", hash FROM keys WHERE length(hash) = 32");
    while (query_row(&q)) {
        struct str hash = query_str(&q, 4, &t->arena);
        struct key_entry entry = {.info = read_info(&q, &t->arena)};
        if (hash.len == KEY_HASH_SIZE)
            memcpy(entry.hash, hash.ptr, KEY_HASH_SIZE);
        buf_put(&rows, (struct str){(const char *)&entry, sizeof(entry)});
    }
    int error = query_end(&q, err);
    db_unlock(s->db);
    t->count = rows.len / sizeof(struct key_entry);
    t->entries = query_rows(&rows, &t->arena);
    if (!error && !t->entries)
        error = err_set(err, ERR_NO_MEMORY, "the keys need too much memory");
    buf_fini(&rows);
    if (error) {
        key_table_free(t);
        return error;
    }
    key_table_seal(t);
    *ret_table = t;
    return 0;
}

void key_table_free(struct key_table *t)
{
    if (!t)
        return;
    EVP_MAC_CTX_free(t->hasher);
    OPENSSL_cleanse(t->secret, sizeof(t->secret));
    arena_fini(&t->arena);
    mem_free(t);
}

size_t key_table_count(const struct key_table *t)
{
    return t->count;
}

const struct key_info *key_table_at(const struct key_table *t, size_t i)
{
    CHECK(i < t->count);
    return &t->entries[i].info;
}

const struct key_info *key_table_find(const struct key_table *t, struct str key)
{
    unsigned char hash[KEY_HASH_SIZE];
    hash_key(t->hasher, key, hash);
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_of(t->entries[middle].hash) < place_of(hash))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < t->count && place_of(t->entries[low].hash) == place_of(hash); low++) {
        if (CRYPTO_memcmp(t->entries[low].hash, hash, KEY_HASH_SIZE) == 0)
            return &t->entries[low].info;
    }
    return NULL;
}
