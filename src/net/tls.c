/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "base/mem.h"

struct tls_server {
    char *certificate_file, *key_file; /* own */
    pthread_mutex_t mutex;             /* over context */
    SSL_CTX *context;                  /* own */
};

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned skipped = SSL_get_app_data(ssl) ? 0 : 3; /* see tls_server_accept */
    if (SSL_select_next_proto((unsigned char **)out, out_len, ours + skipped,
                              sizeof(ours) - 1 - skipped, in, in_len) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_NOACK;
}

static int fail(struct err *err, const char *what, const char *file)
{
    char reason[160];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "TLS: %s %s: %s", what, file, reason);
}

static int load(const struct tls_server *t, SSL_CTX **ret_context, struct err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    CHECK(context);
    int error = 0;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, select_alpn, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, t->certificate_file) != 1)
        error = fail(err, "cannot use the certificate", t->certificate_file);
    else if (SSL_CTX_use_PrivateKey_file(context, t->key_file, SSL_FILETYPE_PEM) != 1)
        error = fail(err, "cannot use the key", t->key_file);
    else if (SSL_CTX_check_private_key(context) != 1)
        error = fail(err, "the certificate does not belong to the key", t->key_file);
    if (error)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    return error;
}

int tls_server_new(const char *certificate_file, const char *key_file, struct tls_server **ret_tls,
                   struct err *err)
{
    struct tls_server *t = NEW(struct tls_server);
    t->certificate_file = mem_strdup(certificate_file);
    t->key_file = mem_strdup(key_file);
    pthread_mutex_init(&t->mutex, NULL);
    int error = load(t, &t->context, err);
    if (error)
        tls_server_free(t);
    else
        *ret_tls = t;
    return error;
}

int tls_server_reload(struct tls_server *t, struct err *err)
{
    SSL_CTX *context;
    int error = load(t, &context, err);
    if (error)
        return error;
    pthread_mutex_lock(&t->mutex);
    SSL_CTX *old = t->context;
    t->context = context;
    pthread_mutex_unlock(&t->mutex);
    SSL_CTX_free(old); /* connections hold references of their own */
    return 0;
}

void tls_server_free(struct tls_server *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    pthread_mutex_destroy(&t->mutex);
    mem_free(t->certificate_file);
    mem_free(t->key_file);
    mem_free(t);
}

struct ssl_st *tls_server_accept(struct tls_server *t, bool offers_h2)
{
    pthread_mutex_lock(&t->mutex);
    SSL *ssl = SSL_new(t->context);
    pthread_mutex_unlock(&t->mutex);
    CHECK(ssl);
    SSL_set_app_data(ssl, offers_h2 ? t : NULL); /* not NULL is all that counts */
    SSL_set_accept_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}
