/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of API keys as JSON, for gateways in other processes: hashes and the secret that they are made with, never a key's
 * text, which nobody has. What is read finds the same keys.
 *
 * Members that a newer writer adds are ignored; the secret and the list must be there, because a table without keys may stand for
 * an open gateway. Who has the secret can make no key, but it is not for everybody: the text belongs on a private channel.
 * Ownership: the table that is read is the caller's; it borrows nothing from the tree. Thread rule: none.
 */
#ifndef FAIRWAY_STORE_KEYS_JSON_H
#define FAIRWAY_STORE_KEYS_JSON_H

#include "base/json.h"
#include "store/keys.h"

/* One object. */
void key_table_write_json(const struct key_table *t, struct json_writer *w);

[[nodiscard]] int key_table_read_json(const struct json *object, struct key_table **ret_table,
                                      struct err *err);

#endif
