/* What a request is to an application: the scope of the ASGI specification, "HTTP". */
#include "asgi.h"

#include <string.h>

/* Names that the library knows by number, as bytes. */
static PyObject **names;
static uint32_t name_count;

#define METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(OPTIONS) X(PATCH) X(CONNECT)

static struct {
    const char *text;
    size_t len;
    PyObject *str;
} methods[] = {
#define METHOD(name) {#name, sizeof(#name) - 1, NULL},
    METHODS(METHOD)
#undef METHOD
};

#define KEYS(X)                                                                                    \
    X(method)                                                                                      \
    X(scheme) X(path) X(raw_path) X(query_string) X(headers) X(state) X(asgi) X(extensions)
#define KEY(name) static PyObject *key_##name;
KEYS(KEY)
#undef KEY
static PyObject *host, *unquote, *empty_bytes, *early_key, *https, *tls_key;
static PyObject *call_template, *call_extension;

static int intern_names(void)
{
    while (quicpro_known_name(name_count, NULL) != NULL)
        name_count++;
    names = PyMem_Calloc(name_count, sizeof(*names));
    if (names == NULL)
        return -1;
    for (uint32_t i = 0; i < name_count; i++) {
        size_t len;
        const char *text = quicpro_known_name(i, &len);
        names[i] = PyBytes_FromStringAndSize(text, (Py_ssize_t)len);
        if (names[i] == NULL)
            return -1;
    }
    return 0;
}

int qp_scope_init(void)
{
    if (names != NULL)
        return 0;
#define KEY(name)                                                                                  \
    if ((key_##name = PyUnicode_InternFromString(#name)) == NULL)                                  \
        return -1;
    KEYS(KEY)
#undef KEY
    for (size_t i = 0; i < Py_ARRAY_LENGTH(methods); i++)
        if ((methods[i].str = PyUnicode_InternFromString(methods[i].text)) == NULL)
            return -1;
    PyObject *parse = PyImport_ImportModule("urllib.parse");
    if (parse == NULL)
        return -1;
    unquote = PyObject_GetAttrString(parse, "unquote");
    Py_DECREF(parse);
    host = PyBytes_FromString("host");
    https = PyUnicode_InternFromString("https");
    empty_bytes = PyBytes_FromString("");
    early_key = PyUnicode_InternFromString("quicpro.early_data");
    tls_key = PyUnicode_InternFromString("tls");
    call_template = PyUnicode_InternFromString("scope_template");
    call_extension = PyUnicode_InternFromString("tls_extension");
    if (unquote == NULL || host == NULL || https == NULL || empty_bytes == NULL ||
        early_key == NULL || tls_key == NULL || call_template == NULL || call_extension == NULL)
        return -1;
    return intern_names();
}

/* The values of the pseudo-header fields. */
struct pseudo {
    const char *method, *scheme, *authority, *path;
    size_t method_len, scheme_len, authority_len, path_len;
    bool protocol; /* extended CONNECT (RFC 9220) */
};

static void note_pseudo(struct pseudo *p, const char *name, size_t name_len, const char *value,
                        size_t len)
{
#define IS(text) (name_len == sizeof(text) - 1 && memcmp(name, text, name_len) == 0)
    if (IS(":method"))
        p->method = value, p->method_len = len;
    else if (IS(":scheme"))
        p->scheme = value, p->scheme_len = len;
    else if (IS(":authority"))
        p->authority = value, p->authority_len = len;
    else if (IS(":path"))
        p->path = value, p->path_len = len;
    else if (IS(":protocol"))
        p->protocol = true;
#undef IS
}

static PyObject *pair_of(PyObject *name, const char *value, size_t len) /* takes name over */
{
    PyObject *bytes = name == NULL ? NULL : PyBytes_FromStringAndSize(value, (Py_ssize_t)len);
    PyObject *pair = bytes == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(bytes);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, name);
    PyTuple_SET_ITEM(pair, 1, bytes);
    return pair;
}

/* The fields of a section as a list of pairs. Applications look for the authority under its old
 * name (RFC 9114 section 4.3.1): it is put in front if there is no Host. */
static PyObject *headers_of(struct pseudo *p, const quicpro_batch *batch,
                            const quicpro_event *event)
{
    const quicpro_field *fields = event->data;
    const size_t count = event->len;
    size_t first = 0;
    bool has_host = false;
    for (; first < count; first++) {
        size_t name_len, len;
        const char *name = quicpro_field_name(batch, &fields[first], &name_len);
        if (name == NULL || name_len == 0 || name[0] != ':')
            break;
        const char *value = quicpro_field_value(batch, &fields[first], &len);
        note_pseudo(p, name, name_len, value, len);
    }
    const Py_ssize_t extra = p->authority != NULL;
    PyObject *list = PyList_New(extra + (Py_ssize_t)(count - first));
    if (list == NULL)
        return NULL;
    for (size_t i = first; i < count; i++) {
        const quicpro_field *field = &fields[i];
        PyObject *name;
        size_t len;
        if (field->name_len == 0 && field->name < name_count) {
            name = Py_NewRef(names[field->name]);
        } else {
            const char *text = quicpro_field_name(batch, field, &len);
            name = PyBytes_FromStringAndSize(text, (Py_ssize_t)len);
        }
        if (name != NULL && PyBytes_GET_SIZE(name) == 4 &&
            memcmp(PyBytes_AS_STRING(name), "host", 4) == 0)
            has_host = true;
        const char *value = quicpro_field_value(batch, field, &len);
        PyObject *pair = pair_of(name, value, len);
        if (pair == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, extra + (Py_ssize_t)(i - first), pair);
    }
    if (extra == 0)
        return list;
    PyObject *authority = pair_of(Py_NewRef(host), p->authority, p->authority_len);
    if (authority == NULL) {
        Py_DECREF(list);
        return NULL;
    }
    PyList_SET_ITEM(list, 0, authority);
    if (has_host && PySequence_DelItem(list, 0) < 0)
        Py_CLEAR(list);
    return list;
}

static PyObject *method_of(const struct pseudo *p)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(methods); i++)
        if (methods[i].len == p->method_len &&
            memcmp(methods[i].text, p->method, p->method_len) == 0)
            return Py_NewRef(methods[i].str);
    return PyUnicode_DecodeLatin1(p->method, (Py_ssize_t)p->method_len, NULL);
}

