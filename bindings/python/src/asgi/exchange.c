/* One request and its response: the usual ways. The others are in quicpro/_exchange.py, which sees
 * what is here as attributes. */
#include "asgi.h"

#include <structmember.h>
#include <string.h>

enum {
    BODY_PAUSE = 65536, /* bytes of a body that wait for the application; as in _exchange.py */
    FIELDS_MAX = 64,    /* of a response on the stack; more take a detour by the heap */
    H3_INTERNAL_ERROR = 0x102,
};

PyTypeObject *qp_exchange_type;

static PyObject *key_type, *key_body, *key_more, *request_type, *no_bytes, *no_futures;
static PyObject *lower_name, *on_data_name;

struct exchange *qp_exchange_new(struct core *core, quicpro_stream stream, bool complete)
{
    struct exchange *ex = core->spare;
    if (ex == NULL) {
        PyTypeObject *type = (PyTypeObject *)core->exchange_type;
        ex = (struct exchange *)type->tp_alloc(type, 0);
        if (ex == NULL)
            return NULL;
        ex->core = (struct core *)Py_NewRef(core);
        core->spare_receive = qp_calls_receive(ex);
        core->spare_send = qp_calls_send(ex);
        if (core->spare_receive == NULL || core->spare_send == NULL) {
            Py_CLEAR(core->spare_receive);
            Py_CLEAR(core->spare_send);
            Py_DECREF(ex);
            return NULL;
        }
        core->spare = ex;
    }
    ex->stream = stream;
    ex->complete = complete;
    Py_XSETREF(ex->reading, Py_NewRef(no_futures));
    return ex;
}

static int exchange_traverse(struct exchange *ex, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(ex));
    Py_VISIT(ex->core);
    Py_VISIT(ex->task);
    Py_VISIT(ex->coro);
    Py_VISIT(ex->context);
    Py_VISIT(ex->waiter);
    Py_VISIT(ex->cancel_message);
    Py_VISIT(ex->chunks);
    Py_VISIT(ex->reading);
    Py_VISIT(ex->fields);
    Py_VISIT(ex->writing);
    return 0;
}

void qp_exchange_reset(struct exchange *ex)
{
    Py_CLEAR(ex->method);
    Py_CLEAR(ex->path);
    Py_CLEAR(ex->task);
    Py_CLEAR(ex->coro);
    Py_CLEAR(ex->context);
    Py_CLEAR(ex->waiter);
    Py_CLEAR(ex->cancel_message);
    Py_CLEAR(ex->chunks);
    Py_CLEAR(ex->reading);
    Py_CLEAR(ex->fields);
    Py_CLEAR(ex->writing);
    ex->cancels = ex->waiting = 0;
    ex->must_cancel = ex->complete = ex->paused = false;
    ex->started = ex->finished = ex->bodyless = ex->disconnected = false;
}

static int exchange_clear(struct exchange *ex)
{
    qp_exchange_reset(ex);
    Py_CLEAR(ex->core);
    return 0;
}

static void exchange_dealloc(struct exchange *ex)
{
    PyTypeObject *type = Py_TYPE(ex);
    PyObject_GC_UnTrack(ex);
    exchange_clear(ex);
    type->tp_free(ex);
    Py_DECREF(type);
}

/* The request. */

int qp_exchange_on_data(struct exchange *ex, const void *data, size_t len, bool fin)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)len);
    if (bytes == NULL)
        return -1;
    int r = 0;
    if (PyTuple_GET_SIZE(ex->reading) != 0 || ex->finished ||
        (size_t)ex->waiting + len > BODY_PAUSE) {
        PyObject *ret = PyObject_CallMethodObjArgs((PyObject *)ex, on_data_name, bytes,
                                                   fin ? Py_True : Py_False, NULL);
        r = ret == NULL ? -1 : 0;
        Py_XDECREF(ret);
    } else {
        ex->complete |= fin;
        if (len != 0) {
            if (ex->chunks == NULL || ex->chunks == Py_None)
                Py_XSETREF(ex->chunks, PyList_New(0));
            r = ex->chunks == NULL ? -1 : PyList_Append(ex->chunks, bytes);
            ex->waiting += r == 0 ? (Py_ssize_t)len : 0;
        }
    }
    Py_DECREF(bytes);
    return r;
}

