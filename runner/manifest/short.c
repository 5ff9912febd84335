/* SPDX-License-Identifier: Apache-2.0 */
/* short.c - short forms. */
#include "runner/manifest/short.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "runner/manifest/scalar.h"
#include "runner/report/text.h"

enum { RANGE_MAX = 1024 }; /* host CPUs in one list */

void short_unfold(struct check *c, const char *key, struct node *n)
{
	struct node *k = node_new(c->a, NODE_SCALAR, n->at),
		    *v = node_new(c->a, NODE_SCALAR, n->at);

	if (k != NULL && v != NULL) {
		*v = *n;
		k->text = key;
		k->len = strlen(key);
		k->plain = true;
		n->type = NODE_MAP;
	}
	if (k == NULL || v == NULL || node_append(c->a, n, k, v) < 0)
		c->no_memory = true;
}

/* @n becomes [@n]. */
static void enlist(struct check *c, struct node *n)
{
	struct node *v = node_new(c->a, n->type, n->at);

	if (v != NULL) {
		*v = *n;
		n->type = NODE_LIST;
		n->items = NULL;
		n->keys = NULL;
		n->count = 0;
	}
	if (v == NULL || node_append(c->a, n, NULL, v) < 0)
		c->no_memory = true;
}

/* May the scalar @n stand for the mapping or the list of @row? `serial: null` is a word. */
static bool is_short(const struct key *row, const struct node *n)
{
	const struct key *one = row->short_key != NULL && row->kind == KIND_MAP
					? section_find(row->section, row->short_key)
					: NULL;

	if (node_is_null(n))
		return one != NULL && one->kind == KIND_ENUM && strcmp(n->text, "null") == 0;
	return row->short_key != NULL || (row->alone && row->section == NULL) ||
	       (row->ranges && n->text[0] >= '0' && n->text[0] <= '9');
}

/* One number of the range that @n says. */
static void add_number(struct check *c, struct node *list, const struct node *n, uint64_t v)
{
	struct node *one = node_new(c->a, NODE_SCALAR, n->at);
	const char *text = arena_printf(c->a, "%" PRIu64, v);

	if (one == NULL || text == NULL || node_append(c->a, list, NULL, one) < 0) {
		c->no_memory = true;
		return;
	}
	one->text = text;
	one->len = strlen(text);
	one->plain = true;
}

/* "0-3" or "5" up to @end. False: neither, or the wrong way round. */
static bool read_range(const char *p, const char *end, uint64_t *ret_low, uint64_t *ret_high)
{
	char text[32];
	char *dash;

	if (end - p >= (ptrdiff_t)sizeof(text))
		return false;
	memcpy(text, p, (size_t)(end - p));
	text[end - p] = '\0';
	dash = strchr(text, '-');
	if (dash != NULL)
		*dash++ = '\0';
	if (scalar_uint(text, ret_low) != SCALAR_OK ||
	    scalar_uint(dash != NULL ? dash : text, ret_high) != SCALAR_OK)
		return false;
	return *ret_low <= *ret_high && *ret_high - *ret_low < RANGE_MAX;
}

/* Put what @n says into @list: "0-3", "0-3,8", or what is to be refused as it stands. */
static void add_ranges(struct check *c, struct node *list, struct node *n)
{
	uint64_t low = 0, high = 0;
	bool good = n->type == NODE_SCALAR && strpbrk(n->text, "-,") != NULL;

	for (const char *p = n->text; good && p <= n->text + n->len;) {
		const char *end = p + strcspn(p, ",");

		good = read_range(p, end, &low, &high);
		p = end + 1;
	}
	if (!good) {
		c->no_memory |= node_append(c->a, list, NULL, n) < 0;
		return;
	}
	for (const char *p = n->text; p <= n->text + n->len && list->count <= RANGE_MAX;) {
		const char *end = p + strcspn(p, ",");

		(void)read_range(p, end, &low, &high);
		for (uint64_t v = low; v <= high && list->count <= RANGE_MAX && !c->no_memory; v++)
			add_number(c, list, n, v);
		p = end + 1;
	}
}

