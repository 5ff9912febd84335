/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - words about rows: explain and the manual. */
#include "runner/manifest/describe.h"

#include <inttypes.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "runner/manifest/source.h"
#include "runner/plan/plan.h"
#include "runner/report/text.h"

enum { WIDTH = 90 };

const struct key *describe_find(const char *path, char ret_clean[DESCRIBE_PATH])
{
	const struct section *s = &root_section;
	const struct key *row = NULL;
	size_t used = 0;

	ret_clean[0] = '\0';
	while (*path != '\0' && s != NULL) {
		char word[DESCRIBE_PATH];
		size_t len = strcspn(path, ".[");

		if (len == 0 || len >= sizeof(word) || used + len + 2 > DESCRIBE_PATH)
			return NULL;
		memcpy(word, path, len);
		word[len] = '\0';
		row = section_find(s, word);
		if (row == NULL)
			return NULL;
		used += (size_t)snprintf(ret_clean + used, DESCRIBE_PATH - used, "%s%s",
					 used > 0 ? "." : "", word);
		path += len;
		if (*path == '[')
			path += strcspn(path, "]") + (strchr(path, ']') != NULL);
		if (*path == '.')
			path++;
		s = row->section;
	}
	return *path == '\0' ? row : NULL;
}

static const char *kind_word(enum kind k)
{
	switch (k) {
	case KIND_TEXT:
		return "text";
	case KIND_NAME:
		return "name";
	case KIND_UUID:
		return "UUID";
	case KIND_UINT:
		return "number";
	case KIND_SIZE:
		return "size";
	case KIND_BOOL:
		return "on or off";
	case KIND_ENUM:
		return "word";
	case KIND_FILE_READ:
		return "path of a file that is read";
	case KIND_FILE_WRITE:
		return "path of a file that is read and written";
	case KIND_PATH:
		return "path";
	case KIND_MAP:
		return "mapping";
	case KIND_LIST:
		return "list";
	}
	return "";
}

const char *describe_type(char *dst, size_t size, const struct key *row)
{
	const char *unit = row->unit != NULL ? row->unit : "";
	const char *blank = row->unit != NULL ? " " : "";
	const char *word = kind_word(row->kind);
	char low[32], high[32];
	size_t used;

	switch (row->kind) {
	case KIND_UINT:
		if (row->numbers != NULL)
			(void)snprintf(dst, size, "%s: %s%s%s", word, row->numbers, blank, unit);
		else if (row->min == row->max)
			(void)snprintf(dst, size, "%s, always %" PRIu64, word, row->min);
		else
			(void)snprintf(dst, size, "%s, %" PRIu64 " to %" PRIu64 "%s%s", word,
				       row->min, row->max, blank, unit);
		break;
	case KIND_SIZE:
		(void)snprintf(dst, size,
			       "%s with a unit K, M, G or T (powers of 1024), %s to %s%s", word,
			       scalar_size_text(low, sizeof(low), row->min),
			       scalar_size_text(high, sizeof(high), row->max),
			       row->or_off ? ", or off" : "");
		break;
	case KIND_TEXT:
	case KIND_NAME:
		(void)snprintf(dst, size, "%s, %" PRIu64 " to %" PRIu64 " bytes", word, row->min,
			       row->max);
		break;
	case KIND_ENUM:
		used = (size_t)snprintf(dst, size, "one of");
		for (uint32_t i = 0; i < row->field.value.enumeration.count && used < size; i++)
			used += (size_t)snprintf(dst + used, size - used, "%s %s", i > 0 ? "," : "",
						 row->field.value.enumeration.strings[i].str);
		break;
	case KIND_LIST:
		if (row->ranges) {
			(void)snprintf(dst, size,
				       "list of %" PRIu64 " to %" PRIu64
				       " numbers and ranges (0-3), or one of them",
				       row->min, row->max);
			break;
		}
		(void)snprintf(dst, size, "%s%slist of %" PRIu64 " to %" PRIu64 " %ss%s",
			       row->short_key != NULL ? row->short_key : "",
			       row->short_key != NULL ? ", or a " : "", row->min, row->max,
			       row->item != NULL ? kind_word(row->item->kind) : "mapping",
			       row->alone ? ", or one of them" : "");
		if (row->item != NULL && row->item->kind == KIND_TEXT)
			(void)snprintf(dst, size, "list of up to %" PRIu64 " texts%s", row->max,
				       row->alone ? ", or one of them" : "");
		break;
	case KIND_UUID:
		used = (size_t)snprintf(dst, size, "%s", word);
		for (size_t i = 0; row->names != NULL && row->names(i) != NULL && used < size; i++)
			used += (size_t)snprintf(dst + used, size - used, ", or %s", row->names(i));
		break;
	case KIND_BOOL:
	case KIND_FILE_READ:
	case KIND_FILE_WRITE:
	case KIND_PATH:
		(void)snprintf(dst, size, "%s", word);
		break;
	case KIND_MAP:
		(void)snprintf(dst, size, "%s%s%s", word,
			       row->short_key != NULL ? ", or the value of its key " : "",
			       row->short_key != NULL ? row->short_key : "");
		break;
	}
	return dst;
}

