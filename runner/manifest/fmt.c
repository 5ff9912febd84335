/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fmt.c - libyaml's events, with their places, and what is between them.
 *
 * Between two events are blanks, YAML's own signs, and comments: nothing else. So the text is taken
 * apart into values, which are printed anew or copied, and gaps, whose comments and empty lines go to the
 * lines around them.
 */
#include "runner/manifest/fmt.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "runner/manifest/arena.h"
#include "runner/manifest/emit.h"
#include "runner/manifest/source.h"
#include "runner/report/text.h"

enum { STEP = 2, DEPTH = SOURCE_DEPTH + 2, ALIGN_MAX = 80 };

enum part_type { PART_SCALAR, PART_MAP, PART_LIST };

/* A value in the text. */
struct part {
	enum part_type type;
	bool flow;  /* in braces or brackets; a scalar: within some */
	bool lines; /* more than one line */
	bool block; /* a scalar behind | or > */
	bool quoted;
	size_t start, end; /* of a collection in block style: its first to its last value */
	unsigned col;
	const char *anchor;  /* of a collection; of a scalar it is in the text */
	const char *value;   /* of a scalar */
	struct part **items; /* of a mapping: key, value, key ... */
	size_t count;
};

struct line {
	char *text;
	size_t n, room;
	const char *comment;
	size_t comment_len;
};

struct fmt {
	struct arena a;
	const char *text;
	size_t size;
	size_t *byte; /* of each character */
	size_t chars;
	yaml_parser_t yaml;
	struct line **lines;
	size_t count;
	size_t pos; /* what is before is done with */
	bool blank; /* an empty line is due */
	struct {
		unsigned col, indent;
	} level[DEPTH]; /* of the last item: where it was, and where it is */
	unsigned depth;
	FILE *comments; /* all of them, to compare */
	const char *why;
	bool no_memory;
};

/* ---- reading ---- */

static bool index_bytes(struct fmt *f)
{
	f->byte = arena_alloc(&f->a, (f->size + 2) * sizeof(*f->byte));
	for (size_t i = 0; f->byte != NULL && i < f->size;) {
		uint32_t c;
		const size_t n = utf8_next(f->text + i, f->size - i, &c);

		f->byte[f->chars++] = i;
		i += n > 0 ? n : 1;
	}
	if (f->byte != NULL)
		f->byte[f->chars] = f->size;
	f->no_memory |= f->byte == NULL;
	return f->byte != NULL;
}

static size_t offset(const struct fmt *f, yaml_mark_t m)
{
	return f->byte[m.index < f->chars ? m.index : f->chars];
}

static struct part *read_part(struct fmt *f, yaml_event_t *ev, bool flow);

/* What is in a collection up to its end. */
static void read_items(struct fmt *f, struct part *p)
{
	while (!f->no_memory && f->why == NULL) {
		struct part *item;
		yaml_event_t ev;
		void **list;
		bool end;

		if (yaml_parser_parse(&f->yaml, &ev) == 0) {
			f->why = "it is not YAML";
			return;
		}
		end = ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT;
		if (end && p->flow)
			p->end = offset(f, ev.end_mark);
		item = end ? NULL : read_part(f, &ev, p->flow);
		yaml_event_delete(&ev);
		if (end || item == NULL)
			return;
		list = arena_grow(&f->a, (void **)p->items, p->count);
		f->no_memory |= list == NULL;
		if (list == NULL)
			return;
		p->items = (struct part **)list;
		p->items[p->count++] = item;
		if (!p->flow && item->end > p->end)
			p->end = item->end;
	}
}

static void read_scalar(struct fmt *f, struct part *p, const yaml_event_t *ev)
{
	const yaml_scalar_style_t style = ev->data.scalar.style;

	p->block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
	p->quoted = style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
		    style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	p->value = arena_copy(&f->a, (const char *)ev->data.scalar.value, ev->data.scalar.length);
	f->no_memory |= p->value == NULL;
	if (ev->data.scalar.anchor != NULL ||
	    strlen((const char *)ev->data.scalar.value) != ev->data.scalar.length)
		p->quoted = false; /* as it stands */
	if (!p->block)
		return;
	/* The empty lines behind it are its own only when it says so. */
	while (p->end > p->start && strchr(" \t", f->text[p->end - 1]) != NULL)
		p->end--;
	if (memchr(f->text + p->start, '+', strcspn(f->text + p->start, "\n#")) != NULL)
		return;
	for (size_t i = p->end; i > p->start && strchr(" \t\r\n", f->text[i - 1]) != NULL; i--)
		if (f->text[i - 1] == '\n')
			p->end = i;
}

