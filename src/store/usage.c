/* SPDX-License-Identifier: Apache-2.0 */
#include "store/usage.h"

#include "store/store_internal.h"

#define SENDER_KEPT (7 * 24 * SEC(3600)) /* it has ended long ago */

static int add_row(struct store *s, const struct usage *u, struct err *err)
{
    struct query q;
    query_begin(&q, s->db,
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " requests = requests + excluded.requests,"
                " input_tokens = input_tokens + excluded.input_tokens,"
                " cached_tokens = cached_tokens + excluded.cached_tokens,"
                " output_tokens = output_tokens + excluded.output_tokens,"
                " cost = cost + excluded.cost");
    query_bind_int(&q, u->day);
    query_bind_str(&q, u->tenant);
    query_bind_str(&q, u->model);
    query_bind_int(&q, u->requests);
    query_bind_int(&q, u->input_tokens);
    query_bind_int(&q, u->cached_tokens);
    query_bind_int(&q, u->output_tokens);
    query_bind_int(&q, u->cost);
    return query_end(&q, err);
}

static int add_rows(struct store *s, const struct usage *rows, size_t count, struct err *err)
{
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = add_row(s, &rows[i], err);
    return error;
}

int usage_add(struct store *s, const struct usage *rows, size_t count, struct err *err)
{
    db_lock(s->db);
    int error = db_begin(s->db, err);
    if (!error)
        error = db_end(s->db, add_rows(s, rows, count, err), err);
    db_unlock(s->db);
    return error;
}

static int note_report(struct store *s, const struct usage_report *report, nsec now, bool *ret_new,
                       struct err *err)
{
    struct query q;
    query_begin(&q, s->db,
                "INSERT INTO usage_reports VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
                " sequence = excluded.sequence, at = excluded.at"
                " WHERE sequence < excluded.sequence RETURNING sequence");
    query_bind_str(&q, report->sender);
    query_bind_int(&q, (int64_t)report->sequence);
    query_bind_int(&q, now);
    *ret_new = query_row(&q);
    return query_end(&q, err);
}

static int forget_senders(struct store *s, nsec before, struct err *err)
{
    struct query q;
    query_begin(&q, s->db, "DELETE FROM usage_reports WHERE at < ?");
    query_bind_int(&q, before);
    return query_end(&q, err);
}

int usage_add_report(struct store *s, const struct usage_report *report, nsec now, bool *ret_added,
                     struct err *err)
{
    db_lock(s->db);
    int error = db_begin(s->db, err);
    if (!error) {
        error = forget_senders(s, now - SENDER_KEPT, err);
        if (!error)
            error = note_report(s, report, now, ret_added, err);
        if (!error && *ret_added)
            error = add_rows(s, report->rows, report->count, err);
        error = db_end(s->db, error, err);
    }
    db_unlock(s->db);
    return error;
}

/* Columns: day, tenant, model, then the numbers in the order of struct usage. */
static int read_rows(struct query *q, struct arena *a, struct usage **ret_rows, size_t *ret_count,
                     struct err *err)
{
    struct buf rows;
    buf_init(&rows, a->cap);
    while (query_row(q)) {
        struct usage u = {
            .day = query_int(q, 0),
            .tenant = query_str(q, 1, a),
            .model = query_str(q, 2, a),
            .requests = query_int(q, 3),
            .input_tokens = query_int(q, 4),
            .cached_tokens = query_int(q, 5),
            .output_tokens = query_int(q, 6),
            .cost = query_int(q, 7),
        };
        buf_put(&rows, (struct str){(const char *)&u, sizeof(u)});
    }
    int error = query_end(q, err);
    struct usage *usage = query_rows(&rows, a);
    if (!error && !usage)
        error = err_set(err, ERR_NO_MEMORY, "the usage of these days needs too much memory");
    if (!error) {
        *ret_rows = usage;
        *ret_count = rows.len / sizeof(struct usage);
    }
    buf_fini(&rows);
    return error;
}

int usage_list(struct store *s, struct arena *a, int64_t first_day, int64_t last_day,
               struct str tenant, struct str model, struct usage **ret_rows, size_t *ret_count,
               struct err *err)
{
    struct query q;
    db_lock(s->db);
    query_begin(&q, s->db,
                "SELECT * FROM usage WHERE day BETWEEN ? AND ? AND (tenant = ? OR ? = '')"
                " AND (model = ? OR ? = '') ORDER BY day, tenant, model");
    query_bind_int(&q, first_day);
    query_bind_int(&q, last_day);
    query_bind_str(&q, tenant);
    query_bind_str(&q, tenant);
    query_bind_str(&q, model);
    query_bind_str(&q, model);
    int error = read_rows(&q, a, ret_rows, ret_count, err);
    db_unlock(s->db);
    return error;
}

int usage_sums(struct store *s, struct arena *a, int64_t first_day, int64_t last_day,
               struct usage **ret_rows, size_t *ret_count, struct err *err)
{
    struct query q;
    db_lock(s->db);
    query_begin(&q, s->db,
                "SELECT max(day), tenant, '', sum(requests), sum(input_tokens), sum(cached_tokens),"
                " sum(output_tokens), sum(cost) FROM usage WHERE day BETWEEN ? AND ?"
                " GROUP BY tenant ORDER BY tenant");
    query_bind_int(&q, first_day);
    query_bind_int(&q, last_day);
    int error = read_rows(&q, a, ret_rows, ret_count, err);
    db_unlock(s->db);
    return error;
}
