#include "loop/dial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"

static const char *const family_name[2] = {"IPv4", "IPv6"};

/* The rivals' links end without a word to the user; each tells its peer. */
static void dismiss(struct qp_link *rival)
{
    qp_dial_forget(rival);
    qp_link_uncount(rival);
    if (rival->conn.impl != NULL && rival->close_reason == NULL)
        rival->close_reason = strdup("");
    qp_link_mark_dirty(rival);
}

void qp_dial_forget(struct qp_link *rival)
{
    struct qp_link **at = &rival->parent->dial->rivals;
    while (*at != rival)
        at = &(*at)->next_rival;
    *at = rival->next_rival;
    rival->parent = NULL;
}

static void drop_lookup(struct qp_link *link, struct qp_lookup *lookup)
{
    if (lookup->resolve == NULL)
        return;
    link->loop->resolver->free(lookup->resolve);
    lookup->resolve = NULL;
    link->loop->resolving--;
}

void qp_dial_stop(struct qp_link *link)
{
    struct qp_dial *dial = link->dial;
    if (dial == NULL)
        return;
    while (dial->rivals != NULL)
        dismiss(dial->rivals);
    for (size_t i = 0; i < 2; i++)
        drop_lookup(link, &dial->lookup[i]);
    free(dial);
    link->dial = NULL;
}

/* Drops what an attempt of this link has left; streams and handle stay. */
static void forget_attempt(struct qp_link *link)
{
    if (link->conn.impl != NULL) {
        qp_link_forget_cids(link);
        qp_trace_conn_done(link);
    }
    qp_heap_set(&link->loop->timers, &link->timer, QUICPRO_FOREVER);
    if (link->port != NULL)
        qp_port_free(link->port);
    link->port = NULL;
    if (link->state == QP_LINK_HANDSHAKE)
        link->endpoint->handshakes--;
    link->state = QP_LINK_RESOLVING;
    link->fed = link->handshake_expired = link->close_tried = false;
}

static void move_port(struct qp_port *port, struct qp_link *to)
{
    if (port != NULL)
        port->link = to;
}

/* An attempt has one ID: more are made once a connection is established. */
static void move_cid(struct qp_link *to)
{
    if (to->conn.impl != NULL)
        qp_cid_map_move(&to->loop->cids, to->conn.scid, QP_CID_LEN, (uint32_t)to->handle);
}

/* Each has the other's attempt, or none, afterwards. */
static void swap_attempts(struct qp_link *a, struct qp_link *b)
{
    struct qp_link old = *a;
#define SWAP(field) a->field = b->field, b->field = old.field
    SWAP(state);
    SWAP(conn);
    SWAP(port);
    SWAP(local);
    SWAP(peer);
    SWAP(attempt);
    SWAP(fed);
    SWAP(handshake_expired);
    SWAP(close_tried);
    SWAP(release_at);
#undef SWAP
    if (qp_app_is_early(a)) { /* what the other attempt had sent early is not known to this one */
        qp_app_early_rejected(a);
        a->target->early_wanted = false;
    }
    move_port(a->port, a);
    move_port(b->port, b);
    move_cid(a);
    move_cid(b);
    qp_link_mark_dirty(a); /* the flush sets the timers, too */
    qp_link_mark_dirty(b);
}

/* One address: a socket, an engine connection, its first flight on the next flush. */
static int connect_to(struct qp_link *link, const struct qp_addr *peer, const char *host,
                      quicpro_tstamp now)
{
    struct quicpro_loop *loop = link->loop;
    uint8_t scid[QP_CID_LEN];
    int r = qp_port_open(&link->port, link->endpoint, NULL, peer);
    if (r < 0)
        return r;
    link->port->link = link;
    qp_port_report(link->port);
    link->local = link->port->socket.local;
    link->peer = *peer;
    qp_link_make_cid(loop, scid);
    const struct qp_engine_ids ids = {.scid = scid, .scid_len = QP_CID_LEN};
    r = qp_conn_connect(&link->conn, &link->endpoint->factory, &ids, &link->local.sa, &peer->sa,
                        host);
    if (r < 0)
        return r;
    qp_trace_begin_client(link);
    qp_resume_offer(link);
    r = qp_link_add_cid(link, scid, QP_CID_LEN);
    if (r < 0)
        return r;
    qp_link_begin(link, now);
    return 0;
}

static struct qp_link *new_rival(struct qp_link *link)
{
    struct qp_link *rival = qp_link_new(link->endpoint);
    if (rival == NULL)
        return NULL;
    rival->hidden = true;
    link->endpoint->open--; /* nobody sees it */
    rival->parent = link;
    rival->next_rival = link->dial->rivals;
    rival->handshake_until = link->handshake_until;
    link->dial->rivals = rival;
    return rival;
}

