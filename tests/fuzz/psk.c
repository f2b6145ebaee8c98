/* The pre_shared_key extension of a ClientHello, as the strike register reads it.
 *
 * Oracle: what is found lies inside the input, has the lengths RFC 8446 section 4.2.11 allows, the
 * identity in front of the binder; the extension is refused when its last byte is missing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ticket/psk.h"

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "oracle: %s\n", what);
        abort();
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qp_psk psk, shorter;
    if (!qp_psk_parse(&psk, data, size))
        return 0;
    require(psk.identity_len >= 1 && psk.identity_len <= 65535, "length of the identity");
    require(psk.binder_len >= 32 && psk.binder_len <= 255, "length of the binder");
    require(psk.identity >= data + 4 && psk.identity + psk.identity_len + 4 < psk.binder &&
                psk.binder + psk.binder_len <= data + size,
            "out of place");
    require(!qp_psk_parse(&shorter, data, size - 1), "its last byte does not matter");
    return 0;
}