static struct part *read_part(struct fmt *f, yaml_event_t *ev, bool flow)
{
	struct part *p = arena_alloc(&f->a, sizeof(*p));
	const yaml_char_t *anchor = NULL;

	f->no_memory |= p == NULL;
	if (p == NULL)
		return NULL;
	p->start = offset(f, ev->start_mark);
	p->end = offset(f, ev->end_mark);
	p->col = (unsigned)ev->start_mark.column;
	p->flow = flow;
	if (ev->type == YAML_SCALAR_EVENT) {
		read_scalar(f, p, ev);
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		p->type = PART_MAP;
		p->flow = ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
		anchor = ev->data.mapping_start.anchor;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		p->type = PART_LIST;
		p->flow = ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
		anchor = ev->data.sequence_start.anchor;
	} else if (ev->type != YAML_ALIAS_EVENT) {
		f->why = "it has a form that is not known here";
		return NULL;
	}
	if (anchor != NULL)
		p->anchor = arena_copy(&f->a, (const char *)anchor, strlen((const char *)anchor));
	f->no_memory |= anchor != NULL && p->anchor == NULL;
	if (p->type != PART_SCALAR)
		read_items(f, p);
	p->lines = memchr(f->text + p->start, '\n', p->end - p->start) != NULL;
	/* The first value says where a block begins; an anchor may be a line before. */
	if (p->type != PART_SCALAR && !p->flow && p->anchor != NULL && p->count > 0)
		p->col = p->items[0]->col;
	return p;
}

/* ---- lines ---- */

static struct line *last(struct fmt *f)
{
	return f->lines[f->count - 1];
}

static void put(struct fmt *f, const char *s, size_t n)
{
	struct line *l = f->no_memory ? NULL : last(f);

	if (l != NULL && l->n + n > l->room) {
		const size_t room = 2 * (l->n + n) + 32;
		char *text = arena_alloc(&f->a, room);

		f->no_memory |= text == NULL;
		if (text == NULL)
			return;
		if (l->n > 0)
			memcpy(text, l->text, l->n);
		l->text = text;
		l->room = room;
	}
	if (l == NULL || n == 0)
		return;
	memcpy(l->text + l->n, s, n);
	l->n += n;
}

static void puts_(struct fmt *f, const char *s)
{
	put(f, s, strlen(s));
}

static void new_line(struct fmt *f, unsigned indent)
{
	struct line *l = arena_alloc(&f->a, sizeof(*l));
	void **list = arena_grow(&f->a, (void **)f->lines, f->count);

	f->no_memory |= l == NULL || list == NULL;
	if (l == NULL || list == NULL)
		return;
	f->lines = (struct line **)list;
	f->lines[f->count++] = l;
	for (unsigned i = 0; i < indent; i++)
		put(f, " ", 1);
}

/* An empty line where one was, but not at the beginning. */
static void put_blank(struct fmt *f)
{
	if (f->blank && f->count > 0)
		new_line(f, 0);
	f->blank = false;
}

/* A line with a comment before the last one, indented as that is. */
static void comment_before(struct fmt *f, const char *s, size_t n)
{
	struct line *l = last(f), *c;
	size_t indent = 0;

	while (indent < l->n && l->text[indent] == ' ')
		indent++;
	new_line(f, (unsigned)indent);
	put(f, s, n);
	if (f->no_memory)
		return;
	c = last(f);
	f->lines[f->count - 1] = l;
	f->lines[f->count - 2] = c;
}

static void comment_behind(struct fmt *f, const char *s, size_t n)
{
	if (f->no_memory)
		return;
	if (last(f)->comment != NULL) {
		comment_before(f, s, n);
		return;
	}
	last(f)->comment = s;
	last(f)->comment_len = n;
}

/* ---- gaps ---- */

/* Where a comment at column @col goes, before an item at @next_col that goes to @next. */
static unsigned comment_indent(const struct fmt *f, unsigned col, unsigned next_col, unsigned next)
{
	unsigned indent = next;

	for (unsigned i = 0; col > next_col && i < f->depth; i++)
		if (f->level[i].col <= col && f->level[i].indent > indent)
			indent = f->level[i].indent;
	return indent;
}

