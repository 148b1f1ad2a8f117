/* SPDX-License-Identifier: Apache-2.0 */
/* Results as one HTML page. */
#include <stdio.h>

#include "sim/plot.h"
#include "sim/result.h"

enum { TABLE_ROWS = 24, TILES = 4 };

static const char style[] =
    ":root{color-scheme:light dark;--page:#fff;--text:#1a1d21;--quiet:#5c6470;--rule:#dfe3e8;"
    "--card:#f5f7f9;--services:#2f6fde;--jobs:#e39a2d;--starting:#9aa3ae;--lost:#c8385a;"
    "--idle:#e3e7ec;--gpus:#1a1d21}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#14171a;--text:#e8eaed;--quiet:#9aa3ae;"
    "--rule:#31373e;--card:#1d2126;--services:#6aa0ff;--jobs:#e8a94a;--starting:#6f7883;"
    "--lost:#ef6a86;--idle:#2b3138;--gpus:#e8eaed}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;padding:24px 16px 48px;max-width:912px;"
    "background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:24px;line-height:1.25;margin:0 0 "
    "4px;overflow-wrap:anywhere}h2{font-size:18px;margin:40px 0 4px}"
    "h3{font-size:14px;margin:16px 0 4px}p{margin:0 0 12px}.quiet{color:var(--quiet)}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;"
    "padding:0;margin:20px 0;list-style:none}.tiles li{background:var(--card);border-radius:8px;"
    "padding:12px 14px}.tiles b{display:block;font-size:24px;line-height:1.3;font-weight:600;"
    "font-variant-numeric:tabular-nums}.tiles span{color:var(--quiet);font-size:13px}\n"
    "svg{display:block;width:100%;height:auto;margin:4px 0 8px}svg.narrow{display:none}"
    "svg text{fill:var(--quiet);font:12px system-ui,sans-serif}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.grid{stroke:var(--rule);stroke-width:1}\n"
    ".fill-services{fill:var(--services)}.fill-jobs{fill:var(--jobs)}"
    ".fill-starting{fill:var(--starting)}.fill-lost{fill:var(--lost)}.fill-idle{fill:var(--idle)}"
    ".line-services,.line-jobs,.line-lost,.line-gpus{fill:none;stroke-width:2}"
    ".line-services{stroke:var(--services)}.line-jobs{stroke:var(--jobs)}"
    ".line-lost{stroke:var(--lost)}.line-gpus{stroke:var(--gpus);stroke-dasharray:5 4;"
    "stroke-width:1.5}.range{stroke-width:3;opacity:.55}"
    ".hollow-services,.hollow-jobs{fill:var(--page);stroke-width:2}"
    ".hollow-services{stroke:var(--services)}.hollow-jobs{stroke:var(--jobs)}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 8px;padding:0;list-style:none;"
    "font-size:13px}.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;"
    "margin-right:6px;vertical-align:-1px}.bg-services{background:var(--services)}"
    ".bg-jobs{background:var(--jobs)}.bg-starting{background:var(--starting)}"
    ".bg-lost{background:var(--lost)}.bg-idle{background:var(--idle)}"
    ".legend .bg-gpus{height:0;border-top:2px dashed var(--gpus);border-radius:0;"
    "vertical-align:4px}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px;"
    "font-variant-numeric:tabular-nums}th,td{padding:5px 10px;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--rule)}th:first-child,td:first-child{text-align:left;"
    "padding-left:0}thead th{color:var(--quiet);font-weight:500}tbody th{font-weight:400}"
    "details{margin:4px 0 12px}summary{cursor:pointer;color:var(--quiet);font-size:13px}\n"
    "@media(max-width:640px){svg.wide{display:none}svg.narrow{display:block}"
    ".figures td,.figures th{white-space:normal}th,td{padding:5px "
    "6px}table{font-size:13px}.tiles{grid-template-columns:1fr 1fr}}\n";

/* What is shown: the runs, and what they are called. */
struct page {
    const struct sim_result *const *runs;
    const char *const *names;
    size_t count;
    struct buf *out;
};

static void put_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            buf_put(out, STR("&lt;"));
        else if (*text == '&')
            buf_put(out, STR("&amp;"));
        else
            buf_put_char(out, *text);
    }
}

/* Above what belongs to one of several runs. */
static void put_run_name(const struct page *p, size_t i)
{
    if (p->count == 1)
        return;
    buf_put(p->out, STR("<h3>"));
    put_text(p->out, p->names[i]);
    buf_put(p->out, STR("</h3>\n"));
}

