/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/keys: make, list, delete. A key's text is in the answer to its making and nowhere else. */
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "store/keys.h"

enum { KEYS_ARENA_MAX = 16 * 1024 * 1024 };

static void send_empty(struct http_exchange *x)
{
    struct admin_reply r;
    admin_begin(&r);
    json_object(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}

/* {"name": ..., "tenant": ... (the name), "expiresIn": "30d" (never)} */
static int read_wanted(struct arena *a, struct str body, struct key_info *ret_wanted,
                       struct err *err)
{
    struct json *tree;
    nsec lifetime;
    int error = json_parse(a, body, &tree, err);
    if (error)
        return error;
    const struct json *name = json_get(tree, STR("name"));
    const struct json *tenant = json_get(tree, STR("tenant"));
    const struct json *expires = json_get(tree, STR("expiresIn"));
    if (!name || name->type != JSON_STRING)
        return err_set(err, ERR_INVALID, "name: is required");
    if (tenant && tenant->type != JSON_STRING)
        return err_set(err, ERR_INVALID, "tenant: must be text");
    nsec now = clock_wall();
    *ret_wanted =
        (struct key_info){name->text, tenant ? tenant->text : name->text, now, NSEC_NEVER};
    if (!expires)
        return 0;
    if (expires->type != JSON_STRING || nsec_parse(expires->text, &lifetime) || lifetime <= 0)
        return err_set(err, ERR_INVALID, "expiresIn: must be a duration like 12h or 30d");
    ret_wanted->expires = nsec_after(now, lifetime);
    return 0;
}

static void put_info(struct json_writer *w, const struct key_info *info)
{
    char created[CLOCK_RFC3339_MAX], expires[CLOCK_RFC3339_MAX];
    json_member_str(w, STR("name"), info->name);
    json_member_str(w, STR("tenant"), info->tenant);
    json_member_str(w, STR("created"), str_from(clock_rfc3339(info->created, created)));
    if (info->expires != NSEC_NEVER)
        json_member_str(w, STR("expires"), str_from(clock_rfc3339(info->expires, expires)));
}

void admin_post_key(struct controller *c, struct http_exchange *x, struct str rest)
{
    char key[KEY_TEXT_MAX];
    struct admin_reply r;
    struct arena a;
    struct err err;
    struct key_info wanted;
    arena_init(&a, KEYS_ARENA_MAX);
    int error = read_wanted(&a, http_exchange_request(x)->body, &wanted, &err);
    if (!error)
        error = keys_create(c->store, &wanted, key, &err);
    if (!error)
        error = controller_publish_keys(c, &err);
    if (error) {
        admin_fail(x, &err);
    } else {
        admin_begin(&r);
        json_object(&r.json);
        put_info(&r.json, &wanted);
        json_member_str(&r.json, STR("key"), str_from(key));
        json_end(&r.json);
        admin_send(&r, x, 201);
    }
    arena_fini(&a);
}

void admin_get_keys(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct key_info *keys;
    struct admin_reply r;
    struct arena a;
    struct err err;
    size_t count;
    arena_init(&a, KEYS_ARENA_MAX);
    int error = keys_list(c->store, &a, &keys, &count, &err);
    if (error) {
        admin_fail(x, &err);
        arena_fini(&a);
        return;
    }
    admin_begin(&r);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    for (size_t i = 0; i < count; i++) {
        json_object(&r.json);
        put_info(&r.json, &keys[i]);
        json_end(&r.json);
    }
    json_end(&r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
    arena_fini(&a);
}

void admin_delete_key(struct controller *c, struct http_exchange *x, struct str name)
{
    struct err err;
    if (keys_delete(c->store, name, &err) || controller_publish_keys(c, &err))
        admin_fail(x, &err);
    else
        send_empty(x);
}