/* What is before an item, or, @inside, between a key and its value on one line. */
struct gap {
	size_t to;
	unsigned col, indent;
	bool inside;
};

static size_t take_comment(struct fmt *f, const struct gap *g, size_t at, bool own, unsigned col)
{
	const char *s = f->text + at, *nl = memchr(s, '\n', f->size - at);
	size_t n = nl != NULL ? (size_t)(nl - s) : f->size - at;
	const size_t whole = n;

	while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
		n--;
	if (f->comments != NULL)
		(void)fprintf(f->comments, "%.*s\n", (int)n, s);
	if (own && g->inside) {
		comment_before(f, s, n);
	} else if (own) {
		put_blank(f);
		new_line(f, comment_indent(f, col, g->col, g->indent));
		put(f, s, n);
	} else {
		comment_behind(f, s, n);
	}
	return at + whole;
}

static void take_gap(struct fmt *f, const struct gap *g)
{
	size_t i = f->pos, begin = i;
	bool own = i == 0 || f->text[i - 1] == '\n'; /* nothing on this line yet */
	bool same = !own;                            /* still on the line of what is before */

	while (i < g->to && !f->no_memory) {
		const char *s = f->text + i;

		if (*s == '\n') {
			f->blank |= own;
			own = true;
			same = false;
			begin = ++i;
		} else if (strchr(" \t\r", *s) != NULL) {
			i++;
		} else if (*s == '#') {
			i = take_comment(f, g, i, !same, (unsigned)(i - begin));
			begin = i < g->to ? ++i : i;
			own = true;
			same = false;
		} else if (own && i == begin && strncmp(s, "---", 3) == 0) {
			f->blank = false;
			new_line(f, 0);
			puts_(f, "---");
			f->depth = 0;
			own = false;
			same = true;
			i += 3;
		} else {
			if (*s == '?' || *s == '%' || *s == '.' || *s == '!')
				f->why = "it has a form that is not known here";
			own = false;
			i++;
		}
	}
	f->pos = g->to > f->pos ? g->to : f->pos;
	if (g->inside)
		f->blank = false;
}

/* ---- values ---- */

/* As it stands; what is on further lines moves as far as its beginning's line has. */
static void put_raw(struct fmt *f, const struct part *p, int shift)
{
	const char *s = f->text + p->start, *end = f->text + p->end;

	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s)), *stop = nl != NULL ? nl : end;

		while (stop > s && stop[-1] == '\r')
			stop--;
		while (!p->block && nl != NULL && stop > s && strchr(" \t", stop[-1]) != NULL)
			stop--;
		put(f, s, (size_t)(stop - s));
		if (nl == NULL || nl + 1 >= end)
			return;
		s = nl + 1;
		for (int i = shift; i < 0 && s < end && *s == ' '; i++)
			s++;
		new_line(f, shift > 0 && *s != '\n' && *s != '\r' ? (unsigned)shift : 0);
	}
}

static void put_scalar(struct fmt *f, const struct part *p, int shift)
{
	if (p->quoted && !p->lines && emit_is_plain(p->value) &&
	    !(p->flow && strchr(p->value, ',') != NULL))
		puts_(f, p->value);
	else
		put_raw(f, p, shift);
}

static void put_flow(struct fmt *f, const struct part *p)
{
	const size_t step = p->type == PART_MAP ? 2 : 1;

	if (p->type == PART_SCALAR) {
		put_scalar(f, p, 0);
		return;
	}
	if (p->anchor != NULL) {
		puts_(f, "&");
		puts_(f, p->anchor);
		puts_(f, " ");
	}
	puts_(f, p->type == PART_MAP ? "{" : "[");
	for (size_t i = 0; i + step <= p->count; i += step) {
		if (i > 0)
			puts_(f, ", ");
		put_flow(f, p->items[i]);
		if (step == 1)
			continue;
		puts_(f, ": ");
		put_flow(f, p->items[i + 1]);
	}
	puts_(f, p->type == PART_MAP ? "}" : "]");
}

static bool is_inline(const struct part *p)
{
	return p->type == PART_SCALAR || p->flow;
}

/* What is on the line that was begun: a value without a block of its own. */
static void put_inline(struct fmt *f, const struct part *p, int shift)
{
	if (p->type == PART_SCALAR)
		put_scalar(f, p, shift);
	else if (p->lines)
		put_raw(f, p, shift);
	else
		put_flow(f, p);
	f->pos = p->end;
}

