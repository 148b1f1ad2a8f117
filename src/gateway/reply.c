/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply.h"

#include <stdio.h>

#include "gateway/dialect.h"

enum { ERROR_BODY_MAX = 16 * 1024 };

void reply_text(struct http_exchange *x, int status, struct str content_type, struct str body)
{
    const struct http_header headers[] = {{STR("content-type"), content_type}};
    http_respond(x, status, headers, ARRAY_LEN(headers), body);
}

void reply_json(struct http_exchange *x, int status, struct str body)
{
    reply_text(x, status, STR("application/json"), body);
}

void reply_error(struct http_exchange *x, const struct api_error *e, nsec retry_after,
                 struct str request_id, const struct rate_headers *rates)
{
    const struct dialect *dialect = dialect_of(http_exchange_request(x)->path);
    struct http_header headers[6 + RATE_HEADERS_MAX] = {
        {STR("content-type"), STR("application/json")}};
    size_t count = 1;
    char seconds[24];
    if (request_id.len)
        headers[count++] = (struct http_header){STR("x-request-id"), request_id};
    if (request_id.len && dialect->id_header.len)
        headers[count++] = (struct http_header){dialect->id_header, request_id};
    if (retry_after) {
        snprintf(seconds, sizeof(seconds), "%lld",
                 (long long)((retry_after + NSEC_PER_SEC - 1) / NSEC_PER_SEC));
        headers[count++] = (struct http_header){STR("retry-after"), str_from(seconds)};
        headers[count++] = (struct http_header){STR("x-should-retry"), STR("true")};
    }
    if (e->status == 401)
        headers[count++] = (struct http_header){STR("www-authenticate"), STR("Bearer")};
    if (rates)
        count += rate_headers_put(rates, headers + count);
    struct buf body;
    buf_init(&body, ERROR_BODY_MAX);
    dialect->error(e, &body);
    http_respond(x, e->status, headers, count, buf_str(&body));
    buf_fini(&body);
}

void reply_refusal(struct http_exchange *x, int status, struct str code, struct str param,
                   struct str message)
{
    const struct api_error e = {.status = status, .message = message, .param = param, .code = code};
    reply_error(x, &e, 0, STR_NONE, NULL);
}

void reply_unknown_model(struct http_exchange *x, struct str name)
{
    char message[256];
    snprintf(message, sizeof(message),
             "The model '%.*s' does not exist. GET /v1/models lists those that do.",
             (int)MIN(name.len, (size_t)100), name.ptr);
    reply_refusal(x, 404, STR("model_not_found"), STR("model"), str_from(message));
}
