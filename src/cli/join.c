/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/join.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "api/routes_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "observe/metrics.h"
#include "store/keys_json.h"
#include "store/usage_report.h"

#define USAGE_PERIOD SEC(1)
#define RETRY_MAX    SEC(2)  /* between two tries of a controller that does not answer */
#define FORGET_AFTER SEC(5)  /* without an answer: what others have open is not known any more */
#define LAST_WITHIN  SEC(60) /* for the last report of usage; then what it says is lost */
enum { REPORT_MAX = 8 * 1024 * 1024 /* the admin API's longest body */, ID_MAX = 17 };

struct join {
    struct join_options options;
    struct client *client; /* own */
    pthread_t thread;
    pthread_mutex_t mutex; /* over `ending` */
    pthread_cond_t changed;
    bool ending;
    char id[ID_MAX];
    struct rng rng;
    struct metric *connected;

    uint64_t sequence; /* of the last report */
    struct buf report; /* that is not answered yet; empty: none */
    char controller[ID_MAX];
    uint64_t orders, keys_version; /* of that controller */
    struct routes *routes;         /* ref; NULL: none yet */
    nsec answered;                 /* when orders came last */
    bool forgot, lost;
    nsec pause; /* until the next report */

    struct arena usage_arena; /* of the rows */
    struct usage *rows;
    size_t row_count; /* not yet delivered */
    uint64_t usage_sequence;
    nsec usage_due;
};

/* ---- reports ---- */

static void write_report(struct join *j, bool leaving)
{
    struct json_writer w;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    const struct sync_report report = {
        .gateway = str_from(j->id),
        .address = str_from(j->options.address),
        .version = str_from(FAIRWAY_VERSION),
        .controller = str_from(j->controller),
        .sequence = ++j->sequence,
        .orders = j->orders,
        .routes = j->routes ? j->routes->version : 0,
        .keys = j->keys_version,
        .leaving = leaving,
        .state = gateway_report(j->options.gateway, &a, false),
    };
    buf_clear(&j->report);
    json_writer_init(&w, &j->report, 0);
    sync_report_write(&report, &w);
    arena_fini(&a);
}

/* ---- orders ---- */

static int take_routes(struct join *j, const struct json *tree, struct err *err)
{
    struct routes *routes;
    int error = routes_read_json(tree, j->routes, &routes, err);
    if (error)
        return error;
    gateway_set_routes(j->options.gateway, routes);
    routes_unref(j->routes);
    j->routes = routes;
    return 0;
}

static int take_keys(struct join *j, const struct sync_orders *orders, struct err *err)
{
    struct key_table *keys;
    int error = key_table_read_json(orders->keys, &keys, err);
    if (error)
        return error;
    gateway_set_keys(j->options.gateway, keys);
    j->keys_version = orders->keys_version;
    return 0;
}

/* Keys before routes: the first routes let clients in. */
static int take_orders(struct join *j, struct client_reply *reply, struct err *err)
{
    struct sync_orders orders;
    int error = sync_orders_read(&reply->arena, reply->body, &orders, err);
    if (!error && orders.keys)
        error = take_keys(j, &orders, err);
    if (!error && orders.routes)
        error = take_routes(j, orders.routes, err);
    if (error || !j->routes)
        return error;
    gateway_follow(j->options.gateway, &orders);
    snprintf(j->controller, sizeof(j->controller), "%.*s", STR_ARG(orders.controller));
    j->orders = orders.number;
    return 0;
}

/* What was not answered is sent again as it was: it says what was charged since the report before it. */
static int exchange(struct join *j, bool leaving, struct err *err)
{
    struct client_reply reply;
    if (!j->report.len)
        write_report(j, leaving);
    if (j->report.error) {
        buf_clear(&j->report);
        return err_set(err, ERR_TOO_BIG, "a report was over 8 MiB: what it said is lost");
    }
    int error =
        client_send(j->client, "POST", "/v1/gateways/sync", buf_str(&j->report), &reply, err);
    if (error)
        return error;
    buf_clear(&j->report);
    error = leaving ? 0 : take_orders(j, &reply, err);
    client_reply_fini(&reply);
    return error;
}

/* ---- usage ---- */

static int post_usage(struct join *j, const struct usage_report *report, struct err *err)
{
    struct client_reply reply;
    struct json_writer w;
    struct buf text;
    buf_init(&text, REPORT_MAX);
    json_writer_init(&w, &text, 0);
    usage_report_write(report, &w);
    int error = text.error
                    ? err_set(err, ERR_TOO_BIG, "a report of usage is too long")
                    : client_send(j->client, "POST", "/v1/usage", buf_str(&text), &reply, err);
    if (!error)
        client_reply_fini(&reply);
    buf_fini(&text);
    return error;
}

/* In parts that the admin API takes; a part keeps its number until it is answered. */
static int deliver_usage(struct join *j, struct err *err)
{
    int error = 0;
    while (j->row_count && !error) {
        const struct usage_report report = {
            .sender = str_from(j->id),
            .sequence = j->usage_sequence + 1,
            .rows = j->rows,
            .count = MIN(j->row_count, (size_t)USAGE_REPORT_ROWS_MAX),
        };
        error = post_usage(j, &report, err);
        if (error)
            break;
        gateway_usage_told(j->options.gateway, report.rows, report.count);
        j->usage_sequence++;
        j->rows += report.count;
        j->row_count -= report.count;
    }
    return error;
}

