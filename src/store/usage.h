/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage ledger: what each tenant used of each model on each day (UTC). Kept for ever; one row
 * per tenant, model and day on which there was any.
 *
 * Ownership: what is returned lives in the given arena. Thread rule: as store.h.
 */
#ifndef FAIRWAY_STORE_USAGE_H
#define FAIRWAY_STORE_USAGE_H

#include "store/store.h"

struct usage {
    int64_t day; /* UTC: core/limit/calendar.h */
    struct str tenant, model;
    int64_t requests;
    int64_t input_tokens, cached_tokens /* of the input */, output_tokens;
    int64_t cost; /* millionths of money */
};

/* Adds to what is there, all rows in one transaction. */
[[nodiscard]] int usage_add(struct store *s, const struct usage *rows, size_t count,
                            struct err *err);

/*
 * Rows from another process. Its reports are numbered upwards: one that came before is not added again (*ret_added false), so
 * that a report may be repeated until it is answered.
 */
struct usage_report {
    struct str sender; /* one process; never used twice */
    uint64_t sequence;
    const struct usage *rows;
    size_t count;
};
[[nodiscard]] int usage_add_report(struct store *s, const struct usage_report *report, nsec now,
                                   bool *ret_added, struct err *err);

/* Rows of first_day to last_day, by day, tenant, model; tenant and model may be empty: any. */
[[nodiscard]] int usage_list(struct store *s, struct arena *a, int64_t first_day, int64_t last_day,
                             struct str tenant, struct str model, struct usage **ret_rows,
                             size_t *ret_count, struct err *err);

/* One row per tenant, its model empty: the sums over first_day to last_day. */
[[nodiscard]] int usage_sums(struct store *s, struct arena *a, int64_t first_day, int64_t last_day,
                             struct usage **ret_rows, size_t *ret_count, struct err *err);

#endif
