/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway knows: /v1/requests/ID, and /v1/load?requests=N (models, and the newest N requests). */
#include "controller/admin_internal.h"

enum { REQUESTS_SHOWN = 20, REQUESTS_MOST = 1000 };

void admin_get_request(struct controller *c, struct http_exchange *x, struct str id)
{
    struct admin_reply r;
    struct err err;
    admin_begin(&r);
    json_object(&r.json);
    if (c->options.write_request(c->options.ctx, id, &r.json)) {
        json_end(&r.json);
        admin_send(&r, x, 200);
        return;
    }
    buf_fini(&r.text);
    err_set(&err, ERR_NOT_FOUND,
            "no request '%.*s' is known; the gateway keeps the newest few thousand",
            (int)MIN(id.len, (size_t)64), id.ptr);
    admin_fail(x, &err);
}

void admin_get_load(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct str requests = admin_query(http_exchange_request(x)->query, STR("requests"));
    uint64_t max = REQUESTS_SHOWN;
    struct admin_reply r;
    if (requests.ptr)
        (void)!str_to_u64(requests, &max);
    admin_begin(&r);
    json_object(&r.json);
    c->options.write_load(c->options.ctx, MIN(max, (uint64_t)REQUESTS_MOST), &r.json);
    json_end(&r.json);
    admin_send(&r, x, 200);
}
