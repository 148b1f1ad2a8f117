/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/otlp.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "test.h"

/* ---- a collector: answers each request with the next status of a script; 0 = never ---- */

static struct {
    int listener;
    char endpoint[64];
    const int *script;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int requests;
    size_t spans_taken;
    struct buf last; /* the last request as it came */
} collector = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static size_t content_length(struct str head)
{
    size_t at = str_find(head, STR("Content-Length: "));
    return at < head.len ? strtoul(head.ptr + at + 16, NULL, 10) : 0;
}

static void read_request(int fd, struct buf *request)
{
    buf_clear(request);
    for (;;) {
        struct str all = buf_str(request);
        size_t head = str_find(all, STR("\r\n\r\n"));
        if (head < all.len && all.len >= head + 4 + content_length(str_sub(all, 0, head)))
            return;
        char *room = buf_reserve(request, 65536);
        ssize_t size = read(fd, room, 65536);
        if (size <= 0)
            return;
        buf_commit(request, (size_t)size);
    }
}

static size_t count_spans(struct str request)
{
    size_t count = 0, at;
    while ((at = str_find(request, STR("\"spanId\""))) < request.len) {
        request = str_sub(request, at + 8, request.len);
        count++;
    }
    return count;
}

static void *collect(void *arg)
{
    struct buf request;
    buf_init(&request, 16 << 20);
    for (;;) {
        int fd = accept(collector.listener, NULL, NULL);
        if (fd < 0)
            break;
        read_request(fd, &request);
        pthread_mutex_lock(&collector.mutex);
        int status = *collector.script ? *collector.script++ : 0;
        collector.requests++;
        buf_clear(&collector.last);
        buf_put(&collector.last, buf_str(&request));
        if (status == 200)
            collector.spans_taken += count_spans(buf_str(&request));
        pthread_cond_broadcast(&collector.changed);
        pthread_mutex_unlock(&collector.mutex);
        if (status)
            dprintf(fd, "HTTP/1.1 %d X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
                    status);
        else
            while (read(fd, request.ptr, request.cap) > 0)
                ;
        close(fd);
    }
    buf_fini(&request);
    return NULL;
}

