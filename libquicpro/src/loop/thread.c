/* A loop driven by a thread of its own; see quicpro/thread.h.
 *
 * One mutex guards the loop and the mailboxes. The thread holds it while it runs and flushes, never
 * while it waits; so a caller that enters issues ordinary commands, and there is one way to command
 * a loop, not two. Events are copied into the mailbox of their handle. */
#include <quicpro/thread.h>

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "loop/loop.h"
#include "loop/mailbox.h"

/* How long the thread leaves the loop to callers that wait often: what a caller that does something
 * else makes acknowledgements late, a fifth of what peers are promised (max_ack_delay_ms). */
#define LEASE (5 * QUICPRO_MILLISECOND)

/* What one waits for while others have the lock. */
struct watched {
    struct pollfd *fd;
    quicpro_watch *list;
    size_t count, room;
    uint64_t version;
};

struct quicpro_thread {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_cond_t back; /* the loop is the thread's again */
    pthread_t thread;
    quicpro_loop *loop;
    struct qp_mailboxes boxes;
    unsigned waiting; /* callers in quicpro_thread_wait(): freeing waits for them */
    uint64_t ended;   /* handles, as far as those who wait were told */
    uint64_t watched; /* version of the descriptors that the thread waits for */
    bool stop;
    bool guest; /* where all events go to one mailbox, a caller that waits for them drives the loop
                   itself, which spares two switches of threads, */
    quicpro_tstamp lease;       /* and the thread stays away until then, */
    bool asleep;                /* or until it is called back */
    bool polling;               /* waits for descriptors, or is on its way back */
    struct watched guest_watch; /* the guest's */
    atomic_uint wanted;         /* callers that want the lock: the thread lets them in first */
};

/* A handle can end without an event, for instance when its stream is reset here. */
static void tell_ended(quicpro_thread *t)
{
    const struct qp_slab *streams = &t->loop->streams, *links = &t->loop->links;
    uint64_t ended = streams->made - streams->used + links->made - links->used;
    if (ended != t->ended)
        pthread_cond_broadcast(&t->changed);
    t->ended = ended;
}

/* Brings it up to date. Without memory for all of them the first ones stay, the one that wakes
 * among them, and nobody sleeps long. False if so. */
static bool watch(struct watched *w, quicpro_loop *loop)
{
    int n = quicpro_loop_fds(loop, w->list, w->room, &w->version);
    if (n > 0 && (size_t)n > w->room) {
        const size_t room = 2 * (size_t)n;
        quicpro_watch *list = realloc(w->list, room * sizeof(*list));
        if (list == NULL)
            return false;
        w->list = list;
        struct pollfd *fd = realloc(w->fd, room * sizeof(*fd));
        if (fd == NULL)
            return false;
        w->fd = fd;
        w->room = room;
        n = quicpro_loop_fds(loop, w->list, w->room, &w->version);
    }
    for (int i = 0; i < n; i++)
        w->fd[i] = (struct pollfd){
            .fd = w->list[i].fd,
            .events =
                (short)(w->list[i].wants & QUICPRO_WANT_WRITABLE ? POLLIN | POLLOUT : POLLIN)};
    if (n > 0)
        w->count = (size_t)n;
    return true;
}

/* How long to wait for them, in ms, rounded up. */
static int patience(const quicpro_loop *loop)
{
    const quicpro_tstamp at = quicpro_loop_expiry(loop), now = quicpro_now();
    if (quicpro_loop_wants(loop) & QUICPRO_WANT_RUN)
        return 0;
    if (at == QUICPRO_FOREVER)
        return -1;
    if (at <= now)
        return 0;
    const uint64_t whole = (at - now + QUICPRO_MILLISECOND - 1) / QUICPRO_MILLISECOND;
    return whole < INT_MAX ? (int)whole : INT_MAX;
}

/* As quicpro_loop_wait() spins, but lets callers in. True: there is something to do. */
static bool spun(quicpro_thread *t, struct watched *w, int timeout, quicpro_tstamp span)
{
    const quicpro_tstamp start = quicpro_now();
    while (timeout != 0 && quicpro_now() - start < span)
        if (poll(w->fd, (nfds_t)w->count, 0) > 0 || atomic_load(&t->wanted) != 0)
            return true;
    return false;
}

/* Receives and hands out what happened; how many events. */
static int run(quicpro_thread *t)
{
    const quicpro_batch *batch;
    int n = quicpro_loop_run(t->loop, 0, &batch);
    for (int i = 0; i < n; i++)
        qp_mailbox_deliver(&t->boxes, batch, &batch->events[i]);
    return n;
}

static struct timespec timespec_of(quicpro_tstamp at)
{
    return (struct timespec){.tv_sec = (time_t)(at / QUICPRO_SECOND),
                             .tv_nsec = (long)(at % QUICPRO_SECOND)};
}

