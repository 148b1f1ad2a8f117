/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/store_internal.h"

enum { TEXT_MAX = 4 << 20 };

#define COLUMNS "uid, generation, version, created, metadata, spec, status"

/* ---- rows to resources ---- */

static int decode_row(struct query *q, struct arena *a, const struct resource_kind *kind,
                      struct resource **ret_resource, struct err *err)
{
    struct json *root;
    struct resource *r;
    struct str uid = query_str(q, 0, a), metadata = query_str(q, 4, a);
    struct str spec = query_str(q, 5, a), status = query_str(q, 6, a);
    struct str version = arena_printf(a, "%" PRId64, query_int(q, 2));
    struct str text = arena_printf(a,
                                   "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":%.*s,"
                                   "\"spec\":%.*s,\"status\":%.*s}",
                                   resource_api_versions[0], kind->name, STR_ARG(metadata),
                                   STR_ARG(spec), STR_ARG(status));
    char created[CLOCK_RFC3339_MAX];
    struct str created_text = arena_dup(a, str_from(clock_rfc3339((nsec)query_int(q, 3), created)));
    if (!text.ptr || !version.ptr || !created_text.ptr)
        return err_set(err, ERR_NO_MEMORY, "the resource needs too much memory");
    int error = json_parse(a, text, &root, err);
    if (!error)
        error = resource_decode(a, root, &r, err);
    if (error)
        return err_wrap(err, error, "stored %s %.*s", kind->name, STR_ARG(metadata));
    r->metadata.uid = uid;
    r->metadata.generation = query_int(q, 1);
    r->metadata.resource_version = version;
    r->metadata.creation_timestamp = created_text;
    *ret_resource = r;
    return 0;
}

static int find(struct store *s, struct arena *a, const struct resource_kind *kind, struct str name,
                struct resource **ret_resource, struct err *err)
{
    struct query q;
    int error = 0;
    bool found = false;
    query_begin(&q, s->db, "SELECT " COLUMNS " FROM resources WHERE kind = ? AND name = ?");
    query_bind_str(&q, str_from(kind->name));
    query_bind_str(&q, name);
    if (query_row(&q)) {
        found = true;
        error = decode_row(&q, a, kind, ret_resource, err);
    }
    int end = query_end(&q, error ? NULL : err);
    if (!error)
        error = end;
    if (!error && !found)
        error = err_set(err, ERR_NOT_FOUND, "%s %.*s: not found", kind->name, STR_ARG(name));
    return error;
}

/* ---- resources to rows ---- */

struct texts {
    struct buf metadata, spec, status;
};

static void write_texts(struct texts *t, const struct resource *resource)
{
    struct json_writer w;
    buf_init(&t->metadata, TEXT_MAX);
    buf_init(&t->spec, TEXT_MAX);
    buf_init(&t->status, TEXT_MAX);
    json_writer_init(&w, &t->metadata, 0);
    resource_encode_metadata(resource, &w);
    json_writer_init(&w, &t->spec, 0);
    resource_encode_spec(resource, &w);
    json_writer_init(&w, &t->status, 0);
    resource_encode_status(resource, &w);
}

static int check_texts(const struct texts *t, struct err *err)
{
    if (t->metadata.error || t->spec.error || t->status.error)
        return err_set(err, ERR_TOO_BIG, "a resource may have at most %d MiB", TEXT_MAX >> 20);
    return 0;
}

static void free_texts(struct texts *t)
{
    buf_fini(&t->metadata);
    buf_fini(&t->spec);
    buf_fini(&t->status);
}

static int next_version(struct store *s, int64_t *ret_version, struct err *err)
{
    struct query q;
    query_begin(&q, s->db,
                "UPDATE meta SET value = value + 1 WHERE name = 'version' RETURNING value");
    *ret_version = query_row(&q) ? query_int(&q, 0) : 0;
    return query_end(&q, err);
}