/* What was not delivered comes first, as it was. */
static int report_usage(struct join *j, struct err *err)
{
    j->usage_due = clock_now() + USAGE_PERIOD;
    int error = deliver_usage(j, err);
    if (error)
        return error;
    arena_reset(&j->usage_arena);
    j->rows = gateway_take_usage(j->options.gateway, &j->usage_arena, &j->row_count);
    return deliver_usage(j, err);
}

/* ---- the thread ---- */

static void note_answer(struct join *j)
{
    if (j->lost)
        log_info("the controller answers again");
    j->lost = j->forgot = false;
    j->answered = clock_now();
    j->pause = GATEWAY_SYNC_PERIOD;
    metric_set(j->connected, 1);
}

/* Said once; then it is asked less and less often, not by all at the same time. */
static void note_failure(struct join *j, const struct err *err)
{
    if (!j->lost)
        log_warn("the controller does not answer: this gateway goes on with what it knows",
                 log_str("error", err->message));
    j->lost = true;
    j->pause = MIN(2 * j->pause, RETRY_MAX);
    j->pause -= (nsec)(rng_double(&j->rng) * (double)j->pause / 4);
    metric_set(j->connected, 0);
    if (!j->forgot && clock_now() - j->answered > FORGET_AFTER) {
        gateway_forget_others(j->options.gateway);
        j->forgot = true;
    }
}

static int step(struct join *j, struct err *err)
{
    struct err unreported;
    int error = exchange(j, false, err);
    if (error)
        note_failure(j, err);
    else
        note_answer(j);
    if (clock_now() >= j->usage_due && report_usage(j, &unreported))
        log_warn("usage cannot be reported yet", log_str("error", unreported.message));
    return error;
}

static struct timespec wall_after(nsec span)
{
    nsec at = clock_wall() + span;
    return (struct timespec){.tv_sec = at / NSEC_PER_SEC, .tv_nsec = at % NSEC_PER_SEC};
}

static bool ends_within_pause(struct join *j)
{
    struct timespec until = wall_after(j->pause);
    int error = 0;
    pthread_mutex_lock(&j->mutex);
    while (!j->ending && !error)
        error = pthread_cond_timedwait(&j->changed, &j->mutex, &until);
    bool ending = j->ending;
    pthread_mutex_unlock(&j->mutex);
    return ending;
}

static void report_the_last(struct join *j)
{
    const struct timespec pause = {.tv_nsec = GATEWAY_SYNC_PERIOD};
    nsec until = clock_now() + LAST_WITHIN;
    struct err err;
    int error;
    while ((error = report_usage(j, &err)) && clock_now() < until)
        nanosleep(&pause, NULL);
    if (error)
        log_error("usage of the last requests is lost", log_int("rows", (int64_t)j->row_count),
                  log_str("error", err.message));
    else if (exchange(j, true, &err))
        log_warn("the controller was not told of the end", log_str("error", err.message));
}

static void *run(void *arg)
{
    struct join *j = arg;
    struct err err;
    while (!ends_within_pause(j))
        (void)step(j, &err); /* it has noted the failure */
    report_the_last(j);
    return NULL;
}

/* ---- life ---- */

static void join_free(struct join *j)
{
    client_close(j->client);
    routes_unref(j->routes);
    buf_fini(&j->report);
    arena_fini(&j->usage_arena);
    pthread_mutex_destroy(&j->mutex);
    pthread_cond_destroy(&j->changed);
    mem_free(j);
}

/* Not an answer that the same question would change. */
static bool is_refused(int error)
{
    return error == ERR_UNAUTHORIZED || error == ERR_NOT_FOUND || error == ERR_INVALID ||
           error == ERR_FULL;
}

int join_begin(const struct join_options *options, struct join **ret_join, struct err *err)
{
    static const struct metric_spec connected = {
        .type = METRIC_GAUGE,
        .name = "fairway_controller_connected",
        .help = "1 while the controller answers this gateway's reports"};
    struct join *j = NEW(struct join);
    uint64_t id;
    CHECK(RAND_bytes((unsigned char *)&id, sizeof(id)) == 1);
    snprintf(j->id, sizeof(j->id), "%016llx", (unsigned long long)id);
    j->rng = rng_from(id);
    j->options = *options;
    j->answered = clock_now();
    j->pause = GATEWAY_SYNC_PERIOD;
    j->connected = metric_series(metrics_family(options->metrics, &connected), NULL);
    pthread_mutex_init(&j->mutex, NULL);
    pthread_cond_init(&j->changed, NULL);
    buf_init(&j->report, REPORT_MAX);
    arena_init(&j->usage_arena, SIZE_MAX);
    gateway_begin_sharing(options->gateway);
    struct client_options controller = options->controller;
    controller.timeout = FORGET_AFTER;
    int error = client_open(&controller, &j->client, err);
    if (!error)
        error = step(j, err);
    if (is_refused(error) && !options->insists) {
        join_free(j);
        return error;
    }
    error = pthread_create(&j->thread, NULL, run, j);
    CHECK(!error);
    *ret_join = j;
    return 0;
}

void join_end(struct join *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->mutex);
    j->ending = true;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->mutex);
    pthread_join(j->thread, NULL);
    join_free(j);
}
