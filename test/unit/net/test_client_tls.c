/* SPDX-License-Identifier: Apache-2.0 */
/* The client under TLS, with certificates made here. */
#include "base/buf.h"
#include "certificates.h"
#include "net/http_client.h"
#include "net/tls.h"
#include "net/tls_client.h"
#include "server_fixture.h"

static char folder[32], certificate_file[64], key_file[64];
static struct fixture f;
static struct tls_client *trust;
static struct loop *loop;
static struct http_client *client;
static struct http_call_request request;

/* ---- one call at a time ---- */

static struct {
    struct http_call *call;
    int status, error;
    struct buf body;
    char failure[TLS_FAILURE_MAX];
} asked;

static void on_head(void *ctx, int status, const struct http_headers *headers)
{
    asked.status = status;
}

static void on_body(void *ctx, struct str bytes)
{
    buf_put(&asked.body, bytes);
}

static void on_done(void *ctx, int error)
{
    asked.error = error;
    snprintf(asked.failure, sizeof(asked.failure), "%s", http_call_tls_failure(asked.call));
    loop_stop(loop);
}

static void ask(const char *target)
{
    const struct http_call_events events = {on_head, on_body, on_done, NULL};
    buf_clear(&asked.body);
    asked.status = 0;
    request.target = str_from(target);
    asked.call = http_call_start(client, &request, &events);
    loop_run(loop);
}

static void assert_answer(const char *target, const char *body)
{
    ask(target);
    assert_string_equal(asked.failure, "");
    assert_int_equal(asked.error, 0);
    assert_int_equal(asked.status, 200);
    assert_string_equal(buf_cstr(&asked.body), body);
}

/* No byte of the request may reach a server that is another one than expected. */
static void assert_refused(const char *reason)
{
    int before = atomic_load(&f.requests);
    ask("/x");
    assert_int_equal(asked.error, ERR_PROTOCOL);
    if (!strstr(asked.failure, reason))
        fail_msg("'%s' does not say '%s'", asked.failure, reason);
    assert_int_equal(atomic_load(&f.requests), before);
}

/* ---- set-up ---- */

static void serve(bool tls)
{
    struct err err;
    const struct tls_server_options options = {certificate_file, key_file, NULL, false};
    f = (struct fixture){.limits = http_limits_default()};
    if (tls)
        assert_int_equal(tls_server_new(&options, &f.tls, &err), 0);
    fixture_start(&f);
    request.port = http_server_port(f.server);
}

static void begin(const char *names, long seconds)
{
    struct err err;
    certificate_make(certificate_file, key_file, "server", names, seconds);
    assert_int_equal(tls_client_new(certificate_file, &trust, &err), 0);
    request = (struct http_call_request){.host = STR("127.0.0.1"),
                                         .method = STR("GET"),
                                         .tls = trust,
                                         .server_name = STR("engine.example"),
                                         .connect_timeout = SEC(20),
                                         .head_timeout = SEC(20),
                                         .idle_timeout = SEC(20)};
}