/* How much an error tells: a peer's word more than its silence, silence more than a way that is
 * closed. */
static int telling(int error)
{
    if (error == QUICPRO_EHANDSHAKE || error == -ETIMEDOUT)
        return 2;
    return error <= QUICPRO_ESTALE ? 3 : error == -ECONNREFUSED ? 1 : 0;
}

static void note_failure(struct qp_dial *dial, unsigned attempt, const struct qp_conn_close *close)
{
    struct qp_attempt *a = &dial->attempt[attempt];
    a->failed = true;
    snprintf(a->why, sizeof(a->why), "%.*s", (int)sizeof(a->why) - 1, close->text);
    if (dial->best.error == 0 || telling(close->error) > telling(dial->best.error))
        dial->best = *close;
}

static struct qp_conn_close socket_error(int error)
{
    struct qp_conn_close close = {.error = error};
    snprintf(close.text, sizeof(close.text), "%s", quicpro_strerror(error));
    return close;
}

static void start_attempt(struct qp_link *link, const struct qp_dest *dest, quicpro_tstamp now)
{
    struct qp_dial *dial = link->dial;
    const unsigned index = dial->attempts++;
    struct qp_attempt *attempt = &dial->attempt[index];
    *attempt = (struct qp_attempt){
        .peer = dial->lookup[dest->tag / QP_RESOLVE_MAX].result.addr[dest->tag % QP_RESOLVE_MAX]};
    struct qp_link *at = link->conn.impl == NULL ? link : new_rival(link);
    int r = at == NULL ? QUICPRO_ENOMEM : connect_to(at, &attempt->peer, link->target->host, now);
    if (r == 0) {
        at->attempt = index;
        return;
    }
    const struct qp_conn_close close = socket_error(r);
    note_failure(dial, index, &close);
    qp_race_failed(&dial->race);
    if (at == link)
        forget_attempt(link);
    else if (at != NULL)
        qp_link_free(at);
}

/* Appends to text what snprintf would write. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    size_t len = strlen(text);
    va_list ap;
    va_start(ap, format);
    vsnprintf(text + len, size - len, format, ap);
    va_end(ap);
}

static void tell_lookups(const struct qp_link *link, struct qp_conn_close *close)
{
    const struct qp_resolve_result *v4 = &link->dial->lookup[0].result;
    const struct qp_resolve_result *v6 = &link->dial->lookup[1].result;
    const bool both = v4->error != 0 && v6->error != 0 && strcmp(v4->text, v6->text) != 0;
    close->error = v4->error == QUICPRO_ENOMEM || v6->error == QUICPRO_ENOMEM ? QUICPRO_ENOMEM
                                                                              : QUICPRO_ERESOLVE;
    append(close->text, sizeof(close->text), "cannot resolve host '%s': ", link->target->host);
    if (both)
        append(close->text, sizeof(close->text), "IPv6: %s; IPv4: %s", v6->text, v4->text);
    else
        append(close->text, sizeof(close->text), "%s", v6->error != 0 ? v6->text : v4->text);
}

/* Why all of it came to nothing, each address with its reason. */
static void tell_all(const struct qp_link *link, struct qp_conn_close *close)
{
    const struct qp_dial *dial = link->dial;
    const char *lead = ": ";
    *close = dial->best;
    close->text[0] = '\0';
    if (dial->attempts == 0 && qp_race_lost(&dial->race)) {
        tell_lookups(link, close);
        return;
    }
    if (close->error == 0)
        close->error = QUICPRO_EHANDSHAKE; /* nobody said anything in time */
    const char *iface = link->endpoint->options.iface;
    append(close->text, sizeof(close->text), "cannot connect to %s port %u%s%s", link->target->host,
           link->target->port, iface[0] == '\0' ? "" : " by interface ", iface);
    for (unsigned i = 0; i < dial->attempts; i++, lead = "; ") {
        const struct qp_attempt *a = &dial->attempt[i];
        char where[64];
        qp_addr_text(&a->peer, where, sizeof(where));
        append(close->text, sizeof(close->text), "%s%s: %s", lead, where,
               a->failed ? a->why : "no answer");
    }
    for (size_t i = 0; i < 2; i++)
        if (dial->lookup[i].resolve != NULL || dial->lookup[i].expired)
            append(close->text, sizeof(close->text), "%sno answer from the resolver for %s",
                   i == 0 || dial->attempts != 0 ? lead : "; ", family_name[i]);
}

static void finish(struct qp_link *link)
{
    struct qp_conn_close close;
    tell_all(link, &close);
    if (!link->dial->literal)
        qp_family_put(link->dial->families, link->target->host, QP_FAMILY_ANY);
    qp_link_end(link, &close);
    qp_link_mark_dirty(link); /* the next flush frees it */
}

