/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a scenario share. */
#ifndef FAIRWAY_SIM_SCENARIO_INTERNAL_H
#define FAIRWAY_SIM_SCENARIO_INTERNAL_H

#include "sim/scenario.h"

void scenario_decode(const struct json *root, struct scenario *s, struct schema_report *r);
void scenario_encode(const struct scenario *s, struct json_writer *w);

/* Its place in the list; -1: there is none, or the name is empty. */
int scenario_queue_find(const struct scenario *s, struct str name);
/* Machines are numbered through all groups, in the order of the list. */
bool scenario_node_find(const struct scenario *s, struct str name, size_t *ret_index);

#endif
