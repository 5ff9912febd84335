/* SPDX-License-Identifier: Apache-2.0 */
/* randvalue.h - random values of all that the rows know, for tests. Include once. */
#ifndef RANDVALUE_H
#define RANDVALUE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/key.h"

static uint64_t rand_state = 1;

/* xorshift64*, the same everywhere. */
static uint64_t rand_next(void)
{
	rand_state ^= rand_state >> 12;
	rand_state ^= rand_state << 25;
	rand_state ^= rand_state >> 27;
	return rand_state * 0x2545f4914f6cdd1dull;
}

static uint64_t rand_below(uint64_t n)
{
	return n == 0 ? rand_next() : rand_next() % n;
}

/* What YAML readers stumble over, and anything else. */
static char *rand_text(uint64_t most)
{
	static const char *const traps[] = {
		"null",
		"~",
		"true",
		"0x1f",
		"1e3",
		"- a",
		"a: b",
		"# no",
		"a # b",
		"{a: b}",
		"[a]",
		"&a",
		"*a",
		"!a",
		"'a'",
		"\"a\"",
		" begins",
		"ends ",
		"a\\nb",
		"%a",
		"@a",
		"`",
		"|",
		">",
		"a  b   c",
		"---",
		"...",
		"",
		"off",
		"?",
		"\xc3\xa4",
		"\xe2\x82\xac",
		"\xf0\x9f\x90\xa7",
		"a\xc2\xa0z",
	};
	static const char letters[] = "abc XYZ 019 ._-:#'\"\\{}[],&*!|>%@~?";
	char buf[200];
	size_t n;

	if (rand_below(3) == 0)
		return strdup(traps[rand_below(sizeof(traps) / sizeof(traps[0]))]);
	n = 1 + rand_below(most < sizeof(buf) - 1 && most > 0 ? most : sizeof(buf) - 2);
	for (size_t i = 0; i < n; i++)
		buf[i] = letters[rand_below(sizeof(letters) - 1)];
	buf[n] = '\0';
	return strdup(buf);
}

static void rand_scalar(const struct key *row, char *at)
{
	const uint64_t span = row->max - row->min;

	if (kind_is_text(row->kind))
		*(char **)at = rand_text(row->max);
	else if (row->kind == KIND_BOOL)
		*(bool *)at = rand_below(2) != 0;
	else if (row->kind == KIND_ENUM)
		key_set_number(row, at,
			       (uint64_t)row->field.value.enumeration
				       .strings[rand_below(row->field.value.enumeration.count)]
				       .val);
	else
		key_set_number(row, at,
			       row->min + (rand_below(4) == 0 ? span : rand_below(span + 1)));
}

/* What tells an entry apart is another one in each. */
static void set_unique(const struct key *row, char *entry, unsigned i)
{
	const struct key *id = section_find(row->section, row->match);
	char *at = entry + id->field.data_offset, name[16];

	if (!kind_is_text(id->kind)) {
		key_set_number(id, at, i);
		return;
	}
	(void)snprintf(name, sizeof(name), "id%u", i);
	free(*(char **)at);
	*(char **)at = strdup(name);
}

static void rand_map(const struct section *s, char *p);

static void rand_list(const struct key *row, char *p)
{
	const unsigned count = (unsigned)rand_below(4);
	const size_t size = key_entry_size(row);
	char *list = count > 0 ? calloc(count, size) : NULL;

	*(unsigned *)(p + row->field.count_offset) = count;
	*(char **)(p + row->field.data_offset) = list;
	for (unsigned i = 0; i < count; i++) {
		if (row->item != NULL)
			rand_scalar(row->item, list + i * size);
		else
			rand_map(row->section, list + i * size);
		if (row->match != NULL)
			set_unique(row, list + i * size, i);
	}
}

/* The struct @p, zeroed, with a value for most keys. */
static void rand_map(const struct section *s, char *p)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct key *row = &s->keys[i];
		char *at = p + row->field.data_offset;

		if (row->kind == KIND_MAP)
			rand_map(row->section, at);
		else if (!row->required && rand_below(4) == 0)
			continue; /* as if it were not written */
		else if (row->kind == KIND_LIST)
			rand_list(row, p);
		else
			rand_scalar(row, at);
	}
}

#endif