static void put_section(const struct page *p, const char *title, const char *text)
{
    buf_printf(p->out, "<section><h2>%s</h2><p class=\"quiet\">%s</p>\n", title, text);
}

static void put_key(struct buf *out, const char *colour, const char *name)
{
    buf_printf(out, "<li><i class=\"bg-%s\"></i>%s</li>", colour, name);
}

/* ---- figures ---- */

static void put_tiles(const struct page *p)
{
    static const char *const chosen[TILES] = {"usefulPercent", "replicaWaitP99Seconds",
                                              "jobWaitP99Seconds", "evictions"};
    struct sim_figure figures[SIM_FIGURES_MAX];
    int count = sim_figures(p->runs[0], figures);
    buf_put(p->out, STR("<ul class=\"tiles\">"));
    for (int t = 0; t < TILES; t++)
        for (int i = 0; i < count; i++) {
            char text[SIM_FIGURE_TEXT_MAX];
            if (strcmp(figures[i].key, chosen[t]) == 0)
                buf_printf(p->out, "<li><b>%s</b><span>%s</span></li>",
                           sim_figure_text(&figures[i], text), figures[i].title);
        }
    buf_put(p->out, STR("</ul>\n"));
}

static void put_figures(const struct page *p)
{
    struct sim_figure figures[SIM_FIGURES_MAX], own[SIM_FIGURES_MAX];
    int count = sim_figures(p->runs[0], figures);
    put_section(p, "All figures", "Shares are of the GPU time of all nodes while they were there.");
    buf_put(p->out, STR("<div class=\"scroll\"><table class=\"figures\"><thead><tr><th></th>"));
    for (size_t k = 0; k < p->count; k++) {
        buf_put(p->out, STR("<th scope=\"col\">"));
        put_text(p->out, p->names[k]);
        buf_put(p->out, STR("</th>"));
    }
    buf_put(p->out, STR("</tr></thead><tbody>\n"));
    for (int i = 0; i < count; i++) {
        buf_printf(p->out, "<tr><th scope=\"row\">%s</th>", figures[i].title);
        for (size_t k = 0; k < p->count; k++) {
            char text[SIM_FIGURE_TEXT_MAX];
            int others = sim_figures(p->runs[k], own), at = 0;
            while (at < others && strcmp(own[at].key, figures[i].key) != 0)
                at++;
            buf_printf(p->out, "<td>%s</td>", at < others ? sim_figure_text(&own[at], text) : "–");
        }
        buf_put(p->out, STR("</tr>\n"));
    }
    buf_put(p->out, STR("</tbody></table></div></section>\n"));
}

/* ---- where the time went ---- */

static double percent(sim_gpu_time part, const struct sim_result *r)
{
    return r->capacity > 0 ? (double)part / (double)r->capacity * 100 : 0;
}

static void put_split(const struct page *p, const struct sim_result *r)
{
    enum { PARTS = 5 };
    sim_gpu_time services = 0, jobs = 0, starting = 0, lost = 0;
    for (size_t i = 0; i < r->class_count; i++) {
        *(r->classes[i].service ? &services : &jobs) += r->classes[i].useful;
        starting += r->classes[i].starting;
        lost += r->classes[i].lost;
    }
    const struct plot_part parts[PARTS] = {
        {"inference", "services", percent(services, r)},
        {"work of jobs", "jobs", percent(jobs, r)},
        {"starting and leaving", "starting", percent(starting, r)},
        {"lost to evictions", "lost", percent(lost, r)},
        {"idle", "idle", percent(r->capacity - r->given, r)},
    };
    plot_bar("Where the GPU time went", parts, PARTS, PLOT_WIDE, p->out);
    plot_bar("Where the GPU time went", parts, PARTS, PLOT_NARROW, p->out);
    buf_put(p->out, STR("<ul class=\"legend\">"));
    for (int i = 0; i < PARTS; i++)
        buf_printf(p->out, "<li><i class=\"bg-%s\"></i>%s %.1f %%</li>", parts[i].colour,
                   parts[i].name, parts[i].percent);
    buf_put(p->out, STR("</ul>\n"));
}

static void put_splits(const struct page *p)
{
    put_section(p, "Where the GPU time went", "Of all GPU time, in per cent.");
    for (size_t i = 0; i < p->count; i++) {
        put_run_name(p, i);
        put_split(p, p->runs[i]);
    }
    buf_put(p->out, STR("</section>\n"));
}

/* ---- over time ---- */

typedef double bin_value(const struct sim_bin *b);

