/* Runs applications: the first step in the turn of the event loop that brought the request, the
 * following ones as asyncio's own Task would.
 *
 * While applications are started one task object is the current one; it is a subclass of
 * asyncio.Task that was never told of a coroutine (quicpro/_inline.py). An application that does
 * not wait has usually left no trace on it, and the next one gets the same. One that waits takes it
 * over: asyncio.current_task() is the same object before and after. */
#include "asgi.h"

#include <string.h>

static PyObject *enter_task, *leave_task, *register_task, *cancelled_error;
static PyObject *settle_name, *await_name, *blocking_name, *add_callback_name, *call_soon_name;
static PyObject *result_name, *throw_name, *cancel_name, *context_kw, *cancel_kw;

int qp_drive_init(void)
{
    if (enter_task != NULL)
        return 0;
    PyObject *tasks = PyImport_ImportModule("asyncio.tasks");
    PyObject *exceptions = PyImport_ImportModule("asyncio.exceptions");
    if (tasks != NULL && exceptions != NULL) {
        leave_task = PyObject_GetAttrString(tasks, "_leave_task");
        register_task = PyObject_GetAttrString(tasks, "_register_task");
        cancelled_error = PyObject_GetAttrString(exceptions, "CancelledError");
        enter_task = PyObject_GetAttrString(tasks, "_enter_task");
    }
    Py_XDECREF(tasks);
    Py_XDECREF(exceptions);
    settle_name = PyUnicode_InternFromString("settle");
    await_name = PyUnicode_InternFromString("as_coroutine");
    blocking_name = PyUnicode_InternFromString("_asyncio_future_blocking");
    add_callback_name = PyUnicode_InternFromString("add_done_callback");
    call_soon_name = PyUnicode_InternFromString("call_soon");
    result_name = PyUnicode_InternFromString("result");
    throw_name = PyUnicode_InternFromString("throw");
    cancel_name = PyUnicode_InternFromString("cancel");
    context_kw = Py_BuildValue("(s)", "context");
    cancel_kw = Py_BuildValue("(s)", "msg");
    return enter_task == NULL || leave_task == NULL || register_task == NULL ||
                   cancelled_error == NULL || settle_name == NULL || await_name == NULL ||
                   blocking_name == NULL || add_callback_name == NULL || call_soon_name == NULL ||
                   result_name == NULL || throw_name == NULL || cancel_name == NULL ||
                   context_kw == NULL || cancel_kw == NULL
               ? -1
               : 0;
}