static void put_block(struct fmt *f, const struct part *p, unsigned indent, unsigned depth,
		      bool begun);

/* Behind "key:" or "-", which is at @indent. */
static void put_value(struct fmt *f, const struct part *p, unsigned indent, unsigned depth,
		      int shift)
{
	if (p->type == PART_SCALAR && p->start == p->end)
		return;
	if (is_inline(p)) {
		take_gap(f, &(struct gap){ .to = p->start, .inside = true });
		put(f, " ", 1);
		put_inline(f, p, shift);
		return;
	}
	if (p->anchor != NULL) {
		take_gap(f, &(struct gap){ .to = p->start, .inside = true });
		puts_(f, " &");
		puts_(f, p->anchor);
		f->pos = p->start + strlen(p->anchor) + 1;
	}
	put_block(f, p, indent + STEP, depth, false);
}

static void begin_item(struct fmt *f, const struct part *p, const struct part *item,
		       unsigned indent, bool begun)
{
	if (begun)
		return;
	take_gap(f, &(struct gap){ .to = item->start, .col = p->col, .indent = indent });
	put_blank(f);
	new_line(f, indent);
}

static void put_entry(struct fmt *f, const struct part *item, unsigned indent, unsigned depth,
		      int shift)
{
	puts_(f, "-");
	if (is_inline(item) || item->anchor != NULL) {
		put_value(f, item, indent, depth, shift);
		return;
	}
	put(f, " ", 1);
	put_block(f, item, indent + STEP, depth, true);
}

/* @begun: the line of the first item is, by "- ". */
static void put_block(struct fmt *f, const struct part *p, unsigned indent, unsigned depth,
		      bool begun)
{
	const size_t step = p->type == PART_MAP ? 2 : 1;
	const int shift = (int)indent - (int)p->col;

	for (size_t i = 0; i + step <= p->count && f->why == NULL && !f->no_memory; i += step) {
		begin_item(f, p, p->items[i], indent, begun && i == 0);
		if (depth < DEPTH) {
			f->level[depth].col = p->col;
			f->level[depth].indent = indent;
			f->depth = depth + 1;
		}
		if (step == 1) {
			put_entry(f, p->items[i], indent, depth + 1, shift);
			continue;
		}
		if (!is_inline(p->items[i]) || p->items[i]->lines)
			f->why = "a key of it is on several lines";
		put_inline(f, p->items[i], shift);
		puts_(f, ":");
		put_value(f, p->items[i + 1], indent, depth + 1, shift);
	}
}

static void put_document(struct fmt *f, const struct part *p)
{
	f->depth = 0;
	if (!is_inline(p) && p->anchor == NULL) {
		put_block(f, p, 0, 0, false);
		return;
	}
	if (p->anchor != NULL)
		f->why = "a document of it has an anchor";
	take_gap(f, &(struct gap){ .to = p->start });
	if (p->type == PART_SCALAR && p->start == p->end)
		return;
	put_blank(f);
	new_line(f, 0);
	put_inline(f, p, 0);
}

/* ---- all of it ---- */

static void read_all(struct fmt *f)
{
	yaml_event_type_t type = YAML_NO_EVENT;

	while (type != YAML_STREAM_END_EVENT && f->why == NULL && !f->no_memory) {
		const struct part *p = NULL;
		yaml_event_t ev;

		if (yaml_parser_parse(&f->yaml, &ev) == 0) {
			f->why = "it is not YAML";
			return;
		}
		type = ev.type;
		if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
		    type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT)
			p = read_part(f, &ev, false);
		yaml_event_delete(&ev);
		if (p != NULL)
			put_document(f, p);
	}
	take_gap(f, &(struct gap){ .to = f->size });
}

static unsigned width(const struct line *l)
{
	unsigned cols = 0;

	for (size_t i = 0; i < l->n;) {
		uint32_t c = 0;
		const size_t n = utf8_next(l->text + i, l->n - i, &c);

		cols += n > 0 ? utf8_width(c) : 1;
		i += n > 0 ? n : 1;
	}
	return cols;
}

/* Comments behind neighbouring lines stand one under the other. */
static unsigned align_at(const struct fmt *f, size_t i, size_t *ret_end)
{
	unsigned most = 0;

	for (; i < f->count && f->lines[i]->comment != NULL; i++)
		most = width(f->lines[i]) > most ? width(f->lines[i]) : most;
	*ret_end = i;
	return most;
}

