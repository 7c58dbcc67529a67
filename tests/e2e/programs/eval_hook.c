/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A PEP 523 frame evaluation hook that only passes on. Built without the
 * interpreter's headers, so that one file serves every version: it must never
 * look into what it passes.
 */
extern void *_PyEval_EvalFrameDefault(void *tstate, void *frame, int throwing);
extern void *PyInterpreterState_Get(void);
extern void _PyInterpreterState_SetEvalFrameFunc(void *interp, void *hook);

static void *hook(void *tstate, void *frame, int throwing)
{
	/* volatile: no tail call, so that the hook has a C frame of its own */
	void *volatile result = _PyEval_EvalFrameDefault(tstate, frame, throwing);

	return result;
}

void install_eval_hook(void)
{
	_PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), hook);
}
