/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/usage: a report of another process (store/usage_report.h).
 * GET /v1/usage?from=DAY&to=DAY&tenant=NAME&model=NAME: the ledger. DAY: "2026-01-31", UTC; the last 30 days by default. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "controller/admin_internal.h"
#include "core/limit/calendar.h"
#include "store/usage.h"
#include "store/usage_report.h"

enum {
    USAGE_ARENA_MAX = 64 * 1024 * 1024,
    DAYS_SHOWN = 30,
    DAY_TEXT_MAX = 16,
    SECONDS_PER_DAY = 86400
};

static int parse_day(struct str text, int64_t fallback, int64_t *ret_day, struct err *err)
{
    struct tm utc = {0};
    char copy[DAY_TEXT_MAX] = "";
    *ret_day = fallback;
    if (!text.ptr)
        return 0;
    if (text.len < sizeof(copy))
        memcpy(copy, text.ptr, text.len);
    const char *end = strptime(copy, "%Y-%m-%d", &utc);
    if (!end || *end)
        return err_set(err, ERR_INVALID, "'%.*s' is no day like 2026-01-31",
                       (int)MIN(text.len, (size_t)32), text.ptr);
    *ret_day = timegm(&utc) / SECONDS_PER_DAY;
    return 0;
}

static void put_row(struct json_writer *w, const struct usage *u)
{
    char day[DAY_TEXT_MAX];
    struct tm utc;
    time_t seconds = (time_t)u->day * SECONDS_PER_DAY;
    strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&seconds, &utc));
    json_object(w);
    json_member_str(w, STR("day"), str_from(day));
    json_member_str(w, STR("tenant"), u->tenant);
    json_member_str(w, STR("model"), u->model);
    json_member_int(w, STR("requests"), u->requests);
    json_member_int(w, STR("inputTokens"), u->input_tokens);
    json_member_int(w, STR("cachedTokens"), u->cached_tokens);
    json_member_int(w, STR("outputTokens"), u->output_tokens);
    json_member_double(w, STR("cost"), (double)u->cost / 1e6);
    json_end(w);
}

static int read_rows(struct controller *c, struct arena *a, struct str query,
                     struct usage **ret_rows, size_t *ret_count, struct err *err)
{
    int64_t first, last, today = calendar_day(clock_wall());
    struct str tenant = admin_query(query, STR("tenant")), model = admin_query(query, STR("model"));
    int error = parse_day(admin_query(query, STR("to")), today, &last, err);
    if (!error)
        error = parse_day(admin_query(query, STR("from")), last - DAYS_SHOWN + 1, &first, err);
    return error ? error
                 : usage_list(c->store, a, first, last, tenant, model, ret_rows, ret_count, err);
}

void admin_get_usage(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct usage *rows;
    struct admin_reply r;
    struct arena a;
    struct err err;
    size_t count;
    arena_init(&a, USAGE_ARENA_MAX);
    if (read_rows(c, &a, http_exchange_request(x)->query, &rows, &count, &err)) {
        admin_fail(x, &err);
    } else {
        admin_begin(&r);
        json_object(&r.json);
        json_key(&r.json, STR("items"));
        json_array(&r.json);
        for (size_t i = 0; i < count; i++)
            put_row(&r.json, &rows[i]);
        json_end(&r.json);
        json_end(&r.json);
        admin_send(&r, x, 200);
    }
    arena_fini(&a);
}

/* ---- reports ---- */

static int add_report(struct controller *c, struct arena *a, struct str text, struct err *err)
{
    struct usage_report report;
    bool added = false;
    int error = usage_report_read(a, text, &report, err);
    if (!error)
        error = usage_add_report(c->store, &report, clock_wall(), &added, err);
    if (!error && added) {
        c->options.add_usage(c->options.ctx, report.rows, report.count);
        gateways_settle(&c->gateways, report.sender, report.rows, report.count);
    }
    return error;
}

void admin_post_usage(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, USAGE_ARENA_MAX);
    int error = add_report(c, &a, http_exchange_request(x)->body, &err);
    admin_begin(&r);
    json_object(&r.json);
    json_end(&r.json);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}
