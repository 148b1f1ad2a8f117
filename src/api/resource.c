/* SPDX-License-Identifier: Apache-2.0 */
#include "api/resource.h"

#include <stdio.h>

#include "api/job.h"
#include "api/model.h"
#include "api/node.h"
#include "api/tenant.h"
#include "base/yaml.h"

const struct resource_kind *const resource_kinds[] = {&model_kind, &job_kind, &node_kind,
                                                      &tenant_kind, NULL};

const struct resource_kind *resource_kind_find(struct str name)
{
    for (size_t i = 0; resource_kinds[i]; i++)
        if (str_eq_nocase(name, str_from(resource_kinds[i]->name)) ||
            str_eq_nocase(name, str_from(resource_kinds[i]->plural)))
            return resource_kinds[i];
    return NULL;
}

struct resource *resource_new(const struct resource_kind *kind, struct arena *a)
{
    struct resource *resource = arena_alloc(a, kind->schema->size);
    if (!resource)
        return NULL;
    /* What an empty manifest lacks is reported here, and it is the caller who will fill it in. */
    struct schema_report report;
    const struct json nothing = {.type = JSON_OBJECT};
    schema_report_init(&report, a);
    schema_decode(kind->schema, &nothing, resource, &report);
    resource->type = kind;
    return report.no_memory ? NULL : resource;
}

static int unknown_kind(const struct json *kind, struct err *err)
{
    char known[128] = "";
    for (size_t i = 0; resource_kinds[i]; i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "", resource_kinds[i]->name);
    }
    if (!kind || kind->type != JSON_STRING)
        return err_set(err, ERR_INVALID, "kind: is required; known are: %s", known);
    return err_set(err, ERR_INVALID, "line %u: kind: unknown kind \"%.*s\"; known are: %s",
                   kind->line, (int)MIN(kind->text.len, (size_t)64), kind->text.ptr, known);
}

int resource_decode(struct arena *a, const struct json *root, struct resource **ret_resource,
                    struct err *err)
{
    if (root->type != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "line %u: a resource must be an object", root->line);
    const struct json *name = json_get(root, STR("kind"));
    const struct resource_kind *kind = NULL;
    for (size_t i = 0; name && name->type == JSON_STRING && resource_kinds[i]; i++)
        if (str_eq(name->text, str_from(resource_kinds[i]->name)))
            kind = resource_kinds[i];
    if (!kind)
        return unknown_kind(name, err);
    struct resource *resource = arena_alloc(a, kind->schema->size);
    if (!resource)
        return err_set(err, ERR_NO_MEMORY, "the resource needs too much memory");
    struct schema_report report;
    schema_report_init(&report, a);
    schema_decode(kind->schema, root, resource, &report);
    resource->type = kind;
    int error = schema_report_result(&report, err);
    if (!error)
        *ret_resource = resource;
    return error;
}

int resource_read(struct arena *a, struct str text, struct resource ***ret_resources,
                  size_t *ret_count, struct err *err)
{
    struct json *documents;
    int error = yaml_parse(a, text, &documents, err);
    if (error)
        return error;
    struct resource **resources = arena_array(a, documents->count, sizeof(struct resource *));
    if (!resources)
        return err_set(err, ERR_NO_MEMORY, "the resources need too much memory");
    size_t count = 0;
    json_each(document, documents)
    {
        error = resource_decode(a, document, &resources[count++], err);
        if (error)
            return error;
    }
    *ret_resources = resources;
    *ret_count = count;
    return 0;
}

static const struct schema_field *status_of(const struct resource_kind *kind)
{
    return schema_find(kind->schema, STR("status"));
}

void resource_encode(const struct resource *resource, struct json_writer *w)
{
    schema_encode(resource->type->schema, resource, w);
}

void resource_encode_spec(const struct resource *resource, struct json_writer *w)
{
    const struct schema_field *spec = resource->type->spec;
    schema_encode(spec->object, (const char *)resource + spec->offset, w);
}

void resource_encode_status(const struct resource *resource, struct json_writer *w)
{
    const struct schema_field *status = status_of(resource->type);
    schema_encode(status->object, (const char *)resource + status->offset, w);
}

void resource_encode_metadata(const struct resource *resource, struct json_writer *w)
{
    const struct resource_metadata kept = {.name = resource->metadata.name,
                                           .labels = resource->metadata.labels,
                                           .annotations = resource->metadata.annotations};
    schema_encode(&resource_metadata_schema, &kept, w);
}

int resource_check_change(struct arena *a, const struct resource *before,
                          const struct resource *after, struct err *err)
{
    CHECK(before->type == after->type);
    struct schema_report report;
    schema_report_init(&report, a);
    schema_check_change(before->type->schema, before, after, &report);
    int error = schema_report_result(&report, err);
    if (error == ERR_INVALID && err)
        err->code = ERR_CONFLICT;
    return error == ERR_INVALID ? ERR_CONFLICT : error;
}

int resource_explain(struct str path, struct buf *out, struct err *err)
{
    size_t dot = str_find_char(path, '.');
    struct str name = str_sub(path, 0, dot);
    const struct resource_kind *kind = resource_kind_find(name);
    if (!kind) {
        const struct json given = {.type = JSON_STRING, .text = name, .line = 1};
        unknown_kind(&given, err);
        return ERR_NOT_FOUND;
    }
    return schema_explain(kind->schema, str_sub(path, dot + 1, path.len), out, err);
}

void resource_reference(struct buf *out)
{
    buf_put(out, STR("# Resource reference\n\n"
                     "Written by the tables in src/api; a test keeps it up to date.\n\n"
                     "## Every resource\n\n"));
    schema_reference(&resource_metadata_schema, "metadata.", out);
    buf_put(out, STR("\nWritten by the system, if the kind has no status of its own:\n\n"));
    schema_reference(&resource_status_schema, "status.", out);
    for (size_t i = 0; resource_kinds[i]; i++) {
        const struct resource_kind *kind = resource_kinds[i];
        buf_printf(out, "\n## %s\n\n%s\n\n", kind->name, kind->schema->description);
        schema_reference(kind->spec->object, "spec.", out);
        if (status_of(kind)->object == &resource_status_schema)
            continue;
        buf_put(out, STR("\nWritten by the system:\n\n"));
        schema_reference(status_of(kind)->object, "status.", out);
    }
}

struct resource *resource_copy(struct arena *a, const struct resource *resource)
{
    struct json_writer writer;
    struct resource *copy;
    struct json *tree;
    struct buf text;
    struct err err;
    buf_init(&text, a->cap);
    json_writer_init(&writer, &text, 0);
    resource_encode(resource, &writer);
    struct str kept = arena_dup(a, buf_str(&text));
    buf_fini(&text);
    int error = json_parse(a, kept, &tree, &err);
    if (!error)
        error = resource_decode(a, tree, &copy, &err);
    CHECK(!error);
    return copy;
}
