/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin layer over SQLite for src/store: opening with migrations, statements with a sticky error,
 * transactions. Internal to src/store.
 *
 * Durability: WAL with synchronous=FULL: what was committed survives a crash of the program and of
 * the machine. Ownership: a struct db is its opener's. Thread rule: db_lock around everything.
 */
#ifndef FAIRWAY_STORE_DB_H
#define FAIRWAY_STORE_DB_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct sqlite3_stmt;
struct db;

/*
 * Opens or makes the file (readable by its owner only), checks that it is whole, and brings its
 * schema to the newest version: migrations[i] leads from version i to i + 1.
 */
[[nodiscard]] int db_open(const char *path, const char *const *migrations, int count,
                          struct db **ret_db, struct err *err);
void db_close(struct db *db); /* NULL is fine */

void db_lock(struct db *db);
void db_unlock(struct db *db);

/* One transaction: begin takes the write lock at once. db_end commits if error is 0, else rolls
 * back; it returns error or why the commit failed. */
[[nodiscard]] int db_begin(struct db *db, struct err *err);
[[nodiscard]] int db_end(struct db *db, int error, struct err *err);

/*
 * One statement. Bind the parameters in order, then step through the rows; the first error sticks
 * and is told by query_end, which always must be called:
 *   struct query q;
 *   query_begin(&q, db, "SELECT name FROM t WHERE id = ?");
 *   query_bind_int(&q, 7);
 *   while (query_row(&q))
 *       use(query_str(&q, 0, arena));
 *   error = query_end(&q, err);
 */
struct query {
    struct db *db; /* borrow */
    struct sqlite3_stmt *statement;
    int next_parameter;
    int result; /* of the last SQLite call */
    bool no_memory;
};

void query_begin(struct query *q, struct db *db, const char *sql);
void query_bind_str(struct query *q, struct str text); /* borrowed until query_end */
void query_bind_blob(struct query *q, struct str bytes);
void query_bind_int(struct query *q, int64_t value);
bool query_row(struct query *q);
int64_t query_int(struct query *q, int column);
/* A copy in the arena; the arena's cap ends the query with ERR_NO_MEMORY. */
struct str query_str(struct query *q, int column, struct arena *a);
[[nodiscard]] int query_end(struct query *q, struct err *err);

/* What was gathered row by row, as an array in the arena; NULL when it does not fit. */
void *query_rows(struct buf *rows, struct arena *a);

int64_t db_changes(struct db *db); /* rows that the last statement changed */

#endif
