/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A C++ exception that unwinds through Context.run: thrown by what the context
 * runs, caught by who called it. A return probe on that function aborts the
 * process here; entry probes must not be felt.
 *
 * CPython is C and cleans nothing up while it is unwound, so what it left
 * behind is put right here: the context is left, the recursion counters are
 * set back (Include/cpython/pystate.h of each version).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdexcept>

static PyObject *throw_now(PyObject *, PyObject *)
{
	throw std::runtime_error("through context_run");
}

static PyMethodDef throw_def = {"throw_now", throw_now, METH_NOARGS, nullptr};

struct Counters {
	PyThreadState *tstate = PyThreadState_Get();
#if PY_VERSION_HEX >= 0x030c0000
	int python = tstate->py_recursion_remaining, c = tstate->c_recursion_remaining;

	void restore()
	{
		tstate->py_recursion_remaining = python;
		tstate->c_recursion_remaining = c;
	}
#elif PY_VERSION_HEX >= 0x030b0000
	int left = tstate->recursion_remaining;

	void restore() { tstate->recursion_remaining = left; }
#else
	int depth = tstate->recursion_depth;

	void restore() { tstate->recursion_depth = depth; }
#endif
};

/* through(context): True when the exception came through context.run */
static PyObject *through(PyObject *, PyObject *context)
{
	PyObject *run = PyObject_GetAttrString(context, "run");
	PyObject *function = PyCFunction_New(&throw_def, nullptr);
	PyObject *result = nullptr;
	Counters counters;
	bool caught = false;

	if (!run || !function)
		return nullptr;
	try {
		result = PyObject_CallFunctionObjArgs(run, function, nullptr);
	} catch (const std::runtime_error &) {
		caught = true;
		counters.restore();
		if (PyContext_Exit(context))
			return nullptr;
	}
	Py_XDECREF(result);
	Py_DECREF(function);
	Py_DECREF(run);
	return PyBool_FromLong(caught);
}

static PyMethodDef methods[] = {
	{"through", through, METH_O, nullptr},
	{nullptr, nullptr, 0, nullptr},
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, "throws", nullptr, -1, methods,
			     nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_throws()
{
	return PyModule_Create(&module);
}
