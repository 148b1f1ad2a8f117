/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/json.h"
#include "observe/metrics_internal.h"

struct output {
    struct buf *out;
    enum metrics_format format;
};

static void put_number(struct buf *out, double value)
{
    if (isnan(value)) {
        buf_put(out, STR("NaN"));
    } else if (isinf(value)) {
        buf_put(out, value > 0 ? STR("+Inf") : STR("-Inf"));
    } else {
        struct json_writer w; /* the shortest text that reads back the same */
        json_writer_init(&w, out, 0);
        json_double(&w, value);
    }
}

static void put_escaped(struct buf *out, struct str text, bool quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            buf_put(out, STR("\\n"));
            continue;
        }
        if (c == '\\' || (c == '"' && quotes))
            buf_put_char(out, '\\');
        buf_put_char(out, c);
    }
}

/* ---- names ---- */

/* OpenMetrics names a counter's family without the suffix that its samples must have. */
static struct str family_name(const struct output *o, const struct metric_spec *spec)
{
    struct str name = str_from(spec->name);
    if (o->format == METRICS_OPENMETRICS && spec->type == METRIC_COUNTER &&
        str_ends(name, STR("_total")))
        name.len -= STR("_total").len;
    return name;
}

static void put_head(const struct output *o, const struct metric_spec *spec)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct str name = family_name(o, spec);
    buf_printf(o->out, "# HELP %.*s ", STR_ARG(name));
    bool quotes = o->format == METRICS_OPENMETRICS;
    put_escaped(o->out, str_from(spec->help), quotes);
    buf_printf(o->out, "\n# TYPE %.*s %s\n", STR_ARG(name), types[spec->type]);
}

static void put_labels(const struct output *o, const struct metric *series, const double *le)
{
    const struct metric_family *f = series->family;
    if (f->label_count == 0 && !le)
        return;
    struct str rest = series->node.key, value;
    const char *separator = "{";
    for (size_t i = 0; i < f->label_count; i++) {
        CHECK(str_split(&rest, METRIC_VALUE_END, &value));
        buf_printf(o->out, "%s%s=\"", separator, f->spec.labels[i]);
        put_escaped(o->out, value, true);
        buf_put_char(o->out, '"');
        separator = ",";
    }
    if (le) {
        buf_printf(o->out, "%sle=\"", separator);
        put_number(o->out, *le);
        if (o->format == METRICS_OPENMETRICS && isfinite(*le) && *le == floor(*le))
            buf_put(o->out, STR(".0"));
        buf_put_char(o->out, '"');
    }
    buf_put_char(o->out, '}');
}

static void put_sample(const struct output *o, const struct metric *series, const char *suffix,
                       const double *le, double value)
{
    buf_put(o->out, family_name(o, &series->family->spec));
    buf_put(o->out, str_from(suffix));
    put_labels(o, series, le);
    buf_put_char(o->out, ' ');
    put_number(o->out, value);
    buf_put_char(o->out, '\n');
}

/* ---- samples ---- */

/* The count is the sum of the buckets as read here, so that both agree while others still count. */
static void put_histogram(const struct output *o, const struct metric *series)
{
    const struct metric_spec *spec = &series->family->spec;
    uint64_t count = 0;
    for (size_t i = 0; i <= spec->bucket_count; i++) {
        double le = i < spec->bucket_count ? spec->buckets[i] : INFINITY;
        count += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        put_sample(o, series, "_bucket", &le, (double)count);
    }
    put_sample(o, series, "_sum", NULL, atomic_load_explicit(&series->value, memory_order_relaxed));
    put_sample(o, series, "_count", NULL, (double)count);
}

static void put_family(const struct output *o, const struct metric_family *f)
{
    put_head(o, &f->spec);
    bool total = o->format == METRICS_OPENMETRICS && f->spec.type == METRIC_COUNTER;
    list_each(series, &f->live, struct metric, link)
    {
        if (f->spec.type == METRIC_HISTOGRAM)
            put_histogram(o, series);
        else
            put_sample(o, series, total ? "_total" : "", NULL, metric_value(series));
    }
}

void metrics_write(struct metrics *m, enum metrics_format format, struct buf *out)
{
    struct output o = {out, format};
    pthread_mutex_lock(&m->mutex);
    list_each(family, &m->families, struct metric_family, link) put_family(&o, family);
    pthread_mutex_unlock(&m->mutex);
    if (format == METRICS_OPENMETRICS)
        buf_put(out, STR("# EOF\n"));
}

enum metrics_format metrics_format_for(struct str accept)
{
    struct str wanted = STR("application/openmetrics-text");
    return str_find(accept, wanted) < accept.len ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

const char *metrics_content_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}
