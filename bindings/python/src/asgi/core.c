/* Takes batches apart, event by event. */
#include "asgi.h"

#include <structmember.h>

PyTypeObject *qp_core_type;

static PyObject *on_writable_name, *on_reset_name, *on_event_name;

enum { STATUS_NOT_IMPLEMENTED = 501 };

/* Sends after this much time in one batch (ns): applications may take long, clients wait. */
enum { FLUSH_AFTER = 500000 };

int qp_core_flush_soon(struct core *core)
{
    if (core->in_batch)
        return 0;
    PyObject *r = PyObject_CallNoArgs(core->schedule_flush);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* The exchange of an event's stream, borrowed; NULL: there is none that waits. */
static struct exchange *exchange_of(struct core *core, const quicpro_event *event, bool forget)
{
    PyObject *key = PyLong_FromUnsignedLongLong(event->stream);
    if (key == NULL)
        return NULL;
    PyObject *found = PyDict_GetItemWithError(core->requests, key);
    Py_XINCREF(found);
    if (found != NULL && forget)
        PyDict_DelItem(core->requests, key);
    Py_DECREF(key);
    return (struct exchange *)found;
}

static int not_implemented(struct core *core, const quicpro_event *event)
{
    static const char text[] = "Not Implemented";
    const quicpro_nv type = {.name = "content-type",
                             .name_len = 12,
                             .value = "text/plain; charset=utf-8",
                             .value_len = 25};
    quicpro_respond(core->loop, event->stream, STATUS_NOT_IMPLEMENTED, &type, 1, text,
                    sizeof(text) - 1, true);
    return 0;
}

/* A request, with those events of its body that follow at once; their number in *used. */
static int on_request(struct core *core, const quicpro_batch *batch, const quicpro_event *event,
                      size_t left, size_t *used)
{
    struct exchange *ex = qp_exchange_new(core, event->stream, event->flags & QUICPRO_FLAG_FIN);
    if (ex == NULL)
        return -1;
    PyObject *scope = qp_scope_new(ex, batch, event);
    if (scope == NULL || scope == Py_None) {
        Py_XDECREF(scope);
        qp_exchange_reset(ex);
        return scope == NULL ? -1 : not_implemented(core, event);
    }
    for (*used = 0; *used < left; ++*used) {
        const quicpro_event *next = event + 1 + *used;
        if (next->type != QUICPRO_EVENT_DATA || next->stream != event->stream)
            break;
        if (qp_exchange_on_data(ex, next->data, next->len, next->flags & QUICPRO_FLAG_FIN) < 0)
            PyErr_WriteUnraisable((PyObject *)ex);
    }
    int r = qp_drive_start(core, scope);
    Py_DECREF(scope);
    return r;
}

static int on_stream(struct core *core, const quicpro_event *event)
{
    struct exchange *ex = exchange_of(core, event, event->type == QUICPRO_EVENT_RESET);
    if (ex == NULL)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *r = NULL;
    if (event->type == QUICPRO_EVENT_DATA || event->type == QUICPRO_EVENT_TRAILERS) {
        const bool data = event->type == QUICPRO_EVENT_DATA;
        if (qp_exchange_on_data(ex, data ? event->data : NULL, data ? event->len : 0,
                                event->flags & QUICPRO_FLAG_FIN) == 0)
            r = Py_NewRef(Py_None);
    } else {
        PyObject *name = event->type == QUICPRO_EVENT_RESET ? on_reset_name : on_writable_name;
        r = PyObject_CallMethodNoArgs((PyObject *)ex, name);
    }
    Py_DECREF(ex);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* What is not about a request is the server's. */
static int on_other(struct core *core, const quicpro_event *event)
{
    PyObject *conn = PyLong_FromUnsignedLongLong(event->conn);
    if (conn == NULL)
        return -1;
    if (event->type == QUICPRO_EVENT_CLOSED && PyDict_DelItem(core->templates, conn) < 0)
        PyErr_Clear(); /* it made no request */
    PyObject *r = PyObject_CallMethod(core->server, "on_event", "iO", (int)event->type, conn);
    Py_DECREF(conn);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

static int on_event(struct core *core, const quicpro_batch *batch, size_t i, size_t *used)
{
    const quicpro_event *event = &batch->events[i];
    switch (event->type) {
    case QUICPRO_EVENT_REQUEST:
        return on_request(core, batch, event, batch->event_count - i - 1, used);
    case QUICPRO_EVENT_DATA:
    case QUICPRO_EVENT_TRAILERS:
    case QUICPRO_EVENT_RESET:
    case QUICPRO_EVENT_WRITABLE:
        return on_stream(core, event);
    default:
        return on_other(core, event);
    }
}

/* on_batch(address): whether all that it started has ended. */
static PyObject *core_on_batch(struct core *core, PyObject *address)
{
    const quicpro_batch *batch = PyLong_AsVoidPtr(address);
    PyObject *stop = NULL; /* such as KeyboardInterrupt: raised when all is handed out */
    if (batch == NULL && PyErr_Occurred())
        return NULL;
    quicpro_tstamp flushed = quicpro_now();
    core->in_batch = true;
    for (size_t i = 0; i < batch->event_count; i++) {
        size_t used = 0;
        if (on_event(core, batch, i, &used) < 0) {
            if (PyErr_ExceptionMatches(PyExc_Exception) || stop != NULL) {
                PyErr_WriteUnraisable((PyObject *)core);
            } else {
                PyObject *type, *traceback;
                PyErr_Fetch(&type, &stop, &traceback);
                PyErr_NormalizeException(&type, &stop, &traceback);
                Py_XDECREF(type);
                Py_XDECREF(traceback);
            }
        }
        i += used;
        if (i + 1 < batch->event_count && quicpro_now() - flushed > FLUSH_AFTER) {
            quicpro_loop_flush(core->loop);
            flushed = quicpro_now();
        }
    }
    core->in_batch = false;
    if (qp_drive_leave(core) < 0)
        PyErr_WriteUnraisable((PyObject *)core);
    if (stop != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(stop), stop);
        Py_DECREF(stop);
        return NULL;
    }
    return PyBool_FromLong(PyDict_GET_SIZE(core->requests) == 0);
}

static PyObject *get_current(struct core *core, void *closure)
{
    (void)closure;
    return Py_NewRef(core->current == NULL ? Py_None : (PyObject *)core->current);
}

static bool are_fields(PyObject *fields)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++)
        if (!PyBytes_Check(PyTuple_GET_ITEM(fields, i)))
            return false;
    return PyTuple_GET_SIZE(fields) % 2 == 0;
}

