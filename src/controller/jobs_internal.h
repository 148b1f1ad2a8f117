/* SPDX-License-Identifier: Apache-2.0 */
/* Between jobs.c (what is wanted) and job_ranks.c (processes). */
#ifndef FAIRWAY_CONTROLLER_JOBS_INTERNAL_H
#define FAIRWAY_CONTROLLER_JOBS_INTERNAL_H

#include "controller/jobs.h"

/* ---- jobs.c ---- */
struct str job_name(const struct managed_job *j);
struct gang_rules job_rules(const struct managed_job *j);
[[nodiscard]] int job_describe_room(struct managed_job *j, struct err *err);
[[nodiscard]] int job_remember(struct managed_job *j,
                               struct err *err); /* its status, in the store */

/* ---- job_ranks.c ---- */
void job_set_ranks(struct managed_job *j,
                   unsigned count); /* new ones; processes of old ones go on */
void job_on_room(struct cluster_guest *room);
void job_on_evicted(struct cluster_guest *room);
void job_act(struct managed_job *j, enum gang_action action);
void job_note(struct managed_job *j, const char *reason, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
