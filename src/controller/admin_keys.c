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

static int create(struct controller *c, struct str body, struct arena *a, struct str *ret_name,
                  char key[KEY_TEXT_MAX], struct err *err)
{
    struct json *tree;
    int error = json_parse(a, body, &tree, err);
    if (error)
        return error;
    const struct json *name = json_get(tree, STR("name"));
    if (!name || name->type != JSON_STRING)
        return err_set(err, ERR_INVALID, "name: is required");
    *ret_name = name->text;
    return keys_create(c->store, name->text, clock_wall(), key, err);
}

void admin_post_key(struct controller *c, struct http_exchange *x, struct str rest)
{
    char key[KEY_TEXT_MAX];
    struct admin_reply r;
    struct arena a;
    struct err err;
    struct str name = STR_NONE;
    arena_init(&a, KEYS_ARENA_MAX);
    int error = create(c, http_exchange_request(x)->body, &a, &name, key, &err);
    if (!error)
        error = controller_publish_keys(c, &err);
    if (error) {
        admin_fail(x, &err);
    } else {
        admin_begin(&r);
        json_object(&r.json);
        json_key(&r.json, STR("name"));
        json_str(&r.json, name);
        json_key(&r.json, STR("key"));
        json_str(&r.json, str_from(key));
        json_end(&r.json);
        admin_send(&r, x, 201);
    }
    arena_fini(&a);
}

void admin_get_keys(struct controller *c, struct http_exchange *x, struct str rest)
{
    char created[CLOCK_RFC3339_MAX];
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
        json_key(&r.json, STR("name"));
        json_str(&r.json, keys[i].name);
        json_key(&r.json, STR("created"));
        json_str(&r.json, str_from(clock_rfc3339(keys[i].created, created)));
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