static PyObject *core_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = {
        "loop",      "server",         "app",      "event_loop", "exchange_type",
        "make_task", "schedule_flush", "requests", "state",      "client_certs",
        "fields",    "date",           "start",    NULL};
    PyObject *loop, *p[9], *start = NULL;
    int certs, date;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "OOOOOOOO!O!pO!p|O", names, &loop, &p[0], &p[1],
                                     &p[2], &p[3], &p[4], &p[5], &PyDict_Type, &p[6], &PyDict_Type,
                                     &p[7], &certs, &PyTuple_Type, &p[8], &date, &start))
        return NULL;
    if (!PyType_Check(p[3]) || !PyType_IsSubtype((PyTypeObject *)p[3], qp_exchange_type)) {
        PyErr_SetString(PyExc_TypeError, "exchange_type is no subclass of Exchange");
        return NULL;
    }
    if (!are_fields(p[8])) {
        PyErr_SetString(PyExc_TypeError, "fields are bytes: name, value, ...");
        return NULL;
    }
    void *address = PyLong_AsVoidPtr(loop);
    if (address == NULL && PyErr_Occurred())
        return NULL;
    struct core *core = (struct core *)type->tp_alloc(type, 0);
    if (core == NULL)
        return NULL;
    core->loop = address;
    core->server = Py_NewRef(p[0]);
    core->app = Py_NewRef(p[1]);
    core->event_loop = Py_NewRef(p[2]);
    core->exchange_type = Py_NewRef(p[3]);
    core->make_task = Py_NewRef(p[4]);
    core->schedule_flush = Py_NewRef(p[5]);
    core->requests = Py_NewRef(p[6]);
    core->state = Py_NewRef(p[7]);
    core->fields = Py_NewRef(p[8]);
    core->client_certs = certs;
    core->date = date;
    core->start = start == Py_None ? NULL : Py_XNewRef(start);
    core->templates = PyDict_New();
    if (core->templates == NULL)
        Py_CLEAR(core);
    return (PyObject *)core;
}

static int core_traverse(struct core *core, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(core));
    Py_VISIT(core->server);
    Py_VISIT(core->app);
    Py_VISIT(core->event_loop);
    Py_VISIT(core->exchange_type);
    Py_VISIT(core->make_task);
    Py_VISIT(core->start);
    Py_VISIT(core->schedule_flush);
    Py_VISIT(core->requests);
    Py_VISIT(core->templates);
    Py_VISIT(core->state);
    Py_VISIT(core->fields);
    Py_VISIT(core->task);
    Py_VISIT(core->spare);
    Py_VISIT(core->spare_receive);
    Py_VISIT(core->spare_send);
    return 0;
}

static int core_clear(struct core *core)
{
    Py_CLEAR(core->server);
    Py_CLEAR(core->app);
    Py_CLEAR(core->event_loop);
    Py_CLEAR(core->exchange_type);
    Py_CLEAR(core->make_task);
    Py_CLEAR(core->start);
    Py_CLEAR(core->schedule_flush);
    Py_CLEAR(core->requests);
    Py_CLEAR(core->templates);
    Py_CLEAR(core->fields);
    Py_CLEAR(core->state);
    Py_CLEAR(core->task);
    Py_CLEAR(core->spare);
    Py_CLEAR(core->spare_receive);
    Py_CLEAR(core->spare_send);
    return 0;
}

static void core_dealloc(struct core *core)
{
    PyTypeObject *type = Py_TYPE(core);
    PyObject_GC_UnTrack(core);
    core_clear(core);
    type->tp_free(core);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"on_batch", (PyCFunction)core_on_batch, METH_O,
     "on_batch(address): hand a quicpro_batch out; whether nothing it started goes on."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"current", (getter)get_current, NULL, "the exchange that is being started, or None", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"templates", T_OBJECT, offsetof(struct core, templates), READONLY, "by connection"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Calls an application for the requests of batches."},
    {Py_tp_new, core_new},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear},
    {Py_tp_dealloc, core_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

int qp_core_init(PyObject *module)
{
    PyType_Spec spec = {.name = "quicpro._asgi.Core",
                        .basicsize = sizeof(struct core),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                        .slots = slots};
    on_writable_name = PyUnicode_InternFromString("on_writable");
    on_reset_name = PyUnicode_InternFromString("on_reset");
    on_event_name = PyUnicode_InternFromString("on_event");
    if (on_writable_name == NULL || on_reset_name == NULL || on_event_name == NULL)
        return -1;
    qp_core_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return qp_core_type == NULL ? -1
                                : PyModule_AddObjectRef(module, "Core", (PyObject *)qp_core_type);
}
