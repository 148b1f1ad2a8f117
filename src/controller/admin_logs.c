/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/logs/MODEL?replica=ID&lines=N&follow=1 and /v1/logs/job/NAME?rank=N&...: the log of a replica, or of a job's member, from
 * the end, and what is added to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/job.h"
#include "base/mem.h"
#include "controller/admin_internal.h"
#include "controller/jobs.h"
#include "runtime/local/log_file.h"

enum {
    TAIL_MAX = 4 * 1024 * 1024,
    PIECE = 64 * 1024,
    LINES_DEFAULT = 200,
    JOB_ARENA_MAX = 16 * 1024 * 1024
};

/* No event tells that a file has grown on every file system, so a follower looks so often. */
#define FOLLOW_PERIOD MSEC(200)

/* A reader who follows. Frees itself when the reader leaves. */
struct follower {
    struct http_exchange *exchange;
    struct loop *loop;
    struct loop_timer timer;
    char path[PATH_MAX];
    int fd; /* -1: there is no log yet */
    off_t at;
    bool full;
};

static struct managed_replica *find_replica(struct controller *c, struct str model,
                                            struct str id_text)
{
    struct managed_model *m = model_find(c, model);
    uint64_t id = 0;
    if (!m || (id_text.ptr && str_to_u64(id_text, &id)))
        return NULL;
    list_each(r, &m->replicas, struct managed_replica,
              link) if (!id_text.ptr || r->id == id) return r;
    return NULL;
}

static void follow(struct follower *f)
{
    char piece[PIECE];
    struct stat st;
    ssize_t got;
    if (f->fd < 0)
        f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fstat(f->fd, &st) == 0 && st.st_size < f->at)
        f->at = 0; /* rotated */
    while (!f->full && (got = pread(f->fd, piece, sizeof(piece), f->at)) > 0) {
        f->at += got;
        f->full = http_respond_write(f->exchange, (struct str){piece, (size_t)got}) != 0;
    }
    if (!f->full)
        loop_timer_start(f->loop, &f->timer, FOLLOW_PERIOD);
}

static void on_timer(struct loop_timer *timer)
{
    follow(container_of(timer, struct follower, timer));
}

void admin_log_writable(struct http_exchange *x)
{
    struct follower *f = http_exchange_data(x);
    if (!f)
        return;
    f->full = false;
    follow(f);
}

void admin_log_departed(struct http_exchange *x)
{
    struct follower *f = http_exchange_data(x);
    if (!f)
        return;
    loop_timer_stop(&f->timer);
    if (f->fd >= 0)
        close(f->fd);
    mem_free(f);
}

static void start_following(struct controller *c, struct http_exchange *x, const char *path,
                            struct str tail)
{
    const struct http_header headers[] = {{STR("content-type"), STR("text/plain; charset=utf-8")}};
    struct follower *f = NEW(struct follower);
    f->exchange = x;
    f->loop = c->loop;
    f->timer.fire = on_timer;
    snprintf(f->path, sizeof(f->path), "%s", path);
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    f->at = f->fd < 0 ? 0 : lseek(f->fd, 0, SEEK_END);
    http_exchange_set_data(x, f);
    http_respond_begin(x, 200, headers, ARRAY_LEN(headers));
    f->full = http_respond_write(x, tail) != 0;
    if (!f->full)
        follow(f);
}

static int find_replica_log(struct controller *c, struct str model, struct str id,
                            char path[PATH_MAX], struct err *err)
{
    struct managed_replica *r = find_replica(c, model, id);
    if (!r)
        return err_set(err, ERR_NOT_FOUND,
                       "model '%.*s' has no such replica; see fairway get replicas",
                       STR_ARG(model));
    if (r->remote)
        return err_set(err, ERR_NOT_FOUND, "replica %llu runs elsewhere, and so does its log: %.*s",
                       (unsigned long long)r->id, STR_ARG(remote_url(r)));
    replica_log_path(r, path);
    return 0;
}

static int find_job_log(struct controller *c, struct str name, struct str rank_text,
                        char path[PATH_MAX], struct err *err)
{
    struct resource *stored;
    struct arena a;
    uint64_t rank = 0;
    int64_t members = 0;
    arena_init(&a, JOB_ARENA_MAX);
    int error = store_get(c->store, &a, &job_kind, name, &stored, err);
    if (!error)
        members = job_from(stored)->spec.members;
    arena_fini(&a);
    if (error)
        return error;
    if (rank_text.ptr && (str_to_u64(rank_text, &rank) || rank >= (uint64_t)members))
        return err_set(err, ERR_NOT_FOUND, "job '%.*s' has no such rank; it has 0 to %lld",
                       STR_ARG(name), (long long)members - 1);
    job_log_path(c, name, (unsigned)rank, path);
    return 0;
}

void admin_get_log(struct controller *c, struct http_exchange *x, struct str of)
{
    const struct http_header headers[] = {{STR("content-type"), STR("text/plain; charset=utf-8")}};
    struct str query = http_exchange_request(x)->query, job = STR("job/");
    struct str lines_text = admin_query(query, STR("lines"));
    uint64_t lines = LINES_DEFAULT;
    struct err err;
    struct buf tail;
    char path[PATH_MAX];
    int error = str_starts(of, job)
                    ? find_job_log(c, str_sub(of, job.len, of.len), admin_query(query, STR("rank")),
                                   path, &err)
                    : find_replica_log(c, of, admin_query(query, STR("replica")), path, &err);
    if (!error && lines_text.ptr && str_to_u64(lines_text, &lines))
        error = err_set(&err, ERR_INVALID, "lines takes a number");
    if (error) {
        admin_fail(x, &err);
        return;
    }
    buf_init(&tail, TAIL_MAX);
    (void)!log_file_tail(path, (size_t)lines, &tail); /* no log yet: empty */
    if (admin_query(query, STR("follow")).ptr)
        start_following(c, x, path, buf_str(&tail));
    else
        http_respond(x, 200, headers, ARRAY_LEN(headers), buf_str(&tail));
    buf_fini(&tail);
}
