/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/admission.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "gateway/reply.h"
#include "gateway/tenants.h"

enum { TOKENS_PRICED = 1000000 };

uint64_t admission_cost(const struct openai_usage *u, const struct routes_price *price)
{
    uint64_t cached = MIN(u->cached_tokens, u->prompt_tokens);
    uint64_t cached_price = price->cached_input ? price->cached_input : price->input;
    unsigned __int128 sum = (unsigned __int128)(u->prompt_tokens - cached) * price->input +
                            (unsigned __int128)cached * cached_price +
                            (unsigned __int128)u->completion_tokens * price->output;
    sum = (sum + TOKENS_PRICED / 2) / TOKENS_PRICED;
    return sum > LIMIT_AMOUNT_MAX ? LIMIT_AMOUNT_MAX : (uint64_t)sum;
}

static bool is_money(enum limit_kind kind)
{
    return kind == LIMIT_BUDGET_PER_DAY || kind == LIMIT_BUDGET_PER_MONTH;
}

static void format_amount(enum limit_kind kind, uint64_t amount, char text[32])
{
    if (is_money(kind))
        snprintf(text, 32, "%.6f", (double)amount / 1e6);
    else
        snprintf(text, 32, "%" PRIu64, amount);
}

static void refuse(struct flight_request *r, const struct limit_refusal *why)
{
    char message[256], limit[32], left[32];
    format_amount(why->kind, why->limit, limit);
    format_amount(why->kind, why->left, left);
    snprintf(message, sizeof(message), "The limit of the tenant '%.*s' is %s %s; %s are left%s.",
             (int)MIN(r->tenant->tenant->name.len, (size_t)64), r->tenant->tenant->name.ptr, limit,
             limit_text(why->kind), left,
             why->too_big ? ", and this request alone wants more than the whole limit" : "");
    const struct api_error e = {.status = 429,
                                .message = str_from(message),
                                .code = is_money(why->kind) ? STR("insufficient_quota")
                                                            : STR("rate_limit_exceeded")};
    /* Something of its own must end first: soon is the best guess. */
    nsec wait = why->retry_after != NSEC_NEVER ? why->retry_after : NSEC_PER_SEC;
    reply_error(r->exchange, &e, why->too_big ? 0 : MAX(wait, (nsec)1), STR_NONE, &r->rates);
}

bool admission_reserve(struct flight_request *r)
{
    const struct openai_usage estimate = {.prompt_tokens = r->input_tokens,
                                          .completion_tokens = r->output_tokens};
    const struct limit_want want = {.tokens = r->input_tokens + r->output_tokens,
                                    .cost = admission_cost(&estimate, &r->target->model->price)};
    struct limit_refusal why;
    struct limit_snapshot left;
    int error =
        tenant_reserve(r->tenant->tenant, &r->tenant->rules->limits, &want, &r->hold, &why, &left);
    rate_headers_init(&r->rates, &left);
    if (!error)
        return true;
    refuse(r, &why);
    buf_fini(&r->take_body);
    mem_free(r->take_blocks);
    return false;
}
