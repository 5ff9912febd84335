/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - a document as YAML, with a comment behind each value: where it is from.
 *
 * In what emit.c writes, each key begins a line, and nothing else does: the tree is walked in the same
 * order, a line for a key.
 */
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/report/text.h"

struct lines {
	FILE *f;
	const char *at, *end; /* what is left of the text */
};

/* "web.yaml:3"; a default has no line. */
static void print_origin(FILE *f, const struct node *n)
{
	const struct mark at = node_origin(n);
	char clean[256];

	if ((n->implied && n->from.line == 0) || at.src == NULL) {
		(void)fputs("  # default", f);
		return;
	}
	(void)fprintf(f, "  # %s",
		      text_clean(clean, sizeof(clean), at.src->name, strlen(at.src->name)));
	if (at.src->name[0] != '-')
		(void)fprintf(f, ":%u", at.line);
}

/* The next line; @n: whose origin stands behind it, or NULL. */
static void put_line(struct lines *l, const struct node *n)
{
	const char *end = memchr(l->at, '\n', (size_t)(l->end - l->at));
	const size_t len = (size_t)((end != NULL ? end : l->end) - l->at);

	(void)fwrite(l->at, 1, len, l->f);
	if (n != NULL)
		print_origin(l->f, n);
	(void)fputc('\n', l->f);
	l->at += len + (end != NULL);
}

static void put_map(struct lines *l, const struct section *s, const struct node *map)
{
	for (size_t i = 0; i < s->count && l->at < l->end; i++) {
		const struct key *row = &s->keys[i];
		const struct node *n = node_find(map, row->field.key);

		if (n == NULL)
			continue;
		if (n->count == 0 || row->section == NULL) {
			put_line(l, n);
			continue;
		}
		put_line(l, NULL);
		if (n->type == NODE_MAP)
			put_map(l, row->section, n);
		for (size_t k = 0; n->type == NODE_LIST && k < n->count; k++)
			put_map(l, row->section, n->items[k]);
	}
}

int emit_origins(FILE *f, struct check *c, const struct node *root)
{
	char *text = NULL;
	size_t n = 0;
	FILE *mem = open_memstream(&text, &n);
	int ret = mem != NULL ? emit_yaml(mem, c, root, EMIT_EFFECTIVE) : -1;
	struct lines l;

	if (mem != NULL && fclose(mem) != 0)
		ret = -1;
	if (ret == 0) {
		l = (struct lines){ f, text, text + n };
		put_map(&l, &root_section, root);
		ret = ferror(f) ? -1 : 0;
	}
	free(text);
	return ret;
}
