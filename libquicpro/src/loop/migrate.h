/* Migration of clients (RFC 9000 section 9). */
#ifndef QP_LOOP_MIGRATE_H
#define QP_LOOP_MIGRATE_H

#include <quicpro/conn.h>

#include "os/addr.h"

struct qp_link;
struct qp_port;

enum { QP_MIGRATION_AUTO, QP_MIGRATION_MANUAL, QP_MIGRATION_OFF }; /* the option "migration" */

/* What a client's second socket is for. */
enum qp_other { QP_OTHER_NONE, QP_OTHER_PROBED, QP_OTHER_VALID, QP_OTHER_LEFT };

/* What the engine says of a path (an enum qp_engine_path_event_type). */
void qp_migrate_event(struct qp_link *link, int type, const struct qp_addr *local);
/* Server: the client is at link->peer now. */
void qp_migrate_peer_moved(struct qp_link *link);
/* The kernel refused to send from the path in use; error: -errno. */
void qp_migrate_lost(struct qp_link *link, int error, quicpro_tstamp now);
/* The socket of a path; NULL: it has none any more. */
struct qp_port *qp_migrate_port(const struct qp_link *link, const struct qp_addr *local);
/* When to give a probe up; QUICPRO_FOREVER: none is under way. */
quicpro_tstamp qp_migrate_due(const struct qp_link *link);
void qp_migrate_on_timer(struct qp_link *link, quicpro_tstamp now);
/* Closes the second socket. */
void qp_migrate_done(struct qp_link *link);

#endif
