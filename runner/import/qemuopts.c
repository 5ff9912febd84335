/* SPDX-License-Identifier: Apache-2.0 */
/* qemuopts.c - see qemu.h: how options are written. */
#include "runner/import/qemu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_BYTES = 8192, OPT_KEYS = 200 };

static void add(json_t *o, const char *key, json_t *take_v)
{
	json_t *was = json_object_get(o, key);

	if (take_v == NULL || key[0] == '\0' || json_object_size(o) >= OPT_KEYS) {
		json_decref(take_v);
	} else if (was == NULL) {
		(void)json_object_set_new(o, key, take_v);
	} else if (json_is_array(was)) {
		(void)json_array_append_new(was, take_v);
	} else {
		json_t *list = json_pack("[O,o]", was, take_v);

		(void)json_object_set_new(o, key, list);
	}
}

/* Mappings in it become "a.b", and all else texts. */
static void flatten(json_t *to, const json_t *from, const char *prefix, int depth)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)from, key, v)
	{
		char name[256];

		(void)snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
			       key);
		if (json_is_object(v) && depth > 0)
			flatten(to, v, name, depth - 1);
		else if (json_is_string(v))
			add(to, name, json_incref(v));
		else if (json_is_integer(v))
			add(to, name, json_sprintf("%lld", (long long)json_integer_value(v)));
		else if (json_is_boolean(v))
			add(to, name, json_string(json_is_true(v) ? "on" : "off"));
	}
}

/* Up to a single comma; two stand for one. Returns what is behind it. */
static const char *take_piece(const char *s, char dst[OPT_BYTES])
{
	size_t n = 0;

	for (; *s != '\0'; s++) {
		if (*s == ',' && s[1] != ',')
			break;
		s += *s == ',';
		if (n + 1 < OPT_BYTES)
			dst[n++] = *s;
	}
	dst[n] = '\0';
	return *s == ',' ? s + 1 : s;
}

json_t *qemu_opts(const char *text, const char *first)
{
	char piece[OPT_BYTES];
	json_t *o = json_object();
	json_t *from = text[0] == '{' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (from != NULL) {
		flatten(o, from, "", 4);
		json_decref(from);
		return o;
	}
	while (*text != '\0') {
		char *eq;

		text = take_piece(text, piece);
		eq = strchr(piece, '=');
		if (eq == NULL && first != NULL) {
			add(o, first, json_string(piece));
		} else if (eq == NULL) {
			/* "nofoo" is an old way to say foo=off */
			add(o, piece, json_string("on"));
		} else {
			*eq = '\0';
			add(o, piece, json_string(eq + 1));
		}
		first = NULL;
	}
	return o;
}

const char *qemu_opt_at(const json_t *o, const char *key, size_t i)
{
	const json_t *v = json_object_get(o, key);

	return json_is_array(v) ? json_string_value(json_array_get(v, i))
	       : i == 0         ? json_string_value(v)
				: NULL;
}

const char *qemu_opt(const json_t *o, const char *key)
{
	const size_t n = json_array_size(json_object_get(o, key));

	return qemu_opt_at(o, key, n > 0 ? n - 1 : 0);
}

bool qemu_is_on(const json_t *o, const char *key)
{
	const char *v = qemu_opt(o, key);

	return import_is(v, "on") || import_is(v, "yes") || import_is(v, "true") ||
	       import_is(v, "y");
}

bool qemu_is_off(const json_t *o, const char *key)
{
	return qemu_opt(o, key) != NULL && !qemu_is_on(o, key);
}

bool qemu_one_of(const char *words, const char *word)
{
	char padded[64];

	if (word == NULL || strlen(word) > sizeof(padded) - 3 || strchr(word, ' ') != NULL)
		return false;
	(void)snprintf(padded, sizeof(padded), " %s ", word);
	return strstr(words, padded) != NULL;
}

void qemu_rest(struct qemu *q, const json_t *o, const char *known, const char *what)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		char text[128];

		if (qemu_one_of(known, key))
			continue;
		(void)snprintf(text, sizeof(text), "%.48s %.40s=%.30s", what, key,
			       qemu_opt(o, key));
		import_lost(q->im, text, "Sill has nothing of the kind");
	}
}
