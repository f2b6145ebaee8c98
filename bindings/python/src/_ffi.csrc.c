#include <quicpro.h>

/* Defined by cffi, in Python; true if Ctrl-C hit what they called. */
static int quicpro_py_on_log(int level, const char *line);
static int quicpro_py_on_qlog(uint64_t number, const char *name, const uint8_t *data, size_t len);

/* The interpreter ends while threads of ours may run: from now on it is called no more. */
static volatile int quicpro_py_ended;

static void quicpro_py_log(void *user, int level, const char *line)
{
    (void)user;
    if (!quicpro_py_ended && quicpro_py_on_log(level, line))
        PyErr_SetInterrupt();
}

static void quicpro_py_qlog(void *user, quicpro_conn conn, const char *name, const uint8_t *data,
                            size_t len)
{
    (void)conn;
    if (!quicpro_py_ended && quicpro_py_on_qlog((uint64_t)(uintptr_t)user, name, data, len))
        PyErr_SetInterrupt();
}
