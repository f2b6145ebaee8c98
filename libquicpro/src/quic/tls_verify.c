/* Which certificates of peers are believed, and the words where one is not. */
#include "quic/tls_verify.h"

#include <stdio.h>
#include <string.h>
#include <threads.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "quic/tls.h"
#include "quic/tls_context.h"
#include "quic/tls_pem.h"
#include "quic/tls_staple.h"
#include "quic/tls_words.h"

/* What a folder of authorities may hold: distributions have some 150, twice by links. */
enum { MAX_CA_FILES = 4096 };

/* Where distributions keep their bundle. */
static const char *const system_bundle[] = {"/etc/ssl/certs/ca-certificates.crt",
                                            "/etc/pki/tls/certs/ca-bundle.crt",
                                            "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

/* Of one connection: who the peer should be, and why it was refused. */
struct note {
    char host[256];
    char text[512];
};

static void note_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    OPENSSL_free(ptr);
}

/* As for contexts: a number of BoringSSL's. */
static int note_slot;
static void note_slot_init(void)
{
    note_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, note_free);
}

static int note_index(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, note_slot_init);
    return note_slot;
}

static struct note *note_make(SSL *ssl)
{
    struct note *note = SSL_get_ex_data(ssl, note_index());
    if (note != NULL)
        return note;
    note = OPENSSL_zalloc(sizeof(*note));
    if (note == NULL || SSL_set_ex_data(ssl, note_index(), note))
        return note;
    OPENSSL_free(note);
    return NULL;
}

/* Verified: nobody will ask any more, and an idle connection should be small. */
static void note_drop(SSL *ssl)
{
    OPENSSL_free(SSL_get_ex_data(ssl, note_index()));
    SSL_set_ex_data(ssl, note_index(), NULL);
}

int qp_tls_verify_host(SSL *ssl, const char *host)
{
    struct note *note = note_make(ssl);
    if (note == NULL)
        return QUICPRO_ENOMEM;
    snprintf(note->host, sizeof(note->host), "%s", host);
    return 0;
}

/* BoringSSL gives up looking for issuers where verify_depth ends, and then says that there is none.
 */
static int real_error(X509_STORE_CTX *store, int depth)
{
    const int error = X509_STORE_CTX_get_error(store);
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    const bool cut = chain != NULL && sk_X509_num(chain) >= (size_t)depth + 2;
    return cut && error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
               ? X509_V_ERR_CERT_CHAIN_TOO_LONG
               : error;
}

static void note_chain(struct note *note, X509_STORE_CTX *store,
                       const struct qp_tls_context *context, bool client)
{
    const struct qp_tls_refusal refusal = {
        .error = real_error(store, context->verify.depth),
        .leaf = X509_STORE_CTX_get0_cert(store),
        .cert = X509_STORE_CTX_get_current_cert(store),
        .host = note->host,
        .now = context->env->wall(),
        .depth = context->verify.depth,
        .client = client,
    };
    qp_tls_words(note->text, sizeof(note->text), &refusal);
}

static void note_pin(struct note *note, const X509 *leaf)
{
    char pin[QP_TLS_PIN_TEXT], name[128];
    qp_tls_pin_text(pin, leaf);
    qp_tls_name_text(name, sizeof(name), X509_get_subject_name(leaf));
    snprintf(note->text, sizeof(note->text), "its key is not pinned: '%s' has %s", name, pin);
}

/* Any certificate that was verified may have the pinned key. Without verification only the peer's
 * own proves anything: whoever likes can send along a copy of another. */
static bool pinned(const struct qp_tls_context *context, X509_STORE_CTX *store)
{
    const struct qp_tls_pins *pins = &context->verify.pins;
    if (pins->count == 0)
        return true;
    if (!context->verify.chain)
        return qp_tls_pins_match(pins, X509_STORE_CTX_get0_cert(store));
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    for (size_t i = 0; i < sk_X509_num(chain); i++)
        if (qp_tls_pins_match(pins, sk_X509_value(chain, i)))
            return true;
    return false;
}

/* BoringSSL has read the staple before it asks us, and verifies none. */
static bool stapled(const struct qp_tls_context *context, X509_STORE_CTX *store, SSL *ssl)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    const uint8_t *der;
    size_t len;
    bool revoked;
    char words[256];
    if (!context->verify.staple)
        return true;
    SSL_get0_ocsp_response(ssl, &der, &len);
    /* An authority that signs itself, trusted as it is, is its own issuer. */
    X509 *issuer = sk_X509_value(chain, sk_X509_num(chain) > 1 ? 1 : 0);
    if (qp_tls_staple_good(der, len, sk_X509_value(chain, 0), issuer, context->env->wall(),
                           &revoked, words, sizeof(words)))
        return true;
    struct note *note = note_make(ssl);
    if (note != NULL)
        snprintf(note->text, sizeof(note->text), "%s", words);
    X509_STORE_CTX_set_error(store, revoked ? X509_V_ERR_CERT_REVOKED
                                            : X509_V_ERR_APPLICATION_VERIFICATION);
    return false;
}

