/* SPDX-License-Identifier: Apache-2.0 */
/* TLS servers with certificates made here. */
#include "certificates.h"
#include "http2_client.h"
#include "net/tls.h"

static char folder[32], certificate_file[64], key_file[64];
static struct fixture f;

static void make_certificate(const char *name)
{
    certificate_make(certificate_file, key_file, name, NULL, 3600);
}

static int setup(void **state)
{
    struct err err;
    snprintf(folder, sizeof(folder), "/tmp/fairway-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(certificate_file, sizeof(certificate_file), "%s/tls.crt", folder);
    snprintf(key_file, sizeof(key_file), "%s/tls.key", folder);
    make_certificate("first");
    f = (struct fixture){.limits = http_limits_default()};
    const struct tls_server_options options = {certificate_file, key_file, NULL, false};
    assert_int_equal(tls_server_new(&options, &f.tls, &err), 0);
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(&f);
    tls_server_free(f.tls);
    unlink(certificate_file);
    unlink(key_file);
    rmdir(folder);
    return 0;
}

/* ---- the client's side ---- */

struct session {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    bool up;
};

static struct session session_begin_alpn(int version_max, struct str protocols)
{
    struct session s = {.fd = fixture_connect(&f), .context = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_min_proto_version(s.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(s.context, version_max);
    SSL_CTX_set_security_level(s.context, 0); /* or it would not even offer the old versions */
    s.ssl = SSL_new(s.context);
    SSL_set_alpn_protos(s.ssl, (const unsigned char *)protocols.ptr, (unsigned)protocols.len);
    SSL_set_fd(s.ssl, s.fd);
    s.up = SSL_connect(s.ssl) == 1;
    return s;
}

static struct session session_begin(int version_max)
{
    return session_begin_alpn(version_max, STR("\x08http/1.1"));
}

static void session_end(struct session *s)
{
    SSL_free(s->ssl);
    SSL_CTX_free(s->context);
    close(s->fd);
}

static void session_name(const struct session *s, char *name, int size)
{
    X509 *certificate = SSL_get1_peer_certificate(s->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, size);
    X509_free(certificate);
}

static struct buf session_ask(struct session *s, struct str request)
{
    struct buf answer;
    buf_init(&answer, 1 << 24);
    assert_int_equal(SSL_write(s->ssl, request.ptr, (int)request.len), request.len);
    int got = 1;
    while (got > 0) {
        char *room = buf_reserve(&answer, 16384);
        got = SSL_read(s->ssl, room, 16384);
        buf_commit(&answer, (size_t)MAX(got, 0));
    }
    assert_int_equal(SSL_get_error(s->ssl, got), SSL_ERROR_ZERO_RETURN); /* close_notify came */
    return answer;
}

static void test_both_versions_serve(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        const unsigned char *protocol;
        unsigned length;
        struct session s = session_begin(versions[i]);
        assert_true(s.up);
        assert_int_equal(SSL_version(s.ssl), versions[i]);
        SSL_get0_alpn_selected(s.ssl, &protocol, &length);
        assert_true(length == 8 && memcmp(protocol, "http/1.1", 8) == 0);
        struct buf answer = session_ask(
            &s, STR("GET /stream/3000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert_int_equal(fixture_status(buf_str(&answer)), 200);
        assert_true(answer.len > 3000 * 1000 && str_ends(buf_str(&answer), STR("0\r\n\r\n")));
        buf_fini(&answer);
        session_end(&s);
    }
}

static void test_http2_by_alpn(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        const unsigned char *protocol;
        unsigned length;
        struct session s = session_begin_alpn(versions[i], STR("\x08http/1.1\x02h2"));
        assert_true(s.up);
        SSL_get0_alpn_selected(s.ssl, &protocol, &length);
        assert_true(length == 2 && memcmp(protocol, "h2", 2) == 0);
        struct h2_client *c = h2_start(s.fd, s.ssl, false, 65535);
        h2_get(c, "/stream/3000");
        h2_get(c, "/x");
        h2_wait_all(c);
        assert_int_equal(c->streams[0].body.len, 3000 * 1000);
        assert_body(&c->streams[1], "GET /x  ");
        h2_free(c);
        session_end(&s);
    }
}

static void test_http2_switched_off(void **state)
{
    const unsigned char *protocol;
    unsigned length;
    fixture_finish(&f);
    f.http1_only = true;
    fixture_start(&f);
    struct session s = session_begin_alpn(TLS1_3_VERSION, STR("\x02h2\x08http/1.1"));
    assert_true(s.up);
    SSL_get0_alpn_selected(s.ssl, &protocol, &length);
    assert_true(length == 8 && memcmp(protocol, "http/1.1", 8) == 0);
    session_end(&s);
}

static void test_old_versions_are_refused(void **state)
{
    struct session s = session_begin(TLS1_1_VERSION);
    assert_false(s.up);
    session_end(&s);
}

/* A client that does not speak TLS is let go, and the server serves on. */
static void test_plain_client(void **state)
{
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 16);
    fixture_send(fd, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 0);
    assert_int_equal(atomic_load(&f.requests), 0);
    close(fd);
    buf_fini(&answer);
    struct session s = session_begin(TLS1_3_VERSION);
    assert_true(s.up);
    session_end(&s);
}

static void test_a_client_that_leaves_in_the_handshake(void **state)
{
    for (int i = 0; i < 20; i++) {
        int fd = fixture_connect(&f);
        fixture_send(
            fd, str_sub(STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 0, (size_t)i % 12));
        close(fd);
    }
    struct session s = session_begin(TLS1_3_VERSION);
    assert_true(s.up);
    session_end(&s);
}

/* Running connections keep the old certificate, new ones get the new one; a broken file changes nothing. */
static void test_reload(void **state)
{
    char name[32];
    struct err err;
    struct session before = session_begin(TLS1_3_VERSION);
    make_certificate("second");
    assert_int_equal(tls_server_reload(f.tls, &err), 0);
    struct session after = session_begin(TLS1_3_VERSION);
    session_name(&before, name, sizeof(name));
    assert_string_equal(name, "first");
    session_name(&after, name, sizeof(name));
    assert_string_equal(name, "second");
    struct buf answer =
        session_ask(&before, STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    buf_fini(&answer);
    session_end(&before);
    session_end(&after);

    fclose(fopen(certificate_file, "w"));
    assert_int_equal(tls_server_reload(f.tls, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, certificate_file));
    after = session_begin(TLS1_3_VERSION);
    assert_true(after.up);
    session_name(&after, name, sizeof(name));
    assert_string_equal(name, "second");
    session_end(&after);
}

static void test_a_key_of_another_certificate(void **state)
{
    struct tls_server *tls;
    struct err err;
    char kept[80];
    snprintf(kept, sizeof(kept), "%s.first", certificate_file);
    assert_int_equal(rename(certificate_file, kept), 0);
    make_certificate("second");
    struct tls_server_options options = {kept, key_file, NULL, false};
    assert_int_equal(tls_server_new(&options, &tls, &err), ERR_INVALID);
    options.certificate_file = "/nonexistent";
    assert_int_equal(tls_server_new(&options, &tls, &err), ERR_INVALID);
    options = (struct tls_server_options){certificate_file, key_file, "/nonexistent", true};
    assert_int_equal(tls_server_new(&options, &tls, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "/nonexistent"));
    unlink(kept);
}

/* ---- certificates of clients ---- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

/* A client's, signed with the key of the server's certificate; or with its own. */
static struct identity make_client(bool known)
{
    struct identity me = {EVP_EC_gen("P-256"), X509_new()};
    X509_NAME *subject = X509_get_subject_name(me.certificate);
    FILE *in = fopen(certificate_file, "r");
    X509 *issuer = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    in = fopen(key_file, "r");
    EVP_PKEY *issuer_key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    ASN1_INTEGER_set(X509_get_serialNumber(me.certificate), 2);
    X509_gmtime_adj(X509_getm_notBefore(me.certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(me.certificate), 3600);
    X509_set_pubkey(me.certificate, me.key);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Acme, Inc.", -1,
                               -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"agent", -1, -1,
                               0);
    X509_set_issuer_name(me.certificate, X509_get_subject_name(issuer));
    assert_true(X509_sign(me.certificate, known ? issuer_key : me.key, EVP_sha256()) > 0);
    EVP_PKEY_free(issuer_key);
    X509_free(issuer);
    return me;
}

static void free_client(struct identity *me)
{
    EVP_PKEY_free(me->key);
    X509_free(me->certificate);
}

/* What GET /subject says; "refused" when there is no answer. */
static void ask_subject(const struct identity *me, char *text, size_t size)
{
    struct session s = {.fd = fixture_connect(&f), .context = SSL_CTX_new(TLS_client_method())};
    struct buf answer;
    s.ssl = SSL_new(s.context);
    if (me) {
        SSL_use_certificate(s.ssl, me->certificate);
        SSL_use_PrivateKey(s.ssl, me->key);
    }
    SSL_set_fd(s.ssl, s.fd);
    s.up = SSL_connect(s.ssl) == 1;
    buf_init(&answer, 1 << 16);
    if (s.up) {
        struct str request = STR("GET /subject HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        (void)!SSL_write(s.ssl, request.ptr, (int)request.len);
        int got;
        while ((got = SSL_read(s.ssl, buf_reserve(&answer, 4096), 4096)) > 0)
            buf_commit(&answer, (size_t)got);
    }
    size_t end = str_find(buf_str(&answer), STR("\r\n\r\n"));
    struct str body = str_sub(buf_str(&answer), end + 4, answer.len);
    snprintf(text, size, "%.*s", answer.len ? (int)body.len : 7, answer.len ? body.ptr : "refused");
    buf_fini(&answer);
    session_end(&s);
}

static void serve_clients(bool required)
{
    struct err err;
    fixture_finish(&f);
    tls_server_free(f.tls);
    const struct tls_server_options options = {certificate_file, key_file, certificate_file,
                                               required};
    assert_int_equal(tls_server_new(&options, &f.tls, &err), 0);
    fixture_start(&f);
}

static void test_client_certificates(void **state)
{
    struct identity known = make_client(true), unknown = make_client(false);
    char text[100];
    for (int required = 0; required < 2; required++) {
        serve_clients(required);
        ask_subject(&known, text, sizeof(text));
        assert_string_equal(text, "CN=agent,O=Acme\\, Inc.");
        ask_subject(&unknown, text, sizeof(text));
        assert_string_equal(text, "refused");
        ask_subject(NULL, text, sizeof(text));
        assert_string_equal(text, required ? "refused" : "");
    }
    free_client(&known);
    free_client(&unknown);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_versions_serve),
        TEST(test_http2_by_alpn),
        TEST(test_http2_switched_off),
        TEST(test_old_versions_are_refused),
        TEST(test_plain_client),
        TEST(test_a_client_that_leaves_in_the_handshake),
        TEST(test_reload),
        TEST(test_a_key_of_another_certificate),
        TEST(test_client_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
