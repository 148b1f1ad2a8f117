/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made for a test, each signed by itself: whoever trusts the file trusts it. */
#ifndef FAIRWAY_TEST_CERTIFICATES_H
#define FAIRWAY_TEST_CERTIFICATES_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "test.h"

static inline void certificate_write(X509 *certificate, EVP_PKEY *key, const char *certificate_file,
                                     const char *key_file)
{
    FILE *out = fopen(certificate_file, "w");
    assert_int_equal(PEM_write_X509(out, certificate), 1);
    fclose(out);
    out = fopen(key_file, "w");
    assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
}

/* For `name`; `also`: "DNS:a,IP:b", NULL for none. Ends so many seconds from now, which may be before now. */
static inline void certificate_make(const char *certificate_file, const char *key_file,
                                    const char *name, const char *also, long seconds)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    if (also) {
        X509_set_version(certificate, X509_VERSION_3); /* only that has extensions */
        X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, also);
        assert_non_null(names);
        X509_add_ext(certificate, names, -1);
        X509_EXTENSION_free(names);
    }
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    certificate_write(certificate, key, certificate_file, key_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

#endif