static int verify(X509_STORE_CTX *store, void *arg)
{
    const struct qp_tls_context *context = arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct note *note;
    X509_STORE_CTX_set_time_posix(store, 0, context->env->wall());
    if (context->verify.chain && X509_verify_cert(store) != 1) {
        note = note_make(ssl);
        if (note != NULL)
            note_chain(note, store, context, SSL_is_server(ssl));
        return 0;
    }
    if (!pinned(context, store)) {
        note = note_make(ssl);
        if (note != NULL)
            note_pin(note, X509_STORE_CTX_get0_cert(store));
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
        return 0;
    }
    if (!stapled(context, store, ssl))
        return 0;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    note_drop(ssl);
    return 1;
}

/* Where authorities are put, and what tells one set of them from another. */
struct trusted {
    X509_STORE *store;
    SHA256_CTX hash;
};

static int add_authority(void *arg, CRYPTO_BUFFER *der)
{
    struct trusted *trusted = arg;
    X509 *cert = X509_parse_from_buffer(der);
    /* A bundle may hold what this library cannot read: the rest still counts. */
    int ok = cert == NULL || X509_STORE_add_cert(trusted->store, cert);
    SHA256_Update(&trusted->hash, CRYPTO_BUFFER_data(der), CRYPTO_BUFFER_len(der));
    X509_free(cert);
    return ok ? 0 : QUICPRO_ENOMEM;
}

/* Certificates added, 0: not set. */
static int add_source(struct trusted *trusted, const struct qp_tls_args *args, const char *file,
                      const struct qp_bytes *data)
{
    struct qp_tls_source source;
    int r = qp_tls_source_open(&source, args, "ca", file, data);
    if (r <= 0)
        return r;
    r = qp_tls_each_cert(&source, add_authority, trusted);
    if (r == -1)
        r = qp_tls_fail(args, QUICPRO_ECERT, "%s holds no certificate, neither PEM nor DER: %s",
                        source.name, qp_tls_reason());
    qp_tls_source_done(&source);
    return r;
}

struct folder {
    struct trusted *trusted;
    const struct qp_tls_args *args;
    int added;
};

/* A folder may hold a README: only one without any certificate is a mistake. */
static void add_from_folder(void *arg, const char *path)
{
    struct folder *folder = arg;
    int r = add_source(folder->trusted, folder->args, path, NULL);
    if (r > 0)
        folder->added += r;
    else
        qp_log(folder->args->log, QUICPRO_LOG_DEBUG, "ca_path: passed over '%s'", path);
}

static int add_folder(struct trusted *trusted, const struct qp_tls_args *args, const char *path)
{
    struct folder folder = {trusted, args, 0};
    if (path[0] == '\0')
        return 0;
    int r = args->env->each_file(path, MAX_CA_FILES, add_from_folder, &folder);
    args->error[0] = '\0'; /* of files that were passed over */
    if (r < 0)
        return qp_tls_fail(args, QUICPRO_ECERT, "ca_path: cannot read '%s': %s", path,
                           strerror(-r));
    if (folder.added == 0)
        return qp_tls_fail(args, QUICPRO_ECERT, "ca_path: no certificate in '%s'", path);
    return folder.added;
}

/* No authorities at all are no error here: every verification fails, and says so. */
static void add_system(struct trusted *trusted, const struct qp_tls_args *args)
{
    const char *file = args->env->variable("SSL_CERT_FILE");
    const char *folder = args->env->variable("SSL_CERT_DIR");
    int r = file == NULL ? 0 : add_source(trusted, args, file, NULL);
    if (folder != NULL && r >= 0)
        r = add_folder(trusted, args, folder);
    if (r < 0)
        qp_log(args->log, QUICPRO_LOG_WARNING, "SSL_CERT_FILE or SSL_CERT_DIR: %s", args->error);
    const bool chosen = file != NULL || folder != NULL;
    for (size_t i = 0; !chosen && i < sizeof(system_bundle) / sizeof(system_bundle[0]); i++)
        if (add_source(trusted, args, system_bundle[i], NULL) > 0)
            break;
    args->error[0] = '\0';
    ERR_clear_error();
}

