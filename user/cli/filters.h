/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* From --only, --exclude, --cause and --task to the model's filter. */
#ifndef ASYNCPROF_FILTERS_H
#define ASYNCPROF_FILTERS_H

#include "cli/options.h"
#include "model/filter.h"
#include "refusal.h"

/* NULL with `why`: a pattern that can't be, or no memory. Freed with filter__free(). */
struct filter *filters__make(const struct options *options, struct refusal *why);

#endif
