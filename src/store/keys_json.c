/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys_json.h"

#include "api/wire.h"
#include "store/keys_internal.h"

static const struct wire_field table_fields[] = {
    {"secret", WIRE_HEX, WIRE_AT(struct key_table, secret), .required = true},
    {.name = NULL},
};

#define AT(member) WIRE_AT(struct key_entry, member)
static const struct wire_field entry_fields[] = {
    {"hash", WIRE_HEX, AT(hash), .required = true},
    {"name", WIRE_TEXT, AT(info.name), .required = true},
    {"tenant", WIRE_TEXT, AT(info.tenant), .required = true},
    {"createdNs", WIRE_SIGNED, AT(info.created)},
    {"expiresNs", WIRE_SIGNED, AT(info.expires)},
    {.name = NULL},
};
#undef AT

void key_table_write_json(const struct key_table *t, struct json_writer *w)
{
    json_object(w);
    wire_write(table_fields, t, w);
    json_key(w, STR("keys"));
    json_array(w);
    for (size_t i = 0; i < t->count; i++) {
        json_object(w);
        wire_write(entry_fields, &t->entries[i], w);
        json_end(w);
    }
    json_end(w);
    json_end(w);
}

static void read_entry(struct wire_reader *r, const struct json *node, void *owner)
{
    struct key_table *t = owner;
    struct key_entry *entry = &t->entries[t->count++];
    entry->info.expires = NSEC_NEVER;
    wire_read(r, entry_fields, node, entry);
}

static void read_entries(struct wire_reader *r, const struct json *object, struct key_table *t)
{
    const struct json *list = json_get(object, STR("keys"));
    if (!list)
        wire_fail(r, "keys", "is missing");
    if (r->error)
        return;
    t->entries = arena_array(&t->arena, list->count, sizeof(struct key_entry));
    if (t->entries)
        wire_each(r, object, "keys", WIRE_FORWARD, read_entry, t);
    else
        r->error = err_set(r->err, ERR_NO_MEMORY, "the keys need too much memory");
}

int key_table_read_json(const struct json *object, struct key_table **ret_table, struct err *err)
{
    struct wire_reader r;
    struct key_table *t = key_table_new();
    wire_reader_init(&r, &t->arena, err);
    wire_read(&r, table_fields, object, t);
    read_entries(&r, object, t);
    if (r.error) {
        key_table_free(t);
        return r.error;
    }
    key_table_seal(t);
    *ret_table = t;
    return 0;
}
