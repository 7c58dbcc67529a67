/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "cli/filters.h"

#include <stddef.h>

struct filter *filters__make(const struct options *options, struct refusal *why)
{
	const struct {
		int (*add)(struct filter *filter, const char *pattern, struct refusal *why);
		const struct string_list *list;
	} kinds[] = {
		{ filter__only, &options->only },
		{ filter__exclude, &options->exclude },
		{ filter__cause, &options->cause },
		{ filter__task, &options->task },
	};
	struct filter *filter = filter__new();
	size_t i, k;

	if (!filter) {
		refuse(why, EXIT_FAILED, "", "out of memory");
		return NULL;
	}
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (k = 0; k < kinds[i].list->cnt; k++) {
			if (kinds[i].add(filter, kinds[i].list->item[k], why)) {
				filter__free(filter);
				return NULL;
			}
		}
	}
	return filter;
}
