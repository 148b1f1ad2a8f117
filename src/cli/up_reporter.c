/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage of a process that was replaced, while it drains: its own controller is gone, so that each second and at the end the
 * rows are posted to the admin API of the process that has taken over. A report is repeated until it is answered; by its number
 * it counts once.
 */
#include <openssl/rand.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/up_internal.h"
#include "store/usage_report.h"

#define REPORT_PERIOD SEC(1)
#define LAST_WITHIN   SEC(60) /* for the last report; then what it says is lost */
enum { REPORT_MAX = 1024 * 1024, RETRY_PERIOD_MS = 100 };

struct up_reporter {
    struct up *up;
    pthread_t thread;
    pthread_mutex_t mutex; /* over `ending` */
    pthread_cond_t changed;
    bool ending;
    char sender[2 * sizeof(uint64_t) + 1];
    uint64_t sequence;
    struct arena arena; /* of the rows */
    struct usage *rows;
    size_t count; /* not yet delivered */
};

static int post(struct up_reporter *r, const struct usage_report *report, struct err *err)
{
    struct client_reply reply;
    struct json_writer w;
    struct buf text;
    buf_init(&text, REPORT_MAX);
    json_writer_init(&w, &text, 0);
    usage_report_write(report, &w);
    int error = text.error
                    ? err_set(err, ERR_TOO_BIG, "a report of usage is too long")
                    : client_call(r->up->o.state, "POST", "/v1/usage", buf_str(&text), &reply, err);
    if (!error)
        client_reply_fini(&reply);
    buf_fini(&text);
    return error;
}

/* In parts that the admin API takes; a part keeps its number until it is answered. */
static int deliver(struct up_reporter *r, struct err *err)
{
    int error = 0;
    while (r->count && !error) {
        const struct usage_report report = {
            .sender = str_from(r->sender),
            .sequence = r->sequence + 1,
            .rows = r->rows,
            .count = MIN(r->count, (size_t)USAGE_REPORT_ROWS_MAX),
        };
        error = post(r, &report, err);
        if (error)
            break;
        r->sequence++;
        r->rows += report.count;
        r->count -= report.count;
    }
    return error;
}

/* What was not delivered comes first, as it was. */
static int report(struct up_reporter *r, struct err *err)
{
    int error = deliver(r, err);
    if (error)
        return error;
    arena_reset(&r->arena);
    r->rows = gateway_take_usage(r->up->gateway, &r->arena, &r->count);
    return deliver(r, err);
}

static bool ends_within_a_period(struct up_reporter *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REPORT_PERIOD / NSEC_PER_SEC;
    int error = 0;
    pthread_mutex_lock(&r->mutex);
    while (!r->ending && !error)
        error = pthread_cond_timedwait(&r->changed, &r->mutex, &until);
    bool ending = r->ending;
    pthread_mutex_unlock(&r->mutex);
    return ending;
}

static void report_the_last(struct up_reporter *r)
{
    const struct timespec pause = {.tv_nsec = RETRY_PERIOD_MS * NSEC_PER_MSEC};
    nsec until = clock_now() + LAST_WITHIN;
    struct err err;
    int error;
    while ((error = report(r, &err)) && clock_now() < until)
        nanosleep(&pause, NULL);
    if (error)
        log_error("usage of the last requests is lost", log_int("rows", (int64_t)r->count),
                  log_str("error", err.message));
}

static void *run(void *arg)
{
    struct up_reporter *r = arg;
    struct err err;
    while (!ends_within_a_period(r))
        if (report(r, &err))
            log_warn("usage cannot be reported yet", log_str("error", err.message));
    report_the_last(r);
    return NULL;
}

struct up_reporter *up_reporter_start(struct up *up)
{
    struct up_reporter *r = NEW(struct up_reporter);
    uint64_t id;
    r->up = up;
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    arena_init(&r->arena, SIZE_MAX);
    CHECK(RAND_bytes((unsigned char *)&id, sizeof(id)) == 1);
    snprintf(r->sender, sizeof(r->sender), "%016llx", (unsigned long long)id);
    int error = pthread_create(&r->thread, NULL, run, r);
    CHECK(!error);
    return r;
}

void up_reporter_end(struct up_reporter *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mutex);
    r->ending = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    arena_fini(&r->arena);
    pthread_mutex_destroy(&r->mutex);
    pthread_cond_destroy(&r->changed);
    mem_free(r);
}