const char *describe_default(char *dst, size_t size, const struct key *row, const char *tick)
{
	if (row->def != NULL && row->def_windows != NULL)
		(void)snprintf(dst, size, "%s%s%s, %s%s%s with guest: windows", tick, row->def,
			       tick, tick, row->def_windows, tick);
	else if (row->def != NULL)
		(void)snprintf(dst, size, "%s%s%s", tick, row->def, tick);
	else if (row->def_note != NULL)
		(void)snprintf(dst, size, "%s", row->def_note);
	else if (row->required)
		(void)snprintf(dst, size, "none; the key must be there");
	else if (row->kind == KIND_MAP && row->implied)
		(void)snprintf(dst, size, "its keys' defaults");
	else
		(void)snprintf(dst, size, "none");
	return dst;
}

static void line(FILE *f, const char *label, const char *text)
{
	char padded[16];

	(void)snprintf(padded, sizeof(padded), "  %s", label);
	text_wrap_label(f, padded, text, 11, WIDTH);
}

/* What changing the key of a VM that runs costs. */
static void print_change(FILE *f, const char *path, const struct key *row)
{
	(void)fprintf(f, "%s%s%s%s\n", effect_name(row->effect),
		      row->effect_note != NULL ? ": " : "",
		      row->effect_note != NULL ? row->effect_note : "",
		      plan_knows(path, row) ? "" : " (not yet; today with the next boot)");
}

void describe_own(FILE *f, const char *path, const struct key *row)
{
	char buf[256];

	(void)fprintf(f, "%s\n", path);
	text_wrap(f, row->doc, 2, WIDTH);
	line(f, "type", describe_type(buf, sizeof(buf), row));
	line(f, "default", describe_default(buf, sizeof(buf), row, ""));
	if (row->example != NULL)
		(void)fprintf(f, "  %-9s%s: %s\n", "example", row->field.key, row->example);
	(void)fprintf(f, "  %-9s", "change");
	print_change(f, path, row);
}

void describe_key(FILE *f, const char *path, const struct key *row)
{
	describe_own(f, path, row);
	if (row->section != NULL) {
		(void)fputs("  keys\n", f);
		describe_tree(f, row->section, 2);
	}
}

void describe_front(FILE *f, const struct front_key *k)
{
	(void)fprintf(f, "%s\n", k->key);
	text_wrap(f, k->doc, 2, WIDTH);
	line(f, "type", k->type);
	(void)fprintf(f, "  %-9s%s: %s\n", "example", k->key, k->example);
}

/* The key and the first sentence of @doc, or as much of that as fits. */
static void tree_line(FILE *f, const char *name, const char *doc, int depth)
{
	const char *stop = strstr(doc, ". ");
	int first = stop != NULL ? (int)(stop - doc) + 1 : (int)strlen(doc);
	bool cut = first > WIDTH - 23;

	while (cut && (first > WIDTH - 26 || doc[first] != ' '))
		first--;
	(void)fprintf(f, "%*s%-*s %.*s\n", 2 * depth, "", 22 - 2 * depth, name, first, doc);
}

