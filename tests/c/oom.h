/* Memory that runs out on purpose: the allocator of this program, which refuses after a number of
 * allocations. Only where the C library lets itself be replaced and no sanitizer has done so. */
#ifndef OOM_H
#define OOM_H

#include <limits.h>
#include <stdlib.h>

#if defined(__has_feature)
#define OOM_FEATURE(name) __has_feature(name)
#else
#define OOM_FEATURE(name) 0
#endif

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&       \
    !OOM_FEATURE(address_sanitizer) && !OOM_FEATURE(thread_sanitizer) &&                           \
    !OOM_FEATURE(memory_sanitizer)
#define OOM_POSSIBLE 1

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static long oom_left = LONG_MAX;

static inline int oom_now(void)
{
    return oom_left != LONG_MAX && oom_left-- <= 0;
}

void *malloc(size_t size)
{
    return oom_now() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return oom_now() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return oom_now() ? NULL : __libc_realloc(old, size);
}

#else
#define OOM_POSSIBLE 0
static long oom_left;
#endif

/* The next n allocations succeed, then none. One thread only. */
static inline void oom_after(long n)
{
    oom_left = n;
}

static inline void oom_off(void)
{
    oom_left = LONG_MAX;
}

#endif
