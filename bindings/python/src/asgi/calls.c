/* What an application is called with: receive and send, and what it awaits of them.
 *
 * send() acts when it is called; what it returns is done already. receive() takes its message when
 * it is awaited, so that one that is cancelled before loses nothing. Both results pass for
 * coroutines, for whoever makes tasks of them. */
#include "asgi.h"

#include <string.h>
#include <structmember.h>

struct callable { /* receive, or send */
    PyObject_HEAD vectorcallfunc call;
    struct exchange *ex;
};

struct receiving { /* receive() */
    PyObject_HEAD struct exchange *ex;
    PyObject *inner; /* a coroutine, where it has to wait */
};

static PyTypeObject *callable_type, *receiving_type, *done_type;
static PyObject *done; /* the only one */
static PyObject *key_type, *key_status, *key_headers, *key_body, *key_more;
static PyObject *send_name, *receive_name, *throw_name, *close_name, *wake_name, *empty;

static int callable_traverse(struct callable *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ex);
    return 0;
}

static int callable_clear(struct callable *self)
{
    Py_CLEAR(self->ex);
    return 0;
}

static void callable_dealloc(struct callable *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    callable_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *callable_new(struct exchange *ex, vectorcallfunc call)
{
    struct callable *self = (struct callable *)callable_type->tp_alloc(callable_type, 0);
    if (self == NULL)
        return NULL;
    self->call = call;
    self->ex = (struct exchange *)Py_NewRef(ex);
    return (PyObject *)self;
}

/* send */

static bool is_ascii(PyObject *str, const char *text, Py_ssize_t len)
{
    return PyUnicode_CheckExact(str) && PyUnicode_GET_LENGTH(str) == len &&
           PyUnicode_IS_COMPACT_ASCII(str) &&
           memcmp(PyUnicode_1BYTE_DATA(str), text, (size_t)len) == 0;
}
#define IS(str, text) is_ascii(str, text, (Py_ssize_t)sizeof(text) - 1)

/* 1: done; 0: it is not the usual case; -1: an exception */
static int send_start(struct exchange *ex, PyObject *message)
{
    PyObject *status = PyDict_GetItemWithError(message, key_status);
    PyObject *headers = PyDict_GetItemWithError(message, key_headers);
    if (ex->started || ex->disconnected || status == NULL || !PyLong_CheckExact(status))
        return 0;
    const long number = PyLong_AsLong(status);
    if (number < 200 || number > 999 || number == 204)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *fields = qp_exchange_pack(headers == NULL ? empty : headers);
    if (fields == NULL)
        return -1;
    ex->fields = fields;
    ex->status = (unsigned)number;
    ex->started = true;
    ex->bodyless = number == 304 || IS(ex->method, "HEAD");
    return 1;
}

static int send_body(struct exchange *ex, PyObject *message)
{
    if (ex->disconnected || ex->finished || !ex->started)
        return 0;
    PyObject *body = PyDict_GetItemWithError(message, key_body);
    PyObject *more = PyDict_GetItemWithError(message, key_more);
    const int goes_on = more == NULL ? 0 : PyObject_IsTrue(more);
    if (goes_on < 0)
        return -1;
    Py_buffer view = {.buf = NULL};
    if (body != NULL && PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return 0;
    }
    const bool taken =
        qp_exchange_answer(ex, view.buf, ex->bodyless ? 0 : (size_t)view.len, !goes_on);
    if (body != NULL)
        PyBuffer_Release(&view);
    if (!taken)
        return 0;
    if (ex->finished && PyTuple_GET_SIZE(ex->reading) != 0) {
        PyObject *r = PyObject_CallMethodNoArgs((PyObject *)ex, wake_name);
        if (r == NULL)
            return -1;
        Py_DECREF(r);
    }
    return qp_core_flush_soon(ex->core) < 0 ? -1 : 1;
}

static PyObject *send_call(PyObject *callable, PyObject *const *args, size_t nargsf,
                           PyObject *names)
{
    struct exchange *ex = ((struct callable *)callable)->ex;
    PyObject *message = args[0];
    int r = 0;
    if (PyVectorcall_NARGS(nargsf) == 1 && names == NULL && PyDict_CheckExact(message)) {
        PyObject *type = PyDict_GetItemWithError(message, key_type);
        if (type != NULL && IS(type, "http.response.start"))
            r = send_start(ex, message);
        else if (type != NULL && IS(type, "http.response.body"))
            r = send_body(ex, message);
    }
    if (r > 0)
        return Py_NewRef(done);
    PyErr_Clear(); /* the other way raises it where it is awaited */
    PyObject *method = PyObject_GetAttr((PyObject *)ex, send_name);
    if (method == NULL)
        return NULL;
    PyObject *awaitable = PyObject_Vectorcall(method, args, PyVectorcall_NARGS(nargsf), names);
    Py_DECREF(method);
    return awaitable;
}

static PyObject *done_new_ref(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *done_next(PyObject *self)
{
    (void)self;
    return NULL; /* StopIteration: None */
}

static PySendResult done_am_send(PyObject *self, PyObject *arg, PyObject **result)
{
    (void)self, (void)arg;
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static PyObject *done_send(PyObject *self, PyObject *arg)
{
    (void)self, (void)arg;
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

/* throw(exception), or throw(type, value, traceback) as it once was: raises it. */
static PyObject *throw_into(PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
        return NULL;
    }
    if (PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
    } else if (PyExceptionClass_Check(args[0])) {
        PyErr_SetObject(args[0], nargs > 1 && args[1] != Py_None ? args[1] : NULL);
    } else {
        PyErr_SetString(PyExc_TypeError, "exceptions must be classes or instances of them");
    }
    return NULL;
}

static PyObject *done_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    return throw_into(args, nargs);
}

static PyObject *done_close(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    Py_RETURN_NONE;
}

/* receive */

static PyObject *receive_call(PyObject *callable, PyObject *const *args, size_t nargsf,
                              PyObject *names)
{
    (void)args;
    if (PyVectorcall_NARGS(nargsf) != 0 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "receive() takes no arguments");
        return NULL;
    }
    struct receiving *self = (struct receiving *)receiving_type->tp_alloc(receiving_type, 0);
    if (self != NULL)
        self->ex = (struct exchange *)Py_NewRef(((struct callable *)callable)->ex);
    return (PyObject *)self;
}

static int receiving_traverse(struct receiving *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->ex);
    Py_VISIT(self->inner);
    return 0;
}

