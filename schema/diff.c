/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - see diff.h. */
#include "schema/diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a value as text ---------------------------------------------------- */

static const char *text_at(const void *at)
{
	return *(const char *const *)at;
}

static unsigned count_at(const struct key *row, const char *p)
{
	return *(const unsigned *)(p + row->field.count_offset);
}

/* The @i-th entry of the list that @p, a struct, has by @row. */
static const char *entry_at(const struct key *row, const char *p, unsigned i)
{
	return *(const char *const *)(p + row->field.data_offset) + i * key_entry_size(row);
}

/* Was nothing said, as far as memory can tell? Then the key's default holds. */
static bool is_unset(const struct key *row, const char *p)
{
	const char *at = p + row->field.data_offset;

	return row->kind == KIND_LIST ? count_at(row, p) == 0 : key_is_unset(row, at);
}

static void print_size(FILE *f, const struct key *row, uint64_t v)
{
	static const char units[] = "TGMK";

	if (v == 0 && row->or_off) {
		(void)fputs("off", f);
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t unit = 1ull << (40 - 10 * i);

		if (v != 0 && v % unit == 0) {
			(void)fprintf(f, "%" PRIu64 "%c", v / unit, units[i]);
			return;
		}
	}
	(void)fprintf(f, "%" PRIu64, v);
}

static void print_scalar(FILE *f, const struct key *row, const char *at)
{
	const uint64_t v = kind_is_text(row->kind) ? 0 : key_number(row, at);

	if (kind_is_text(row->kind))
		(void)fputs(text_at(at), f);
	else if (row->kind == KIND_BOOL)
		(void)fputs(v != 0 ? "on" : "off", f);
	else if (row->kind == KIND_SIZE)
		print_size(f, row, v);
	else if (row->kind == KIND_ENUM)
		(void)fputs(key_word(row, v), f);
	else
		(void)fprintf(f, "%" PRIu64, v);
}

static void print_map(FILE *f, const struct section *s, const char *p);

/* The member that @p, a struct, has by @row; in flow style. */
static void print(FILE *f, const struct key *row, const char *p)
{
	if (row->kind == KIND_MAP) {
		print_map(f, row->section, p + row->field.data_offset);
		return;
	}
	if (row->kind != KIND_LIST) {
		print_scalar(f, row, p + row->field.data_offset);
		return;
	}
	(void)fputc('[', f);
	for (unsigned i = 0; i < count_at(row, p); i++) {
		(void)fputs(i > 0 ? ", " : "", f);
		if (row->item != NULL)
			print_scalar(f, row->item, entry_at(row, p, i));
		else
			print_map(f, row->section, entry_at(row, p, i));
	}
	(void)fputc(']', f);
}

static void print_map(FILE *f, const struct section *s, const char *p)
{
	bool first = true;

	(void)fputc('{', f);
	for (size_t i = 0; i < s->count; i++) {
		if (is_unset(&s->keys[i], p))
			continue;
		(void)fprintf(f, "%s%s: ", first ? "" : ", ", s->keys[i].field.key);
		print(f, &s->keys[i], p);
		first = false;
	}
	(void)fputc('}', f);
}

/* --- what differs ------------------------------------------------------- */

struct work {
	struct diffs *d;
	bool no_memory;
};

/* One difference: a key of both structs, or an entry that one list has, the other being NULL. */
static struct diff *add(struct work *w, const struct key *row, const char *path)
{
	struct diffs *d = w->d;
	const size_t room = d->room == 0 ? 16 : 2 * d->room;
	struct diff *more;

	if (d->count == d->room) {
		more = realloc(d->list, room * sizeof(*more));
		if (more == NULL) {
			w->no_memory = true;
			return NULL;
		}
		d->list = more;
		d->room = room;
	}
	more = &d->list[d->count++];
	*more = (struct diff){ .path = strdup(path), .row = row };
	w->no_memory |= more->path == NULL;
	return more;
}

/* Text from @fn(f, row, p); NULL and w->no_memory without memory. */
static char *text_of(struct work *w, void (*fn)(FILE *f, const struct key *row, const char *p),
		     const struct key *row, const char *p)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL) {
		w->no_memory = true;
		return NULL;
	}
	fn(f, row, p);
	if (fclose(f) != 0) {
		w->no_memory = true;
		free(text);
		return NULL;
	}
	return text;
}

static void add_values(struct work *w, const struct key *row, const char *path, const char *a,
		       const char *b)
{
	struct diff *d = add(w, row, path);

	if (d == NULL)
		return;
	d->at = b + row->field.data_offset;
	d->owner = b;
	d->before = is_unset(row, a) ? NULL : text_of(w, print, row, a);
	d->after = is_unset(row, b) ? NULL : text_of(w, print, row, b);
}

static bool same_scalar(const struct key *row, const char *a, const char *b)
{
	const char *x, *y;

	if (!kind_is_text(row->kind))
		return key_number(row, a) == key_number(row, b);
	x = text_at(a);
	y = text_at(b);
	return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

static bool same_items(const struct key *row, const char *a, const char *b)
{
	const unsigned count = count_at(row, a);

	if (count != count_at(row, b))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!same_scalar(row->item, entry_at(row, a, i), entry_at(row, b, i)))
			return false;
	}
	return true;
}

/* The entry of @p that is the @i-th of @q, or -1. */
static int find_match(const struct key *row, const char *p, const char *q, unsigned i)
{
	const struct key *id;

	if (row->match == NULL)
		return i < count_at(row, p) ? (int)i : -1;
	id = section_find(row->section, row->match);
	for (unsigned n = 0; n < count_at(row, p); n++) {
		if (same_scalar(id, entry_at(row, p, n) + id->field.data_offset,
				entry_at(row, q, i) + id->field.data_offset))
			return (int)n;
	}
	return -1;
}

