/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/mem.h"

enum { BUSY_TIMEOUT_MS = 5000 };

struct db {
    sqlite3 *handle;
    pthread_mutex_t mutex;
};

static int code_of(int result)
{
    switch (result & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_UNAVAILABLE;
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ERR_FORBIDDEN;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_IO;
    }
}

static int report(struct db *db, int result, struct err *err)
{
    int code = code_of(result);
    return code ? err_set(err, code, "%s", sqlite3_errmsg(db->handle)) : 0;
}

static int execute(struct db *db, const char *sql, struct err *err)
{
    return report(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), err);
}

/* ---- opening ---- */

/* SQLite would make it readable to all; its side files take over the mode of the main one. */
static int make_private(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, err_from_errno(errno), "%s", strerror(errno));
    close(fd);
    return 0;
}

static int check_whole(struct db *db, struct err *err)
{
    static const char advice[] = "it is damaged: put back a copy, or move it away to begin anew";
    struct query q;
    struct arena a;
    arena_init(&a, 1 << 16);
    query_begin(&q, db, "PRAGMA integrity_check(1)");
    struct str verdict = query_row(&q) ? query_str(&q, 0, &a) : STR_NONE;
    int error = query_end(&q, err);
    if (error == ERR_IO)
        error = err_wrap(err, error, "%s", advice);
    else if (!error && !str_eq(verdict, STR("ok")))
        error = err_set(err, ERR_IO, "%s: %.*s", advice, STR_ARG(verdict));
    arena_fini(&a);
    return error;
}

static int migrate(struct db *db, const char *const *migrations, int count, struct err *err)
{
    int error = db_begin(db, err);
    if (error)
        return error;
    struct query q;
    query_begin(&q, db, "PRAGMA user_version");
    int version = query_row(&q) ? (int)query_int(&q, 0) : 0;
    error = query_end(&q, err);
    if (!error && version > count)
        error = err_set(err, ERR_UNSUPPORTED,
                        "its schema has version %d and this program knows only up to %d: "
                        "use a newer fairway",
                        version, count);
    for (int i = version; i < count && !error; i++)
        error = execute(db, migrations[i], err);
    if (!error) {
        char sql[64];
        sqlite3_snprintf(sizeof(sql), sql, "PRAGMA user_version = %d", count);
        error = execute(db, sql, err);
    }
    return db_end(db, error, err);
}

static int prepare(struct db *db, const char *const *migrations, int count, struct err *err)
{
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    int error = check_whole(db, err);
    if (!error)
        error = execute(db,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                        err);
    if (!error)
        error = migrate(db, migrations, count, err);
    return error;
}

int db_open(const char *path, const char *const *migrations, int count, struct db **ret_db,
            struct err *err)
{
    int error = make_private(path, err);
    if (error)
        return error;
    struct db *db = NEW(struct db);
    pthread_mutex_init(&db->mutex, NULL);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    error = report(db, sqlite3_open_v2(path, &db->handle, flags, NULL), err);
    if (!error)
        error = prepare(db, migrations, count, err);
    if (error) {
        db_close(db);
        return error;
    }
    *ret_db = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    CHECK(sqlite3_close(db->handle) == SQLITE_OK);
    pthread_mutex_destroy(&db->mutex);
    mem_free(db);
}

/* ---- transactions ---- */

void db_lock(struct db *db)
{
    pthread_mutex_lock(&db->mutex);
}

void db_unlock(struct db *db)
{
    pthread_mutex_unlock(&db->mutex);
}

int db_begin(struct db *db, struct err *err)
{
    return execute(db, "BEGIN IMMEDIATE", err);
}

int db_end(struct db *db, int error, struct err *err)
{
    if (!error)
        error = execute(db, "COMMIT", err);
    if (error && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return error;
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes(db->handle);
}

/* ---- statements ---- */

void query_begin(struct query *q, struct db *db, const char *sql)
{
    *q = (struct query){.db = db, .next_parameter = 1};
    q->result = sqlite3_prepare_v2(db->handle, sql, -1, &q->statement, NULL);
}

static bool is_good(const struct query *q)
{
    return code_of(q->result) == 0 && !q->no_memory;
}

void query_bind_str(struct query *q, struct str text)
{
    if (is_good(q))
        q->result = sqlite3_bind_text64(q->statement, q->next_parameter++, text.ptr ? text.ptr : "",
                                        text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void query_bind_blob(struct query *q, struct str bytes)
{
    if (is_good(q))
        q->result = sqlite3_bind_blob64(q->statement, q->next_parameter++, bytes.ptr, bytes.len,
                                        SQLITE_STATIC);
}

void query_bind_int(struct query *q, int64_t value)
{
    if (is_good(q))
        q->result = sqlite3_bind_int64(q->statement, q->next_parameter++, value);
}

bool query_row(struct query *q)
{
    if (is_good(q))
        q->result = sqlite3_step(q->statement);
    return is_good(q) && q->result == SQLITE_ROW;
}

int64_t query_int(struct query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

struct str query_str(struct query *q, int column, struct arena *a)
{
    const char *bytes = sqlite3_column_blob(q->statement, column);
    size_t len = (size_t)sqlite3_column_bytes(q->statement, column);
    struct str copy = arena_dup(a, (struct str){bytes, bytes ? len : 0});
    q->no_memory |= !copy.ptr;
    return copy;
}

void *query_rows(struct buf *rows, struct arena *a)
{
    void *array = rows->error ? NULL : arena_alloc(a, rows->len);
    if (array && rows->len)
        memcpy(array, rows->ptr, rows->len);
    return array;
}

int query_end(struct query *q, struct err *err)
{
    if (is_good(q) && q->result != SQLITE_DONE && q->result != SQLITE_ROW)
        q->result = sqlite3_step(q->statement);
    int error = report(q->db, q->result, err);
    if (!error && q->no_memory)
        error = err_set(err, ERR_NO_MEMORY, "the stored data need too much memory");
    sqlite3_finalize(q->statement);
    return error;
}
