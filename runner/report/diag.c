/* SPDX-License-Identifier: Apache-2.0 */
/* diag.c - collect mistakes; draw the line and the caret. */
#include "runner/report/diag.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/report/json.h"
#include "runner/report/lookalike.h"
#include "runner/report/text.h"

enum {
	VIEW = 100, /* columns of source shown at most */
	FAR = 4096, /* bytes of a line before a place; the rest is not looked at to draw it */
	TAB = 8,
};

static const char BOLD[] = "\033[1m", RED[] = "\033[31m", GREEN[] = "\033[32m",
		  YELLOW[] = "\033[33m", PLAIN[] = "\033[0m";

void diags_fini(struct diags *d)
{
	free(d->list);
	*d = (struct diags){ 0 };
}

static struct diag spare; /* for what is not kept */

/* Room for one more; false when there is none. */
static bool grow(struct diags *d)
{
	size_t room = d->room == 0 ? 4 : 2 * d->room;
	struct diag *list;

	if (d->count < d->room)
		return true;
	if (d->count >= DIAGS_MAX)
		return false;
	list = realloc(d->list, room * sizeof(*list));
	if (list == NULL)
		return false;
	d->list = list;
	d->room = room;
	return true;
}

static const struct src_text *src_of(const struct diags *d, struct mark at)
{
	return at.src != NULL ? at.src : d->src;
}

static bool same_place(struct mark a, struct mark b)
{
	return a.src == b.src && a.line == b.line && a.col == b.col;
}

/* Takes the last one back when it was said before of the same place, which is @at. */
static struct diag *drop_twice(struct diags *d, struct diag *g, struct mark at)
{
	for (size_t i = 0; g != &spare && i + 1 < d->count; i++) {
		if (!same_place(d->list[i].at, at) || strcmp(d->list[i].msg, g->msg) != 0)
			continue;
		spare = *g;
		d->total--;
		d->count--;
		return &spare;
	}
	return g;
}

struct diag *diag_vadd(struct diags *d, struct mark at, const char *path, const char *fmt,
		       va_list ap)
{
	struct diag *g = grow(d) ? &d->list[d->count++] : &spare;

	d->total++;
	*g = (struct diag){ .at = at };
	(void)snprintf(g->path, sizeof(g->path), "%s", path != NULL ? path : "");
	(void)vsnprintf(g->msg, sizeof(g->msg), fmt, ap);
	text_cleanse(g->path, sizeof(g->path));
	text_cleanse(g->msg, sizeof(g->msg));
	return src_of(d, at) != d->src ? drop_twice(d, g, at) : g;
}

struct diag *diag_vadd_alias(struct diags *d, struct mark at, struct mark from, const char *path,
			     const char *fmt, va_list ap)
{
	struct diag *g = drop_twice(d, diag_vadd(d, at, path, fmt, ap), from);

	diag_other(g, from, "what the alias stands for");
	return g;
}

struct diag *diag_add(struct diags *d, struct mark at, const char *path, const char *fmt, ...)
{
	struct diag *g;
	va_list ap;

	va_start(ap, fmt);
	g = diag_vadd(d, at, path, fmt, ap);
	va_end(ap);
	return g;
}

void diag_hint(struct diag *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(g->hint, sizeof(g->hint), fmt, ap);
	va_end(ap);
	text_cleanse(g->hint, sizeof(g->hint));
}

void diag_other(struct diag *g, struct mark at, const char *fmt, ...)
{
	va_list ap;

	g->other = at;
	va_start(ap, fmt);
	(void)vsnprintf(g->other_msg, sizeof(g->other_msg), fmt, ap);
	va_end(ap);
	text_cleanse(g->other_msg, sizeof(g->other_msg));
}

void diag_warn(struct diag *g, const char *rule, const char *why, const char *see)
{
	g->rule = rule;
	g->why = why;
	g->see = see;
}

/* Is @a behind @b? */
static bool is_behind(const struct diags *d, struct mark a, struct mark b)
{
	const struct src_text *x = src_of(d, a), *y = src_of(d, b);

	if (x != y)
		return y == d->src || (x != d->src && strcmp(x->name, y->name) > 0);
	return a.line > b.line || (a.line == b.line && a.col > b.col);
}

void diags_sort(struct diags *d)
{
	/* Insertion sort: at most DIAGS_MAX, nearly sorted, and stable. */
	for (size_t i = 1; i < d->count; i++) {
		struct diag g = d->list[i];
		size_t j = i;

		while (j > 0 && is_behind(d, d->list[j - 1].at, g.at)) {
			d->list[j] = d->list[j - 1];
			j--;
		}
		d->list[j] = g;
	}
}

static enum { AUTO, ALWAYS, NEVER } colour_when; /* set once, by the command line */

int colour_set(const char *when)
{
	static const char *const words[] = {
		[AUTO] = "auto", [ALWAYS] = "always", [NEVER] = "never"
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(when, words[i]) == 0) {
			colour_when = i;
			return 0;
		}
	return -1;
}

