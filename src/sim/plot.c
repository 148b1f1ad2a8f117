/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plot.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"

enum {
    HEIGHT = 230,
    LEFT = 46,
    RIGHT = 10,
    TOP = 10,
    BOTTOM = 26,
    LINES = 5,        /* across, at most */
    LABEL_SPACE = 70, /* of a label below the axis */
    BAR_HEIGHT = 34,
    ROW = 30,        /* of a range */
    NAME_WIDTH = 96, /* of a range's name */
    DECADES_MAX = 9,
    DOT = 5,
};

double plot_step(double top, int parts)
{
    double raw = top / parts, power = pow(10, floor(log10(MAX(raw, 1e-9)))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* The step between labels of time: as people count it. */
static nsec time_step(nsec length, int parts)
{
    static const int seconds[] = {1,      2,       5,       10,      15,    30,     60,
                                  120,    300,     600,     900,     1800,  3600,   7200,
                                  10800,  14400,   21600,   43200,   86400, 172800, 432000,
                                  864000, 2592000, 7776000, 31536000};
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
        if (SEC(seconds[i]) * parts >= length)
            return SEC(seconds[i]);
    return length;
}

static void put_number(struct buf *out, double value, double step)
{
    if (value >= 1000)
        buf_printf(out, "%.0f,%03.0f", floor(value / 1000), fmod(value, 1000));
    else
        buf_printf(out, "%.*f", step < 1 ? 1 : 0, value);
}

static void begin(const char *title, const char *description, int width, int height,
                  struct buf *out)
{
    buf_printf(out,
               "<svg class=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\"><title>%s</title>"
               "<desc>%s</desc>\n",
               width == PLOT_WIDE ? "wide" : "narrow", width, height, title, description);
}

/* ---- over time ---- */

struct frame {
    const struct plot *plot;
    int width;
    double top, x_scale, y_scale;
};

static double x_of(const struct frame *f, int i)
{
    return LEFT + f->x_scale * i;
}

static double y_of(const struct frame *f, double value)
{
    return HEIGHT - BOTTOM - f->y_scale * MIN(value, f->top);
}

static void put_y_axis(const struct frame *f, double step, struct buf *out)
{
    for (int i = 0; i * step <= f->top * 1.001; i++) {
        double y = y_of(f, i * step);
        buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                   f->width - RIGHT, y, y);
        buf_printf(out, "<text x=\"%d\" y=\"%.1f\" class=\"end\">", LEFT - 6, y + 4);
        put_number(out, i * step, step);
        buf_put(out, STR("</text>\n"));
    }
}

/* "3h" for "3h0m". */
static const char *time_text(nsec at, char text[NSEC_TEXT_MAX])
{
    if (at == 0)
        return "0";
    size_t len = strlen(nsec_format(at, text));
    if (len > 3 && text[len - 2] == '0' && (text[len - 3] < '0' || text[len - 3] > '9'))
        text[len - 2] = 0;
    return text;
}

static void put_x_axis(const struct frame *f, struct buf *out)
{
    const struct plot *p = f->plot;
    nsec length = p->step * p->value_count;
    nsec step = time_step(length, (f->width - LEFT - RIGHT) / LABEL_SPACE);
    for (nsec at = 0; at <= length; at += step) {
        char text[NSEC_TEXT_MAX];
        double x = LEFT + f->x_scale * ((double)at / (double)p->step);
        const char *anchor = x > f->width - 2 * RIGHT ? "end" : at == 0 ? "start" : "middle";
        buf_printf(out, "<text x=\"%.1f\" y=\"%d\" class=\"%s\">%s</text>\n", x, HEIGHT - 7, anchor,
                   time_text(at, text));
    }
}

/* Steps: each value holds from its time to the next. `down`: from the right to the left. */
static void put_steps(const struct frame *f, const double *values, bool down, struct buf *out)
{
    int n = f->plot->value_count;
    for (int k = 0; k < n; k++) {
        int i = down ? n - 1 - k : k;
        double y = y_of(f, values[i]);
        buf_printf(out, "%.1f,%.1f %.1f,%.1f ", x_of(f, down ? i + 1 : i), y,
                   x_of(f, down ? i : i + 1), y);
    }
}

static void put_series(const struct frame *f, struct buf *out)
{
    enum { VALUES_MAX = 1024 };
    double below[VALUES_MAX] = {0}, sum[VALUES_MAX];
    CHECK(f->plot->value_count <= VALUES_MAX);
    for (int s = 0; s < f->plot->series_count; s++) {
        const struct plot_series *series = &f->plot->series[s];
        bool area = series->style == PLOT_AREA;
        for (int i = 0; i < f->plot->value_count; i++)
            sum[i] = series->values[i] + (area ? below[i] : 0);
        buf_printf(out, "<%s class=\"%s-%s\" points=\"", area ? "polygon" : "polyline",
                   area ? "fill" : "line", series->colour);
        put_steps(f, sum, false, out);
        if (area)
            put_steps(f, below, true, out);
        buf_put(out, STR("\"/>\n"));
        for (int i = 0; area && i < f->plot->value_count; i++)
            below[i] = sum[i];
    }
}

void plot_time(const struct plot *p, int width, struct buf *out)
{
    char description[200];
    double step = plot_step(MAX(p->top, 1.0), LINES);
    struct frame f = {.plot = p, .width = width, .top = step * ceil(MAX(p->top, 1.0) / step)};
    f.x_scale = (double)(width - LEFT - RIGHT) / MAX(p->value_count, 1);
    f.y_scale = (HEIGHT - TOP - BOTTOM) / f.top;
    snprintf(description, sizeof(description), "Over time, in %s; the table below has the figures.",
             p->unit);
    begin(p->title, description, width, HEIGHT, out);
    put_series(&f, out);
    put_y_axis(&f, step, out);
    put_x_axis(&f, out);
    buf_put(out, STR("</svg>\n"));
}

/* ---- parts ---- */

void plot_bar(const char *title, const struct plot_part *parts, int count, int width,
              struct buf *out)
{
    double x = 0;
    begin(title, "Parts of one whole; the list below has the figures.", width, BAR_HEIGHT, out);
    for (int i = 0; i < count; i++) {
        double part = parts[i].percent / 100 * width;
        buf_printf(out,
                   "<rect class=\"fill-%s\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%d\">"
                   "<title>%s: %.1f %%</title></rect>\n",
                   parts[i].colour, x, MAX(part - 1, 0), BAR_HEIGHT, parts[i].name,
                   parts[i].percent);
        x += part;
    }
    buf_put(out, STR("</svg>\n"));
}

/* ---- ranges ---- */

struct axis {
    int decades;
    double left, scale; /* of a decade */
};

/* Below a second is no wait to speak of: at the left end. */
static double x_at(const struct axis *a, double seconds)
{
    return a->left + a->scale * log10(MAX(seconds, 1));
}

static void put_decades(const struct axis *a, int bottom, struct buf *out)
{
    static const char *const names[] = {"≤1s", "10s", "100s", "17m", "2.8h",
                                        "28h", "12d", "116d", "3y",  "32y"};
    for (int i = 0; i <= a->decades; i++) {
        double x = a->left + a->scale * i;
        buf_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
                   TOP, bottom);
        buf_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                   i == a->decades ? "end" : "middle", x, bottom + 18, names[i]);
    }
}

