/* SPDX-License-Identifier: Apache-2.0 */
#include "api/node.h"

static const char *const kind_names[] = {"Node", NULL};

static const struct schema_field spec_fields[] = {
    {
        .name = "cordon",
        .type = SCHEMA_BOOL,
        .offset = offsetof(struct node_spec, cordon),
        .description = "Place nothing new on it.",
        .fallback = "false",
    },
    {
        .name = "cpu",
        .type = SCHEMA_MILLI,
        .offset = offsetof(struct node_spec, cpu),
        .description = "Processors that replicas may use.",
    },
    {
        .name = "memory",
        .type = SCHEMA_BYTES,
        .offset = offsetof(struct node_spec, memory),
        .description = "Main memory that replicas may use.",
    },
};

static const struct schema spec_schema = {
    .name = "spec",
    .description = "What it has to offer.",
    .size = sizeof(struct node_spec),
    .fields = spec_fields,
    .field_count = ARRAY_LEN(spec_fields),
};

static const struct schema_field node_fields[] = {
    RESOURCE_FIELDS(struct node, kind_names),
    {
        .name = "spec",
        .type = SCHEMA_OBJECT,
        .offset = offsetof(struct node, spec),
        .description = "What it has to offer.",
        .object = &spec_schema,
    },
};

static const struct schema node_schema = {
    .name = "Node",
    .description = "A machine on which replicas run.",
    .size = sizeof(struct node),
    .fields = node_fields,
    .field_count = ARRAY_LEN(node_fields),
};

const struct resource_kind node_kind = {
    .name = "Node",
    .plural = "nodes",
    .schema = &node_schema,
    .spec = &node_fields[ARRAY_LEN(node_fields) - 1],
};
