#include "asgi.h"

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "quicpro._asgi",
    .m_doc = "ASGI applications called from batches of events.",
    .m_size = -1, /* one for the process: an application runs in the main interpreter */
};

PyMODINIT_FUNC PyInit__asgi(void)
{
    PyObject *module = PyModule_Create(&module_def);
    if (module == NULL)
        return NULL;
    if (qp_scope_init() < 0 || qp_drive_init() < 0 || qp_calls_init(module) < 0 ||
        qp_exchange_init(module) < 0 || qp_core_init(module) < 0)
        Py_CLEAR(module);
    return module;
}