static int receiving_clear(struct receiving *self)
{
    Py_CLEAR(self->ex);
    Py_CLEAR(self->inner);
    return 0;
}

static void receiving_dealloc(struct receiving *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    receiving_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PySendResult receiving_am_send(struct receiving *self, PyObject *arg, PyObject **result)
{
    if (self->inner == NULL) {
        *result = qp_exchange_take(self->ex);
        if (*result != NULL)
            return PYGEN_RETURN;
        if (PyErr_Occurred())
            return PYGEN_ERROR;
        self->inner = PyObject_CallMethodNoArgs((PyObject *)self->ex, receive_name);
        if (self->inner == NULL)
            return PYGEN_ERROR;
    }
    return PyIter_Send(self->inner, arg, result);
}

static PyObject *receiving_send(struct receiving *self, PyObject *arg)
{
    PyObject *result = NULL;
    if (receiving_am_send(self, arg, &result) != PYGEN_RETURN)
        return result;
    PyErr_SetObject(PyExc_StopIteration, result); /* a dict: no tuple that would be taken apart */
    Py_DECREF(result);
    return NULL;
}

static PyObject *receiving_next(struct receiving *self)
{
    return receiving_send(self, Py_None);
}

static PyObject *receiving_throw(struct receiving *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (self->inner == NULL)
        return throw_into(args, nargs);
    PyObject *method = PyObject_GetAttr(self->inner, throw_name);
    if (method == NULL)
        return NULL;
    PyObject *result = PyObject_Vectorcall(method, args, (size_t)nargs, NULL);
    Py_DECREF(method);
    return result;
}

static PyObject *receiving_close(struct receiving *self, PyObject *unused)
{
    (void)unused;
    if (self->inner == NULL)
        Py_RETURN_NONE;
    return PyObject_CallMethodNoArgs(self->inner, close_name);
}

PyObject *qp_calls_receive(struct exchange *ex)
{
    return callable_new(ex, receive_call);
}

PyObject *qp_calls_send(struct exchange *ex)
{
    return callable_new(ex, send_call);
}

static PyMemberDef callable_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct callable, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot callable_slots[] = {
    {Py_tp_traverse, callable_traverse}, {Py_tp_clear, callable_clear},
    {Py_tp_dealloc, callable_dealloc},   {Py_tp_members, callable_members},
    {Py_tp_call, PyVectorcall_Call},     {0, NULL},
};

static PyMethodDef receiving_methods[] = {
    {"send", (PyCFunction)receiving_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))receiving_throw, METH_FASTCALL, NULL},
    {"close", (PyCFunction)receiving_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot receiving_slots[] = {
    {Py_tp_traverse, receiving_traverse},
    {Py_tp_clear, receiving_clear},
    {Py_tp_dealloc, receiving_dealloc},
    {Py_tp_methods, receiving_methods},
    {Py_am_await, done_new_ref},
    {Py_am_send, receiving_am_send},
    {Py_tp_iter, done_new_ref},
    {Py_tp_iternext, receiving_next},
    {0, NULL},
};

static PyMethodDef done_methods[] = {
    {"send", done_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))done_throw, METH_FASTCALL, NULL},
    {"close", done_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot done_slots[] = {
    {Py_tp_methods, done_methods}, {Py_am_await, done_new_ref}, {Py_am_send, done_am_send},
    {Py_tp_iter, done_new_ref},    {Py_tp_iternext, done_next}, {0, NULL},
};

static PyTypeObject *make(const char *name, size_t size, unsigned flags, PyType_Slot *slots)
{
    PyType_Spec spec = {.name = name,
                        .basicsize = (int)size,
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | flags,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromSpec(&spec);
}

int qp_calls_init(PyObject *module)
{
    (void)module;
    key_type = PyUnicode_InternFromString("type");
    key_status = PyUnicode_InternFromString("status");
    key_headers = PyUnicode_InternFromString("headers");
    key_body = PyUnicode_InternFromString("body");
    key_more = PyUnicode_InternFromString("more_body");
    send_name = PyUnicode_InternFromString("send");
    receive_name = PyUnicode_InternFromString("receive");
    throw_name = PyUnicode_InternFromString("throw");
    close_name = PyUnicode_InternFromString("close");
    wake_name = PyUnicode_InternFromString("_wake_reader");
    empty = PyTuple_New(0);
    callable_type = make("quicpro._asgi.Callable", sizeof(struct callable),
                         Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, callable_slots);
    receiving_type = make("quicpro._asgi.Receiving", sizeof(struct receiving), Py_TPFLAGS_HAVE_GC,
                          receiving_slots);
    done_type = make("quicpro._asgi.Done", sizeof(PyObject), 0, done_slots);
    if (key_type == NULL || key_status == NULL || key_headers == NULL || key_body == NULL ||
        key_more == NULL || send_name == NULL || receive_name == NULL || throw_name == NULL ||
        close_name == NULL || wake_name == NULL || empty == NULL || callable_type == NULL ||
        receiving_type == NULL || done_type == NULL)
        return -1;
    done = done_type->tp_alloc(done_type, 0);
    return done == NULL ? -1 : 0;
}
