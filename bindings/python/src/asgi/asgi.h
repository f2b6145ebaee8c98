/* ASGI applications called from batches of events with no Python code on the way.
 *
 * core.c takes a batch apart, scope.c makes what a request is to an application, drive.c runs it:
 * the first step of each request at once, in the turn of the event loop that brought it. exchange.c
 * is one request and its response, calls.c the callables and awaitables the application gets.
 * Whatever is not the usual case is a method of the Python classes on top (quicpro/_inline.py). */
#ifndef QP_ASGI_H
#define QP_ASGI_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <quicpro.h>
#include <stdbool.h>
#include <time.h>

/* One server's state. Python holds it; exchanges do, too. */
struct core {
    PyObject_HEAD quicpro_loop *loop;
    PyObject *server; /* ASGIServer: connections, and what is not about requests */
    PyObject *app;
    PyObject *event_loop;
    PyObject *exchange_type; /* a subclass of Exchange */
    PyObject *make_task;     /* () -> a task that is nobody's yet */
    PyObject *start;         /* (exchange, scope, receive, send) -> None: in its stead; or NULL */
    PyObject *schedule_flush;
    PyObject *requests;  /* stream -> exchange: those that wait for something */
    PyObject *templates; /* connection -> what all its scopes have in common */
    PyObject *state;     /* of the lifespan: each scope gets a copy */
    PyObject *fields;    /* tuple name, value, ...: of responses that have none of that name */
    bool date;           /* "date" too */
    time_t date_at;      /* when date_text was true */
    char date_text[32];
    bool client_certs;
    bool in_batch; /* a flush follows anyway */

    /* Current while exchanges are started, used again by the next one as long as nobody took notice
     * of it. */
    PyObject *task;
    Py_ssize_t task_refs;     /* references to it when nobody has one */
    struct exchange *current; /* that is being started, borrowed */

    /* Likewise an exchange and its two callables. */
    struct exchange *spare;
    PyObject *spare_receive, *spare_send;
};

/* One request and its response. */
struct exchange {
    PyObject_HEAD struct core *core;
    quicpro_stream stream;
    PyObject *method, *path; /* str */

    /* drive.c, once the application has been suspended. */
    PyObject *task, *coro, *context;
    PyObject *waiter; /* the future it waits for */
    PyObject *cancel_message;
    Py_ssize_t cancels; /* requested and not taken back */
    bool must_cancel;   /* at the next step */

    /* The request's body. */
    PyObject *chunks;   /* list of bytes that wait; NULL: none, and an end was not told */
    Py_ssize_t waiting; /* bytes in chunks */
    PyObject *reading;  /* tuple of futures */
    bool complete;      /* received to its end */
    bool paused;

    /* The response. */
    PyObject *fields; /* tuple name, value, name, ...: not sent yet; NULL: sent, or there is none */
    unsigned status;
    PyObject *writing; /* future */
    bool started, finished, bodyless;

    bool disconnected;
};

extern PyTypeObject *qp_core_type, *qp_exchange_type;

/* core.c */
int qp_core_init(PyObject *module);
/* Has what was commanded sent, if nothing else sees to it. 0; -1 with an exception */
int qp_core_flush_soon(struct core *core);

/* scope.c */
int qp_scope_init(void);
/* A request's scope, and its method and path into ex; NULL with an exception. *is_connect: it is
 * one that no application can answer; then Py_None. */
PyObject *qp_scope_new(struct exchange *ex, const quicpro_batch *batch, const quicpro_event *event);

/* exchange.c */
int qp_exchange_init(PyObject *module);
/* The core's spare one, or a new one with its two callables in the same places; NULL with an
 * exception */
struct exchange *qp_exchange_new(struct core *core, quicpro_stream stream, bool complete);
/* Bytes of the request's body. 0; -1 with an exception */
int qp_exchange_on_data(struct exchange *ex, const void *data, size_t len, bool fin);
/* Fields of a response as they are kept: a tuple name, value, ..., names in lower case; NULL with
 * an exception. */
PyObject *qp_exchange_pack(PyObject *headers);
/* Sends the fields that wait with this much of the body. False: a Python method must see to it. */
bool qp_exchange_answer(struct exchange *ex, const void *body, size_t len, bool fin);
/* A message of the request that can be had at once; NULL without an exception: none can. */
PyObject *qp_exchange_take(struct exchange *ex);
/* Forgets one request; makes room for another. */
void qp_exchange_reset(struct exchange *ex);

/* calls.c */
int qp_calls_init(PyObject *module);
PyObject *qp_calls_receive(struct exchange *ex);
PyObject *qp_calls_send(struct exchange *ex);

/* drive.c */
int qp_drive_init(void);
/* Calls the application, up to where it first waits. 0; -1: an exception that is not the
 * application's affair, such as KeyboardInterrupt */
int qp_drive_start(struct core *core, PyObject *scope);
/* Before the event loop goes on. */
int qp_drive_leave(struct core *core);
extern PyMethodDef qp_drive_methods[]; /* of Exchange */

#endif