quicpro_tstamp qp_dial_due(const struct qp_link *link)
{
    const struct qp_dial *dial = link->dial;
    quicpro_tstamp due = qp_race_due(&dial->race);
    if ((dial->lookup[0].resolve != NULL || dial->lookup[1].resolve != NULL) &&
        dial->resolve_until < due)
        due = dial->resolve_until;
    return due < link->handshake_until ? due : link->handshake_until;
}

/* Starts what may start now and sets the timer for the rest. */
static void pump(struct qp_link *link, quicpro_tstamp now)
{
    const struct qp_dest *dest;
    if (link->close_reason != NULL)
        return;
    while ((dest = qp_race_next(&link->dial->race, now)) != NULL)
        start_attempt(link, dest, now);
    if (link->conn.impl != NULL)
        qp_link_mark_dirty(link); /* its flush sets the timer */
    else
        qp_heap_set(&link->loop->timers, &link->timer, qp_dial_due(link));
}

/* The same, and the end if that is all. */
static void settle(struct qp_link *link, quicpro_tstamp now)
{
    pump(link, now);
    if (link->conn.impl == NULL && qp_race_lost(&link->dial->race))
        finish(link);
}

/* The link's own attempt is over: another takes its place, or none. False: out of memory. */
static bool shed(struct qp_link *link)
{
    struct qp_link *rival = link->dial->rivals;
    if (rival == NULL)
        rival = new_rival(link); /* holds nothing */
    if (rival == NULL)
        return false;
    swap_attempts(link, rival);
    dismiss(rival);
    return true;
}

bool qp_dial_failed(struct qp_link *link, struct qp_conn_close *close, quicpro_tstamp now)
{
    struct qp_link *owner = link->parent != NULL ? link->parent : link;
    struct qp_dial *dial = owner->dial;
    if (dial == NULL || (link == owner && link->close_reason != NULL))
        return false; /* a server's, a connection that was there, or the user's will */
    note_failure(dial, link->attempt, close);
    qp_race_failed(&dial->race);
    if (link != owner) {
        dismiss(link);
        settle(owner, now);
        return true;
    }
    const bool last = dial->rivals == NULL && qp_race_lost(&dial->race);
    if (last || now >= link->handshake_until || !shed(link)) {
        if (dial->attempts > 1)
            tell_all(link, close);
        if (!dial->literal)
            qp_family_put(dial->families, link->target->host, QP_FAMILY_ANY);
        return false;
    }
    settle(link, now);
    return true;
}

void qp_dial_refused(struct qp_link *link, int error, quicpro_tstamp now)
{
    struct qp_link *owner = link->parent != NULL ? link->parent : link;
    struct qp_conn_close close = socket_error(error);
    if (owner->dial == NULL || owner->close_reason != NULL)
        return; /* an ICMP message is a hint; the handshake that works anyway decides */
    note_failure(owner->dial, link->attempt, &close);
    qp_race_failed(&owner->dial->race);
    if (link != owner)
        dismiss(link);
    else if (!shed(link)) {
        finish(link);
        return;
    }
    settle(owner, now);
}

struct qp_link *qp_dial_won(struct qp_link *link)
{
    struct qp_link *owner = link->parent != NULL ? link->parent : link;
    struct qp_dial *dial = owner->dial;
    if (dial == NULL)
        return link;
    if (link != owner) {
        swap_attempts(owner, link);
        dismiss(link);
    }
    if (!dial->literal)
        qp_family_put(dial->families, owner->target->host,
                      owner->peer.sa.sa_family == AF_INET6 ? QP_FAMILY_V6 : QP_FAMILY_V4);
    qp_race_won(&dial->race);
    qp_dial_stop(owner);
    return owner;
}

bool qp_dial_on_timer(struct qp_link *link, quicpro_tstamp now)
{
    struct qp_dial *dial = link->dial;
    for (size_t i = 0; i < 2; i++) {
        struct qp_lookup *lookup = &dial->lookup[i];
        if (lookup->resolve == NULL || now < dial->resolve_until)
            continue;
        drop_lookup(link, lookup);
        lookup->expired = true;
        lookup->result.error = QUICPRO_ERESOLVE;
        snprintf(lookup->result.text, sizeof(lookup->result.text), "no answer within %llu ms",
                 (unsigned long long)link->endpoint->options.resolve_timeout_ms);
        qp_race_answer(&dial->race, i == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6, NULL, 0, now);
    }
    if (link->conn.impl == NULL && now >= link->handshake_until) {
        finish(link);
        return false;
    }
    settle(link, now);
    return link->conn.impl != NULL;
}

/* As client/dest.h wants it. */
static void put_addr(uint8_t out[16], const struct qp_addr *addr)
{
    if (addr->sa.sa_family == AF_INET6) {
        memcpy(out, &addr->in6.sin6_addr, 16);
        return;
    }
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, &addr->in.sin_addr, 4);
}

