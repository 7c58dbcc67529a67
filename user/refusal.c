/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(struct refusal *why, enum exit_code code, const char *remedy, const char *format, ...)
{
	va_list args;

	why->code = code;
	snprintf(why->remedy, sizeof(why->remedy), "%s", remedy ? remedy : "");
	va_start(args, format);
	vsnprintf(why->what, sizeof(why->what), format, args);
	va_end(args);
	return -1;
}