static double bin_gpus(const struct sim_bin *b)
{
    return b->gpus;
}
static double bin_jobs(const struct sim_bin *b)
{
    return b->jobs;
}
static double bin_services(const struct sim_bin *b)
{
    return b->services;
}
static double bin_waiting_jobs(const struct sim_bin *b)
{
    return b->waiting_jobs;
}
static double bin_waiting_replicas(const struct sim_bin *b)
{
    return b->waiting_replicas;
}
static double bin_fragmented(const struct sim_bin *b)
{
    return b->fragmented;
}
static double bin_usable(const struct sim_bin *b)
{
    return b->free - b->fragmented;
}

struct line {
    const char *name, *colour;
    enum plot_style style;
    bin_value *value;
};

struct chart {
    const char *title, *text, *unit;
    double least_top;
    struct line lines[PLOT_SERIES_MAX];
};

static const struct chart charts[] = {
    {"GPUs given out",
     "How many GPUs had been given to whom; the dashed line is how many there were.",
     "GPUs",
     1,
     {{"inference", "services", PLOT_AREA, bin_services},
      {"jobs", "jobs", PLOT_AREA, bin_jobs},
      {"all GPUs", "gpus", PLOT_LINE, bin_gpus}}},
    {"Who waits",
     "Jobs and replicas that had no room.",
     "jobs and replicas",
     1,
     {{"replicas", "services", PLOT_LINE, bin_waiting_replicas},
      {"jobs", "jobs", PLOT_LINE, bin_waiting_jobs}}},
    {"Free GPUs",
     "Free is what nobody had. Of no use: what a request of this workload could not have used of "
     "it, "
     "on the average.",
     "GPUs",
     1,
     {{"of no use", "lost", PLOT_AREA, bin_fragmented},
      {"of use", "starting", PLOT_AREA, bin_usable}}},
};

/* The highest value: of stacked areas the highest sum. The same for all runs. */
static double top_of(const struct page *p, const struct chart *c)
{
    double top = c->least_top;
    for (size_t k = 0; k < p->count; k++)
        for (int i = 0; i < p->runs[k]->bin_count; i++) {
            double areas = 0;
            for (const struct line *l = c->lines; l < c->lines + PLOT_SERIES_MAX && l->name; l++) {
                double value = l->value(&p->runs[k]->bins[i]);
                areas += l->style == PLOT_AREA ? value : 0;
                top = MAX(top, value);
            }
            top = MAX(top, areas);
        }
    return top;
}

static void put_series_table(const struct page *p, const struct chart *c,
                             const struct sim_result *r)
{
    int every = MAX(r->bin_count / TABLE_ROWS, 1);
    buf_printf(p->out, "<details><summary>As a table (%s)</summary><div class=\"scroll\"><table>",
               c->unit);
    buf_put(p->out, STR("<thead><tr><th scope=\"col\">time</th>"));
    for (const struct line *l = c->lines; l < c->lines + PLOT_SERIES_MAX && l->name; l++)
        buf_printf(p->out, "<th scope=\"col\">%s</th>", l->name);
    buf_put(p->out, STR("</tr></thead><tbody>\n"));
    for (int i = 0; i < r->bin_count; i += every) {
        char text[NSEC_TEXT_MAX];
        buf_printf(p->out, "<tr><th scope=\"row\">%s</th>", sim_wait_text(r->bin * i, text));
        for (const struct line *l = c->lines; l < c->lines + PLOT_SERIES_MAX && l->name; l++)
            buf_printf(p->out, "<td>%.1f</td>", l->value(&r->bins[i]));
        buf_put(p->out, STR("</tr>\n"));
    }
    buf_put(p->out, STR("</tbody></table></div></details>\n"));
}

static void put_chart(const struct page *p, const struct chart *c, const struct sim_result *r,
                      double top)
{
    double values[PLOT_SERIES_MAX][SIM_BINS];
    struct plot_series series[PLOT_SERIES_MAX];
    int count = 0;
    for (; count < PLOT_SERIES_MAX && c->lines[count].name; count++) {
        const struct line *l = &c->lines[count];
        for (int i = 0; i < r->bin_count; i++)
            values[count][i] = l->value(&r->bins[i]);
        series[count] = (struct plot_series){l->name, l->colour, l->style, values[count]};
    }
    struct plot plot = {c->title, c->unit, series, count, r->bin_count, r->bin, top};
    plot_time(&plot, PLOT_WIDE, p->out);
    plot_time(&plot, PLOT_NARROW, p->out);
    put_series_table(p, c, r);
}

