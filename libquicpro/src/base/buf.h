/* Three kinds of memory for bytes: one that moves, one that stays, one that drains. */
#ifndef QP_BASE_BUF_H
#define QP_BASE_BUF_H

#include <quicpro/base.h>
#include <stdbool.h>
#include <string.h>

/* Zeroes secrets: a memset() that the compiler must not leave out before free() or return. */
static inline void qp_wipe(void *data, size_t n)
{
    memset(data, 0, n);
    __asm__ volatile("" ::"r"(data) : "memory");
}

/* Grows by moving: offsets stay valid, pointers do not. */
struct qp_buf {
    uint8_t *data;
    size_t len, cap;
};

void qp_buf_done(struct qp_buf *buf);
/* Room for n more bytes behind len; NULL when out of memory. The caller adds to len itself. */
uint8_t *qp_buf_reserve(struct qp_buf *buf, size_t n);
int qp_buf_append(struct qp_buf *buf, const void *data, size_t n);

/* Grows by blocks: pointers stay valid until qp_arena_reset(). Blocks are kept for reuse up to
 * `keep` bytes, so that a burst does not pin memory for ever. */
struct qp_arena_block;
struct qp_arena {
    struct qp_arena_block *head, *current; /* list, and the block in use */
    size_t keep;
};

void qp_arena_init(struct qp_arena *arena, size_t keep);
void qp_arena_done(struct qp_arena *arena);
void qp_arena_reset(struct qp_arena *arena);
/* At least `need` contiguous bytes, of which *ret_avail are free; NULL when out of memory. Nothing
 * is taken until qp_arena_commit(). Aligned to 8. */
uint8_t *qp_arena_reserve(struct qp_arena *arena, size_t need, size_t *ret_avail);
void qp_arena_commit(struct qp_arena *arena, size_t n);

/* FIFO of bytes in blocks: appended behind, taken in front without copying. Blocks are 256 bytes
 * for the first, then sized to what is appended, 4 KiB to 64 KiB. All zero is empty. */
struct qp_queue_block;
struct qp_queue {
    struct qp_queue_block *head, *tail;
    size_t len; /* bytes in the queue */
};

void qp_queue_done(struct qp_queue *queue);
/* All or nothing: 0 or QUICPRO_ENOMEM. */
int qp_queue_append(struct qp_queue *queue, const void *data, size_t n);
/* Contiguous runs starting `skip` bytes into the queue: fills at most max, returns how many. */
struct qp_span {
    const uint8_t *data;
    size_t len;
};
size_t qp_queue_peek(const struct qp_queue *queue, size_t skip, struct qp_span *span, size_t max);
/* The block of malloc() that a peeked byte is in, by its first member, the number of its users.
 * Bytes in it stay as they are and where they are until that is zero: who raises it may keep them
 * beyond the queue, lowers it in the end, and frees the block if it was the last. NULL: not a byte
 * of the queue */
uint32_t *qp_queue_block_of(const struct qp_queue *queue, const uint8_t *data);
void qp_queue_consume(struct qp_queue *queue, size_t n);

#endif