/* Authorities of the options; their number. */
static int add_chosen(struct trusted *trusted, const struct qp_tls_args *args)
{
    const struct qp_options *o = args->options;
    int files = add_source(trusted, args, o->ca_file, &o->ca_data);
    if (files < 0)
        return files;
    int folder = add_folder(trusted, args, o->ca_path);
    return folder < 0 ? folder : files + folder;
}

enum { NONE, OPTIONAL, REQUIRED }; /* the words of client_auth */

/* A ticket stands for the verification that its session had. With other authorities, pins or rules
 * it must not be worth anything, although the keys of tickets outlive a reload: the hash is over
 * the certificates themselves, not the names of their files. */
static int bind_tickets(SSL_CTX *ctx, struct trusted *trusted, const struct qp_tls_args *args)
{
    const struct qp_options *o = args->options;
    uint8_t id[SHA256_DIGEST_LENGTH];
    const uint64_t rules[] = {o->client_auth, o->verify_peer, o->verify_depth};
    SHA256_Update(&trusted->hash, rules, sizeof(rules));
    SHA256_Update(&trusted->hash, o->pins, strlen(o->pins));
    SHA256_Final(id, &trusted->hash);
    return SSL_CTX_set_session_id_context(ctx, id, sizeof(id)) ? 0 : QUICPRO_ENOMEM;
}

static int init_server(SSL_CTX *ctx, struct trusted *trusted, const struct qp_tls_args *args)
{
    const struct qp_options *o = args->options;
    const struct qp_tls_context *context = qp_tls_context_get(ctx);
    if (o->client_auth == NONE)
        return bind_tickets(ctx, trusted, args);
    if (!context->verify.chain && context->verify.pins.count == 0)
        return qp_tls_fail(args, QUICPRO_EVALUE,
                           "client_auth: verify_peer is off and pins are not set, so that any "
                           "certificate would do");
    int r = context->verify.chain ? add_chosen(trusted, args) : 1;
    if (r == 0)
        return qp_tls_fail(args, QUICPRO_ECERT,
                           "client_auth: set ca_file, ca_path or ca_data to the authorities of "
                           "clients");
    SSL_CTX_set_verify(ctx,
                       o->client_auth == REQUIRED
                           ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_PEER,
                       NULL);
    return r < 0 ? r : bind_tickets(ctx, trusted, args);
}

static int init_client(SSL_CTX *ctx, struct trusted *trusted, const struct qp_tls_args *args)
{
    struct qp_tls_context *context = qp_tls_context_get(ctx);
    if (context->verify.chain || context->verify.pins.count != 0)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    context->verify.staple = args->options->ocsp_require;
    if (context->verify.staple)
        SSL_CTX_enable_ocsp_stapling(ctx);
    if (context->verify.staple && !context->verify.chain)
        return qp_tls_fail(args, QUICPRO_EVALUE,
                           "ocsp_require: verify_peer is off, so that there is no issuer whose "
                           "word would count");
    if (!context->verify.chain)
        return 0;
    int r = add_chosen(trusted, args);
    if (r == 0)
        add_system(trusted, args);
    return r < 0 ? r : 0;
}

int qp_tls_verify_init(SSL_CTX *ctx, const struct qp_tls_args *args, bool server)
{
    const struct qp_options *o = args->options;
    struct qp_tls_context *context = qp_tls_context_get(ctx);
    struct trusted trusted = {.store = SSL_CTX_get_cert_store(ctx)};
    SHA256_Init(&trusted.hash);
    int r = qp_tls_pins_init(&context->verify.pins, args);
    if (r < 0)
        return r;
    context->verify.chain = o->verify_peer;
    context->verify.depth = (int)o->verify_depth;
    X509_VERIFY_PARAM_set_depth(SSL_CTX_get0_param(ctx), context->verify.depth);
    SSL_CTX_set_cert_verify_callback(ctx, verify, context);
    return (server ? init_server : init_client)(ctx, &trusted, args);
}

const char *qp_tls_verify_error(struct ssl_st *ssl, unsigned alert)
{
    const struct note *note = SSL_get_ex_data(ssl, note_index());
    long result = SSL_get_verify_result(ssl);
    if (alert == SSL_AD_CERTIFICATE_REQUIRED)
        return "it sent none, and client_auth is required";
    /* BoringSSL's word for a handshake that did not come as far as a certificate. */
    if (result == X509_V_OK || result == X509_V_ERR_INVALID_CALL)
        return NULL;
    return note != NULL && note->text[0] != '\0' ? note->text
                                                 : X509_verify_cert_error_string(result);
}
