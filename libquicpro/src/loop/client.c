#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

#include "os/random.h"

struct quicpro_client {
    struct qp_endpoint endpoint;
    struct qp_family_cache families;
};

int quicpro_client_new(quicpro_client **ret, quicpro_loop *loop, const quicpro_config *config)
{
    if (ret == NULL || loop == NULL)
        return QUICPRO_EINVAL;
    quicpro_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return QUICPRO_ENOMEM;
    int r = qp_endpoint_init(&client->endpoint, loop, config, false);
    if (r < 0) {
        free(client);
        return r;
    }
    uint8_t key[16];
    qp_random(key, sizeof(key));
    qp_family_init(&client->families, key);
    *ret = client;
    return 0;
}

int quicpro_client_set_option(quicpro_client *client, const char *key, const char *value)
{
    return client == NULL ? QUICPRO_EINVAL : qp_endpoint_set_option(&client->endpoint, key, value);
}

void quicpro_client_free(quicpro_client *client)
{
    if (client == NULL)
        return;
    qp_endpoint_done(&client->endpoint);
    free(client);
}

/* "[::1]" without its brackets. */
static int copy_host(char *out, size_t size, const char *host)
{
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= size)
        return QUICPRO_EINVAL;
    memcpy(out, host, len);
    out[len] = '\0';
    return 0;
}

int quicpro_client_connect(quicpro_client *client, const char *host, uint16_t port, void *user,
                           quicpro_conn *ret)
{
    if (client == NULL || host == NULL || port == 0 || ret == NULL)
        return QUICPRO_EINVAL;
    struct quicpro_loop *loop = client->endpoint.loop;
    if (client->endpoint.open >= client->endpoint.options.max_connections)
        return qp_loop_fail(loop, QUICPRO_ELIMIT, "max_connections (%llu) are open",
                            (unsigned long long)client->endpoint.options.max_connections);
    struct qp_target *target = calloc(1, sizeof(*target));
    struct qp_link *link = target == NULL ? NULL : qp_link_new(&client->endpoint);
    if (link == NULL) {
        free(target);
        return QUICPRO_ENOMEM;
    }
    link->target = target;
    target->port = port;
    int r = copy_host(target->host, sizeof(target->host), host);
    if (r == 0) {
        qp_app_init(link);
        qp_app_set_user(link, user);
        r = qp_dial_start(link, &client->families, qp_loop_now(loop));
    }
    if (r < 0) {
        qp_link_free(link);
        return r;
    }
    qp_metrics_add(loop->metrics, QP_METRIC_CONNECTIONS_MADE, 1);
    *ret = link->handle;
    return 0;
}