bool colour_wanted(FILE *f)
{
	/* Nobody here changes the environment. */
	const char *no = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe) */
	const char *term = getenv("TERM");   /* NOLINT(concurrency-mt-unsafe) */

	if (colour_when != AUTO)
		return colour_when == ALWAYS;
	return (no == NULL || no[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0 &&
	       isatty(fileno(f)) == 1;
}

/* Line @n of the text without its end, or NULL. */
static const char *find_line(const struct src_text *src, unsigned n, size_t *ret_len)
{
	const char *p = src->text, *end = src->text + src->size;

	for (; n > 1; n--) {
		while (p < end && *p != '\n' && *p != '\r')
			p++;
		if (p == end)
			return NULL;
		p += p + 1 < end && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
	}
	*ret_len = 0;
	while (p + *ret_len < end && p[*ret_len] != '\n' && p[*ret_len] != '\r')
		(*ret_len)++;
	return p;
}

/* The '#' of a comment in @s, which follows a value; @n when there is none. It has a blank in front of it, quotes do not. */
static size_t find_comment(const char *s, size_t n)
{
	char quote = '\0', before = '\0';

	for (size_t i = 0; i < n; before = s[i++]) {
		if (quote != '\0')
			quote = s[i] == quote ? '\0' : quote;
		else if ((s[i] == '"' || s[i] == '\'') && before != '\0' &&
			 strchr(" \t[{,:", before))
			quote = s[i];
		else if (s[i] == '#' && (before == ' ' || before == '\t'))
			return i;
	}
	return n;
}

void diag_hint_comment(struct diag *g, const struct src_text *src)
{
	size_t len, at;
	const char *line =
		g->at.line > 0 ? find_line(g->at.src != NULL ? g->at.src : src, g->at.line, &len)
			       : NULL;
	char clean[sizeof(g->hint)];

	if (line == NULL || g->at.col - 1 + g->at.width >= len)
		return;
	line += g->at.col - 1 + g->at.width;
	len -= g->at.col - 1 + g->at.width;
	for (at = find_comment(line, len); at < len && strchr("# \t", line[at]) != NULL; at++)
		;
	if (at < len)
		diag_hint(g, "the manifest says there: %s",
			  text_clean(clean, sizeof(clean) - 32, line + at, len - at));
}

/* The column in characters, from 1. */
static unsigned column(const struct src_text *src, struct mark at)
{
	size_t len, i = 0;
	const char *line = find_line(src, at.line, &len);
	unsigned col = 1;

	for (; line != NULL && i < len && i + 1 < at.col; col++) {
		uint32_t c;
		size_t n = utf8_next(line + i, len - i, &c);

		i += n > 0 ? n : 1;
	}
	/* Behind the text there are only bytes. */
	return i + 1 < at.col ? col + at.col - 1 - (unsigned)i : col;
}

/* One character of a source line as it is drawn: a tab is blanks, what cannot be shown is '?'. */
struct cell {
	const char *text;
	size_t bytes;  /* of the source */
	unsigned cols; /* on the screen */
};

/* Nothing is drawn for it. Joiners are left to the characters they join. */
static bool is_hidden(uint32_t c)
{
	struct lookalike l;

	return c >= 0x80 && lookalike_find(c, &l) && l.look == LOOK_HIDDEN && !lookalike_joins(c);
}

static struct cell cell_at(const char *s, size_t n, unsigned col)
{
	uint32_t c = 0;
	size_t len = utf8_next(s, n, &c);

	if (*s == '\t')
		return (struct cell){ .text = "", .bytes = 1, .cols = TAB - col % TAB };
	if (len == 0 || !utf8_printable(c) || is_hidden(c))
		return (struct cell){ .text = "?", .bytes = len > 0 ? len : 1, .cols = 1 };
	return (struct cell){ .text = s, .bytes = len, .cols = utf8_width(c) };
}

/* Screen column of byte @at of the line. */
static unsigned screen_col(const char *line, size_t len, size_t at)
{
	unsigned col = 0;

	for (size_t i = 0; i < len && i < at;) {
		struct cell c = cell_at(line + i, len - i, col);

		i += c.bytes;
		col += c.cols;
	}
	return col + (at > len ? (unsigned)(at - len > 1 ? 1 : 0) : 0);
}

/* The columns [from, from + VIEW) of the line. */
static void draw_line(FILE *f, const char *line, size_t len, unsigned from)
{
	unsigned col = 0;
	size_t i = 0;

	if (from > 0)
		(void)fputs("...", f);
	while (i < len) {
		struct cell c = cell_at(line + i, len - i, col);

		/* Marks that take no column may be many. */
		if (col + c.cols > from + VIEW || i > FAR + 8 * VIEW)
			break;
		if (col >= from && c.text[0] == '\0')
			(void)fprintf(f, "%*s", (int)c.cols, "");
		else if (col >= from)
			(void)fwrite(c.text, 1, c.text == line + i ? c.bytes : 1, f);
		col += c.cols;
		i += c.bytes;
	}
	if (i < len)
		(void)fputs("...", f);
	(void)fputc('\n', f);
}

static void draw(FILE *f, const struct src_text *src, struct mark at, bool colour)
{
	size_t len;
	const char *line = find_line(src, at.line, &len);
	unsigned col, end, from = 0;

	if (line == NULL)
		return;
	if (at.width > FAR)
		at.width = FAR;
	if (at.col > FAR && at.col <= len) {
		size_t skip = at.col - FAR / 2;

		while (((unsigned char)line[skip] & 0xc0) == 0x80)
			skip--;
		line += skip;
		len -= skip;
		at.col -= (unsigned)skip;
	}
	col = screen_col(line, len, at.col - 1);
	end = screen_col(line, len, at.col - 1 + at.width);
	if (col > VIEW - 20)
		from = col - VIEW / 2;
	if (end > from + VIEW)
		end = from + VIEW;
	(void)fprintf(f, "%5u | ", at.line);
	draw_line(f, line, len, from);
	(void)fprintf(f, "      | %*s%s^", (int)(col - from) + (from > 0 ? 3 : 0), "",
		      colour ? GREEN : "");
	for (unsigned i = col + 1; i < end; i++)
		(void)fputc('~', f);
	(void)fprintf(f, "%s\n", colour ? PLAIN : "");
}

static void print_place(FILE *f, const struct src_text *src, struct mark at, bool colour)
{
	char name[512];

	(void)fprintf(f, "%s%s", colour ? BOLD : "",
		      text_clean(name, sizeof(name), src->name, strlen(src->name)));
	if (at.line > 0)
		(void)fprintf(f, ":%u:%u", at.line, column(src, at));
	(void)fprintf(f, ":%s ", colour ? PLAIN : "");
}

static void print_message(FILE *f, const struct diag *g, bool colour)
{
	(void)fprintf(f, "%s%s", g->path, g->path[0] != '\0' ? ": " : "");
	if (g->rule != NULL)
		(void)fprintf(f, "%swarning: %s%s [%s]\n", colour ? YELLOW : "", g->msg,
			      colour ? PLAIN : "", g->rule);
	else
		(void)fprintf(f, "%s%s%s\n", colour ? RED : "", g->msg, colour ? PLAIN : "");
}

void diags_print(FILE *f, const struct diags *d, bool colour)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct diag *g = &d->list[i];

		if (g->folded)
			continue;
		print_place(f, src_of(d, g->at), g->at, colour);
		print_message(f, g, colour);
		if (g->at.line > 0)
			draw(f, src_of(d, g->at), g->at, colour);
		if (g->other.line > 0) {
			print_place(f, src_of(d, g->other), g->other, colour);
			(void)fprintf(f, "%s\n", g->other_msg);
			draw(f, src_of(d, g->other), g->other, colour);
		}
		if (g->why != NULL)
			(void)fprintf(f, "    why: %s\n", g->why);
		if (g->hint[0] != '\0')
			(void)fprintf(f, "   hint: %s\n", g->hint);
		if (g->see != NULL)
			(void)fprintf(f, "    see: %s\n", g->see);
	}
	if (d->total > d->count)
		(void)fprintf(f, "... and %zu more\n", d->total - d->count);
}