/* A list of numbers in which "0-3" stands for 0, 1, 2, 3. */
static void expand_ranges(struct check *c, struct node *list)
{
	struct node new = *list;

	new.items = NULL;
	new.count = 0;
	for (size_t i = 0; i < list->count && !c->no_memory; i++)
		add_ranges(c, &new, list->items[i]);
	if (!c->no_memory)
		*list = new;
}

/* A scalar @n becomes the list of what it says. */
static void list_ranges(struct check *c, struct node *n)
{
	enlist(c, n);
	if (n->type == NODE_LIST)
		expand_ranges(c, n);
}

void short_expand(struct check *c, const struct key *row, struct node *n)
{
	if (n->type == NODE_LIST && row->ranges)
		expand_ranges(c, n);
	if (n->type == NODE_MAP && row->kind == KIND_LIST && row->alone && row->section != NULL)
		enlist(c, n);
	if (n->type != NODE_SCALAR || !is_short(row, n))
		return;
	if (row->kind == KIND_MAP)
		short_unfold(c, row->short_key, n);
	else if (row->ranges)
		list_ranges(c, n);
	else
		enlist(c, n);
}

static bool is_one_of(const struct key *row, const char *word)
{
	return row->kind == KIND_ENUM && key_find_word(row, word) != NULL;
}

/* Is `off` a word of this row that stands for something else than its text? */
static bool has_off(const struct key *row)
{
	if (is_one_of(row, "off"))
		return true;
	for (size_t i = 0; row->kind == KIND_UUID && row->names != NULL && row->names(i) != NULL;
	     i++) {
		if (strcmp(row->names(i), "off") == 0)
			return true;
	}
	return row->or_off || (row->kind == KIND_PATH && key_is_word(row, "off"));
}

bool short_is_no_path(const char *text)
{
	static const char *const words[] = { "on",      "off",     "yes",     "no",   "true",
					     "false",   "none",    "enable",  "auto", "enabled",
					     "disable", "default", "disabled" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool path_word(struct check *c, const struct key *row, const struct node *n)
{
	char buf[TEXT_SHORT];

	(void)text_clean(buf, sizeof(buf), n->text, n->len);
	if (!short_is_no_path(buf))
		return false;
	diag_hint(check_fail(c, n, "'%s' is not a path", buf),
		  row->required ? "for example %s; a file of that name is './%s'"
				: "for example %s; a file of that name is './%s', and without the "
				  "key there is none",
		  row->example, buf);
	return true;
}

bool short_off(struct check *c, const struct key *row, struct node *n)
{
	static const char *const no[] = { "no", "n", "false", "disable", "disabled", "none" };
	static const char *const yes[] = { "yes", "y", "true", "on", "enable", "enabled" };
	const bool is_path = row->kind == KIND_PATH || row->kind == KIND_FILE_READ ||
			     row->kind == KIND_FILE_WRITE;
	char buf[TEXT_SHORT];

	if (n->plain && is_path && row->example != NULL && !has_off(row) &&
	    !key_is_word(row, n->text) && path_word(c, row, n))
		return false;
	/* Where `on` is a word as well, the words have a rule of their own (disk_rules.c). */
	if (!n->plain || !has_off(row) || key_is_word(row, n->text) || key_is_word(row, "on"))
		return true;
	if (strcmp(n->text, "true") == 0 && is_one_of(row, "on")) {
		n->text = "on";
		n->len = 2;
		return true;
	}
	if (strcmp(n->text, "false") == 0) {
		n->text = "off";
		n->len = 3;
		return true;
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		if (strcasecmp(n->text, no[i]) == 0) {
			diag_hint(check_fail(c, n, "'%s' is not off",
					     text_clean(buf, sizeof(buf), n->text, n->len)),
				  "write off");
			return false;
		}
	}
	for (size_t i = 0; row->kind == KIND_PATH && i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(n->text, yes[i]) == 0) {
			diag_hint(check_fail(c, n, "'%s' is not a path",
					     text_clean(buf, sizeof(buf), n->text, n->len)),
				  "write %s, or off",
				  row->def != NULL && row->def[0] == '/' ? row->def : "a path");
			return false;
		}
	}
	return true;
}
