/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <openssl/rand.h>

#include "base/mem.h"
#include "store/store_internal.h"

/* Never change one that was released: add another. */
static const char *const migrations[] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('version', 0);"
    "CREATE TABLE resources ("
    "  kind TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,"
    "  generation INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,"
    "  metadata TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL,"
    "  PRIMARY KEY (kind, name)) WITHOUT ROWID;"
    "CREATE TABLE replicas ("
    "  id TEXT PRIMARY KEY, model TEXT NOT NULL, revision INTEGER NOT NULL,"
    "  pid INTEGER NOT NULL, pid_start_time INTEGER NOT NULL, token TEXT NOT NULL,"
    "  port INTEGER NOT NULL, slots INTEGER NOT NULL, started_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE keys ("
    "  name TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE events ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL,"
    "  kind TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL);"
    "CREATE INDEX events_by_resource ON events (kind, name, id);",

    /* Keys of tenants; what they used. A key of old is its own tenant, and never expires. */
    "ALTER TABLE keys ADD COLUMN tenant TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE keys ADD COLUMN expires INTEGER NOT NULL DEFAULT 9223372036854775807;"
    "UPDATE keys SET tenant = name;"
    "CREATE TABLE usage ("
    "  day INTEGER NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,"
    "  requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,"
    "  output_tokens INTEGER NOT NULL, cost INTEGER NOT NULL,"
    "  PRIMARY KEY (day, tenant, model)) WITHOUT ROWID;",

    /* The newest report of each process that has sent some. */
    ("CREATE TABLE usage_reports ("
     "  sender TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;"),

    "ALTER TABLE replicas ADD COLUMN lease TEXT NOT NULL DEFAULT '';",
};

/* Made once per store; a copy of the hashes alone is of no use. */
static int load_secret(struct store *s, struct err *err)
{
    struct query q;
    struct arena a;
    arena_init(&a, 4096);
    CHECK(RAND_bytes(s->secret, sizeof(s->secret)) == 1);
    query_begin(&q, s->db, "INSERT INTO meta VALUES ('secret', ?) ON CONFLICT DO NOTHING");
    query_bind_blob(&q, (struct str){(const char *)s->secret, sizeof(s->secret)});
    int error = query_end(&q, err);
    if (!error) {
        query_begin(&q, s->db, "SELECT value FROM meta WHERE name = 'secret'");
        struct str secret = query_row(&q) ? query_str(&q, 0, &a) : STR_NONE;
        if (secret.len == sizeof(s->secret))
            memcpy(s->secret, secret.ptr, secret.len);
        error = query_end(&q, err);
        if (!error && secret.len != sizeof(s->secret))
            error = err_set(err, ERR_IO, "its secret is damaged");
    }
    arena_fini(&a);
    return error;
}

int store_open(const char *path, struct store **ret_store, struct err *err)
{
    struct store *s = NEW(struct store);
    int error = db_open(path, migrations, ARRAY_LEN(migrations), &s->db, err);
    if (!error)
        error = load_secret(s, err);
    if (error) {
        store_close(s);
        return err_wrap(err, error, "cannot open the store %s", path);
    }
    *ret_store = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    db_close(s->db);
    mem_free(s);
}

/* ---- replicas ---- */

#define REPLICA_COLUMNS \
    "id, model, revision, pid, pid_start_time, token, port, slots, started_at, lease"