void describe_tree(FILE *f, const struct section *s, int depth)
{
	for (const struct front_key *k = front_keys; s == &root_section && k->key != NULL; k++)
		tree_line(f, k->key, k->doc, depth);
	for (size_t i = 0; i < s->count; i++) {
		const struct key *row = &s->keys[i];
		char name[64];

		(void)snprintf(name, sizeof(name), "%s%s", row->field.key,
			       row->kind == KIND_LIST ? "[]" : "");
		tree_line(f, name, row->doc, depth);
		if (row->section != NULL)
			describe_tree(f, row->section, depth + 1);
	}
}

static void each(const struct section *s, const char *above,
		 void (*fn)(void *ctx, const char *path, const struct key *row), void *ctx)
{
	for (size_t i = 0; i < s->count; i++) {
		char path[DESCRIBE_PATH];

		(void)snprintf(path, sizeof(path), "%s%s%s", above, above[0] != '\0' ? "." : "",
			       s->keys[i].field.key);
		fn(ctx, path, &s->keys[i]);
		if (s->keys[i].section != NULL)
			each(s->keys[i].section, path, fn, ctx);
	}
}

void describe_each(void (*fn)(void *ctx, const char *path, const struct key *row), void *ctx)
{
	each(&root_section, "", fn, ctx);
}

static void manual_key(void *ctx, const char *path, const struct key *row)
{
	FILE *f = ctx;
	char buf[256];

	(void)fprintf(f, "\n%s `%s`\n\n", strchr(path, '.') != NULL ? "###" : "##", path);
	text_wrap(f, row->doc, 0, WIDTH);
	(void)fprintf(f, "\n- Type: %s\n", describe_type(buf, sizeof(buf), row));
	(void)fprintf(f, "- Default: %s\n", describe_default(buf, sizeof(buf), row, "`"));
	if (row->example != NULL)
		(void)fprintf(f, "- Example: `%s: %s`\n", row->field.key, row->example);
	(void)fputs("- Change: ", f);
	print_change(f, path, row);
}

void describe_manual(FILE *f)
{
	(void)fputs("# The manifest\n\n"
		    "<!-- Generated by `sill schema --manual` from schema/. Do not edit. -->\n\n",
		    f);
	text_wrap(f, root_section.doc, 0, WIDTH);
	(void)fputs(
		"\n"
		"Values mean what they look like. A size has a unit, and units are powers of 1024 "
		"(`4G`\n"
		"and `4GiB` are the same). A number is decimal or `0x...`. A switch is `on` or "
		"`off`\n"
		"(`true` and `false` are understood). Text that looks like a number has quotes "
		"(`name: '42'`).\n"
		"Where `off` is a word, `false` is it too. A mapping whose type says so may be its "
		"main value\n"
		"(`cpus: 2`, `memory: 4G`, `serial: off`); `sill show` prints the long form. Keys "
		"at the top\n"
		"that begin with `x-` are left alone. Keys that are not known here, keys that are "
		"there\n"
		"twice, and empty values are mistakes; `sill validate` says all of them at "
		"once.\n\n"
		"*Change* says what it will take to change the key of a VM that runs: `live` "
		"nothing,\n"
		"`hotplug` the guest sees a device come or go, `next boot` a restart of the "
		"guest,\n"
		"`recreate` a new start of the VM. `sill plan` says it of a changed manifest, "
		"and `sill apply`\n"
		"does it (GITOPS.md).\n\n",
		f);
	(void)fprintf(f,
		      "A file has at most %d MiB, %d documents and %d values, nested %d deep; a "
		      "document has at "
		      "most %d anchors,\n"
		      "a text at most %d bytes.\n\n",
		      SOURCE_BYTES >> 20, SOURCE_DOCS, SOURCE_NODES, SOURCE_DEPTH, SOURCE_ANCHORS,
		      SOURCE_TEXT);
	(void)fputs(
		"`sill explain KEY` says the same on a terminal, and `schema/manifest.schema.json` "
		"tells\n"
		"editors: put this on the first line of a manifest:\n\n"
		"    # yaml-language-server: $schema=../schema/manifest.schema.json\n",
		f);
	for (const struct front_key *k = front_keys; k->key != NULL; k++) {
		(void)fprintf(f, "\n## `%s`\n\n", k->key);
		text_wrap(f, k->doc, 0, WIDTH);
		(void)fprintf(f, "\n- Type: %s\n- Example: `%s: %s`\n", k->type, k->key,
			      k->example);
	}
	describe_each(manual_key, f);
}