static PyObject *message_of(PyObject *body, bool more)
{
    PyObject *message = PyDict_New();
    if (message == NULL || PyDict_SetItem(message, key_type, request_type) < 0 ||
        PyDict_SetItem(message, key_body, body) < 0 ||
        PyDict_SetItem(message, key_more, more ? Py_True : Py_False) < 0)
        Py_CLEAR(message);
    return message;
}

PyObject *qp_exchange_take(struct exchange *ex)
{
    const bool none = ex->chunks == NULL || ex->chunks == Py_None;
    if (none) {
        if (!ex->complete || ex->finished)
            return NULL;
        Py_XSETREF(ex->chunks, PyList_New(0)); /* the end was told */
        return ex->chunks == NULL ? NULL : message_of(no_bytes, false);
    }
    if (!PyList_CheckExact(ex->chunks) || PyList_GET_SIZE(ex->chunks) != 1 || ex->paused)
        return NULL;
    PyObject *body = Py_NewRef(PyList_GET_ITEM(ex->chunks, 0));
    PyObject *message = message_of(body, !ex->complete);
    Py_DECREF(body);
    if (message == NULL)
        return NULL;
    ex->waiting = 0;
    if (ex->complete)
        PyList_SetSlice(ex->chunks, 0, 1, NULL);
    else
        Py_CLEAR(ex->chunks); /* so that an end without bytes is told */
    return message;
}

/* The response. */

static PyObject *lower(PyObject *name)
{
    const char *text = PyBytes_AS_STRING(name);
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(name); i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            return PyObject_CallMethodNoArgs(name, lower_name);
    return Py_NewRef(name);
}

static PyObject *not_pairs(void)
{
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_SetString(PyExc_TypeError, "headers are an iterable of pairs of bytes");
    return NULL;
}

static PyObject *as_bytes(PyObject *value) /* bytes() of bytes-like objects only */
{
    if (PyBytes_CheckExact(value))
        return Py_NewRef(value);
    return PyObject_CheckBuffer(value) ? PyBytes_FromObject(value) : not_pairs();
}

PyObject *qp_exchange_pack(PyObject *headers)
{
    PyObject *list = PySequence_Fast(headers, "");
    if (list == NULL)
        return not_pairs();
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    PyObject *fields = PyTuple_New(2 * count);
    for (Py_ssize_t i = 0; fields != NULL && i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(list, i);
        PyObject *pair = PySequence_Fast(item, "");
        PyObject *name = NULL, *value = NULL;
        if (pair == NULL || PySequence_Fast_GET_SIZE(pair) != 2) {
            not_pairs();
        } else if ((name = as_bytes(PySequence_Fast_GET_ITEM(pair, 0))) != NULL) {
            Py_SETREF(name, lower(name));
            value = as_bytes(PySequence_Fast_GET_ITEM(pair, 1));
        }
        Py_XDECREF(pair);
        PyTuple_SET_ITEM(fields, 2 * i, name);
        PyTuple_SET_ITEM(fields, 2 * i + 1, value);
        if (name == NULL || value == NULL)
            Py_CLEAR(fields);
    }
    Py_DECREF(list);
    return fields;
}

static quicpro_nv field_at(PyObject *fields, size_t i)
{
    PyObject *name = PyTuple_GET_ITEM(fields, 2 * i), *value = PyTuple_GET_ITEM(fields, 2 * i + 1);
    return (quicpro_nv){.name = PyBytes_AS_STRING(name),
                        .name_len = (size_t)PyBytes_GET_SIZE(name),
                        .value = PyBytes_AS_STRING(value),
                        .value_len = (size_t)PyBytes_GET_SIZE(value)};
}

static bool has_field(const quicpro_nv *nv, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (nv[i].name_len == len && memcmp(nv[i].name, name, len) == 0)
            return true;
    return false;
}