static void set_place(json_t *o, const struct src_text *src, struct mark at)
{
	if (at.line == 0)
		return;
	(void)json_object_set_new(o, "line", json_integer(at.line));
	(void)json_object_set_new(o, "column", json_integer(column(src, at)));
	(void)json_object_set_new(o, "byte", json_integer(at.col));
}

json_t *diags_json(const struct diags *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->count; i++) {
		const struct diag *g = &d->list[i];
		json_t *o = json_object();

		(void)json_object_set_new(o, "severity",
					  json_string(g->rule != NULL ? "warning" : "mistake"));
		(void)json_object_set_new(o, "file", json_text(src_of(d, g->at)->name));
		set_place(o, src_of(d, g->at), g->at);
		if (g->path[0] != '\0')
			(void)json_object_set_new(o, "path", json_text(g->path));
		(void)json_object_set_new(o, "message", json_text(g->msg));
		if (g->rule != NULL) {
			(void)json_object_set_new(o, "rule", json_text(g->rule));
			(void)json_object_set_new(o, "why", json_text(g->why));
			(void)json_object_set_new(o, "see", json_text(g->see));
		}
		if (g->hint[0] != '\0')
			(void)json_object_set_new(o, "hint", json_text(g->hint));
		if (g->other.line > 0) {
			json_t *other = json_object();

			if (src_of(d, g->other) != src_of(d, g->at))
				(void)json_object_set_new(other, "file",
							  json_text(src_of(d, g->other)->name));
			set_place(other, src_of(d, g->other), g->other);
			(void)json_object_set_new(other, "message", json_text(g->other_msg));
			(void)json_object_set_new(o, "other", other);
		}
		(void)json_array_append_new(list, o);
	}
	return list;
}
