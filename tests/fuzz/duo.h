/* A client and a server in memory and in virtual time, both ours, made once and used for every
 * input: each has connections of its own, of which nothing is left when it ends. */
#ifndef DUO_H
#define DUO_H

#include <quicpro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

struct duo {
    quicpro_loop *client_loop, *server_loop;
    quicpro_client *client;
    quicpro_server *server;
    quicpro_tstamp now;
};

static inline void duo_require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "oracle: %s\n", what);
    abort();
}

/* Logs are shown to people: what a peer says must not get at their terminal. */
static inline void duo_log(void *user, int level, const char *line)
{
    (void)user, (void)level;
    for (; *line != '\0'; line++)
        duo_require(*line >= 0x20 && *line < 0x7f, "logs what is not printable");
}

struct duo_option {
    bool server, client;
    const char *key, *value;
};

static inline void duo_init(struct duo *d, const struct duo_option *option, size_t options)
{
    static const char *const name[] = {"localhost", "192.0.2.1"};
    quicpro_config *server = NULL, *client = NULL;
    quicpro_devcert cert;
    *d = (struct duo){.now = 1};
    duo_require(quicpro_config_new(&server) == 0 && quicpro_config_new(&client) == 0 &&
                    quicpro_devcert_make(&cert, name, 2, 30) == 0,
                "no certificate");
    quicpro_config_set_bytes(server, "cert_data", cert.cert_pem, strlen(cert.cert_pem));
    quicpro_config_set_bytes(server, "key_data", cert.key_pem, strlen(cert.key_pem));
    quicpro_config_set_bytes(client, "ca_data", cert.ca_pem, strlen(cert.ca_pem));
    quicpro_devcert_done(&cert);
    /* Every input begins with a full handshake, the cheapest there is. */
    quicpro_config_set(server, "session_tickets", "false");
    quicpro_config_set(server, "groups", "X25519");
    quicpro_config_set(client, "groups", "X25519");
    quicpro_config_set(server, "stateless_resets_per_second", "0");
    for (size_t i = 0; i < options; i++) {
        if (option[i].server)
            duo_require(quicpro_config_set(server, option[i].key, option[i].value) == 0,
                        option[i].key);
        if (option[i].client)
            duo_require(quicpro_config_set(client, option[i].key, option[i].value) == 0,
                        option[i].key);
    }
    duo_require(quicpro_loop_new_detached(&d->server_loop, server, d->now) == 0 &&
                    quicpro_loop_new_detached(&d->client_loop, client, d->now) == 0,
                "no loop");
    quicpro_loop_set_log(d->server_loop, duo_log, NULL, QUICPRO_LOG_DEBUG);
    quicpro_loop_set_log(d->client_loop, duo_log, NULL, QUICPRO_LOG_DEBUG);
    duo_require(quicpro_server_new(&d->server, d->server_loop, server) == 0 &&
                    quicpro_client_new(&d->client, d->client_loop, client) == 0 &&
                    quicpro_server_listen(d->server, "192.0.2.1", 443) == 443,
                "no server");
    quicpro_config_free(client);
    quicpro_config_free(server);
}

static inline void duo_set_now(struct duo *d, quicpro_tstamp now)
{
    d->now = now;
    quicpro_loop_set_now(d->client_loop, now);
    quicpro_loop_set_now(d->server_loop, now);
}

/* When one of both has something to do although nothing comes. */
static inline quicpro_tstamp duo_expiry(const struct duo *d)
{
    const quicpro_tstamp c = quicpro_loop_expiry(d->client_loop);
    const quicpro_tstamp s = quicpro_loop_expiry(d->server_loop);
    return c < s ? c : s;
}

/* Of a loop whose connections have all ended, and been forgotten. */
static inline void duo_require_nothing_left(const quicpro_loop *loop)
{
    const struct qp_endpoint *e = loop->endpoints;
    duo_require(e->open == 0 && e->handshakes == 0, "connections are miscounted");
    duo_require(loop->links.used == 0, "a connection is left");
    duo_require(loop->streams.used == 0 && loop->raw_streams.used == 0, "a stream is left");
    duo_require(loop->cids.count == 0, "a connection ID is left");
    duo_require(loop->dirty == NULL && qp_heap_first(&loop->timers) == NULL,
                "a connection that is gone is to be looked at");
    duo_require(e->server || e->ports == NULL, "a socket is left");
    duo_require(e->guard.neighbours.used == 0, "a half-open connection is still counted");
}

#endif
