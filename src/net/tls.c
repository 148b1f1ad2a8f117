/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "base/mem.h"

struct tls_server {
    char *certificate_file, *key_file, *client_ca_file; /* own */
    bool client_required;
    pthread_mutex_t mutex; /* over context */
    SSL_CTX *context;      /* own */
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

/* Sessions are resumed with the certificate that they began with: they must not cross from one server to another. */
static int ask_for_client(const struct tls_server *t, SSL_CTX *context, struct err *err)
{
    static const unsigned char sessions[] = "fairway";
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->client_ca_file);
    if (!names || SSL_CTX_load_verify_locations(context, t->client_ca_file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(err, "cannot use the certificates of those who sign clients'",
                    t->client_ca_file);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_session_id_context(context, sessions, sizeof(sessions) - 1);
    SSL_CTX_set_verify(context,
                       SSL_VERIFY_PEER | (t->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    return 0;
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
    if (!error && t->client_ca_file)
        error = ask_for_client(t, context, err);
    if (error)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    return error;
}

int tls_server_new(const struct tls_server_options *options, struct tls_server **ret_tls,
                   struct err *err)
{
    struct tls_server *t = NEW(struct tls_server);
    t->certificate_file = mem_strdup(options->certificate_file);
    t->key_file = mem_strdup(options->key_file);
    t->client_ca_file = options->client_ca_file ? mem_strdup(options->client_ca_file) : NULL;
    t->client_required = options->client_required;
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
    mem_free(t->client_ca_file);
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

char *tls_peer_subject(const struct ssl_st *ssl)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    BIO *out = certificate ? BIO_new(BIO_s_mem()) : NULL;
    if (!out)
        return NULL;
    X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    BIO_write(out, "", 1); /* with its end */
    char *text;
    BIO_get_mem_data(out, &text);
    char *subject = mem_strdup(text);
    BIO_free(out);
    return subject;
}