/* callable(a, b), its result dropped. */
static int call(PyObject *callable, PyObject *a, PyObject *b)
{
    PyObject *args[] = {a, b};
    PyObject *r = PyObject_Vectorcall(callable, args, 2, NULL);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* The exception that is set, as one object; it is not set afterwards. */
static PyObject *take_exception(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static void raise_again(PyObject *error)
{
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
}

/* The task that is current while applications are started. */

static int enter(struct core *core)
{
    if (core->task != NULL)
        return 0;
    PyObject *task = PyObject_CallNoArgs(core->make_task);
    if (task == NULL)
        return -1;
    if (call(enter_task, core->event_loop, task) < 0) {
        Py_DECREF(task);
        return -1;
    }
    core->task = task;
    core->task_refs = Py_REFCNT(task);
    return 0;
}

int qp_drive_leave(struct core *core)
{
    if (core->task == NULL)
        return 0;
    PyObject *task = core->task;
    core->task = NULL;
    int r = call(leave_task, core->event_loop, task);
    Py_DECREF(task);
    return r;
}

/* Nobody has it, watches it, waits for it or wrote on it. */
static bool is_pristine(const struct core *core)
{
    PyTypeObject *type = Py_TYPE(core->task);
    const char *at = (const char *)core->task;
    if (Py_REFCNT(core->task) != core->task_refs)
        return false;
    if (type->tp_weaklistoffset > 0 && *(PyObject *const *)(at + type->tp_weaklistoffset) != NULL)
        return false;
    if (type->tp_dictoffset <= 0) /* it cannot be seen: better a new one */
        return false;
    PyObject *dict = *(PyObject *const *)(at + type->tp_dictoffset);
    return dict == NULL || PyDict_GET_SIZE(dict) == 0;
}

/* The end of a request. */

/* error: what the application raised, or NULL. Returns whether it is to be raised here, too. */
static bool settle(struct exchange *ex, PyObject *error)
{
    if (error == NULL && ex->finished && !ex->paused)
        return false;
    PyObject *arg = error == NULL ? Py_None : error;
    PyObject *r = PyObject_CallMethodOneArg((PyObject *)ex, settle_name, arg);
    if (r == NULL)
        PyErr_WriteUnraisable((PyObject *)ex);
    Py_XDECREF(r);
    return error != NULL && !PyErr_GivenExceptionMatches(error, PyExc_Exception) &&
           !PyErr_GivenExceptionMatches(error, cancelled_error);
}

static void settle_task(PyObject *task, PyObject *error)
{
    PyObject *r = PyObject_CallMethodOneArg(task, settle_name, error == NULL ? Py_None : error);
    if (r == NULL)
        PyErr_WriteUnraisable(task);
    Py_XDECREF(r);
}

/* Of an application that never waited. */
static int end_at_once(struct core *core, struct exchange *ex, PyObject *error)
{
    const bool raise = settle(ex, error);
    int r = 0;
    if (!is_pristine(core)) {
        settle_task(core->task, error);
        r = qp_drive_leave(core);
    }
    if (raise && r == 0) {
        raise_again(error);
        r = -1;
    }
    Py_XDECREF(error);
    return r;
}

/* Of one that did. */
static int end_later(struct exchange *ex, PyObject *error)
{
    const bool raise = settle(ex, error);
    PyObject *key = PyLong_FromUnsignedLongLong(ex->stream), *task = ex->task;
    if (key == NULL || PyDict_DelItem(ex->core->requests, key) < 0)
        PyErr_Clear(); /* a RESET took it out */
    Py_XDECREF(key);
    ex->task = NULL;
    settle_task(task, error);
    Py_DECREF(task);
    Py_CLEAR(ex->coro);
    Py_CLEAR(ex->context);
    if (raise)
        raise_again(error);
    Py_XDECREF(error);
    return raise ? -1 : 0;
}

/* Waiting. */

static PyObject *on_wakeup(PyObject *self, PyObject *future);
static PyObject *on_step(PyObject *self, PyObject *error);
static PyMethodDef wakeup_def = {"wakeup", on_wakeup, METH_O, NULL};
static PyMethodDef step_def = {"step", on_step, METH_O, NULL};

/* Has the next step made in another turn of the event loop; error: NULL, or what it begins with. */
static int step_soon(struct exchange *ex, PyObject *error)
{
    PyObject *step = PyCFunction_New(&step_def, (PyObject *)ex);
    if (step == NULL)
        return -1;
    PyObject *args[] = {ex->core->event_loop, step, error == NULL ? Py_None : error, ex->context};
    PyObject *handle = PyObject_VectorcallMethod(call_soon_name, args, 3, context_kw);
    Py_DECREF(step);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

/* The same, beginning with a RuntimeError of this text; takes text over. */
static int step_soon_with(struct exchange *ex, PyObject *text)
{
    PyObject *error = text == NULL ? NULL : PyObject_CallOneArg(PyExc_RuntimeError, text);
    int r = error == NULL ? -1 : step_soon(ex, error);
    Py_XDECREF(text);
    Py_XDECREF(error);
    return r;
}

/* Cancels a future or task; 1: it will be; 0: it is done; -1 */
static int cancel(PyObject *future, PyObject *message)
{
    PyObject *args[] = {future, message == NULL ? Py_None : message};
    PyObject *r = PyObject_VectorcallMethod(cancel_name, args, 1, cancel_kw);
    int yes = r == NULL ? -1 : PyObject_IsTrue(r);
    Py_XDECREF(r);
    return yes;
}

/* What the coroutine yielded is what it waits for. */
static int wait_for(struct exchange *ex, PyObject *what)
{
    if (what == Py_None) /* as sleep(0): the others first */
        return step_soon(ex, NULL);
    PyObject *blocking = PyObject_GetAttr(what, blocking_name);
    if (blocking == NULL || blocking == Py_None) {
        PyErr_Clear();
        Py_XDECREF(blocking);
        return step_soon_with(ex, PyUnicode_FromFormat("Task got bad yield: %R", what));
    }
    const int is_blocking = PyObject_IsTrue(blocking);
    Py_DECREF(blocking);
    if (is_blocking < 0)
        return -1;
    if (what == ex->task)
        return step_soon_with(ex, PyUnicode_FromFormat("Task cannot await on itself: %R", what));
    if (!is_blocking)
        return step_soon_with(
            ex, PyUnicode_FromFormat("yield was used instead of yield from in task %R with %R",
                                     ex->task, what));
    if (PyObject_SetAttr(what, blocking_name, Py_False) < 0)
        return -1;
    PyObject *wakeup = PyCFunction_New(&wakeup_def, (PyObject *)ex);
    if (wakeup == NULL)
        return -1;
    PyObject *args[] = {what, wakeup, ex->context};
    PyObject *r = PyObject_VectorcallMethod(add_callback_name, args, 2, context_kw);
    Py_DECREF(wakeup);
    Py_XDECREF(r);
    if (r == NULL)
        return -1;
    Py_XSETREF(ex->waiter, Py_NewRef(what));
    if (ex->must_cancel) {
        int yes = cancel(what, ex->cancel_message);
        if (yes < 0)
            return -1;
        ex->must_cancel = !yes;
    }
    return 0;
}

/* wait_for(), and where that fails, the application hears of it. Takes what over. */
static int wait_or_fail(struct exchange *ex, PyObject *what)
{
    int r = wait_for(ex, what);
    Py_DECREF(what);
    if (r == 0)
        return 0;
    PyObject *error = take_exception();
    r = step_soon(ex, error);
    Py_DECREF(error);
    return r;
}

/* From here on the exchange has a task of its own. */
static int adopt(struct core *core, struct exchange *ex)
{
    PyObject *task = core->task;
    core->task = NULL;
    ex->task = task;
    PyObject *key = PyLong_FromUnsignedLongLong(ex->stream);
    PyObject *r = NULL;
    if (call(leave_task, core->event_loop, task) == 0 && key != NULL &&
        PyDict_SetItem(core->requests, key, (PyObject *)ex) == 0 &&
        PyObject_SetAttrString(task, "exchange", (PyObject *)ex) == 0)
        r = PyObject_CallOneArg(register_task, task);
    Py_XDECREF(key);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

/* Has Python start it, in a task of its own. */
static int start_elsewhere(struct core *core, PyObject *scope)
{
    struct exchange *ex = core->spare;
    PyObject *args[] = {(PyObject *)ex, scope, core->spare_receive, core->spare_send};
    core->spare = NULL;
    PyObject *r = PyObject_Vectorcall(core->start, args, 4, NULL);
    Py_DECREF(ex);
    Py_CLEAR(core->spare_receive);
    Py_CLEAR(core->spare_send);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

int qp_drive_start(struct core *core, PyObject *scope)
{
    if (core->start != NULL)
        return start_elsewhere(core, scope);
    struct exchange *ex = core->spare;
    PyObject *receive = core->spare_receive, *send = core->spare_send, *what = NULL;
    PyObject *args[] = {scope, receive, send};
    PySendResult step = PYGEN_ERROR;
    core->spare = NULL;
    core->spare_receive = core->spare_send = NULL;
    if (enter(core) < 0 || (ex->context = PyContext_CopyCurrent()) == NULL ||
        PyContext_Enter(ex->context) < 0) {
        Py_DECREF(ex);
        Py_DECREF(receive);
        Py_DECREF(send);
        return -1;
    }
    core->current = ex;
    ex->coro = PyObject_Vectorcall(core->app, args, 3, NULL);
    if (ex->coro != NULL && !PyCoro_CheckExact(ex->coro))
        Py_SETREF(ex->coro, PyObject_CallMethodOneArg(core->server, await_name, ex->coro));
    if (ex->coro != NULL)
        step = PyIter_Send(ex->coro, Py_None, &what);
    core->current = NULL;
    PyObject *error = step == PYGEN_ERROR ? take_exception() : NULL;
    int r = PyContext_Exit(ex->context);
    if (step == PYGEN_NEXT) {
        if (adopt(core, ex) < 0)
            PyErr_WriteUnraisable((PyObject *)ex);
        r = wait_or_fail(ex, what);
    } else {
        Py_XDECREF(what);
        r = end_at_once(core, ex, error);
        if (core->spare == NULL && Py_REFCNT(receive) == 1 && Py_REFCNT(send) == 1 &&
            Py_REFCNT(ex) == 3) {
            qp_exchange_reset(ex);
            core->spare = ex;
            core->spare_receive = receive;
            core->spare_send = send;
            return r;
        }
        Py_CLEAR(ex->coro);
        Py_CLEAR(ex->context);
    }
    Py_DECREF(ex);
    Py_DECREF(receive);
    Py_DECREF(send);
    return r;
}

/* One step of an application that waited; error: what it begins with, or NULL. */
static PyObject *step(struct exchange *ex, PyObject *error)
{
    struct core *core = ex->core;
    PyObject *what = NULL, *raised = NULL;
    PySendResult came;
    if (ex->coro == NULL)
        Py_RETURN_NONE; /* it has ended */
    Py_XINCREF(error);
    if (ex->must_cancel) {
        if (error == NULL || !PyErr_GivenExceptionMatches(error, cancelled_error))
            Py_XSETREF(error, ex->cancel_message == NULL || ex->cancel_message == Py_None
                                  ? PyObject_CallNoArgs(cancelled_error)
                                  : PyObject_CallOneArg(cancelled_error, ex->cancel_message));
        ex->must_cancel = false;
        if (error == NULL)
            return NULL;
    }
    Py_CLEAR(ex->waiter);
    if (call(enter_task, core->event_loop, ex->task) < 0) {
        Py_XDECREF(error);
        return NULL;
    }
    Py_INCREF(ex);
    if (error == NULL) {
        came = PyIter_Send(ex->coro, Py_None, &what);
    } else {
        what = PyObject_CallMethodOneArg(ex->coro, throw_name, error);
        came = what != NULL ? PYGEN_NEXT : PYGEN_ERROR;
        if (what == NULL && PyErr_ExceptionMatches(PyExc_StopIteration)) {
            PyErr_Clear(); /* it returned; what, nobody asks */
            came = PYGEN_RETURN;
        }
    }
    Py_XDECREF(error);
    if (came == PYGEN_ERROR)
        raised = take_exception();
    int r = call(leave_task, core->event_loop, ex->task);
    if (r < 0)
        PyErr_WriteUnraisable((PyObject *)ex);
    if (came == PYGEN_NEXT) {
        r = wait_or_fail(ex, what);
    } else {
        Py_XDECREF(what);
        r = end_later(ex, raised);
    }
    Py_DECREF(ex);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *on_step(PyObject *self, PyObject *error)
{
    return step((struct exchange *)self, error == Py_None ? NULL : error);
}

static PyObject *on_wakeup(PyObject *self, PyObject *future)
{
    PyObject *result = PyObject_CallMethodNoArgs(future, result_name);
    PyObject *error = result == NULL ? take_exception() : NULL;
    Py_XDECREF(result); /* `await future` asks for it again */
    PyObject *r = step((struct exchange *)self, error);
    Py_XDECREF(error);
    return r;
}

/* Task.cancel() of an exchange's task: the future it waits for is cancelled, or else its next step
 * begins with CancelledError. */
static PyObject *exchange_cancel(PyObject *self, PyObject *message)
{
    struct exchange *ex = (struct exchange *)self;
    ex->cancels++;
    if (ex->waiter != NULL) {
        int yes = cancel(ex->waiter, message);
        if (yes < 0)
            return NULL;
        if (yes)
            Py_RETURN_TRUE; /* must_cancel was not needed */
    }
    ex->must_cancel = true;
    Py_XSETREF(ex->cancel_message, Py_NewRef(message));
    Py_RETURN_TRUE;
}

PyMethodDef qp_drive_methods[] = {
    {"_cancel", exchange_cancel, METH_O,
     "_cancel(message): Task.cancel() of the one that runs it."},
    {NULL, NULL, 0, NULL},
};
