/* SPDX-License-Identifier: Apache-2.0 */
/* What keys.c and keys_json.c share: the table's inside. */
#ifndef FAIRWAY_STORE_KEYS_INTERNAL_H
#define FAIRWAY_STORE_KEYS_INTERNAL_H

#include <openssl/types.h>

#include "store/keys.h"
#include "store/store_internal.h"

enum { KEY_HASH_SIZE = 32, KEY_TABLE_MAX = 64 << 20 /* bytes */ };

struct key_entry {
    unsigned char hash[KEY_HASH_SIZE];
    struct key_info info;
};

struct key_table {
    struct arena arena;
    unsigned char secret[STORE_SECRET_SIZE];
    EVP_MAC_CTX *hasher;       /* own; from the secret */
    struct key_entry *entries; /* of the arena; by hash */
    size_t count;
};

/* Empty. The secret may be set until key_table_seal. */
struct key_table *key_table_new(void);
/* From here on keys can be found and nothing changes. */
void key_table_seal(struct key_table *t);

#endif
