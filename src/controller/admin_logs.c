/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/logs/MODEL?replica=ID&lines=N&follow=1: a replica's log, from the end, and what is added to it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "controller/admin_internal.h"
#include "runtime/local/log_file.h"

enum { TAIL_MAX = 4 * 1024 * 1024, PIECE = 64 * 1024, LINES_DEFAULT = 200 };

/* No event tells that a file has grown on every file system, so a follower looks so often. */
#define FOLLOW_PERIOD MSEC(200)

/* A reader who follows. Frees itself when the reader leaves. */
struct follower {
    struct http_exchange *exchange;
    struct loop *loop;
    struct loop_timer timer;
    int fd;
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
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    f->at = f->fd < 0 ? 0 : lseek(f->fd, 0, SEEK_END);
    http_exchange_set_data(x, f);
    http_respond_begin(x, 200, headers, ARRAY_LEN(headers));
    f->full = http_respond_write(x, tail) != 0;
    if (!f->full)
        follow(f);
}

void admin_get_log(struct controller *c, struct http_exchange *x, struct str name)
{
    const struct http_header headers[] = {{STR("content-type"), STR("text/plain; charset=utf-8")}};
    struct str query = http_exchange_request(x)->query;
    struct managed_replica *r = find_replica(c, name, admin_query(query, STR("replica")));
    struct str lines_text = admin_query(query, STR("lines"));
    uint64_t lines = LINES_DEFAULT;
    struct err err;
    struct buf tail;
    char path[PATH_MAX];
    if (!r) {
        err_set(&err, ERR_NOT_FOUND, "model '%.*s' has no such replica; see fairway get replicas",
                STR_ARG(name));
        admin_fail(x, &err);
        return;
    }
    if (r->remote) {
        err_set(&err, ERR_NOT_FOUND, "replica %llu runs elsewhere, and so does its log: %.*s",
                (unsigned long long)r->id, STR_ARG(remote_url(r)));
        admin_fail(x, &err);
        return;
    }
    if (lines_text.ptr && str_to_u64(lines_text, &lines)) {
        err_set(&err, ERR_INVALID, "lines takes a number");
        admin_fail(x, &err);
        return;
    }
    replica_log_path(r, path);
    buf_init(&tail, TAIL_MAX);
    (void)!log_file_tail(path, (size_t)lines, &tail); /* no log yet: empty */
    if (admin_query(query, STR("follow")).ptr)
        start_following(c, x, path, buf_str(&tail));
    else
        http_respond(x, 200, headers, ARRAY_LEN(headers), buf_str(&tail));
    buf_fini(&tail);
}
