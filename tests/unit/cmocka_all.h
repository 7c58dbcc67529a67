/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* cmocka.h with the headers that it wants before itself. */
#ifndef ASYNCPROF_CMOCKA_ALL_H
#define ASYNCPROF_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
