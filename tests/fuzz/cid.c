/* Connection IDs of ours. The input is a layout and random bytes for one (4 + 15), or any bytes.
 *
 * Oracle: what was made names its slot, and only with its own K; what is taken for one of ours is,
 * byte for byte, what would have been made of its own parts; no other length is one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic/cid.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return 0;
}

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "oracle: %s\n", what);
    abort();
}

static void make(const uint8_t *data)
{
    const struct qp_cid_layout layout = {
        .config = data[0] & 7,
        .host = (uint16_t)(data[1] << 8 | data[2]),
        .slot = data[3],
        .k = data[0] >> 3,
    };
    uint8_t cid[QP_CID_LEN], slot = (uint8_t)~layout.slot;
    qp_cid_make(cid, &layout, data + 4);
    require(qp_cid_slot(cid, sizeof(cid), layout.k, &slot) && slot == layout.slot,
            "does not know its own");
    require(!qp_cid_slot(cid, sizeof(cid), (uint8_t)(layout.k + 1), &slot), "knows another's");
    for (unsigned i = 0; i < 256; i++) { /* a bit of what is checked */
        cid[i % 20] ^= (uint8_t)(1 << i / 20 % 8);
        const bool known = qp_cid_slot(cid, sizeof(cid), layout.k, &slot);
        const unsigned at = i % 20, bit = i / 20 % 8;
        const bool checked = at == 3 || at == 4 || at == 7 || at == 8 || (at == 0 && bit < 5);
        require(known != checked, "a changed byte that makes no difference");
        cid[i % 20] ^= (uint8_t)(1 << i / 20 % 8);
    }
}

static void take(const uint8_t *data, size_t size, uint8_t k)
{
    uint8_t slot, again[QP_CID_LEN];
    uint8_t *exact = calloc(1, size == 0 ? 1 : size); /* so that a sanitizer sees what is behind */
    require(exact != NULL, "out of memory");
    if (size != 0)
        memcpy(exact, data, size);
    if (qp_cid_slot(exact, size, k, &slot)) {
        require(size == QP_CID_LEN, "of another length");
        const struct qp_cid_layout layout = {
            .config = exact[0] >> 5,
            .host = (uint16_t)(exact[1] << 8 | exact[2]),
            .slot = slot,
            .k = k,
        };
        qp_cid_make(again, &layout, exact + 5);
        require(memcmp(again, exact, sizeof(again)) == 0, "is not what would be made");
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 4 + 15)
        make(data);
    if (size != 0)
        take(data + 1, size - 1, data[0]);
    return 0;
}
