/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every resource has (apiVersion, kind, metadata, spec, status), and the kinds there are.
 *
 * A kind is a struct that begins with a struct resource, and a schema table for all of it. The
 * metadata fields generation, resourceVersion, creationTimestamp and uid, and the whole status,
 * belong to the system: they are accepted in a manifest, so that what `get -o yaml` printed can be
 * applied again, but only resourceVersion and uid are looked at (as preconditions).
 *
 * Ownership: a resource and all it points to live in the arena it was read into. Thread rule: none;
 * state is in the arguments.
 */
#ifndef FAIRWAY_API_RESOURCE_H
#define FAIRWAY_API_RESOURCE_H

#include <stddef.h>

#include "api/schema.h"

enum {
    RESOURCE_NAME_MAX = 63,
    RESOURCE_PRIORITY_MIN = -1000, /* of what runs, against the rest of it */
    RESOURCE_PRIORITY_MAX = 1000,
};

struct resource_metadata {
    struct str name;
    struct schema_map labels, annotations;
    int64_t generation;          /* of the spec: counts its changes from 1 */
    struct str resource_version; /* of the whole; opaque; empty: none */
    struct str creation_timestamp;
    struct str uid;
};

enum resource_condition_status { CONDITION_UNKNOWN, CONDITION_TRUE, CONDITION_FALSE };

struct resource_condition {
    struct str type;
    int status; /* enum resource_condition_status */
    struct str reason, message, last_transition_time;
};

struct resource_status {
    int64_t observed_generation, replicas, ready_replicas;
    struct schema_objects conditions; /* of struct resource_condition */
};

struct resource {
    const struct resource_kind *type;
    int api_version, kind; /* indices into one-name sets; always 0 */
    struct resource_metadata metadata;
    struct resource_status status; /* of kinds that have none of their own */
};

struct resource_kind {
    const char *name;   /* "Model" */
    const char *plural; /* "models" */
    const struct schema *schema;
    const struct schema_field *spec; /* its field in the schema */
};

extern const struct resource_kind *const resource_kinds[]; /* NULL-terminated */

/* By name, plural or singular, in any case; NULL if there is none. */
const struct resource_kind *resource_kind_find(struct str name);

/* A resource of `kind` with every field at its default, to be filled in by a program. */
struct resource *resource_new(const struct resource_kind *kind, struct arena *a);

/* One tree. ERR_INVALID with all that is wrong with it in err, or ERR_NO_MEMORY. */
[[nodiscard]] int resource_decode(struct arena *a, const struct json *root,
                                  struct resource **ret_resource, struct err *err);

/* All documents of a YAML or JSON text. */
[[nodiscard]] int resource_read(struct arena *a, struct str text, struct resource ***ret_resources,
                                size_t *ret_count, struct err *err);

/* A valid one, as any that is stored, by way of its text. */
struct resource *resource_copy(struct arena *a, const struct resource *resource);

/* Canonical JSON; equal resources give equal text. */
void resource_encode(const struct resource *resource, struct json_writer *w);
void resource_encode_spec(const struct resource *resource, struct json_writer *w);
void resource_encode_status(const struct resource *resource, struct json_writer *w);
/* Labels and annotations only. */
void resource_encode_metadata(const struct resource *resource, struct json_writer *w);

/* What may not change between two versions of a resource: ERR_CONFLICT. */
[[nodiscard]] int resource_check_change(struct arena *a, const struct resource *before,
                                        const struct resource *after, struct err *err);

/* "model.spec.engine" or "model" to text for people. */
[[nodiscard]] int resource_explain(struct str path, struct buf *out, struct err *err);

/* The page docs/api-reference.md. */
void resource_reference(struct buf *out);

/* The fields with which each kind's table begins. `type_` embeds struct resource as `resource`. */
#define RESOURCE_HEAD_FIELDS(type_, kind_names)                                                  \
    {                                                                                            \
        .name = "apiVersion",                                                                    \
        .type = SCHEMA_ENUM,                                                                     \
        .offset = offsetof(type_, resource.api_version),                                         \
        .description = "The version of this description.",                                       \
        .required = true,                                                                        \
        .values = resource_api_versions,                                                         \
    },                                                                                           \
        {                                                                                        \
            .name = "kind",                                                                      \
            .type = SCHEMA_ENUM,                                                                 \
            .offset = offsetof(type_, resource.kind),                                            \
            .description = "What kind of resource this is.",                                     \
            .required = true,                                                                    \
            .values = (kind_names),                                                              \
        },                                                                                       \
    {                                                                                            \
        .name = "metadata", .type = SCHEMA_OBJECT, .offset = offsetof(type_, resource.metadata), \
        .description = "Its name and what people attach to it.",                                 \
        .object = &resource_metadata_schema,                                                     \
    }

#define RESOURCE_STATUS_FIELD(type_, member, table)                                    \
    {                                                                                  \
        .name = "status", .type = SCHEMA_OBJECT, .offset = offsetof(type_, member),    \
        .description = "What is the case; written by the system.", .object = &(table), \
    }

/* Likewise, of a kind that has no status of its own. */
#define RESOURCE_FIELDS(type_, kind_names)   \
    RESOURCE_HEAD_FIELDS(type_, kind_names), \
        RESOURCE_STATUS_FIELD(type_, resource.status, resource_status_schema)

extern const char *const resource_api_versions[];
extern const struct schema resource_metadata_schema, resource_status_schema;

#endif