static void write_lines(const struct fmt *f, FILE *out)
{
	unsigned at = 0;
	size_t end = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct line *l = f->lines[i];

		(void)fwrite(l->text != NULL ? l->text : "", 1, l->n, out);
		if (l->comment != NULL && i >= end)
			at = align_at(f, i, &end);
		if (l->comment != NULL)
			(void)fprintf(out, "%*s%.*s",
				      2 + (at <= ALIGN_MAX ? (int)(at - width(l)) : 0), "",
				      (int)l->comment_len, l->comment);
		(void)fputc('\n', out);
	}
}

/* A run over the text; the caller frees what comes of it. NULL: f->no_memory, or f->why. */
static char *format(struct fmt *f, const char *text, size_t size, size_t *ret_size)
{
	char *made = NULL;
	FILE *out;

	f->text = text;
	f->size = size;
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\r' && !(i + 1 < size && text[i + 1] == '\n'))
			f->why = "its lines end in two ways";
	if (f->why != NULL || !index_bytes(f) || yaml_parser_initialize(&f->yaml) == 0)
		return NULL;
	yaml_parser_set_encoding(&f->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&f->yaml, (const unsigned char *)text, size);
	read_all(f);
	yaml_parser_delete(&f->yaml);
	out = f->why == NULL && !f->no_memory ? open_memstream(&made, ret_size) : NULL;
	if (out == NULL)
		return NULL;
	write_lines(f, out);
	if (fclose(out) == 0)
		return made;
	free(made);
	return NULL;
}

/* ---- is it the same? ---- */

static bool same_node(const struct node *a, const struct node *b)
{
	if (a->type != b->type || a->count != b->count || a->len != b->len ||
	    memcmp(a->text, b->text, a->len) != 0)
		return false;
	if (a->plain != b->plain && !(b->plain && emit_is_plain(b->text)))
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_node(a->items[i], b->items[i]) ||
		    (a->keys != NULL && !same_node(a->keys[i], b->keys[i])))
			return false;
	return true;
}

static bool read_nodes(struct source *s, const char *text, size_t size, struct arena *a)
{
	struct diags d = { 0 };
	bool good = source_set(s, "", text, size, a, &d) == 0;

	(void)source_parse(s, a, &d);
	good = good && d.total == 0;
	diags_fini(&d);
	return good;
}

static bool same_values(const struct src_text *src, const char *made, size_t n)
{
	struct source *s = calloc(2, sizeof(*s));
	struct arena a = { 0 };
	bool same = s != NULL && read_nodes(&s[0], src->text, src->size, &a) &&
		    read_nodes(&s[1], made, n, &a) && s[0].doc_count == s[1].doc_count;

	for (size_t i = 0; same && i < s[0].doc_count; i++)
		same = same_node(s[0].docs[i], s[1].docs[i]);
	arena_fini(&a);
	free(s);
	return same;
}

/* One run, with its comments in *ret_comments, which the caller frees. */
static char *run(const char *text, size_t size, size_t *ret_size, char **ret_comments,
		 const char **ret_why)
{
	struct fmt f = { 0 };
	char *made = NULL;
	size_t n = 0;

	*ret_comments = NULL;
	f.comments = open_memstream(ret_comments, &n);
	if (f.comments != NULL)
		made = format(&f, text, size, ret_size);
	if (f.comments != NULL && fclose(f.comments) != 0)
		f.no_memory = true;
	*ret_why = f.why;
	arena_fini(&f.a);
	return made;
}

char *fmt_text(const struct src_text *src, size_t *ret_size, const char **ret_why)
{
	char *comments, *again_comments = NULL, *again = NULL;
	char *made = run(src->text, src->size, ret_size, &comments, ret_why);
	const char *why;
	size_t n = 0;

	if (made != NULL)
		again = run(made, *ret_size, &n, &again_comments, &why);
	if (made != NULL && (again == NULL || n != *ret_size || memcmp(made, again, n) != 0 ||
			     strcmp(comments, again_comments) != 0 || !same_values(src, made, n))) {
		free(made);
		made = NULL;
		*ret_why = "it has a form that is not known here";
	}
	free(again);
	free(comments);
	free(again_comments);
	return made;
}