/* 128 random bits in the usual form (RFC 9562, version 4). */
static void make_uid(char text[37])
{
    unsigned char b[16];
    CHECK(RAND_bytes(b, sizeof(b)) == 1);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

/* ---- put ---- */

static int insert(struct store *s, const struct resource *wanted, const struct texts *t, nsec now,
                  struct err *err)
{
    if (wanted->metadata.resource_version.len || wanted->metadata.uid.len)
        return err_set(err, ERR_CONFLICT,
                       "%s %.*s does not exist (any more): leave out resourceVersion and uid to "
                       "create it",
                       wanted->type->name, STR_ARG(wanted->metadata.name));
    int64_t version;
    char uid[37];
    struct query q;
    int error = next_version(s, &version, err);
    if (error)
        return error;
    make_uid(uid);
    query_begin(&q, s->db,
                "INSERT INTO resources (kind, name, " COLUMNS ")"
                " VALUES (?, ?, ?, 1, ?, ?, ?, ?, '{}')");
    query_bind_str(&q, str_from(wanted->type->name));
    query_bind_str(&q, wanted->metadata.name);
    query_bind_str(&q, str_from(uid));
    query_bind_int(&q, version);
    query_bind_int(&q, now);
    query_bind_str(&q, buf_str(&t->metadata));
    query_bind_str(&q, buf_str(&t->spec));
    return query_end(&q, err);
}

static int check_preconditions(struct arena *a, const struct resource *wanted,
                               const struct resource *stored, struct err *err)
{
    struct str given = wanted->metadata.resource_version;
    if (given.len && !str_eq(given, stored->metadata.resource_version))
        return err_set(err, ERR_CONFLICT,
                       "%s %.*s has changed: its resourceVersion is %.*s, not %.*s; read it anew",
                       wanted->type->name, STR_ARG(wanted->metadata.name),
                       STR_ARG(stored->metadata.resource_version), STR_ARG(given));
    struct resource *after = arena_alloc(a, wanted->type->schema->size);
    if (!after)
        return err_set(err, ERR_NO_MEMORY, "the resource needs too much memory");
    memcpy(after, wanted, wanted->type->schema->size);
    if (after->metadata.uid.len == 0) /* no precondition */
        after->metadata.uid = stored->metadata.uid;
    return resource_check_change(a, stored, after, err);
}

static int replace(struct store *s, const struct resource *stored, const struct texts *t,
                   enum store_outcome *ret_outcome, struct err *err)
{
    struct texts old;
    struct query q;
    int64_t version;
    write_texts(&old, stored);
    bool same_spec = str_eq(buf_str(&old.spec), buf_str(&t->spec));
    bool same = same_spec && str_eq(buf_str(&old.metadata), buf_str(&t->metadata));
    free_texts(&old);
    *ret_outcome = same ? STORE_UNCHANGED : STORE_CHANGED;
    int error = same ? 0 : next_version(s, &version, err);
    if (same || error)
        return error;
    query_begin(&q, s->db,
                "UPDATE resources SET generation = ?, version = ?, metadata = ?, spec = ?"
                " WHERE kind = ? AND name = ?");
    query_bind_int(&q, stored->metadata.generation + !same_spec);
    query_bind_int(&q, version);
    query_bind_str(&q, buf_str(&t->metadata));
    query_bind_str(&q, buf_str(&t->spec));
    query_bind_str(&q, str_from(stored->type->name));
    query_bind_str(&q, stored->metadata.name);
    return query_end(&q, err);
}

static int put(struct store *s, struct arena *a, const struct resource *wanted,
               const struct texts *t, nsec now, struct resource **ret_stored,
               enum store_outcome *ret_outcome, struct err *err)
{
    struct resource *stored = NULL;
    struct err problem;
    *ret_outcome = STORE_CREATED;
    int error = find(s, a, wanted->type, wanted->metadata.name, &stored, &problem);
    if (error == ERR_NOT_FOUND) {
        error = insert(s, wanted, t, now, err);
    } else if (error) {
        error = err_set(err, error, "%s", problem.message);
    } else {
        error = check_preconditions(a, wanted, stored, err);
        if (!error)
            error = replace(s, stored, t, ret_outcome, err);
    }
    if (!error)
        error = find(s, a, wanted->type, wanted->metadata.name, ret_stored, err);
    return error;
}

int store_put(struct store *s, struct arena *a, const struct resource *wanted, nsec now,
              struct resource **ret_stored, enum store_outcome *ret_outcome, struct err *err)
{
    struct texts t;
    struct resource *stored = NULL;
    enum store_outcome outcome;
    write_texts(&t, wanted);
    db_lock(s->db);
    int error = check_texts(&t, err);
    if (!error)
        error = db_begin(s->db, err);
    if (!error)
        error = db_end(s->db, put(s, a, wanted, &t, now, &stored, &outcome, err), err);
    db_unlock(s->db);
    free_texts(&t);
    if (!error) {
        *ret_stored = stored;
        *ret_outcome = outcome;
    }
    return error;
}

/* ---- status, get, list, delete ---- */

/* An unchanged status costs no write. */
static int status_differs(struct store *s, const struct resource *resource, struct str status,
                          bool *ret_differs, struct err *err)
{
    struct query q;
    query_begin(&q, s->db,
                "SELECT status <> ? FROM resources WHERE kind = ? AND name = ? AND uid = ?");
    query_bind_str(&q, status);
    query_bind_str(&q, str_from(resource->type->name));
    query_bind_str(&q, resource->metadata.name);
    query_bind_str(&q, resource->metadata.uid);
    bool found = query_row(&q);
    *ret_differs = found && query_int(&q, 0);
    int error = query_end(&q, err);
    if (!error && !found)
        error = err_set(err, ERR_NOT_FOUND, "%s %.*s: not found", resource->type->name,
                        STR_ARG(resource->metadata.name));
    return error;
}

static int update_status(struct store *s, const struct resource *resource, struct str status,
                         struct err *err)
{
    int64_t version = 0;
    bool differs;
    struct query q;
    int error = status_differs(s, resource, status, &differs, err);
    if (error || !differs)
        return error;
    error = next_version(s, &version, err);
    if (error)
        return error;
    query_begin(&q, s->db,
                "UPDATE resources SET version = ?, status = ? WHERE kind = ? AND name = ?");
    query_bind_int(&q, version);
    query_bind_str(&q, status);
    query_bind_str(&q, str_from(resource->type->name));
    query_bind_str(&q, resource->metadata.name);
    return query_end(&q, err);
}

int store_put_status(struct store *s, const struct resource *resource, struct err *err)
{
    struct texts t;
    write_texts(&t, resource);
    db_lock(s->db);
    int error = check_texts(&t, err);
    if (!error)
        error = db_begin(s->db, err);
    if (!error)
        error = db_end(s->db, update_status(s, resource, buf_str(&t.status), err), err);
    db_unlock(s->db);
    free_texts(&t);
    return error;
}

int store_get(struct store *s, struct arena *a, const struct resource_kind *kind, struct str name,
              struct resource **ret_resource, struct err *err)
{
    db_lock(s->db);
    int error = find(s, a, kind, name, ret_resource, err);
    db_unlock(s->db);
    return error;
}

int store_list(struct store *s, struct arena *a, const struct resource_kind *kind,
               struct resource ***ret_resources, size_t *ret_count, struct err *err)
{
    struct query q;
    struct buf rows;
    struct resource *resource;
    int error = 0;
    buf_init(&rows, a->cap);
    db_lock(s->db);
    query_begin(&q, s->db, "SELECT " COLUMNS " FROM resources WHERE kind = ? ORDER BY name");
    query_bind_str(&q, str_from(kind->name));
    while (!error && query_row(&q)) {
        error = decode_row(&q, a, kind, &resource, err);
        if (!error)
            buf_put(&rows, (struct str){(const char *)&resource, sizeof(struct resource *)});
    }
    int end = query_end(&q, error ? NULL : err);
    db_unlock(s->db);
    struct resource **list = query_rows(&rows, a);
    if (!error)
        error = end;
    if (!error && !list)
        error = err_set(err, ERR_NO_MEMORY, "the resources need too much memory");
    if (!error) {
        *ret_resources = list;
        *ret_count = rows.len / sizeof(struct resource *);
    }
    buf_fini(&rows);
    return error;
}

static int delete_row(struct store *s, const struct resource_kind *kind, struct str name,
                      struct str version, struct err *err)
{
    struct query q;
    int64_t current = 0;
    query_begin(&q, s->db, "DELETE FROM resources WHERE kind = ? AND name = ? RETURNING version");
    query_bind_str(&q, str_from(kind->name));
    query_bind_str(&q, name);
    bool found = query_row(&q);
    if (found)
        current = query_int(&q, 0);
    int error = query_end(&q, err);
    int64_t given = 0;
    if (error)
        return error;
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "%s %.*s: not found", kind->name, STR_ARG(name));
    if (version.len && (str_to_i64(version, &given) || given != current))
        return err_set(err, ERR_CONFLICT, "%s %.*s has changed: its resourceVersion is %" PRId64,
                       kind->name, STR_ARG(name), current);
    return 0;
}

int store_delete(struct store *s, const struct resource_kind *kind, struct str name,
                 struct str version, struct err *err)
{
    db_lock(s->db);
    int error = db_begin(s->db, err);
    if (!error)
        error = db_end(s->db, delete_row(s, kind, name, version, err), err);
    db_unlock(s->db);
    return error;
}
