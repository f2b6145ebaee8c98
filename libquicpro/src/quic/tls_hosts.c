#include "quic/tls_hosts.h"

#include <stdlib.h>
#include <string.h>

#include "quic/tls_name.h"

enum { FIRST_ENTRIES = 8 };

struct qp_tls_host {
    char *name;
    struct qp_tls_cert cert;
};

/* Where name is, or where it would be put. */
static size_t place_of(const struct qp_tls_hosts *hosts, const char *name, bool *found)
{
    size_t low = 0, high = hosts->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(hosts->entry[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(struct qp_tls_hosts *hosts)
{
    size_t capacity = hosts->capacity == 0 ? FIRST_ENTRIES : 2 * hosts->capacity;
    struct qp_tls_host *entry = realloc(hosts->entry, capacity * sizeof(*entry));
    if (entry == NULL)
        return QUICPRO_ENOMEM;
    hosts->entry = entry;
    hosts->capacity = capacity;
    return 0;
}

int qp_tls_hosts_put(struct qp_tls_hosts *hosts, const char *name, struct qp_tls_cert *cert)
{
    bool found;
    size_t at = place_of(hosts, name, &found);
    if (!found) {
        char *copy = strdup(name);
        if (copy == NULL || (hosts->count == hosts->capacity && grow(hosts) < 0)) {
            free(copy);
            return QUICPRO_ENOMEM;
        }
        struct qp_tls_host *entry = &hosts->entry[at];
        memmove(entry + 1, entry, (hosts->count - at) * sizeof(*entry));
        *entry = (struct qp_tls_host){.name = copy};
        hosts->count++;
    }
    qp_tls_cert_done(&hosts->entry[at].cert);
    hosts->entry[at].cert = *cert;
    *cert = (struct qp_tls_cert){0};
    return 0;
}

struct qp_tls_cert *qp_tls_hosts_find(const struct qp_tls_hosts *hosts, const char *name)
{
    char text[QP_TLS_NAME_MAX + 2], *dot;
    bool found;
    if (hosts->count == 0 || !qp_tls_name_lower(text + 1, name))
        return NULL;
    size_t at = place_of(hosts, text + 1, &found);
    if (!found && (dot = strchr(text + 1, '.')) != NULL && dot > text + 1) {
        dot[-1] = '*';
        at = place_of(hosts, dot - 1, &found);
    }
    return found ? &hosts->entry[at].cert : NULL;
}

void qp_tls_hosts_done(struct qp_tls_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        qp_tls_cert_done(&hosts->entry[i].cert);
        free(hosts->entry[i].name);
    }
    free(hosts->entry);
    *hosts = (struct qp_tls_hosts){0};
}
