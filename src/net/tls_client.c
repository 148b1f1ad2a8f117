/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"

struct tls_client {
    atomic_uint refs;
    SSL_CTX *context; /* own */
};

static int fail(struct err *err, const char *ca_file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    err_set(err, ERR_INVALID, "TLS: cannot use the certificates of the authorities %s: %s",
            ca_file ? ca_file : "of this system", reason ? reason : "none are there");
    ERR_clear_error();
    return ERR_INVALID;
}

int tls_client_new(const char *ca_file, struct tls_client **ret_tls, struct err *err)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    CHECK(context);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    CHECK(SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) == 0);
    int loaded = ca_file ? SSL_CTX_load_verify_file(context, ca_file)
                         : SSL_CTX_set_default_verify_paths(context);
    if (loaded != 1) {
        SSL_CTX_free(context);
        return fail(err, ca_file);
    }
    struct tls_client *t = NEW(struct tls_client);
    atomic_init(&t->refs, 1);
    t->context = context;
    *ret_tls = t;
    return 0;
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
