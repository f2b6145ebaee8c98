#include "quic/tls_name.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

enum { LABEL_MAX = 63 };

/* Labels of letters, digits, '-' and '_', separated by dots. */
static bool is_name(const char *text)
{
    for (;;) {
        size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_");
        if (len == 0 || len > LABEL_MAX)
            return false;
        text += len;
        if (*text == '\0')
            return true;
        if (*text++ != '.')
            return false;
    }
}

bool qp_tls_name_lower(char out[QP_TLS_NAME_MAX + 1], const char *name)
{
    size_t len = strlen(name);
    if (len != 0 && name[len - 1] == '.')
        len--;
    if (len > QP_TLS_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + ('a' - 'A')) : name[i];
    out[len] = '\0';
    return true;
}

int qp_tls_name_read(char out[QP_TLS_NAME_MAX + 1], const char *name, const char **why)
{
    uint8_t ip[16];
    *why = "is not a host name; other scripts are written in their xn-- form";
    if (!qp_tls_name_lower(out, name))
        return QUICPRO_EVALUE;
    if (inet_pton(AF_INET, out, ip) == 1 || inet_pton(AF_INET6, out, ip) == 1) {
        *why = "is an address: clients only send names";
        return QUICPRO_EVALUE;
    }
    if (is_name(out[0] == '*' && out[1] == '.' ? out + 2 : out))
        return 0;
    if (strchr(out, '*') != NULL)
        *why = "is not a host name: a star stands for one whole label, the first";
    return QUICPRO_EVALUE;
}
