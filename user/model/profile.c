/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/profile.h"

#include <stdlib.h>

void profile__free(struct profile *profile)
{
	if (!profile)
		return;
	free(profile->processes);
	free(profile->threads);
	free(profile->tasks);
	free(profile->frames);
	free(profile->stacks);
	free(profile->entries);
	free(profile->text);
	free(profile);
}
