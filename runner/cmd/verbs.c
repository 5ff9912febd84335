/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.c - see verbs.h. */
#include "runner/cmd/verbs.h"

#include <string.h>

const struct verb *const verb_table[] = {
#define VERB(name) &verb_##name,
#include "runner/cmd/verbs.def"
#undef VERB
	NULL,
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verb_table[i] != NULL; i++) {
		if (strcmp(verb_table[i]->name, name) == 0)
			return verb_table[i];
	}
	return NULL;
}