/* "date" as of now (RFC 9110 section 5.6.7), made once a second. */
static quicpro_nv date_field(struct core *core)
{
    static const char day[] = "SunMonTueWedThuFriSat",
                      month[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const time_t now = time(NULL);
    struct tm t;
    if (now != core->date_at && gmtime_r(&now, &t) != NULL) {
        core->date_at = now;
        snprintf(core->date_text, sizeof(core->date_text),
                 "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", day + 3 * t.tm_wday,
                 (unsigned)t.tm_mday % 100, month + 3 * t.tm_mon,
                 (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
                 (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
    }
    return (quicpro_nv){.name = "date",
                        .name_len = 4,
                        .value = core->date_text,
                        .value_len = strlen(core->date_text)};
}

/* Behind the application's fields those of the server that it has none of. How many there are. */
static size_t add_ours(struct core *core, quicpro_nv *nv, size_t count)
{
    const size_t ours = (size_t)PyTuple_GET_SIZE(core->fields) / 2;
    size_t all = count;
    for (size_t i = 0; i < ours; i++) {
        const quicpro_nv field = field_at(core->fields, i);
        if (!has_field(nv, count, field.name, field.name_len))
            nv[all++] = field;
    }
    if (core->date && !has_field(nv, all, "date", 4))
        nv[all++] = date_field(core);
    return all;
}

/* Field sections go out as quicpro_respond() wants them. */
static int respond(struct exchange *ex, unsigned status, PyObject *fields, const void *body,
                   size_t len, bool fin)
{
    quicpro_nv room[FIELDS_MAX], *nv = room;
    size_t count = (size_t)PyTuple_GET_SIZE(fields) / 2;
    const size_t most = count + (size_t)PyTuple_GET_SIZE(ex->core->fields) / 2 + 1;
    if (most > FIELDS_MAX && (nv = PyMem_Malloc(most * sizeof(*nv))) == NULL)
        return QUICPRO_ENOMEM;
    for (size_t i = 0; i < count; i++)
        nv[i] = field_at(fields, i);
    count = add_ours(ex->core, nv, count);
    int r = quicpro_respond(ex->core->loop, ex->stream, status, nv, count, body, len, fin);
    if (nv != room)
        PyMem_Free(nv);
    if (r == QUICPRO_EINVAL || r == QUICPRO_ENOMEM) /* it can get no other response */
        quicpro_stream_reset(ex->core->loop, ex->stream, H3_INTERNAL_ERROR);
    return r; /* else the stream has ended, or its RESET will tell */
}

bool qp_exchange_answer(struct exchange *ex, const void *body, size_t len, bool fin)
{
    if (ex->fields != NULL) {
        PyObject *fields = ex->fields;
        ex->fields = NULL;
        respond(ex, ex->status, fields, body, len, fin);
        Py_DECREF(fields);
    } else if (quicpro_stream_write(ex->core->loop, ex->stream, body, len, fin) == QUICPRO_EAGAIN) {
        return false;
    }
    ex->finished = fin;
    return true;
}

/* What _exchange.py calls. */

static PyObject *exchange_respond(struct exchange *ex, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4 || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "_respond(status, fields, data, fin)");
        return NULL;
    }
    const unsigned long status = PyLong_AsUnsignedLong(args[0]);
    const int fin = PyObject_IsTrue(args[3]);
    Py_buffer view;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[2], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    respond(ex, status > 999 ? 0 : (unsigned)status, args[1], view.buf, (size_t)view.len, fin);
    PyBuffer_Release(&view);
    if (qp_core_flush_soon(ex->core) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *exchange_stop(struct exchange *ex, PyObject *code)
{
    const unsigned long long number = PyLong_AsUnsignedLongLong(code);
    if (PyErr_Occurred())
        return NULL;
    quicpro_stream_reset(ex->core->loop, ex->stream, number);
    if (qp_core_flush_soon(ex->core) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *exchange_hold(struct exchange *ex, PyObject *on)
{
    const int paused = PyObject_IsTrue(on);
    if (paused < 0)
        return NULL;
    quicpro_stream_pause(ex->core->loop, ex->stream, paused);
    if (qp_core_flush_soon(ex->core) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *exchange_pack(PyObject *ex, PyObject *headers)
{
    (void)ex;
    return qp_exchange_pack(headers);
}

static PyObject *get_start(struct exchange *ex, void *closure)
{
    (void)closure;
    if (ex->fields == NULL)
        Py_RETURN_NONE;
    return Py_BuildValue("IO", ex->status, ex->fields);
}

static int set_start(struct exchange *ex, PyObject *value, void *closure)
{
    (void)closure;
    if (value == NULL || value == Py_None) {
        Py_CLEAR(ex->fields);
        return 0;
    }
    unsigned status;
    PyObject *fields;
    if (!PyArg_ParseTuple(value, "IO!", &status, &PyTuple_Type, &fields))
        return -1;
    ex->status = status;
    Py_XSETREF(ex->fields, Py_NewRef(fields));
    return 0;
}

static PyObject *get_server(struct exchange *ex, void *closure)
{
    (void)closure;
    return Py_NewRef(ex->core->server);
}

static PyMemberDef members[] = {
    {"stream", T_ULONGLONG, offsetof(struct exchange, stream), READONLY, "handle of the stream"},
    {"method", T_OBJECT, offsetof(struct exchange, method), READONLY, "of the request"},
    {"path", T_OBJECT, offsetof(struct exchange, path), READONLY, "of the request, not decoded"},
    {"task", T_OBJECT, offsetof(struct exchange, task), 0, "once it was suspended"},
    {"disconnected", T_BOOL, offsetof(struct exchange, disconnected), 0, "the client has gone"},
    {"finished", T_BOOL, offsetof(struct exchange, finished), 0, "the response was sent"},
    {"paused", T_BOOL, offsetof(struct exchange, paused), 0, "the client sends no more"},
    {"_coro", T_OBJECT, offsetof(struct exchange, coro), READONLY, "the application's"},
    {"_context", T_OBJECT, offsetof(struct exchange, context), READONLY, "it runs in"},
    {"_waiter", T_OBJECT, offsetof(struct exchange, waiter), READONLY, "what it waits for"},
    {"_must_cancel", T_BOOL, offsetof(struct exchange, must_cancel), 0, "at the next step"},
    {"_cancel_message", T_OBJECT, offsetof(struct exchange, cancel_message), 0, "for it"},
    {"_cancels", T_PYSSIZET, offsetof(struct exchange, cancels), 0, "cancellations asked for"},
    {"_chunks", T_OBJECT, offsetof(struct exchange, chunks), 0, "of the body, that wait"},
    {"_waiting", T_PYSSIZET, offsetof(struct exchange, waiting), 0, "bytes in _chunks"},
    {"_reading", T_OBJECT, offsetof(struct exchange, reading), 0, "futures"},
    {"_writing", T_OBJECT, offsetof(struct exchange, writing), 0, "future"},
    {"_complete", T_BOOL, offsetof(struct exchange, complete), 0, "the request was received"},
    {"_started", T_BOOL, offsetof(struct exchange, started), 0, "http.response.start was sent"},
    {"_bodyless", T_BOOL, offsetof(struct exchange, bodyless), 0, "the response has no body"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"_start", (getter)get_start, (setter)set_start, "status and fields, not sent yet", NULL},
    {"_server", (getter)get_server, NULL, "that it belongs to", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef own_methods[] = {
    {"_respond", (PyCFunction)(void (*)(void))exchange_respond, METH_FASTCALL,
     "_respond(status, fields, data, fin): send a response, or its beginning."},
    {"_stop", (PyCFunction)exchange_stop, METH_O, "_stop(code): give the stream up."},
    {"_hold", (PyCFunction)exchange_hold, METH_O, "_hold(on): the client sends no more, or again."},
    {"_pack", exchange_pack, METH_O, "_pack(headers): fields as _respond() wants them."},
};

int qp_exchange_init(PyObject *module)
{
    static PyMethodDef methods[16];
    size_t n = 0;
    for (; n < Py_ARRAY_LENGTH(own_methods); n++)
        methods[n] = own_methods[n];
    for (const PyMethodDef *m = qp_drive_methods; m->ml_name != NULL; m++)
        methods[n++] = *m;
    PyType_Slot slots[] = {
        {Py_tp_doc, "One request and its response."},
        {Py_tp_traverse, exchange_traverse},
        {Py_tp_clear, exchange_clear},
        {Py_tp_dealloc, exchange_dealloc},
        {Py_tp_members, members},
        {Py_tp_getset, getset},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "quicpro._asgi.Exchange",
        .basicsize = sizeof(struct exchange),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    key_type = PyUnicode_InternFromString("type");
    key_body = PyUnicode_InternFromString("body");
    key_more = PyUnicode_InternFromString("more_body");
    request_type = PyUnicode_InternFromString("http.request");
    lower_name = PyUnicode_InternFromString("lower");
    on_data_name = PyUnicode_InternFromString("on_data");
    no_bytes = PyBytes_FromString("");
    no_futures = PyTuple_New(0);
    if (key_type == NULL || key_body == NULL || key_more == NULL || request_type == NULL ||
        lower_name == NULL || on_data_name == NULL || no_bytes == NULL || no_futures == NULL)
        return -1;
    qp_exchange_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return qp_exchange_type == NULL
               ? -1
               : PyModule_AddObjectRef(module, "Exchange", (PyObject *)qp_exchange_type);
}
