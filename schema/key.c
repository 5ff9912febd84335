/* SPDX-License-Identifier: Apache-2.0 */
/* key.c - look a row up. */
#include "schema/key.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct key affinity_entry = {
	.field = { .key = "affinity[]",
		   .value = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint16_t) } },
	.kind = KIND_UINT, .min = 0, .max = 65535,
	.doc = "The number of a host CPU.",
	.example = "3",
};
/* clang-format on */

const struct key *section_find(const struct section *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->keys[i].field.key, name) == 0)
			return &s->keys[i];
	}
	return NULL;
}

bool kind_is_text(enum kind kind)
{
	switch (kind) {
	case KIND_TEXT:
	case KIND_NAME:
	case KIND_UUID:
	case KIND_FILE_READ:
	case KIND_FILE_WRITE:
	case KIND_PATH:
		return true;
	case KIND_UINT:
	case KIND_SIZE:
	case KIND_BOOL:
	case KIND_ENUM:
	case KIND_MAP:
	case KIND_LIST:
		break;
	}
	return false;
}

size_t key_entry_size(const struct key *row)
{
	if (row->item == NULL)
		return row->field.value.data_size;
	return kind_is_text(row->item->kind) ? sizeof(char *) : row->item->field.value.data_size;
}

uint64_t key_number(const struct key *row, const void *at)
{
	switch (row->field.value.data_size) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

void key_set_number(const struct key *row, void *at, uint64_t v)
{
	switch (row->field.value.data_size) {
	case 1:
		*(uint8_t *)at = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)at = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)at = (uint32_t)v;
		break;
	default:
		*(uint64_t *)at = v;
		break;
	}
}

const char *key_word(const struct key *row, uint64_t v)
{
	const cyaml_strval_t *words = row->field.value.enumeration.strings;

	for (uint32_t i = 0; i < row->field.value.enumeration.count; i++)
		if ((uint64_t)words[i].val == v)
			return words[i].str;
	return NULL;
}

const cyaml_strval_t *key_find_word(const struct key *row, const char *word)
{
	const cyaml_strval_t *words = row->field.value.enumeration.strings;

	for (uint32_t i = 0; i < row->field.value.enumeration.count; i++)
		if (strcmp(words[i].str, word) == 0)
			return &words[i];
	return NULL;
}

/* Zero is a number that was not said, where it may not be said. */
bool key_is_unset(const struct key *row, const void *at)
{
	if (kind_is_text(row->kind))
		return *(const char *const *)at == NULL;
	if (row->kind == KIND_UINT || (row->kind == KIND_SIZE && !row->or_off))
		return row->min > 0 && key_number(row, at) == 0;
	return row->kind == KIND_ENUM && key_word(row, key_number(row, at)) == NULL;
}

/* "127.0.0.1:1234", or "1234" */
static bool is_port(const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon != NULL ? colon + 1 : text;

	return strchr(text, '/') == NULL && *port != '\0' &&
	       port[strspn(port, "0123456789")] == '\0';
}

bool key_is_word(const struct key *row, const char *text)
{
	char word[16];
	int n = snprintf(word, sizeof(word), " %s ", text);

	if (row->or_port && is_port(text))
		return true;
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
