/* SPDX-License-Identifier: Apache-2.0 */
/* cardwords.c - see cardwords.h. The keys and their kinds are the table's (schema/net.c). */
#include "runner/cmd/cardwords.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runner/api/vmfields.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "schema/key.h"

static const struct key *find_key(const char *word, size_t n)
{
	for (size_t i = 0; i < net_section.count; i++) {
		const struct key *k = &net_section.keys[i];

		if (strlen(k->field.key) == n && strncmp(k->field.key, word, n) == 0)
			return k;
	}
	return NULL;
}

static bool is_foreign(const char *word, size_t n)
{
	for (const struct field *f = net_fields; f->name != NULL; f++)
		if (strlen(f->name) == n && strncmp(f->name, word, n) == 0)
			return true;
	return false;
}

bool cardwords_are_own(char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		for (const char *w = words[i]; *w != '\0'; w += *w == ',') {
			const size_t n = strcspn(w, "=,");

			if (!is_foreign(w, n) && find_key(w, n) != NULL)
				return true;
			w += strcspn(w, ",");
		}
	return false;
}

/* NULL: it cannot be said in a word. */
static json_t *value_of(const struct key *k, const char *text)
{
	uint64_t v;

	switch (k->kind) {
	case KIND_MAP:
		return NULL;
	case KIND_BOOL:
		if (text[0] == '\0' || strcmp(text, "on") == 0 || strcmp(text, "true") == 0)
			return json_true();
		return strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ? json_false() : NULL;
	case KIND_UINT:
		return scalar_uint(text, &v) == SCALAR_OK && v <= INT64_MAX
			       ? json_integer((json_int_t)v)
			       : NULL;
	default:
		return json_string(text);
	}
}

static int put(json_t *o, const char *word)
{
	const size_t n = strcspn(word, "=");
	const char *text = word[n] == '=' ? word + n + 1 : "";
	const struct key *k = find_key(word, n);
	const bool list = k != NULL && k->kind == KIND_LIST && k->item != NULL;
	json_t *v = k != NULL ? value_of(list ? k->item : k, text) : NULL, *all;

	if (k == NULL)
		text_say(stderr, "sill: a network card has no key '%.*s'", (int)n, word);
	else if (v == NULL)
		text_say(stderr, "sill: %.*s: '%s' is no value for it", (int)n, word, text);
	if (v == NULL)
		return -1;
	if (!list)
		return json_object_set_new(o, k->field.key, v);
	all = json_object_get(o, k->field.key);
	if (all == NULL) {
		all = json_array();
		(void)json_object_set_new(o, k->field.key, all);
	}
	return json_array_append_new(all, v);
}

json_t *cardwords_entry(char **words, int count)
{
	json_t *o = json_object();

	for (int i = 0; i < count; i++) {
		char *rest = words[i], *word;

		while ((word = strsep(&rest, ",")) != NULL) {
			if (*word == '\0' || put(o, word) == 0)
				continue;
			json_decref(o);
			return NULL;
		}
	}
	return o;
}
