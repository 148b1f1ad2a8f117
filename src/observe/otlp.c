/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/otlp.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

enum { BODY_MAX = 16 << 20, TRIES = 4, REQUEST_TIMEOUT_MS = 10000, URL_MAX = 2048 };

struct otlp {
    struct tracer *tracer; /* borrow */
    struct otlp_options options;
    char url[URL_MAX];
    char *service_name; /* own */
    struct span *batch; /* own */
    struct buf body;
    CURLM *multi; /* own; also what the thread sleeps on */
    CURL *easy;   /* own */
    struct curl_slist *headers;
    pthread_t thread;
    _Atomic uint64_t sent, lost;
    _Atomic nsec deadline; /* NSEC_NEVER: not stopping */
};

const char *otlp_endpoint_from_env(void)
{
    const char *endpoint = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    return endpoint && *endpoint ? endpoint : NULL;
}

static bool stopping(const struct otlp *o)
{
    return atomic_load(&o->deadline) != NSEC_NEVER;
}

static bool out_of_time(const struct otlp *o)
{
    return clock_now() >= atomic_load(&o->deadline);
}

/* Sleeps until `until`, the deadline or a wake-up; does the transfer's work meanwhile. */
static void wait_until(struct otlp *o, nsec until)
{
    enum { LONGEST_MS = 3600 * 1000 };
    nsec left = MIN(until, atomic_load(&o->deadline)) - clock_now();
    nsec milliseconds = MIN(MAX(left, 0) / NSEC_PER_MSEC + 1, (nsec)LONGEST_MS);
    curl_multi_poll(o->multi, NULL, 0, left > 0 ? (int)milliseconds : 0, NULL);
}

static void wake(void *arg)
{
    struct otlp *o = arg;
    curl_multi_wakeup(o->multi);
}

/* ---- one request ---- */

enum outcome { TAKEN, REFUSED, TRY_AGAIN };

static enum outcome judge(struct otlp *o, CURLcode result)
{
    long status = 0;
    curl_easy_getinfo(o->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK || status == 429 || (status >= 502 && status <= 504))
        return TRY_AGAIN;
    return status >= 200 && status < 300 ? TAKEN : REFUSED;
}

