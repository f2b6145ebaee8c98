#include "quic/cid.h"

#include <assert.h>
#include <string.h>

static uint8_t check_byte(const uint8_t *cid, uint8_t k)
{
    return (uint8_t)(cid[3] + cid[7] + cid[8] + k);
}

void qp_cid_make(uint8_t out[QP_CID_LEN], const struct qp_cid_layout *layout,
                 const uint8_t random[15])
{
    assert(layout->config < 8);
    memcpy(out + 5, random, 15);
    out[0] = (uint8_t)(layout->config << 5 | (QP_CID_LEN - 1));
    out[1] = (uint8_t)(layout->host >> 8);
    out[2] = (uint8_t)layout->host;
    out[3] = layout->slot ^ out[6];
    out[4] = check_byte(out, layout->k);
}

bool qp_cid_slot(const uint8_t *cid, size_t len, uint8_t k, uint8_t *ret)
{
    if (len != QP_CID_LEN || (cid[0] & 31) != QP_CID_LEN - 1 || cid[4] != check_byte(cid, k))
        return false;
    *ret = cid[3] ^ cid[6];
    return true;
}