int store_put_replica(struct store *s, const struct store_replica *replica, struct err *err)
{
    struct query q;
    db_lock(s->db);
    query_begin(&q, s->db,
                "INSERT OR REPLACE INTO replicas (" REPLICA_COLUMNS
                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_bind_str(&q, replica->id);
    query_bind_str(&q, replica->model);
    query_bind_int(&q, (int64_t)replica->revision);
    query_bind_int(&q, replica->pid);
    query_bind_int(&q, (int64_t)replica->pid_start_time);
    query_bind_str(&q, replica->token);
    query_bind_int(&q, replica->port);
    query_bind_int(&q, replica->slots);
    query_bind_int(&q, replica->started_at);
    query_bind_str(&q, replica->lease);
    int error = query_end(&q, err);
    db_unlock(s->db);
    return error;
}

int store_delete_replica(struct store *s, struct str id, struct err *err)
{
    struct query q;
    db_lock(s->db);
    query_begin(&q, s->db, "DELETE FROM replicas WHERE id = ?");
    query_bind_str(&q, id);
    int error = query_end(&q, err);
    if (!error && db_changes(s->db) == 0)
        error = err_set(err, ERR_NOT_FOUND, "replica %.*s: not found", STR_ARG(id));
    db_unlock(s->db);
    return error;
}

static struct store_replica read_replica(struct query *q, struct arena *a)
{
    return (struct store_replica){
        .id = query_str(q, 0, a),
        .model = query_str(q, 1, a),
        .revision = (uint64_t)query_int(q, 2),
        .pid = query_int(q, 3),
        .pid_start_time = (uint64_t)query_int(q, 4),
        .token = query_str(q, 5, a),
        .port = query_int(q, 6),
        .slots = (unsigned)query_int(q, 7),
        .started_at = query_int(q, 8),
        .lease = query_str(q, 9, a),
    };
}

int store_list_replicas(struct store *s, struct arena *a, struct store_replica **ret_replicas,
                        size_t *ret_count, struct err *err)
{
    struct query q;
    struct buf rows;
    buf_init(&rows, a->cap);
    db_lock(s->db);
    query_begin(&q, s->db, "SELECT " REPLICA_COLUMNS " FROM replicas ORDER BY id");
    while (query_row(&q)) {
        struct store_replica replica = read_replica(&q, a);
        buf_put(&rows, (struct str){(const char *)&replica, sizeof(replica)});
    }
    int error = query_end(&q, err);
    db_unlock(s->db);
    struct store_replica *replicas = query_rows(&rows, a);
    if (!error && !replicas)
        error = err_set(err, ERR_NO_MEMORY, "the replicas need too much memory");
    if (!error) {
        *ret_replicas = replicas;
        *ret_count = rows.len / sizeof(struct store_replica);
    }
    buf_fini(&rows);
    return error;
}

/* ---- events ---- */

int store_add_event(struct store *s, const struct store_event *event, struct err *err)
{
    struct query q;
    db_lock(s->db);
    int error = db_begin(s->db, err);
    if (!error) {
        query_begin(&q, s->db,
                    "INSERT INTO events (at, actor, kind, name, reason, message)"
                    " VALUES (?, ?, ?, ?, ?, ?)");
        query_bind_int(&q, event->at);
        query_bind_str(&q, event->actor);
        query_bind_str(&q, event->kind);
        query_bind_str(&q, event->name);
        query_bind_str(&q, event->reason);
        query_bind_str(&q, event->message);
        error = query_end(&q, err);
        if (!error) {
            query_begin(&q, s->db, "DELETE FROM events WHERE id <= last_insert_rowid() - ?");
            query_bind_int(&q, STORE_EVENTS_MAX);
            error = query_end(&q, err);
        }
        error = db_end(s->db, error, err);
    }
    db_unlock(s->db);
    return error;
}

int store_list_events(struct store *s, struct arena *a, struct str kind, struct str name,
                      size_t limit, struct store_event **ret_events, size_t *ret_count,
                      struct err *err)
{
    struct query q;
    limit = MIN(limit, (size_t)STORE_EVENTS_MAX);
    struct store_event *events = arena_array(a, limit, sizeof(struct store_event));
    if (!events)
        return err_set(err, ERR_NO_MEMORY, "the events need too much memory");
    size_t count = 0;
    db_lock(s->db);
    query_begin(&q, s->db,
                "SELECT at, actor, kind, name, reason, message FROM events"
                " WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR name = ?2)"
                " ORDER BY id DESC LIMIT ?3");
    query_bind_str(&q, kind);
    query_bind_str(&q, name);
    query_bind_int(&q, (int64_t)limit);
    while (query_row(&q)) {
        events[count++] = (struct store_event){
            .at = query_int(&q, 0),
            .actor = query_str(&q, 1, a),
            .kind = query_str(&q, 2, a),
            .name = query_str(&q, 3, a),
            .reason = query_str(&q, 4, a),
            .message = query_str(&q, 5, a),
        };
    }
    int error = query_end(&q, err);
    db_unlock(s->db);
    if (!error) {
        *ret_events = events;
        *ret_count = count;
    }
    return error;
}
