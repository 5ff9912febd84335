/* SPDX-License-Identifier: Apache-2.0 */
/* key.c - look a row up. */
#include "schema/key.h"

#include <stdio.h>
#include <string.h>

const struct key *section_find(const struct section *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->keys[i].field.key, name) == 0)
			return &s->keys[i];
	}
	return NULL;
}

bool key_is_word(const struct key *row, const char *text)
{
	char word[16];
	int n = snprintf(word, sizeof(word), " %s ", text);

	return row->words != NULL && n < (int)sizeof(word) && strstr(row->words, word) != NULL;
}

const char *effect_name(enum effect e)
{
	switch (e) {
	case EFFECT_RECREATE:
		return "recreate";
	case EFFECT_NEXT_BOOT:
		return "next boot";
	case EFFECT_HOTPLUG:
		return "hotplug";
	case EFFECT_LIVE:
		return "live";
	}
	return "";
}
