/* A small test harness. A program has a table of tests and runs it: one line of TAP for each test,
 * exit 0 if all passed, 1 if not, 77 if the whole program was skipped. A failed check says where
 * and what, and its test goes on, so write checks that stand alone or return after a bad one. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNTOF(array) (sizeof(array) / sizeof((array)[0]))

struct check_test {
    const char *name;
    void (*run)(void);
};
#define TEST(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

static struct {
    unsigned failed; /* checks of the test that runs */
    char skipped[128];
} check_state;

/* Counts a failed check; true if it is to be shown: the first twenty of a test say enough. */
static inline bool check_failed(const char *file, int line, const char *what)
{
    if (++check_state.failed > 20)
        return false;
    printf("# %s:%d: %s\n", file, line, what);
    return true;
}

static inline bool check_that(bool ok, const char *file, int line, const char *what)
{
    if (!ok)
        check_failed(file, line, what);
    return ok;
}

/* Whether `order` (negative: less, 0: equal, positive: greater) is what the operator asks for. */
static inline bool check_order(int order, const char *op)
{
    switch (op[0]) {
    case '<':
        return order < 0 || (order == 0 && op[1] == '=');
    case '>':
        return order > 0 || (order == 0 && op[1] == '=');
    case '!':
        return order != 0;
    default:
        return order == 0;
    }
}

static inline bool check_u64(uint64_t a, const char *op, uint64_t b, const char *file, int line,
                             const char *what)
{
    bool ok = check_order((a > b) - (a < b), op);
    if (!ok && check_failed(file, line, what))
        printf("#   left %" PRIu64 " (0x%" PRIx64 "), right %" PRIu64 " (0x%" PRIx64 ")\n", a, a, b,
               b);
    return ok;
}

static inline bool check_int(int64_t a, const char *op, int64_t b, const char *file, int line,
                             const char *what)
{
    bool ok = check_order((a > b) - (a < b), op);
    if (!ok && check_failed(file, line, what))
        printf("#   left %" PRId64 ", right %" PRId64 "\n", a, b);
    return ok;
}

static inline bool check_str(const char *a, const char *b, const char *file, int line,
                             const char *what)
{
    bool ok = a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
    if (!ok && check_failed(file, line, what))
        printf("#   left \"%s\"\n#   right \"%s\"\n", a == NULL ? "(null)" : a,
               b == NULL ? "(null)" : b);
    return ok;
}

static inline bool check_mem(const void *a, const void *b, size_t n, const char *file, int line,
                             const char *what)
{
    return check_that(n == 0 || memcmp(a, b, n) == 0, file, line, what);
}

/* Each is also an expression, true if it held, and evaluates its arguments once. */
#define CHECK(condition) check_that((condition), __FILE__, __LINE__, #condition)
#define CHECK_U64(a, op, b)                                                                        \
    check_u64((uint64_t)(a), #op, (uint64_t)(b), __FILE__, __LINE__, #a " " #op " " #b)
#define CHECK_INT(a, op, b)                                                                        \
    check_int((int64_t)(a), #op, (int64_t)(b), __FILE__, __LINE__, #a " " #op " " #b)
#define CHECK_STR(a, b) check_str((a), (b), __FILE__, __LINE__, #a " is " #b)
#define CHECK_MEM(a, b, n) check_mem((a), (b), (n), __FILE__, __LINE__, #a " holds " #b)

/* Says why the test that runs does not count; return after it. */
static inline void check_skip(const char *reason)
{
    snprintf(check_state.skipped, sizeof(check_state.skipped), "%s", reason);
}

/* The same numbers on every machine: splitmix64. */
static inline uint64_t check_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline int check_run(const struct check_test *test, size_t count)
{
    size_t failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        check_state.failed = 0;
        check_state.skipped[0] = '\0';
        test[i].run();
        printf("%sok %zu - %s", check_state.failed == 0 ? "" : "not ", i + 1, test[i].name);
        if (check_state.skipped[0] != '\0')
            printf(" # SKIP %s", check_state.skipped);
        printf("\n");
        fflush(stdout);
        failed += check_state.failed != 0;
    }
    return failed == 0 ? 0 : 1;
}

static inline int check_skip_all(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    return 77;
}

#define RUN(table) check_run((table), COUNTOF(table))

#endif
