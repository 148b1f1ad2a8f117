/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs are kept in the store; nothing runs them yet. */
#include <stdio.h>

#include "controller/managed.h"

void job_set(struct controller *c, const struct resource *stored)
{
}

void job_remove(struct controller *c, struct str name)
{
}

/* A model's log has no dot in its name: no two are the same. */
void job_log_path(const struct controller *c, struct str name, unsigned rank, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/log/job.%.*s-%u.log", c->state_dir, STR_ARG(name), rank);
}