static void answer(struct qp_link *link, size_t index, quicpro_tstamp now)
{
    const struct qp_resolve_result *result = &link->dial->lookup[index].result;
    const enum qp_family family = index == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6;
    struct qp_dest dest[QP_RESOLVE_MAX];
    size_t count = 0;
    for (size_t i = 0; i < result->count && result->error == 0; i++) {
        const struct qp_addr *addr = &result->addr[i], *source = &result->source[i];
        if (addr->sa.sa_family != (index == 0 ? AF_INET : AF_INET6))
            continue;
        struct qp_dest *d = &dest[count++];
        *d = (struct qp_dest){.family = family,
                              .tag = (uint32_t)(index * QP_RESOLVE_MAX + i),
                              .reachable = source->sa.sa_family != AF_UNSPEC};
        put_addr(d->addr, addr);
        if (d->reachable)
            put_addr(d->source, source);
    }
    qp_race_answer(&link->dial->race, family, dest, count, now);
}

void qp_dial_poll(struct qp_link *link, quicpro_tstamp now)
{
    bool news = false;
    for (size_t i = 0; i < 2; i++) {
        struct qp_lookup *lookup = &link->dial->lookup[i];
        if (lookup->resolve == NULL ||
            !link->loop->resolver->poll(lookup->resolve, &lookup->result))
            continue;
        drop_lookup(link, lookup);
        answer(link, i, now);
        news = true;
    }
    if (news)
        settle(link, now);
}

static int start_lookups(struct qp_link *link, quicpro_tstamp now)
{
    struct quicpro_loop *loop = link->loop;
    struct qp_dial *dial = link->dial;
    int error = 0, started = 0;
    for (int i = 1; i >= 0; i--) { /* IPv6 first: it is the one that is waited for */
        if (!dial->race.queue[i].pending)
            continue;
        struct qp_lookup *lookup = &dial->lookup[i];
        if (loop->resolver == NULL) {
            qp_detached_look_up(loop, &lookup->result, link->target->host, link->target->port,
                                i == 0 ? AF_INET : AF_INET6);
            answer(link, (size_t)i, now);
            continue;
        }
        int r =
            loop->resolver->start(&lookup->resolve, link->target->host, link->target->port,
                                  i == 0 ? AF_INET : AF_INET6, loop->udp->wake_fd(loop->poller));
        if (r == 0) {
            loop->resolving++;
            started++;
            continue;
        }
        error = r;
        lookup->resolve = NULL;
        qp_race_answer(&dial->race, i == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6, NULL, 0, 0);
    }
    return started > 0 ? 0 : error; /* neither: answered already */
}

int qp_dial_start(struct qp_link *link, struct qp_family_cache *families, quicpro_tstamp now)
{
    const struct qp_options *o = &link->endpoint->options;
    struct qp_target *target = link->target;
    struct qp_dial *dial = calloc(1, sizeof(*dial));
    struct qp_addr literal;
    if (dial == NULL)
        return QUICPRO_ENOMEM;
    link->dial = dial;
    dial->families = families;
    dial->literal = qp_resolve_literal(&literal, target->host, target->port);
    dial->resolve_until = now + o->resolve_timeout_ms * QUICPRO_MILLISECOND;
    link->handshake_until = now + o->handshake_timeout_ms * QUICPRO_MILLISECOND;
    enum qp_family family = (enum qp_family)o->family; /* the words are in the enum's order */
    if (!dial->literal) {
        qp_race_init(&dial->race, family, qp_family_get(families, target->host),
                     o->happy_eyeballs_delay_ms * QUICPRO_MILLISECOND);
        int r = start_lookups(link, now);
        if (r == 0)
            settle(link, now);
        return r;
    }
    const size_t index = literal.sa.sa_family == AF_INET6;
    const enum qp_family has = index == 0 ? QP_FAMILY_V4 : QP_FAMILY_V6;
    if (family != QP_FAMILY_ANY && family != has)
        return qp_loop_fail(link->loop, QUICPRO_EVALUE,
                            "%s is an %s address, option \"family\" says otherwise", target->host,
                            family_name[index]);
    struct qp_resolve_result *result = &dial->lookup[index].result;
    result->addr[0] = result->source[0] = literal; /* nothing to compare it with */
    result->count = 1;
    qp_race_init(&dial->race, has, has, 0);
    answer(link, index, now);
    pump(link, now);
    /* No socket for it: that is told by the next run, when the caller has had the time to put
     * requests on the connection, which get to know why. */
    if (link->conn.impl == NULL)
        qp_heap_set(&link->loop->timers, &link->timer, now);
    return 0;
}
