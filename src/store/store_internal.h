/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/store share. */
#ifndef FAIRWAY_STORE_INTERNAL_H
#define FAIRWAY_STORE_INTERNAL_H

#include "store/db.h"
#include "store/store.h"

enum { STORE_SECRET_SIZE = 32 };

struct store {
    struct db *db;                           /* own */
    unsigned char secret[STORE_SECRET_SIZE]; /* the key of the hashes of API keys */
};

#endif