static void start_collector(const int *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    collector.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(collector.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(collector.listener, 16), 0);
    assert_int_equal(getsockname(collector.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(collector.endpoint, sizeof(collector.endpoint), "http://127.0.0.1:%d/",
             ntohs(address.sin_port));
    collector.script = script;
    collector.requests = 0;
    collector.spans_taken = 0;
    buf_init(&collector.last, 16 << 20);
    assert_int_equal(pthread_create(&collector.thread, NULL, collect, NULL), 0);
}

static void stop_collector(void)
{
    shutdown(collector.listener, SHUT_RDWR);
    pthread_join(collector.thread, NULL);
    close(collector.listener);
    buf_fini(&collector.last);
}

static void wait_for_requests(int count)
{
    pthread_mutex_lock(&collector.mutex);
    while (collector.requests < count)
        pthread_cond_wait(&collector.changed, &collector.mutex);
    pthread_mutex_unlock(&collector.mutex);
}

/* ---- spans ---- */

static struct tracer *tracer;
static struct rng random_ids;

static void record(int count)
{
    for (int i = 0; i < count; i++) {
        struct trace_context root = trace_new(&random_ids);
        root.sampled = true;
        struct span s;
        span_begin(&s, "inference", SPAN_SERVER, &root, &random_ids, 1000);
        span_int(&s, "i", i);
        span_end(&s, 2000);
        tracer_record(tracer, &s, 1);
    }
}

static int set_up(void **state)
{
    random_ids = rng_from(1);
    tracer = tracer_new(&(struct tracer_options){.slow = NSEC_NEVER, .capacity = 64});
    return 0;
}

static int tear_down(void **state)
{
    tracer_free(tracer);
    return 0;
}

static struct otlp *start(size_t batch_max, nsec batch_delay)
{
    struct otlp *exporter = NULL;
    struct err err;
    struct otlp_options options = {.endpoint = collector.endpoint,
                                   .service_name = "fairway-test",
                                   .batch_max = batch_max,
                                   .batch_delay = batch_delay,
                                   .retry_delay = MSEC(1)};
    if (otlp_start(tracer, &options, &exporter, &err))
        fail_msg("%s", err.message);
    return exporter;
}

static void test_encoding(void **state)
{
    struct trace_context caller;
    assert_int_equal(
        trace_parse(STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), &caller), 0);
    struct span s;
    span_begin(&s, "schedule", SPAN_INTERNAL, &caller, &random_ids, INT64_C(1769860800000000001));
    s.context.span = 0xabc;
    span_text(&s, "request_id", STR("r\"1"));
    span_int(&s, "prompt_length", 9007199254740993);
    span_double(&s, "score", 0.5);
    span_bool(&s, "cached", true);
    span_fail(&s, STR("no replica"));
    span_end(&s, INT64_C(1769860800000000005));
    struct buf out;
    buf_init(&out, 65536);
    otlp_encode("gw", &s, 1, &out);
    assert_string_equal(
        buf_cstr(&out),
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
        "{\"stringValue\":\"gw\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"fairway\"},\"spans\":[{"
        "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"0000000000000abc\","
        "\"parentSpanId\":\"b7ad6b7169203331\",\"name\":\"schedule\",\"kind\":1,"
        "\"startTimeUnixNano\":\"1769860800000000001\",\"endTimeUnixNano\":\"1769860800000000005\","
        "\"attributes\":[{\"key\":\"request_id\",\"value\":{\"stringValue\":\"r\\\"1\"}},"
        "{\"key\":\"prompt_length\",\"value\":{\"intValue\":\"9007199254740993\"}},"
        "{\"key\":\"score\",\"value\":{\"doubleValue\":0.5}},"
        "{\"key\":\"cached\",\"value\":{\"boolValue\":true}}],"
        "\"status\":{\"code\":2,\"message\":\"no replica\"}}]}]}]}");
    buf_fini(&out);
}

static void test_batches(void **state)
{
    start_collector((const int[]){200, 200, 200, 0});
    struct otlp *exporter = start(4, SEC(3600));
    record(4);
    wait_for_requests(1);
    record(4);
    wait_for_requests(2);
    record(3); /* no full batch: the stop sends it */
    otlp_stop(exporter, SEC(60));
    assert_int_equal(otlp_sent(exporter), 11);
    assert_int_equal(otlp_lost(exporter), 0);
    otlp_free(exporter);
    stop_collector();
    assert_int_equal(collector.requests, 3);
    assert_int_equal(collector.spans_taken, 11);
}

static void test_request_on_the_wire(void **state)
{
    start_collector((const int[]){200, 0});
    struct otlp *exporter = start(10, MSEC(1)); /* sent by the delay, without a full batch */
    record(2);
    wait_for_requests(1);
    struct str request = buf_str(&collector.last);
    assert_true(str_starts(request, STR("POST /v1/traces HTTP/1.1\r\n")));
    assert_true(str_find(request, STR("Content-Type: application/json\r\n")) < request.len);
    size_t body = str_find(request, STR("\r\n\r\n")) + 4;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct json *root;
    assert_int_equal(json_parse(&arena, str_sub(request, body, request.len), &root, NULL), 0);
    assert_int_equal(root->first->type, JSON_ARRAY);
    arena_fini(&arena);
    otlp_stop(exporter, SEC(60));
    otlp_free(exporter);
    stop_collector();
}

static void test_tries_again(void **state)
{
    start_collector((const int[]){503, 429, 200, 0});
    struct otlp *exporter = start(2, SEC(3600));
    record(2);
    wait_for_requests(3);
    otlp_stop(exporter, SEC(60));
    assert_int_equal(otlp_sent(exporter), 2);
    otlp_free(exporter);
    stop_collector();
}

static void test_gives_up(void **state)
{
    start_collector((const int[]){400, 503, 503, 503, 503, 200, 0});
    struct otlp *exporter = start(2, SEC(3600));
    record(2);
    wait_for_requests(1); /* a refusal is final */
    record(2);
    wait_for_requests(5); /* four tries */
    record(2);
    wait_for_requests(6);
    otlp_stop(exporter, SEC(60));
    assert_int_equal(otlp_sent(exporter), 2);
    assert_int_equal(otlp_lost(exporter), 4);
    otlp_free(exporter);
    stop_collector();
}

/* A collector that never answers holds the stop no longer than its grace (a request alone would
 * wait for 10 s). */
static void test_stop_is_bounded(void **state)
{
    start_collector((const int[]){0});
    struct otlp *exporter = start(2, SEC(3600));
    record(2);
    wait_for_requests(1);
    record(40);
    nsec before = clock_now();
    otlp_stop(exporter, MSEC(50));
    assert_true(clock_now() - before < SEC(5));
    assert_int_equal(otlp_sent(exporter), 0);
    assert_int_equal(otlp_lost(exporter), 42);
    otlp_free(exporter);
    stop_collector();
}

static void test_full_ring_is_counted(void **state)
{
    start_collector((const int[]){0});
    struct otlp *exporter = start(2, SEC(3600));
    record(2);
    wait_for_requests(1);
    record(100); /* the ring holds 64 */
    assert_int_equal(otlp_lost(exporter), 36);
    otlp_stop(exporter, 0);
    assert_int_equal(otlp_lost(exporter), 102);
    otlp_free(exporter);
    stop_collector();
}

static void test_endpoint(void **state)
{
    struct otlp *exporter;
    struct err err;
    struct otlp_options options = {.endpoint = "collector:4318", .service_name = "x"};
    assert_int_equal(otlp_start(tracer, &options, &exporter, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "collector:4318"));
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "", 1);
    assert_null(otlp_endpoint_from_env());
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", 1);
    assert_string_equal(otlp_endpoint_from_env(), "http://c");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    unsetenv("http_proxy");
    const struct CMUnitTest tests[] = {
        TEST(test_encoding),
        TEST(test_batches),
        TEST(test_request_on_the_wire),
        TEST(test_tries_again),
        TEST(test_gives_up),
        TEST(test_stop_is_bounded),
        TEST(test_full_ring_is_counted),
        TEST(test_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
