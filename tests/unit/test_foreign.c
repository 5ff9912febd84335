/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_foreign.c - the table of other programs' names: each leads to a row of schema/, and each is found.
 *
 * That what the hints say is accepted as typed, tests/manifest/hint-check shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "schema/key.h"

#define NOT_YET(what) NULL, what

static const struct row {
	const char *section, *names, *target, *text;
} table[] = {
#define FOREIGN(...) { __VA_ARGS__ },
#include "runner/manifest/foreign.def"
#undef FOREIGN
};

enum { COUNT = sizeof(table) / sizeof(table[0]) };

/* @s and what is below it: the section of @name. */
static const struct section *section_of(const struct section *s, const char *name)
{
	const struct section *found = strcmp(s->name, name) == 0 ? s : NULL;

	for (size_t i = 0; found == NULL && i < s->count; i++)
		if (s->keys[i].section != NULL)
			found = section_of(s->keys[i].section, name);
	return found;
}

/* Has @s, or what is below it, a key @name? */
static bool has_key(const struct section *s, const char *name)
{
	bool has = section_find(s, name) != NULL;

	for (size_t i = 0; !has && i < s->count; i++)
		has = s->keys[i].section != NULL && has_key(s->keys[i].section, name);
	return has;
}

/* Where @row is written; a word for a value is written anywhere. */
static const struct section *place(const struct row *row)
{
	return row->section[0] == '=' ? &root_section : section_of(&root_section, row->section);
}

/* Is @path ("cpus.topology.packages", "disk[].path") a row? */
static bool is_row(const struct section *s, const char *path)
{
	const struct key *key = NULL;

	while (*path != '\0') {
		const int len = (int)strcspn(path, ".[");
		char word[40];

		if (s == NULL)
			return false;
		(void)snprintf(word, sizeof(word), "%.*s", len, path);
		key = section_find(s, word);
		if (key == NULL || (path[len] == '[' && key->kind != KIND_LIST))
			return false;
		s = key->section;
		path += len + (path[len] == '[' ? 2 : 0);
		path += *path == '.';
	}
	return key != NULL;
}

static void foreign__is_written_where_something_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const char *name = table[i].section;

		if (name[0] == '=' ? !has_key(&root_section, name + 1) : place(&table[i]) == NULL)
			fail_msg("'%s': no such section or key", name);
	}
}

static void foreign__targets_are_rows(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const char *target = table[i].target;

		if (target == NULL)
			continue;
		seen++;
		if (!is_row(target[0] == '.' ? place(&table[i]) : &root_section,
			    target + (target[0] == '.')))
			fail_msg("'%s':%s: '%s' is no row", table[i].section, table[i].names,
				 target);
	}
	assert_true(seen > 100);
}

/* In a text, 'KEY: ...' and `sill explain A.B` name rows. */
static unsigned look_at_text(const struct row *row)
{
	unsigned seen = 0;

	for (const char *p = row->text; p != NULL && (p = strpbrk(p, "'`")) != NULL;) {
		const char mark = *p++;
		const size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_");
		const char *explain = "sill explain ";
		char word[60];

		if (strncmp(p, explain, strlen(explain)) == 0) {
			const char *path = p + strlen(explain);

			(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(path, "`"), path);
			if (!is_row(&root_section, word) && front_find(word) == NULL)
				fail_msg("%s: no row %s", row->text, word);
			seen++;
		} else if (mark == '\'' && len > 0 && p[len] == ':') {
			(void)snprintf(word, sizeof(word), "%.*s", (int)len, p);
			if (!has_key(&root_section, word))
				fail_msg("%s: no row %s", row->text, word);
			seen++;
		}
		p = strchr(p, mark);
		p = p != NULL ? p + 1 : NULL;
	}
	return seen;
}

static void foreign__texts_name_rows(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		seen += table[i].text != NULL ? look_at_text(&table[i]) : 0;
	assert_true(seen > 30);
}

/* The @n-th name of @row in @ret, with its blanks; false: there are fewer. */
static bool name_of(const struct row *row, unsigned n, char ret[40])
{
	const char *p = row->names;

	assert_int_equal(p[0], ' ');
	for (; n > 0 && p != NULL; n--)
		p = strchr(p + 1, ' ');
	if (p == NULL || p[1] == '\0')
		return false;
	(void)snprintf(ret, 40, "%.*s", (int)strcspn(p + 1, " ") + 2, p);
	return true;
}

/* Lower case without '_' and '-', as names are compared; once in its section; not the key's own name. */
static void foreign__names_are_found(void **state)
{
	char name[40], bare[40];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		for (unsigned n = 0; name_of(&table[i], n, name); n++) {
			const size_t len = strlen(name);

			assert_true(len > 2);
			if (name[len - 1] != ' ')
				fail_msg("'%s' has no blank behind it", name);
			(void)snprintf(bare, sizeof(bare), "%.*s", (int)len - 2, name + 1);
			for (const char *c = bare; *c != '\0'; c++)
				assert_true(islower((unsigned char)*c) ||
					    isdigit((unsigned char)*c));
			if (table[i].section[0] != '=' &&
			    section_find(place(&table[i]), bare) != NULL)
				fail_msg("'%s' is a key of '%s'", bare, table[i].section);
			for (size_t j = 0; j < i; j++)
				if (strcmp(table[j].section, table[i].section) == 0 &&
				    strstr(table[j].names, name) != NULL)
					fail_msg("'%s' stands twice for '%s'", bare,
						 table[i].section);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign__is_written_where_something_is),
		cmocka_unit_test(foreign__targets_are_rows),
		cmocka_unit_test(foreign__texts_name_rows),
		cmocka_unit_test(foreign__names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
