/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Where things lie in a CPython process: offsets in bytes, x86-64, builds with
 * a GIL. One struct describes one interpreter; it is filled and checked in
 * user/target/layouts.c (which names a source for each row) and used by the
 * kernel programs, the collector and the tests through walk.h.
 *
 * It must never hold an address of one process: only what every process of
 * the same build shares.
 */
#ifndef ASYNCPROF_LAYOUT_H
#define ASYNCPROF_LAYOUT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define AP_NO_OFFSET 0xffff
#define AP_FRAME_WORDS 16	/* a frame is read in one go: at most 128 bytes of it */

struct ap_layout {
	__u32 version;		/* 0x030b: CPython 3.11 */
	__u32 tag_mask;		/* bits of a tagged frame word that are no address: 3 from 3.14, else 0 */

	/* PyThreadState (Include/cpython/pystate.h) */
	__u16 thread_frame;	/* the current frame; 3.11, 3.12: the cframe that points to it */
	__u16 cframe_frame;	/* _PyCFrame.current_frame, or AP_NO_OFFSET when there is no cframe */
	__u16 thread_next;	/* next thread of the interpreter */
	__u16 thread_native_id;	/* tid of the thread, AP_NO_OFFSET before 3.11 */

	/* A Python frame (PyFrameObject before 3.11, _PyInterpreterFrame after) */
	__u16 frame_size;	/* bytes to read to have all fields below but the locals */
	__u16 frame_code;
	__u16 frame_previous;
	__u16 frame_instr;	/* f_lasti (i32) before 3.11, an instruction pointer after */
	__u16 frame_owner;	/* a byte, or AP_NO_OFFSET */
	__u16 frame_shim;	/* an owner from here on is a C shim without code to show */
	__u16 frame_locals;	/* localsplus[0] */
	__u16 lasti_scale;	/* f_lasti counts in: 1 byte (3.8, 3.9), 2 bytes (3.10); 0 for pointers */

	/* PyCodeObject */
	__u16 code_filename;
	__u16 code_name;
	__u16 code_qualname;	/* before 3.11 there is none: same as code_name */
	__u16 code_firstlineno;
	__u16 code_linetable;	/* co_lnotab before 3.10 */
	__u16 code_adaptive;	/* co_code_adaptive: what instruction pointers are relative to */

	/* PyUnicodeObject, PyBytesObject, PyLongObject */
	__u16 str_length, str_state, str_ascii, str_compact;
	__u16 bytes_size, bytes_data;
	__u16 long_tag, long_digit;	/* 3.12+: lv_tag, ob_digit */

	/* What a loop runs */
	__u16 function_code, function_qualname;
	__u16 method_function;
	__u16 coro_qualname;		/* PyCoroObject.cr_qualname */
	__u16 task_coro, task_name, task_state;	/* TaskObj (Modules/_asynciomodule.c) */
	__u16 handle_callback;		/* asyncio.events.Handle._callback */

	/* The attributes of an instance (attribute.h) */
	__u16 type_cached_keys;		/* PyHeapTypeObject.ht_cached_keys; AP_NO_OFFSET: always a dict */
	__u16 object_values;		/* 3.11: a pointer so far before the object, else AP_NO_OFFSET */
	__u16 values_data;		/* PyDictValues.values */
	__u16 dict_keys, dict_values;
	__u16 keys_cnt, keys_indices;	/* PyDictKeysObject.dk_nentries, .dk_indices */
	__u16 keys_index_bytes;		/* .dk_log2_index_bytes; AP_NO_OFFSET: by .dk_size at 8 */

	/* To the task that runs now: by one of the last two; AP_NO_OFFSET both: not known */
	__u16 type_module;		/* PyHeapTypeObject.ht_module */
	__u16 module_state;		/* PyModuleObject.md_state */
	__u16 asyncio_task_type;	/* asyncio_state (Modules/_asynciomodule.c) */
	__u16 asyncio_current;		/* the same, 3.12 and 3.13 */
	__u16 thread_running_task;	/* _PyThreadStateImpl.asyncio_running_task, from 3.14 on */

	/* Reached by the collector only */
	__u16 type_name;		/* PyTypeObject.tp_name */
	__u16 runtime_interpreters_main;	/* _PyRuntime.interpreters.main */
	__u16 gil_in_runtime;		/* 1: last_holder lies in _PyRuntime (3.8-3.11), 0: in the interpreter */
	__u32 gil_last_holder;
	__u32 interp_threads_head;
	__u32 interp_collecting;	/* gc.collecting (i32), 0: unknown */
};

#endif