static void put_range(const struct axis *a, const struct plot_range *r, double y, struct buf *out)
{
    buf_printf(out, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">%.*s</text>", a->left - 14, y + 4,
               STR_ARG(r->name));
    buf_printf(out,
               "<line class=\"range line-%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
               r->colour, x_at(a, r->values[0]), x_at(a, r->values[2]), y, y);
    for (int i = 0; i < 3; i++)
        buf_printf(out, "<circle class=\"%s-%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>",
                   i ? "fill" : "hollow", r->colour, x_at(a, r->values[i]), y, DOT);
    buf_put_char(out, '\n');
}

void plot_ranges(const char *title, const struct plot_range *ranges, int count, int width,
                 struct buf *out)
{
    double most = 1;
    for (int i = 0; i < count; i++)
        most = MAX(most, ranges[i].values[2]);
    struct axis a = {.left = NAME_WIDTH};
    a.decades = MIN(MAX((int)ceil(log10(most)), 1), DECADES_MAX);
    a.scale = (width - a.left - 2 * RIGHT) / a.decades;
    int bottom = TOP + ROW * count;
    begin(title, "Median, p95 and p99 as dots from left to right; the table below has the figures.",
          width, bottom + BOTTOM, out);
    put_decades(&a, bottom, out);
    for (int i = 0; i < count; i++)
        put_range(&a, &ranges[i], TOP + ROW * (i + 0.5), out);
    buf_put(out, STR("</svg>\n"));
}
