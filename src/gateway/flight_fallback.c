/* SPDX-License-Identifier: Apache-2.0 */
/* What a model cannot take goes on to the next in its chain (traffic.fallback), as if that had been asked for. */
#include "base/json.h"
#include "base/log.h"
#include "gateway/body_edit.h"
#include "gateway/flight_internal.h"
#include "observe/metrics.h"

enum { MODEL_NAME_JSON_MAX = 1024 };

/* The tenant's own limit is no reason, a stream that has begun is the old model's, and a count of tokens is about the model
 * that was named. */
static bool may_fall_back(const struct flight *f)
{
    return f->generates && !f->resumptions &&
           f->ticket.verdict.decision.why != POOL_WHY_TENANT_FULL;
}

/* By the worker's present table: the chain may have changed while the request waited. */
static const struct table_entry *next_in_chain(struct flight *f)
{
    const struct table *table = f->worker->table;
    const struct table_entry *asked = table_find(table, model_pool_name(f->asked_pool));
    const struct table_tenant *tenant = table_tenant(table, f->tenant->name);
    const struct routes_alias *a = asked ? asked->model->fallbacks : NULL;
    for (unsigned i = 0; a && i < f->fallbacks; i++)
        a = a->next;
    for (; a && tenant; a = a->next) {
        f->fallbacks++;
        const struct table_entry *next =
            table_pick(table, a->name, tenant, f->ticket.request.route.session);
        if (next && next->pool != f->asked_pool && next->pool != f->pool)
            return next;
    }
    return NULL;
}

static bool rename_model(struct flight *f, struct str name)
{
    struct str body = flight_body(f);
    struct json_span model = {.key = STR("model")};
    struct body_edits edits = {.count = 0};
    struct buf quoted;
    size_t offset;
    if (json_scan(body, &model, 1, &offset) || !model.value.ptr)
        return false; /* it named none, because there was one only */
    buf_init(&quoted, MODEL_NAME_JSON_MAX);
    json_put_str(&quoted, name);
    body_edit(&edits, body, model.value, buf_str(&quoted));
    struct buf edited = body_edits_apply(&edits, body);
    buf_fini(&quoted);
    buf_fini(&f->edited);
    f->edited = edited;
    return true;
}

bool flight_fall_back(struct flight *f)
{
    const struct table_entry *next = may_fall_back(f) ? next_in_chain(f) : NULL;
    if (!next || !rename_model(f, next->model->engine_name))
        return false;
    log_info("another model takes over", log_str("id", f->id),
             log_text("model", model_pool_name(f->pool)), log_text("next", next->model->name));
    metric_add(flight_meters(f)->fallbacks, 1);
    flight_aim(f, next);
    flight_record_fell_back(f);
    model_pool_submit(f->pool, &f->ticket);
    return true;
}
