/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A usage report as JSON: how a gateway in another process tells the controller what was used there.
 *
 *   {"sender":TEXT,"sequence":N,"rows":[{"day":N,"tenant":TEXT,"model":TEXT,"requests":N,"inputTokens":N,"cachedTokens":N,
 *    "outputTokens":N,"cost":N}]}        day: of core/limit/calendar.h; cost: millionths
 *
 * Members that are not known are passed over. Ownership: what is read lives in the arena and borrows from the text.
 */
#ifndef FAIRWAY_STORE_USAGE_REPORT_H
#define FAIRWAY_STORE_USAGE_REPORT_H

#include "base/json.h"
#include "store/usage.h"

enum {
    USAGE_REPORT_ROWS_MAX = 1000
}; /* so that a report stays far below the admin API's longest body */

void usage_report_write(const struct usage_report *r, struct json_writer *w);
[[nodiscard]] int usage_report_read(struct arena *a, struct str text,
                                    struct usage_report *ret_report, struct err *err);

#endif