static int setup(void **state)
{
    const struct http_client_options options = {
        .idle_max = 4, .idle_timeout = SEC(20), .head_max = 8192};
    snprintf(folder, sizeof(folder), "/tmp/fairway-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(certificate_file, sizeof(certificate_file), "%s/tls.crt", folder);
    snprintf(key_file, sizeof(key_file), "%s/tls.key", folder);
    buf_init(&asked.body, 1 << 26);
    loop = loop_new();
    client = http_client_new(loop, &options);
    return 0;
}

static int teardown(void **state)
{
    http_client_free(client);
    loop_free(loop);
    if (f.loop) {
        fixture_finish(&f);
        tls_server_free(f.tls);
    }
    f = (struct fixture){0};
    tls_client_unref(trust);
    buf_fini(&asked.body);
    unlink(certificate_file);
    unlink(key_file);
    rmdir(folder);
    return 0;
}

/* ---- the server that was expected ---- */

static void test_by_name_and_by_address(void **state)
{
    begin("DNS:engine.example,IP:127.0.0.1", 3600);
    serve(true);
    assert_answer("/x", "GET /x  ");
    request.server_name = STR("127.0.0.1");
    assert_answer("/x", "GET /x  ");
}

static void test_authority_and_base_path(void **state)
{
    begin("DNS:engine.example", 3600);
    serve(true);
    request.authority = STR("engine.example:8443");
    request.base_path = STR("/header");
    assert_answer("/host", "engine.example:8443");
}

static void test_much_in_both_directions(void **state)
{
    size_t size = 3 * 1000 * 1000;
    char *bytes = malloc(size), text[32];
    begin("DNS:engine.example", 3600);
    serve(true);
    memset(bytes, 'a', size);
    snprintf(text, sizeof(text), "%zu", size);
    request.method = STR("POST");
    request.body = (struct str){bytes, size};
    assert_answer("/length", text);
    request.method = STR("GET");
    request.body = STR_NONE;
    ask("/stream/3000");
    assert_int_equal(asked.error, 0);
    assert_int_equal(asked.body.len, size);
    free(bytes);
}

/* ---- connections that are used again ---- */

static void ask_peer(char peer[64])
{
    ask("/peer");
    assert_int_equal(asked.error, 0);
    snprintf(peer, 64, "%s", buf_cstr(&asked.body));
}

static void test_only_for_the_same_name_and_trust(void **state)
{
    struct tls_client *other;
    struct err err;
    char first[64], again[64], name[64], authorities[64];
    begin("DNS:engine.example,DNS:other.example", 3600);
    serve(true);
    ask_peer(first);
    ask_peer(again);
    assert_string_equal(first, again);
    request.server_name = STR("other.example");
    ask_peer(name);
    assert_string_not_equal(first, name);
    request.server_name = STR("engine.example");
    assert_int_equal(tls_client_new(certificate_file, &other, &err), 0);
    request.tls = other;
    ask_peer(authorities);
    assert_string_not_equal(first, authorities);
    tls_client_unref(other); /* its endpoint still has one */
    ask_peer(again);
    assert_string_equal(authorities, again);
    request.tls = trust;
    ask_peer(again);
    assert_string_equal(first, again);
    request.server_name = STR("wrong.example");
    assert_refused("hostname mismatch");
}

/* ---- another server ---- */

static void test_wrong_name(void **state)
{
    begin("DNS:another.example", 3600);
    serve(true);
    assert_refused("hostname mismatch");
    request.server_name = STR("127.0.0.1");
    assert_refused("IP address mismatch");
}

static void test_unknown_authority(void **state)
{
    begin("DNS:engine.example", 3600);
    certificate_make(certificate_file, key_file, "stranger", "DNS:engine.example", 3600);
    serve(true);
    assert_refused("self-signed certificate");
}

static void test_expired(void **state)
{
    begin("DNS:engine.example", -60);
    serve(true);
    assert_refused("certificate has expired");
}

static void test_a_server_without_tls(void **state)
{
    begin("DNS:engine.example", 3600);
    serve(false);
    assert_refused("no TLS: ");
}

static void test_no_authorities(void **state)
{
    struct tls_client *none;
    struct err err;
    begin("DNS:engine.example", 3600);
    assert_int_equal(tls_client_new("/nonexistent", &none, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "/nonexistent"));
    assert_int_equal(tls_client_new(key_file, &none, &err), ERR_INVALID);
}

/* Another process trusts the same authorities by their certificates alone. */
static void test_authorities_as_text(void **state)
{
    struct tls_client *copy, *none;
    struct err err;
    begin("DNS:engine.example", 3600);
    assert_int_equal(tls_client_from_pem(tls_client_pem(trust), &copy, &err), 0);
    assert_true(str_eq(tls_client_pem(copy), tls_client_pem(trust)));
    tls_client_unref(trust);
    request.tls = trust = copy;
    serve(true);
    ask("/x");
    assert_int_equal(asked.error, 0);
    fixture_finish(&f);
    tls_server_free(f.tls);
    certificate_make(certificate_file, key_file, "stranger", "DNS:engine.example", 3600);
    serve(true);
    assert_refused("self-signed certificate");

    static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const struct str wrong[] = {STR("x"), str_from(broken)};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(tls_client_from_pem(wrong[i], &none, &err), ERR_INVALID);
}

/* A file of authorities may hold a key by mistake: it is not handed on. */
static void test_authorities_are_certificates_only(void **state)
{
    struct err err;
    char line[256];
    begin("DNS:engine.example", 3600);
    struct str expected = tls_client_pem(trust);
    FILE *from = fopen(key_file, "r"), *to = fopen(certificate_file, "a");
    while (fgets(line, sizeof(line), from))
        fputs(line, to);
    fclose(from);
    fclose(to);
    struct tls_client *both;
    assert_int_equal(tls_client_new(certificate_file, &both, &err), 0);
    assert_true(expected.len && str_eq(tls_client_pem(both), expected));
    tls_client_unref(both);
    assert_int_equal(tls_client_from_pem(STR_NONE, &both, &err), 0); /* the system's */
    assert_int_equal(tls_client_pem(both).len, 0);
    tls_client_unref(both);
}

/* ---- an answer that ends with the connection ---- */

static int listener;

static void listen_on_a_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    request.port = ntohs(address.sin_port);
}

/* One answer without a length; says that it is whole, or not. */
static void *answer_until_close(void *says_so)
{
    struct timeval patience = {.tv_sec = 20};
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(context, certificate_file, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM);
    int fd = accept(listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    char text[4096];
    struct str answer = STR("HTTP/1.1 200 OK\r\n\r\nto the end");
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, text, sizeof(text)) > 0)
        SSL_write(ssl, answer.ptr, (int)answer.len);
    if (says_so)
        SSL_shutdown(ssl);
    shutdown(fd, SHUT_WR);
    while (recv(fd, text, sizeof(text), 0) > 0) /* until the client has closed: no reset before */
        ;
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(context);
    return NULL;
}

static void test_until_close(void **state)
{
    pthread_t thread;
    begin("DNS:engine.example", 3600);
    listen_on_a_free_port();
    for (int says_so = 0; says_so < 2; says_so++) {
        pthread_create(&thread, NULL, answer_until_close, says_so ? &listener : NULL);
        ask("/x");
        pthread_join(thread, NULL);
        assert_int_equal(asked.status, 200);
        assert_string_equal(buf_cstr(&asked.body), "to the end");
        assert_int_equal(asked.error, says_so ? 0 : ERR_CLOSED);
    }
    close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_by_name_and_by_address),
        TEST(test_authority_and_base_path),
        TEST(test_much_in_both_directions),
        TEST(test_only_for_the_same_name_and_trust),
        TEST(test_wrong_name),
        TEST(test_unknown_authority),
        TEST(test_expired),
        TEST(test_a_server_without_tls),
        TEST(test_no_authorities),
        TEST(test_authorities_as_text),
        TEST(test_authorities_are_certificates_only),
        TEST(test_until_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
