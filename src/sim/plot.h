/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plots as inline SVG: colours and fonts come from the page's style sheet by class names, so that they
 * follow light and dark. Each plot has a title and a description for those who do not see it.
 *
 * A plot is drawn for a width, and once for wide screens and once for phones: text keeps its size.
 * Thread rule: none; state is in the arguments.
 */
#ifndef FAIRWAY_SIM_PLOT_H
#define FAIRWAY_SIM_PLOT_H

#include "base/buf.h"
#include "base/time.h"

enum { PLOT_WIDE = 880, PLOT_NARROW = 350, PLOT_SERIES_MAX = 4 };

enum plot_style { PLOT_AREA, PLOT_LINE }; /* areas are stacked in their order */

struct plot_series {
    const char *name, *colour; /* class name */
    enum plot_style style;
    const double *values;
};

/* Values over time; each value is the mean of a step. */
struct plot {
    const char *title, *unit;
    const struct plot_series *series;
    int series_count, value_count;
    nsec step;
    double top; /* the highest value that must be on it */
};

void plot_time(const struct plot *p, int width, struct buf *out);

/* Parts of a whole, as one bar; the values add up to at most 100. */
struct plot_part {
    const char *name, *colour;
    double percent;
};
void plot_bar(const char *title, const struct plot_part *parts, int count, int width,
              struct buf *out);

/* From least to most on an axis of powers of ten of seconds; dots are the values in between. */
struct plot_range {
    struct str name;
    const char *colour;
    double values[3]; /* seconds, ascending */
};
void plot_ranges(const char *title, const struct plot_range *ranges, int count, int width,
                 struct buf *out);

/* A step of 1, 2 or 5 times a power of ten that divides `top` into at most `parts`. */
double plot_step(double top, int parts);

#endif
