/* Fetches one URL over HTTP/3 and writes the body to stdout.
 *
 *     cc h3_get.c $(pkg-config --cflags --libs quicpro) -o h3_get
 *     ./h3_get --cacert ca.pem https://localhost:4433/
 */
#include <quicpro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
    char host[256], authority[272];
    uint16_t port;
    const char *path;
};

static int usage(void)
{
    fprintf(stderr, "usage: h3_get [--cacert FILE] [--insecure] [-X METHOD] [-d @FILE|DATA]\n"
                    "              [-o KEY=VALUE]... https://HOST[:PORT][/PATH]\n"
                    "-o sets a library option, such as max_idle_timeout_ms=1000\n");
    return 2;
}

static int parse_url(const char *url, struct target *t)
{
    const char *scheme = "https://";
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return -1;
    const char *start = url + strlen(scheme);
    size_t len = strcspn(start, "/?#");
    if (len == 0 || len >= sizeof(t->host))
        return -1;
    snprintf(t->authority, sizeof(t->authority), "%.*s", (int)len, start);
    snprintf(t->host, sizeof(t->host), "%.*s", (int)len, start);
    t->path = start[len] == '/' ? start + len : "/";
    t->port = 443;
    char *colon = strrchr(t->host, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) { /* not inside [::1] */
        int port = atoi(colon + 1);
        if (port < 1 || port > 65535)
            return -1;
        t->port = (uint16_t)port;
        *colon = '\0';
    }
    return 0;
}

/* The whole of a file, or the text itself. */
static char *load(const char *arg, size_t *len)
{
    if (arg[0] != '@') {
        *len = strlen(arg);
        return strdup(arg);
    }
    FILE *f = fopen(arg + 1, "rb");
    char *data = NULL;
    size_t cap = 0;
    *len = 0;
    while (f != NULL && !feof(f) && !ferror(f)) {
        if (*len == cap)
            data = realloc(data, cap = cap == 0 ? 65536 : 2 * cap);
        *len += fread(data + *len, 1, cap - *len, f);
    }
    if (f != NULL)
        fclose(f);
    else
        perror(arg + 1);
    return f == NULL ? NULL : data;
}

/* One event; 0: go on, 1: done, -1: failed. */
static int handle(const quicpro_event *event, unsigned *status)
{
    switch (event->type) {
    case QUICPRO_EVENT_RESPONSE:
        if (!(event->flags & QUICPRO_FLAG_INFORMATIONAL))
            *status = (unsigned)event->code;
        break;
    case QUICPRO_EVENT_DATA:
        if (fwrite(event->data, 1, event->len, stdout) != event->len) {
            perror("stdout");
            return -1;
        }
        break;
    case QUICPRO_EVENT_RESET:
    case QUICPRO_EVENT_CLOSED:
        fprintf(stderr, "h3_get: %s\n", (const char *)event->data);
        return -1;
    default:
        break;
    }
    return event->stream != 0 && event->flags & QUICPRO_FLAG_FIN ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *method = NULL, *url = NULL;
    char *body = NULL;
    size_t body_len = 0;
    quicpro_config *config;
    int r = quicpro_config_new(&config);
    for (int i = 1; i < argc && r == 0; i++) {
        const char *arg = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(arg, "--insecure") == 0) {
            r = quicpro_config_set(config, "verify_peer", "false");
        } else if (arg[0] != '-' && url == NULL) {
            url = arg;
        } else if (value == NULL) {
            return usage();
        } else if (strcmp(arg, "--cacert") == 0) {
            r = quicpro_config_set(config, "ca_file", value), i++;
        } else if (strcmp(arg, "-X") == 0) {
            method = value, i++;
        } else if (strcmp(arg, "-d") == 0) {
            if ((body = load(value, &body_len)) == NULL)
                return 1;
            i++;
        } else if (strcmp(arg, "-o") == 0 && strchr(value, '=') != NULL) {
            char *equals = strchr(argv[++i], '=');
            *equals = '\0';
            r = quicpro_config_set(config, value, equals + 1);
        } else {
            return usage();
        }
    }
    if (r < 0) {
        fprintf(stderr, "h3_get: %s\n", quicpro_config_error(config));
        return 2;
    }
    struct target t;
    if (url == NULL || parse_url(url, &t) < 0)
        return usage();
    if (method == NULL)
        method = body == NULL ? "GET" : "POST";

    quicpro_loop *loop;
    quicpro_client *client = NULL;
    quicpro_conn conn;
    quicpro_stream stream;
    if ((r = quicpro_loop_new(&loop, config)) < 0) {
        fprintf(stderr, "h3_get: %s\n", quicpro_strerror(r));
        return 3;
    }
    const quicpro_nv fields[] = {
        {":method", 7, method, strlen(method)},
        QUICPRO_NV(":scheme", "https"),
        {":authority", 10, t.authority, strlen(t.authority)},
        {":path", 5, t.path, strlen(t.path)},
        QUICPRO_NV("user-agent", "h3_get"),
    };
    if ((r = quicpro_client_new(&client, loop, config)) < 0 ||
        (r = quicpro_client_connect(client, t.host, t.port, NULL, &conn)) < 0 ||
        (r = quicpro_request(loop, conn, fields, 5, body, body_len, 1, NULL, &stream)) < 0) {
        const char *why = quicpro_loop_error(loop);
        fprintf(stderr, "h3_get: %s\n", why[0] != '\0' ? why : quicpro_strerror(r));
        return 3;
    }
    int done = 0;
    unsigned status = 0;
    while (done == 0) {
        const quicpro_batch *batch;
        quicpro_loop_flush(loop);
        quicpro_loop_wait(loop, QUICPRO_FOREVER);
        if (quicpro_loop_run(loop, 0, &batch) < 0)
            break;
        for (size_t i = 0; i < batch->event_count && done == 0; i++)
            done = handle(&batch->events[i], &status);
    }
    if (fflush(stdout) != 0)
        done = -1;
    if (done == 1 && status >= 400)
        fprintf(stderr, "h3_get: status %u\n", status);
    quicpro_client_free(client);
    quicpro_loop_free(loop);
    quicpro_config_free(config);
    free(body);
    return done == 1 && status < 400 ? 0 : 1;
}
