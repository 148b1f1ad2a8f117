/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_client.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"

struct tls_client {
    atomic_uint refs;
    SSL_CTX *context; /* own */
    struct str pem;   /* own: of the authorities; empty: the system's */
};

static int fail(struct err *err, const char *authorities)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    err_set(err, ERR_INVALID, "TLS: cannot use the certificates of the authorities %s: %s",
            authorities, reason ? reason : "none are there");
    ERR_clear_error();
    return ERR_INVALID;
}

static struct tls_client *new_client(void)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    CHECK(context);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    CHECK(SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) == 0);
    struct tls_client *t = NEW(struct tls_client);
    atomic_init(&t->refs, 1);
    t->context = context;
    return t;
}

static void keep_pem(struct tls_client *t, struct str pem)
{
    char *copy = mem_alloc(pem.len + 1);
    memcpy(copy, pem.ptr, pem.len);
    t->pem = (struct str){copy, pem.len};
}

/* The certificates that were loaded, and nothing else that stood in the file. False: there are none. */
static bool keep_loaded(struct tls_client *t)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(t->context));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        CHECK(!certificate || PEM_write_bio_X509(bio, certificate) == 1);
    }
    long size = BIO_get_mem_data(bio, &text);
    if (size > 0)
        keep_pem(t, (struct str){text, (size_t)size});
    BIO_free(bio);
    return size > 0;
}

/* There is nobody to ask for a password. */
static int no_password(char *text, int size, int writing, void *ctx)
{
    return -1;
}

/* The number of certificates; 0 when there is none or a broken one. */
static size_t load_pem(SSL_CTX *context, struct str pem)
{
    size_t count = 0;
    X509 *certificate;
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)MIN(pem.len, (size_t)INT_MAX));
    CHECK(bio);
    while ((certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1);
        X509_free(certificate);
        count++;
    }
    BIO_free(bio);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return 0;
    ERR_clear_error();
    return count;
}

int tls_client_new(const char *ca_file, struct tls_client **ret_tls, struct err *err)
{
    struct tls_client *t = new_client();
    int loaded = ca_file ? SSL_CTX_load_verify_file(t->context, ca_file)
                         : SSL_CTX_set_default_verify_paths(t->context);
    if (loaded != 1 || (ca_file && !keep_loaded(t))) {
        tls_client_unref(t);
        return fail(err, ca_file ? ca_file : "of this system");
    }
    *ret_tls = t;
    return 0;
}

int tls_client_from_pem(struct str pem, struct tls_client **ret_tls, struct err *err)
{
    if (!pem.len)
        return tls_client_new(NULL, ret_tls, err);
    struct tls_client *t = new_client();
    if (!load_pem(t->context, pem)) {
        tls_client_unref(t);
        return fail(err, "that were sent");
    }
    keep_pem(t, pem);
    *ret_tls = t;
    return 0;
}

struct str tls_client_pem(const struct tls_client *t)
{
    return t->pem;
}

struct tls_client *tls_client_ref(struct tls_client *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_client_unref(struct tls_client *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    SSL_CTX_free(t->context);
    mem_free((char *)t->pem.ptr);
    mem_free(t);
}

struct ssl_st *tls_client_connect(struct tls_client *t, struct str server_name)
{
    char name[TLS_SERVER_NAME_MAX + 1];
    SSL *ssl = SSL_new(t->context);
    CHECK(ssl && server_name.len <= TLS_SERVER_NAME_MAX);
    snprintf(name, sizeof(name), "%.*s", STR_ARG(server_name));
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1) { /* it is no address */
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        CHECK(SSL_set1_host(ssl, name) == 1);
        SSL_set_tlsext_host_name(ssl, name);
    }
    ERR_clear_error();
    SSL_set_connect_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

void tls_client_explain(const struct ssl_st *ssl, char text[TLS_FAILURE_MAX])
{
    long verdict = SSL_get_verify_result(ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verdict != X509_V_OK)
        snprintf(text, TLS_FAILURE_MAX, "its certificate was refused: %s",
                 X509_verify_cert_error_string(verdict));
    else
        snprintf(text, TLS_FAILURE_MAX, "no TLS: %s", reason ? reason : "the handshake failed");
}