static enum outcome post_once(struct otlp *o)
{
    enum outcome outcome = TRY_AGAIN;
    int running = 1;
    curl_multi_add_handle(o->multi, o->easy);
    while (running && !out_of_time(o)) {
        curl_multi_perform(o->multi, &running);
        if (running)
            wait_until(o, NSEC_NEVER);
    }
    int left;
    CURLMsg *message = curl_multi_info_read(o->multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        outcome = judge(o, message->data.result);
    curl_multi_remove_handle(o->multi, o->easy);
    return outcome;
}

static enum outcome post(struct otlp *o)
{
    curl_easy_setopt(o->easy, CURLOPT_POSTFIELDS, o->body.ptr);
    curl_easy_setopt(o->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.len);
    nsec delay = o->options.retry_delay;
    enum outcome outcome = post_once(o);
    for (int i = 1; i < TRIES && outcome == TRY_AGAIN && !out_of_time(o); i++) {
        nsec until = nsec_after(clock_now(), delay);
        while (clock_now() < until && !out_of_time(o))
            wait_until(o, until);
        delay *= 2;
        outcome = post_once(o);
    }
    return outcome;
}

/* ---- the thread ---- */

static void wait_for_batch(struct otlp *o)
{
    while (tracer_waiting(o->tracer) == 0 && !stopping(o))
        wait_until(o, NSEC_NEVER);
    nsec until = nsec_after(clock_now(), o->options.batch_delay);
    while (tracer_waiting(o->tracer) < o->options.batch_max && !stopping(o) && clock_now() < until)
        wait_until(o, until);
}

static bool export_batch(struct otlp *o, size_t count)
{
    if (out_of_time(o))
        return false;
    buf_clear(&o->body);
    otlp_encode(o->service_name, o->batch, count, &o->body);
    return !o->body.error && post(o) == TAKEN;
}

static void *run(void *arg)
{
    struct otlp *o = arg;
    for (;;) {
        wait_for_batch(o);
        size_t count = tracer_take(o->tracer, o->batch, o->options.batch_max);
        if (count == 0)
            return NULL; /* stopping, and nothing waits any more */
        atomic_fetch_add(export_batch(o, count) ? &o->sent : &o->lost, count);
    }
}

/* ---- life ---- */

static size_t ignore_response(char *bytes, size_t size, size_t count, void *arg)
{
    return size * count;
}

static void set_up_request(struct otlp *o)
{
    o->headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(o->easy, CURLOPT_URL, o->url);
    curl_easy_setopt(o->easy, CURLOPT_HTTPHEADER, o->headers);
    curl_easy_setopt(o->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(o->easy, CURLOPT_TIMEOUT_MS, (long)REQUEST_TIMEOUT_MS);
    curl_easy_setopt(o->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(o->easy, CURLOPT_WRITEFUNCTION, ignore_response);
}

static void set_options(struct otlp *o, const struct otlp_options *options)
{
    o->options = *options;
    if (o->options.batch_max == 0)
        o->options.batch_max = 512;
    if (o->options.batch_delay == 0)
        o->options.batch_delay = SEC(1);
    if (o->options.retry_delay == 0)
        o->options.retry_delay = MSEC(500);
}

void otlp_free(struct otlp *o)
{
    curl_multi_cleanup(o->multi);
    curl_easy_cleanup(o->easy);
    curl_slist_free_all(o->headers);
    buf_fini(&o->body);
    mem_free(o->batch);
    mem_free(o->service_name);
    mem_free(o);
}

int otlp_start(struct tracer *tracer, const struct otlp_options *options,
               struct otlp **ret_exporter, struct err *err)
{
    struct str endpoint = str_from(options->endpoint);
    while (str_ends(endpoint, STR("/")))
        endpoint.len--;
    if ((!str_starts(endpoint, STR("http://")) && !str_starts(endpoint, STR("https://"))) ||
        endpoint.len > URL_MAX - sizeof("/v1/traces"))
        return err_set(err, ERR_INVALID,
                       "trace endpoint \"%s\": expected a URL like http://127.0.0.1:4318",
                       options->endpoint);
    struct otlp *o = NEW(struct otlp);
    set_options(o, options);
    o->tracer = tracer;
    o->service_name = mem_strdup(options->service_name);
    snprintf(o->url, sizeof(o->url), "%.*s/v1/traces", STR_ARG(endpoint));
    o->batch = mem_array(o->options.batch_max, sizeof(struct span));
    buf_init(&o->body, BODY_MAX);
    atomic_store(&o->deadline, NSEC_NEVER);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    o->multi = curl_multi_init();
    o->easy = curl_easy_init();
    CHECK(o->multi && o->easy);
    set_up_request(o);
    tracer_on_spans(tracer, o->options.batch_max, wake, o);
    int error = pthread_create(&o->thread, NULL, run, o);
    if (error) {
        tracer_on_spans(tracer, 0, NULL, NULL);
        otlp_free(o);
        return err_set(err, err_from_errno(error), "cannot start the trace exporter: %s",
                       strerror(error));
    }
    *ret_exporter = o;
    return 0;
}

void otlp_stop(struct otlp *exporter, nsec grace)
{
    tracer_on_spans(exporter->tracer, 0, NULL, NULL);
    atomic_store(&exporter->deadline, nsec_after(clock_now(), grace));
    curl_multi_wakeup(exporter->multi);
    pthread_join(exporter->thread, NULL);
}

uint64_t otlp_sent(const struct otlp *exporter)
{
    return atomic_load(&exporter->sent);
}

uint64_t otlp_lost(const struct otlp *exporter)
{
    return atomic_load(&exporter->lost) + tracer_dropped(exporter->tracer);
}