static void put_charts(const struct page *p)
{
    for (size_t i = 0; i < ARRAY_LEN(charts); i++) {
        const struct chart *c = &charts[i];
        put_section(p, c->title, c->text);
        buf_put(p->out, STR("<ul class=\"legend\">"));
        for (const struct line *l = c->lines; l < c->lines + PLOT_SERIES_MAX && l->name; l++)
            put_key(p->out, l->colour, l->name);
        buf_put(p->out, STR("</ul>\n"));
        for (size_t k = 0; k < p->count; k++) {
            put_run_name(p, k);
            put_chart(p, c, p->runs[k], top_of(p, c));
        }
        buf_put(p->out, STR("</section>\n"));
    }
}

/* ---- waits ---- */

static const double quantiles[] = {0.5, 0.95, 0.99};

static void put_wait_plot(const struct page *p, const struct sim_result *r, int width)
{
    struct plot_range ranges[SIM_CLASSES_MAX];
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        ranges[i] = (struct plot_range){.name = str_sub(c->name, 0, 14),
                                        .colour = c->service ? "services" : "jobs"};
        for (size_t q = 0; q < ARRAY_LEN(quantiles); q++)
            ranges[i].values[q] = nsec_to_seconds((nsec)hist_quantile(&c->wait, quantiles[q]));
    }
    plot_ranges("How long they wait", ranges, (int)r->class_count, width, p->out);
}

static void put_wait_table(const struct page *p, const struct sim_result *r)
{
    buf_put(p->out, STR("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">class</th>"
                        "<th scope=\"col\">came</th><th scope=\"col\">median</th>"
                        "<th scope=\"col\">p95</th><th scope=\"col\">p99</th>"
                        "<th scope=\"col\">longest</th><th scope=\"col\">evicted</th>"
                        "<th scope=\"col\">wait at the end</th></tr></thead><tbody>\n"));
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        buf_printf(p->out, "<tr><th scope=\"row\">%.*s</th><td>%llu</td>", STR_ARG(c->name),
                   (unsigned long long)c->arrived);
        for (size_t q = 0; q <= ARRAY_LEN(quantiles); q++) {
            char text[NSEC_TEXT_MAX];
            double share = q < ARRAY_LEN(quantiles) ? quantiles[q] : 1;
            buf_printf(p->out, "<td>%s</td>",
                       sim_wait_text((nsec)hist_quantile(&c->wait, share), text));
        }
        buf_printf(p->out, "<td>%llu</td><td>%llu</td></tr>\n", (unsigned long long)c->evicted,
                   (unsigned long long)c->waiting);
    }
    buf_put(p->out, STR("</tbody></table></div>\n"));
}

static void put_waits(const struct page *p)
{
    put_section(p, "How long they wait",
                "From wanted to placed: median (hollow), p95 and p99. Who still waits at the end "
                "counts with what it has waited by then.");
    buf_put(p->out, STR("<ul class=\"legend\">"));
    put_key(p->out, "services", "replicas of services");
    put_key(p->out, "jobs", "jobs");
    buf_put(p->out, STR("</ul>\n"));
    for (size_t i = 0; i < p->count; i++) {
        put_run_name(p, i);
        put_wait_plot(p, p->runs[i], PLOT_WIDE);
        put_wait_plot(p, p->runs[i], PLOT_NARROW);
        put_wait_table(p, p->runs[i]);
    }
    buf_put(p->out, STR("</section>\n"));
}

/* ---- the page ---- */

static void put_head(const struct page *p, const char *title)
{
    const struct sim_result *r = p->runs[0];
    char text[NSEC_TEXT_MAX];
    buf_put(p->out, STR("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                        "<title>"));
    put_text(p->out, title);
    buf_printf(p->out, "</title>\n<style>%s</style></head>\n<body><main><h1>", style);
    put_text(p->out, title);
    buf_printf(p->out,
               "</h1><p class=\"quiet\">%s simulated, %llu nodes with %llu GPUs; policy %s, "
               "seed %llu</p>\n",
               nsec_format(r->duration, text), (unsigned long long)r->nodes,
               (unsigned long long)r->gpus, p->count == 1 ? r->policy : "as named below",
               (unsigned long long)r->seed);
}

void sim_report_html(const struct sim_result *const *runs, const char *const *names, size_t count,
                     const char *title, struct buf *out)
{
    struct page p = {runs, names, count, out};
    put_head(&p, title);
    if (count == 1)
        put_tiles(&p);
    else
        put_figures(&p);
    put_splits(&p);
    put_charts(&p);
    put_waits(&p);
    if (count == 1)
        put_figures(&p);
    buf_put(out, STR("</main></body></html>\n"));
}
