/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what every resource has. */
#include "api/names.h"
#include "api/resource.h"

const char *const resource_api_versions[] = {"fairway.dev/v1", NULL};

static const struct schema_field metadata_fields[] = {
    {
        .name = "name",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_metadata, name),
        .description = "Its name, unique among resources of its kind: a DNS label.",
        .required = true,
        .check = name_check_dns_label,
    },
    {
        .name = "labels",
        .type = SCHEMA_MAP,
        .offset = offsetof(struct resource_metadata, labels),
        .description = "Names and values by which to select it.",
        .max = 64,
        .check = name_check_label_key,
    },
    {
        .name = "annotations",
        .type = SCHEMA_MAP,
        .offset = offsetof(struct resource_metadata, annotations),
        .description = "Notes of people and tools; Fairway does not read them.",
        .max = 64,
        .check = name_check_label_key,
    },
    {
        .name = "generation",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resource_metadata, generation),
        .description = "Counts the changes of spec; written by the system.",
    },
    {
        .name = "resourceVersion",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_metadata, resource_version),
        .description =
            "Changes with every change. When given, a write succeeds only if it is still "
            "the current one.",
        .max = 32,
    },
    {
        .name = "creationTimestamp",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_metadata, creation_timestamp),
        .description = "When it was made; written by the system.",
        .max = 40,
    },
    {
        .name = "uid",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_metadata, uid),
        .description =
            "Tells it from an earlier one of the same name. When given, a write succeeds "
            "only on that one.",
        .immutable = true,
        .max = 64,
    },
};

const struct schema resource_metadata_schema = {
    .name = "metadata",
    .description = "Its name and what people attach to it.",
    .size = sizeof(struct resource_metadata),
    .fields = metadata_fields,
    .field_count = ARRAY_LEN(metadata_fields),
};

static const char *const condition_statuses[] = {"Unknown", "True", "False", NULL};

static const struct schema_field condition_fields[] = {
    {
        .name = "type",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_condition, type),
        .description = "What is true or false, like Ready.",
        .required = true,
    },
    {
        .name = "status",
        .type = SCHEMA_ENUM,
        .offset = offsetof(struct resource_condition, status),
        .description = "Whether it is the case.",
        .required = true,
        .values = condition_statuses,
    },
    {
        .name = "reason",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_condition, reason),
        .description = "Why, in one word for programs.",
    },
    {
        .name = "message",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_condition, message),
        .description = "Why, for people.",
    },
    {
        .name = "lastTransitionTime",
        .type = SCHEMA_STRING,
        .offset = offsetof(struct resource_condition, last_transition_time),
        .description = "Since when the status is what it is.",
    },
};

static const struct schema condition_schema = {
    .name = "condition",
    .description = "One thing that is the case, or not.",
    .size = sizeof(struct resource_condition),
    .fields = condition_fields,
    .field_count = ARRAY_LEN(condition_fields),
};

static const struct schema_field status_fields[] = {
    {
        .name = "observedGeneration",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resource_status, observed_generation),
        .description = "The generation that the rest of the status speaks of.",
        .fallback = "0",
    },
    {
        .name = "replicas",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resource_status, replicas),
        .description = "How many there are.",
        .fallback = "0",
    },
    {
        .name = "readyReplicas",
        .type = SCHEMA_INT,
        .offset = offsetof(struct resource_status, ready_replicas),
        .description = "How many of them serve requests.",
        .fallback = "0",
    },
    {
        .name = "conditions",
        .type = SCHEMA_OBJECTS,
        .offset = offsetof(struct resource_status, conditions),
        .description = "What is the case, one by one.",
        .max = 32,
        .object = &condition_schema,
    },
};

const struct schema resource_status_schema = {
    .name = "status",
    .description = "What is the case; written by the system.",
    .size = sizeof(struct resource_status),
    .fields = status_fields,
    .field_count = ARRAY_LEN(status_fields),
    .open = true,
};
