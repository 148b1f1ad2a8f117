/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(struct str bytes)
{
    return XXH3_64bits(bytes.ptr, bytes.len);
}
