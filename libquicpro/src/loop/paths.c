/* Paths and connection IDs of a connection (RFC 9000 sections 5.1 and 9). */
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

/* IDs issued besides the first one: a peer moves a few times before it gets fresh ones, and each
 * costs a place in the loop's map. */
enum { MAX_EXTRA_CIDS = 7 };

void qp_link_forget_cids(struct qp_link *link)
{
    qp_cid_map_remove(&link->loop->cids, link->conn.scid, QP_CID_LEN);
    for (size_t i = 0; i < link->cid_count; i++)
        qp_cid_map_remove(&link->loop->cids, link->cids[i], QP_CID_LEN);
    free(link->cids);
    link->cids = NULL;
    link->cid_count = 0;
}

static void forget_cid(struct qp_link *link, const uint8_t *cid, size_t len)
{
    qp_cid_map_remove(&link->loop->cids, cid, len);
    for (size_t i = 0; i < link->cid_count; i++)
        if (memcmp(link->cids[i], cid, QP_CID_LEN) == 0) {
            memmove(link->cids[i], link->cids[--link->cid_count], QP_CID_LEN);
            return;
        }
}

/* False: no more now. */
static bool issue_cid(struct qp_link *link)
{
    uint8_t cid[QP_CID_LEN], token[QP_RESET_TOKEN_LEN];
    struct quicpro_loop *loop = link->loop;
    if (link->cids == NULL && (link->cids = calloc(MAX_EXTRA_CIDS, QP_CID_LEN)) == NULL)
        return false;
    qp_link_make_cid(loop, cid);
    qp_reset_token(token, link->endpoint->guard.reset_key, cid);
    if (qp_link_add_cid(link, cid, QP_CID_LEN) < 0)
        return false;
    if (link->conn.engine->new_scid(link->conn.impl, cid, QP_CID_LEN, token) < 0) {
        qp_cid_map_remove(&loop->cids, cid, QP_CID_LEN);
        return false;
    }
    memcpy(link->cids[link->cid_count++], cid, QP_CID_LEN);
    return true;
}

static void update_cids(struct qp_link *link)
{
    const struct qp_engine_ops *engine = link->conn.engine;
    uint8_t retired[QP_CID_LEN];
    size_t len;
    while ((len = engine->retired_scid(link->conn.impl, retired)) != 0)
        forget_cid(link, retired, len);
    if (link->state == QP_LINK_OPEN)
        while (link->cid_count < MAX_EXTRA_CIDS && engine->scids_left(link->conn.impl) != 0 &&
               issue_cid(link))
            ;
}

void qp_link_update_paths(struct qp_link *link)
{
    const struct qp_engine_ops *engine = link->conn.engine;
    struct qp_addr local = {0}, peer = {0};
    uint64_t value;
    bool moved;
    int type;
    while ((type = engine->path_event(link->conn.impl, &value, &local.sa, &peer.sa)) != 0)
        switch (type) {
        case QP_ENGINE_PATH_EVENT_NEW:
            /* "An endpoint MUST perform path validation if it detects any change to a peer's
             * address" (section 9). */
            engine->probe_path(link->conn.impl, &local.sa, &peer.sa);
            break;
        case QP_ENGINE_PATH_EVENT_MIGRATED:
            /* Also said when a new address came to nothing and the last one is back in use. */
            moved = !qp_addr_equal(&peer, &link->peer);
            link->local = local;
            link->peer = peer;
            if (moved)
                qp_migrate_peer_moved(link);
            break;
        default:
            qp_migrate_event(link, type, &local);
            break;
        }
    update_cids(link);
}
