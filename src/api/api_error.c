/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_error.h"

#include "base/json.h"

const char *api_error_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 429:
        return "rate_limit_error";
    case 503:
    case 504:
        return "service_unavailable_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

static void put_or_null(struct json_writer *w, struct str key, struct str value)
{
    json_key(w, key);
    if (value.ptr)
        json_str(w, value);
    else
        json_null(w);
}

void api_error_write(const struct api_error *e, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_key(&w, STR("error"));
    json_object(&w);
    put_or_null(&w, STR("message"), e->message);
    put_or_null(&w, STR("type"), str_from(api_error_type(e->status)));
    put_or_null(&w, STR("param"), e->param);
    put_or_null(&w, STR("code"), e->code);
    json_end(&w);
    json_end(&w);
}