/* Leaves the loop to a guest, and a little longer: the next one may come at once. */
static void stay_away(quicpro_thread *t)
{
    while (!t->stop && t->guest) {
        t->asleep = true;
        pthread_cond_wait(&t->back, &t->lock);
        t->asleep = false;
        while (!t->stop && quicpro_now() < t->lease) {
            const struct timespec until = timespec_of(t->lease);
            pthread_cond_timedwait(&t->back, &t->lock, &until);
        }
    }
}

static void *drive(void *arg)
{
    quicpro_thread *t = arg;
    struct watched w = {0};
    pthread_mutex_lock(&t->lock);
    for (;;) {
        stay_away(t);
        if (t->stop)
            break;
        quicpro_loop_flush(t->loop);
        tell_ended(t);
        /* Not quicpro_loop_wait(), which notes what is ready: callers close sockets meanwhile. */
        int timeout = patience(t->loop);
        if (!watch(&w, t->loop))
            timeout = timeout == 0 ? 0 : 1;
        t->watched = w.version;
        t->polling = true;
        const quicpro_tstamp spin = t->loop->options.spin_us * QUICPRO_MICROSECOND;
        pthread_mutex_unlock(&t->lock);
        if (spin == 0 || !spun(t, &w, timeout, spin))
            poll(w.fd, (nfds_t)w.count, timeout);
        while (atomic_load(&t->wanted) != 0)
            sched_yield();
        pthread_mutex_lock(&t->lock);
        t->polling = false;
        if (!t->guest && run(t) > 0)
            pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    free(w.fd);
    free(w.list);
    return NULL;
}

int quicpro_thread_new(quicpro_thread **ret, const quicpro_config *config)
{
    if (ret == NULL)
        return QUICPRO_EINVAL;
    quicpro_thread *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return QUICPRO_ENOMEM;
    int r = quicpro_loop_new(&t->loop, config);
    if (r < 0) {
        free(t);
        return r;
    }
    t->boxes.loop = t->loop;
    pthread_condattr_t attr;
    sigset_t all, old;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &attr);
    pthread_cond_init(&t->back, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = -pthread_create(&t->thread, NULL, drive, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0) {
        quicpro_loop_free(t->loop);
        free(t);
        return r;
    }
    *ret = t;
    return 0;
}

static bool forked(const quicpro_thread *t)
{
    return !qp_fork_guard_is_ours(t->loop->guard);
}

void quicpro_thread_free(quicpro_thread *t)
{
    if (t == NULL)
        return;
    if (!forked(t)) {
        pthread_mutex_lock(&t->lock);
        t->stop = true;
        pthread_cond_broadcast(&t->changed);
        pthread_cond_signal(&t->back);
        quicpro_loop_wake(t->loop);
        while (t->waiting != 0 || atomic_load(&t->wanted) != 0) { /* they are on their way out */
            pthread_mutex_unlock(&t->lock);
            sched_yield();
            pthread_mutex_lock(&t->lock);
        }
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        pthread_cond_destroy(&t->changed);
        pthread_cond_destroy(&t->back);
        pthread_mutex_destroy(&t->lock);
    }
    qp_mailboxes_done(&t->boxes);
    free(t->guest_watch.fd);
    free(t->guest_watch.list);
    quicpro_loop_free(t->loop);
    free(t);
}

static void lock(quicpro_thread *t)
{
    atomic_fetch_add(&t->wanted, 1);
    pthread_mutex_lock(&t->lock);
    atomic_fetch_sub(&t->wanted, 1);
}

int quicpro_thread_enter(quicpro_thread *thread, quicpro_loop **ret)
{
    if (thread == NULL || ret == NULL)
        return QUICPRO_EINVAL;
    if (forked(thread))
        return QUICPRO_EFORK;
    lock(thread);
    *ret = thread->loop;
    return 0;
}

/* The thread is to drive now, unless a guest does. */
static void call_back(quicpro_thread *t)
{
    if (!t->guest && t->lease != 0) {
        t->lease = 0;
        pthread_cond_signal(&t->back);
    }
}

void quicpro_thread_leave_later(quicpro_thread *thread)
{
    if (quicpro_now() >= thread->lease) {
        quicpro_thread_leave(thread);
        return;
    }
    tell_ended(thread);
    pthread_mutex_unlock(&thread->lock);
}

int quicpro_thread_collect(quicpro_thread *thread)
{
    if (thread == NULL)
        return QUICPRO_EINVAL;
    if (forked(thread))
        return QUICPRO_EFORK;
    lock(thread);
    thread->boxes.whole = true;
    pthread_mutex_unlock(&thread->lock);
    return 0;
}

/* Whether the thread waits for something else, or longer, than it should by now. */
static bool must_wake(quicpro_thread *t)
{
    uint64_t version = t->watched;
    return (quicpro_loop_wants(t->loop) & QUICPRO_WANT_RUN) != 0 ||
           quicpro_loop_expiry(t->loop) != QUICPRO_FOREVER ||
           quicpro_loop_fds(t->loop, NULL, 0, &version) != 0;
}

void quicpro_thread_leave(quicpro_thread *thread)
{
    /* Sent here and now: waking the thread for it would cost more, and later. */
    quicpro_loop_flush(thread->loop);
    if (must_wake(thread)) {
        quicpro_loop_wake(thread->loop);
        call_back(thread);
    }
    tell_ended(thread);
    pthread_mutex_unlock(&thread->lock);
}

/* The point in time at which a wait ends; *ret_forever: it does not. */
static struct timespec deadline(quicpro_tstamp timeout, bool *ret_forever)
{
    quicpro_tstamp now = quicpro_now();
    quicpro_tstamp at = timeout > QUICPRO_FOREVER - now ? QUICPRO_FOREVER : now + timeout;
    *ret_forever = at == QUICPRO_FOREVER;
    return timespec_of(at);
}

/* Drives the loop once, for at most timeout ms (-1: no limit), as the thread would. */
static void drive_as_guest(quicpro_thread *t, int timeout)
{
    struct watched *w = &t->guest_watch;
    t->guest = true;
    if (t->polling)
        quicpro_loop_wake(t->loop); /* the thread waits as well, and is to stay away */
    quicpro_loop_flush(t->loop);
    tell_ended(t);
    int most = patience(t->loop);
    if (!watch(w, t->loop))
        most = most == 0 ? 0 : 1;
    if (most >= 0 && (timeout < 0 || most < timeout))
        timeout = most;
    const quicpro_tstamp spin = t->loop->options.spin_us * QUICPRO_MICROSECOND;
    pthread_mutex_unlock(&t->lock);
    if (spin == 0 || !spun(t, w, timeout, spin))
        poll(w->fd, (nfds_t)w->count, timeout);
    pthread_mutex_lock(&t->lock);
    if (run(t) > 0 && t->waiting > 1)
        pthread_cond_broadcast(&t->changed);
    /* The run took the wake-up, which the thread may not have seen: a poll() that finds nothing any
     * more sleeps on. Who would flush when the lease is over? */
    if (t->polling)
        quicpro_loop_wake(t->loop);
    t->guest = false;
    t->lease = quicpro_now() + LEASE;
    if (t->asleep)
        pthread_cond_signal(&t->back);
}

/* Milliseconds, rounded up, that are left; -1: no limit. */
static int left_ms(const struct timespec *until, bool forever)
{
    const quicpro_tstamp at =
        (quicpro_tstamp)until->tv_sec * QUICPRO_SECOND + (quicpro_tstamp)until->tv_nsec;
    const quicpro_tstamp now = quicpro_now();
    if (forever)
        return -1;
    if (at <= now)
        return 0;
    const uint64_t whole = (at - now + QUICPRO_MILLISECOND - 1) / QUICPRO_MILLISECOND;
    return whole < INT_MAX ? (int)whole : INT_MAX;
}

int quicpro_thread_wait(quicpro_thread *t, quicpro_handle handle, quicpro_tstamp timeout,
                        quicpro_batch **ret)
{
    bool forever;
    if (t == NULL || ret == NULL)
        return QUICPRO_EINVAL;
    if (forked(t))
        return QUICPRO_EFORK;
    struct timespec until = deadline(timeout, &forever);
    int r = 0;
    lock(t);
    t->waiting++;
    for (;;) {
        struct qp_mailbox **at = qp_mailbox_at(&t->boxes, handle);
        if (*at != NULL && qp_batch_count(&(*at)->batch) != 0) {
            r = qp_mailbox_take(&t->boxes, *at, ret);
            break;
        }
        if (t->stop) {
            r = QUICPRO_ECLOSED;
            break;
        }
        if ((*at != NULL && (*at)->ended) || !qp_mailbox_is_live(&t->boxes, handle)) {
            if (*at != NULL && (*at)->waiting == 0)
                qp_mailbox_drop(at);
            r = QUICPRO_ESTALE;
            break;
        }
        if (r == ETIMEDOUT) {
            r = QUICPRO_ETIMEDOUT;
            break;
        }
        struct qp_mailbox *box = qp_mailbox_get(&t->boxes, handle);
        if (box == NULL) {
            r = QUICPRO_ENOMEM;
            break;
        }
        if (t->boxes.whole && handle == 0 && !t->guest) {
            const int ms = left_ms(&until, forever);
            drive_as_guest(t, ms);
            r = ms == 0 ? ETIMEDOUT : 0;
            continue;
        }
        box->waiting++;
        r = forever ? pthread_cond_wait(&t->changed, &t->lock)
                    : pthread_cond_timedwait(&t->changed, &t->lock, &until);
        box->waiting--;
    }
    t->waiting--;
    pthread_mutex_unlock(&t->lock);
    return r;
}

void quicpro_thread_ignore(quicpro_thread *t, quicpro_handle handle)
{
    if (t == NULL || forked(t))
        return;
    lock(t);
    if (qp_mailbox_ignore(&t->boxes, handle))
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