static void print_entry(FILE *f, const struct key *row, const char *entry)
{
	print_map(f, row->section, entry);
}

/* What tells the entry apart, "[data]". */
static void print_name(FILE *f, const struct key *row, const char *entry)
{
	const struct key *id = section_find(row->section, row->match);

	if (!is_unset(id, entry))
		print(f, id, entry);
}

/* "PATH[NAME]" of the @i-th entry of @p; the caller frees it. */
static char *entry_path(struct work *w, const struct key *row, const char *path, const char *p,
			unsigned i)
{
	char *name = NULL, *full = NULL;

	if (row->match != NULL)
		name = text_of(w, print_name, row, entry_at(row, p, i));
	if (name != NULL ? asprintf(&full, "%s[%s]", path, name) < 0
			 : asprintf(&full, "%s[%u]", path, i) < 0) {
		full = NULL;
		w->no_memory = true;
	}
	free(name);
	return full;
}

/* The names of all entries, for a list whose order differs. */
static void print_order(FILE *f, const struct key *row, const char *p)
{
	(void)fputc('[', f);
	for (unsigned i = 0; i < count_at(row, p); i++) {
		(void)fputs(i > 0 ? ", " : "", f);
		print_name(f, row, entry_at(row, p, i));
	}
	(void)fputc(']', f);
}

static void diff_map(struct work *w, const struct section *s, const char *path, const char *a,
		     const char *b);

/* An entry that one list alone has: the second, of the struct @b, if it is @after. */
struct entry {
	const char *at, *b;
	bool after;
};

static void add_entry(struct work *w, const struct key *row, const char *path,
		      const struct entry *n)
{
	struct diff *d = add(w, row, path);
	char *text = d != NULL ? text_of(w, print_entry, row, n->at) : NULL;

	if (d == NULL)
		return;
	*(n->after ? &d->after : &d->before) = text;
	d->at = n->after ? n->at : n->b + row->field.data_offset;
	d->owner = n->after ? n->at : n->b;
	d->came = n->after;
}

static void diff_list(struct work *w, const struct key *row, const char *path, const char *a,
		      const char *b)
{
	int last = -1;
	bool moved = false;

	for (unsigned i = 0; i < count_at(row, a); i++) {
		char *p = entry_path(w, row, path, a, i);
		const int n = find_match(row, b, a, i);

		if (p != NULL && n < 0)
			add_entry(w, row, p, &(struct entry){ entry_at(row, a, i), b, false });
		else if (p != NULL)
			diff_map(w, row->section, p, entry_at(row, a, i),
				 entry_at(row, b, (unsigned)n));
		moved |= n >= 0 && n < last;
		last = n >= 0 ? n : last;
		free(p);
	}
	for (unsigned i = 0; i < count_at(row, b); i++) {
		char *p = find_match(row, a, b, i) < 0 ? entry_path(w, row, path, b, i) : NULL;

		if (p != NULL)
			add_entry(w, row, p, &(struct entry){ entry_at(row, b, i), b, true });
		free(p);
	}
	if (moved) {
		struct diff *d = add(w, row, path);

		if (d != NULL) {
			d->at = b + row->field.data_offset;
			d->owner = b;
			d->before = text_of(w, print_order, row, a);
			d->after = text_of(w, print_order, row, b);
		}
	}
}

/* Nothing in it, and nothing to name? Most keys of most VMs: they need no path. */
static bool is_same(const struct key *row, const char *a, const char *b)
{
	const size_t off = row->field.data_offset;

	if (row->kind == KIND_MAP)
		return false;
	if (row->kind != KIND_LIST)
		return same_scalar(row, a + off, b + off);
	return row->item != NULL ? same_items(row, a, b)
				 : count_at(row, a) == 0 && count_at(row, b) == 0;
}

static void diff_key(struct work *w, const struct key *row, const char *path, const char *a,
		     const char *b)
{
	const size_t off = row->field.data_offset;

	if (row->kind == KIND_MAP)
		diff_map(w, row->section, path, a + off, b + off);
	else if (row->kind == KIND_LIST && row->item == NULL)
		diff_list(w, row, path, a, b);
	else
		add_values(w, row, path, a, b);
}

static void diff_map(struct work *w, const struct section *s, const char *path, const char *a,
		     const char *b)
{
	for (size_t i = 0; i < s->count; i++) {
		const char *key = s->keys[i].field.key;
		char *full = NULL;

		if (is_same(&s->keys[i], a, b))
			continue;
		if (asprintf(&full, "%s%s%s", path, path[0] != '\0' ? "." : "", key) < 0) {
			w->no_memory = true;
			return;
		}
		diff_key(w, &s->keys[i], full, a, b);
		free(full);
	}
}

int diff_make(const struct sill_config *before, const struct sill_config *after, struct diffs *ret,
	      struct sill_err *e)
{
	struct work w = { .d = ret };

	diff_map(&w, &root_section, "", (const char *)before, (const char *)after);
	if (!w.no_memory)
		return 0;
	diff_free(ret);
	return sill_err_sys(e, ENOMEM, "compare two VMs");
}

void diff_free(struct diffs *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->list[i].path);
		free(d->list[i].before);
		free(d->list[i].after);
	}
	free(d->list);
	*d = (struct diffs){ 0 };
}