/* What is the same for all requests of a connection; borrowed. */
static PyObject *template_of(struct core *core, quicpro_conn conn)
{
    PyObject *key = PyLong_FromUnsignedLongLong(conn);
    if (key == NULL)
        return NULL;
    PyObject *found = PyDict_GetItemWithError(core->templates, key);
    if (found == NULL && !PyErr_Occurred()) {
        PyObject *made = PyObject_CallMethodOneArg(core->server, call_template, key);
        if (made != NULL && PyDict_SetItem(core->templates, key, made) == 0)
            found = made; /* the dict has it */
        Py_XDECREF(made);
    }
    Py_DECREF(key);
    return found;
}

static int put(PyObject *scope, PyObject *key, PyObject *value) /* takes value over */
{
    if (value == NULL)
        return -1;
    int r = PyDict_SetItem(scope, key, value);
    Py_DECREF(value);
    return r;
}

static int put_path(struct exchange *ex, PyObject *scope, const struct pseudo *p)
{
    const char *path = p->path == NULL ? "" : p->path, *query = memchr(path, '?', p->path_len);
    const Py_ssize_t len = query == NULL ? (Py_ssize_t)p->path_len : query - path;
    PyObject *text = PyUnicode_DecodeLatin1(path, len, NULL);
    if (text == NULL)
        return -1;
    Py_XSETREF(ex->path, text);
    PyObject *decoded = memchr(path, '%', (size_t)len) == NULL ? Py_NewRef(text)
                                                               : PyObject_CallOneArg(unquote, text);
    if (put(scope, key_path, decoded) < 0 ||
        put(scope, key_raw_path, PyBytes_FromStringAndSize(path, len)) < 0)
        return -1;
    return put(scope, key_query_string,
               query == NULL
                   ? Py_NewRef(empty_bytes)
                   : PyBytes_FromStringAndSize(query + 1, (Py_ssize_t)p->path_len - len - 1));
}

static int put_extensions(struct core *core, PyObject *scope, const quicpro_event *event)
{
    PyObject *extensions = PyDict_New();
    if (extensions == NULL)
        return -1;
    int r = 0;
    if (event->flags & QUICPRO_FLAG_EARLY) /* a replay, maybe (RFC 8470) */
        r = put(extensions, early_key, PyDict_New());
    if (r == 0 && core->client_certs) {
        PyObject *conn = PyLong_FromUnsignedLongLong(event->conn);
        r = conn == NULL ? -1
                         : put(extensions, tls_key,
                               PyObject_CallMethodOneArg(core->server, call_extension, conn));
        Py_XDECREF(conn);
    }
    if (r < 0) {
        Py_DECREF(extensions);
        return -1;
    }
    return put(scope, key_extensions, extensions);
}

PyObject *qp_scope_new(struct exchange *ex, const quicpro_batch *batch, const quicpro_event *event)
{
    struct core *core = ex->core;
    struct pseudo p = {.method = "", .scheme = "https", .scheme_len = 5};
    PyObject *headers = headers_of(&p, batch, event);
    if (headers == NULL)
        return NULL;
    Py_XSETREF(ex->method, method_of(&p));
    if (ex->method == NULL) {
        Py_DECREF(headers);
        return NULL;
    }
    if (p.protocol || ex->method == methods[Py_ARRAY_LENGTH(methods) - 1].str) {
        Py_DECREF(headers);
        return Py_NewRef(Py_None);
    }
    PyObject *template = template_of(core, event->conn);
    PyObject *scope = template == NULL ? NULL : PyDict_Copy(template);
    if (scope == NULL) {
        Py_DECREF(headers);
        return NULL;
    }
    const bool secure = p.scheme_len == 5 && memcmp(p.scheme, "https", 5) == 0;
    PyObject *asgi = PyDict_GetItemWithError(scope, key_asgi);
    if (put(scope, key_headers, headers) < 0 || PyDict_SetItem(scope, key_method, ex->method) < 0 ||
        put(scope, key_scheme,
            secure ? Py_NewRef(https)
                   : PyUnicode_DecodeLatin1(p.scheme, (Py_ssize_t)p.scheme_len, NULL)) < 0 ||
        put_path(ex, scope, &p) < 0 ||
        put(scope, key_asgi, asgi == NULL ? NULL : PyDict_Copy(asgi)) < 0 ||
        put(scope, key_state, PyDict_Copy(core->state)) < 0 ||
        put_extensions(core, scope, event) < 0)
        Py_CLEAR(scope);
    return scope;
}
