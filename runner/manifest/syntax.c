/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax.c - find the slip behind what libyaml could not read.
 *
 * Two helpers know as much of YAML as that needs: lines, and a scanner that
 * tells quotes, comments and brackets from text. They may be wrong in odd
 * files; what they say is then the wrong advice about a real mistake.
 */
#include "runner/manifest/syntax.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "runner/report/text.h"

enum { DEEP = 64 }; /* brackets within brackets that are looked at */

/* ---- lines */

static bool is_break(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t line_start(const struct src_text *src, size_t at)
{
	while (at > 0 && !is_break(src->text[at - 1]))
		at--;
	return at;
}

static size_t line_end(const struct src_text *src, size_t at)
{
	while (at < src->size && !is_break(src->text[at]))
		at++;
	return at;
}

/* The mark of @len bytes at offset @at. */
static struct mark mark_at(const struct src_text *src, size_t at, size_t len)
{
	struct mark m = { .line = 1, .col = 1, .width = 1, .src = src };
	size_t start = line_start(src, at), end = line_end(src, at);

	for (size_t i = 0; i < start; i++)
		m.line +=
			src->text[i] == '\n' ||
			(src->text[i] == '\r' && !(i + 1 < src->size && src->text[i + 1] == '\n'));
	m.col += (unsigned)(at - start);
	if (len > end - at)
		len = end - at;
	if (len > 1)
		m.width = (unsigned)len;
	return m;
}

/* A line: what it says begins behind its indentation and the dashes of lists. */
struct line {
	size_t start, body, end; /* end: without the comment and blanks behind */
};

static struct line line_of(const struct src_text *src, size_t at)
{
	struct line l = { .start = line_start(src, at), .end = line_end(src, at) };
	const char *t = src->text;

	for (size_t i = l.start; i < l.end; i++) {
		if (t[i] == '#' && (i == l.start || is_blank(t[i - 1])))
			l.end = i;
	}
	while (l.end > l.start && is_blank(t[l.end - 1]))
		l.end--;
	l.body = l.start;
	while (l.body < l.end &&
	       (is_blank(t[l.body]) || ((t[l.body] == '-' || t[l.body] == '?') &&
					l.body + 1 < l.end && is_blank(t[l.body + 1]))))
		l.body++;
	return l;
}

/* The line before @l that says something; false at the beginning of the document. */
static bool line_before(const struct src_text *src, struct line *l)
{
	while (l->start > 0) {
		size_t at = l->start - 1;

		if (src->text[at] == '\n' && at > 0 && src->text[at - 1] == '\r')
			at--;
		*l = line_of(src, at);
		/* Another document. */
		if (l->end - l->start >= 3 && (memcmp(src->text + l->start, "---", 3) == 0 ||
					       memcmp(src->text + l->start, "...", 3) == 0))
			return false;
		if (l->body < l->end)
			return true;
	}
	return false;
}

/* ---- a scanner for quotes, brackets and comments */

enum piece { PIECE_END, PIECE_QUOTE, PIECE_OPEN, PIECE_CLOSE, PIECE_COMMENT };

struct scan {
	const struct src_text *src;
	size_t at;
	bool fresh; /* a value may begin here */
	unsigned depth;
};

static char peek(const struct scan *s, size_t n)
{
	return s->at + n < s->src->size ? s->src->text[s->at + n] : '\n';
}

static bool ends_word(char c)
{
	return is_blank(c) || is_break(c);
}

/* Go behind the quotes that begin here. */
static void skip_quote(struct scan *s)
{
	char quote = peek(s, 0);

	for (s->at++; s->at < s->src->size; s->at++) {
		if (peek(s, 0) == '\\' && quote == '"') {
			s->at++;
		} else if (peek(s, 0) == quote) {
			s->at++;
			if (quote != '\'' || peek(s, 0) != quote)
				return;
		}
	}
	if (s->at > s->src->size)
		s->at = s->src->size;
}

/* Go behind a text block whose '|' or '>' is here: the lines that are indented more. */
static void skip_block(struct scan *s)
{
	const struct src_text *src = s->src;
	struct line l = line_of(src, s->at);
	size_t indent = l.body - l.start;

	if (l.body == s->at) { /* "- |" */
		for (indent = 0; l.start + indent < s->at && src->text[l.start + indent] == ' ';)
			indent++;
	}
	for (s->at = line_end(src, s->at); s->at < src->size;) {
		size_t next = s->at + 1, n = 0;

		while (next + n < src->size && src->text[next + n] == ' ')
			n++;
		if (n <= indent && next + n < src->size && !is_break(src->text[next + n]))
			return;
		s->at = line_end(src, next + n);
	}
}

/* One character of text; what may begin behind it. */
static void step(struct scan *s)
{
	char c = peek(s, 0), next = peek(s, 1);

	if (is_break(c) || (s->depth > 0 && c == ','))
		s->fresh = true;
	else if (c == ':' &&
		 (ends_word(next) || (s->depth > 0 && strchr(",[]{}\"'", next) != NULL)))
		s->fresh = true;
	else if (s->fresh && (c == '-' || c == '?') && ends_word(next))
		s->fresh = true;
	else if (s->fresh && (c == '&' || c == '!'))
		while (!ends_word(peek(s, 1)))
			s->at++;
	else if (!is_blank(c))
		s->fresh = false;
	s->at++;
}

/* The next piece, from @ret_from to s->at. */
static enum piece next_piece(struct scan *s, size_t *ret_from)
{
	while (s->at < s->src->size) {
		char c = peek(s, 0);
		bool apart = s->at == 0 || ends_word(s->src->text[s->at - 1]);

		*ret_from = s->at;
		if (c == '#' && apart) {
			s->at = line_end(s->src, s->at);
			return PIECE_COMMENT;
		}
		if ((c == '"' || c == '\'') && s->fresh) {
			skip_quote(s);
			s->fresh = false;
			return PIECE_QUOTE;
		}
		if ((c == '[' || c == '{') && (s->fresh || s->depth > 0)) {
			s->depth++;
			s->at++;
			s->fresh = true;
			return PIECE_OPEN;
		}
		if ((c == ']' || c == '}') && s->depth > 0) {
			s->depth--;
			s->at++;
			s->fresh = false;
			return PIECE_CLOSE;
		}
		if ((c == '|' || c == '>') && s->fresh && s->depth == 0) {
			skip_block(s);
			s->fresh = true;
			continue;
		}
		step(s);
	}
	*ret_from = s->at;
	return PIECE_END;
}

/* Do the brackets that begin at @at end? */
static bool brackets_end(const struct src_text *src, size_t at)
{
	struct scan s = { .src = src, .at = at, .fresh = true };
	char open[DEEP];

	for (;;) {
		size_t from;

		switch (next_piece(&s, &from)) {
		case PIECE_OPEN:
			if (s.depth > DEEP)
				return true;
			open[s.depth - 1] = src->text[from];
			break;
		case PIECE_CLOSE:
			if ((open[s.depth] == '[') != (src->text[from] == ']'))
				return false;
			if (s.depth == 0)
				return true;
			break;
		case PIECE_END:
			return false;
		default:
			break;
		}
	}
}

/* Quotes, from their beginning to behind their end. */
struct quotes {
	size_t from, to;
	bool lines; /* more than one */
};

/* The last quotes that begin before @at; false: none. */
static bool quotes_before(const struct src_text *src, size_t at, struct quotes *ret)
{
	struct scan s = { .src = src, .fresh = true };
	bool found = false;
	enum piece p;
	size_t from;

	while ((p = next_piece(&s, &from)) != PIECE_END && from < at) {
		if (p != PIECE_QUOTE)
			continue;
		found = true;
		*ret = (struct quotes){ .from = from, .to = s.at };
		ret->lines = line_end(src, from) < s.at;
	}
	return found;
}

/* ---- messages */

static struct diag *say(const struct syntax_error *e, struct diags *d, size_t at, size_t len,
			const char *msg)
{
	return diag_add(d, mark_at(e->src, at, len), NULL, "not YAML: %s", msg);
}

static void say_other(const struct syntax_error *e, struct diag *g, size_t at, const char *msg)
{
	if (mark_at(e->src, at, 1).line != g->at.line)
		diag_other(g, mark_at(e->src, at, 1), "%s", msg);
}

struct diag *syntax_lookalike(struct diags *d, struct mark at, const char *path,
			      const struct lookalike *l)
{
	struct diag *g;

	if (l->c == 0xfeff) {
		g = diag_add(d, at, path, "%s, which cannot be seen", l->name);
		diag_hint(g, "delete it; only a file's first character may be one");
	} else if (l->look == LOOK_HIDDEN || l->look == LOOK_BLANK) {
		g = diag_add(d, at, path, "%s, which %s", l->name,
			     l->look == LOOK_HIDDEN ? "cannot be seen" : "is no blank to YAML");
		diag_hint(g, "%s; where it is meant, write \\%c%0*X in double quotes",
			  l->look == LOOK_HIDDEN ? "delete it" : "write an ordinary blank",
			  l->c > 0xffff ? 'U' : 'u', l->c > 0xffff ? 8 : 4, l->c);
	} else {
		g = diag_add(d, at, path, "%s, which looks like %s%s%s", l->name,
			     l->like[0] == '\'' ? "\"" : "'", l->like,
			     l->like[0] == '\'' ? "\"" : "'");
		diag_hint(g, "write %s", l->like);
	}
	return g;
}

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

bool syntax_pair(const char *s, size_t n, bool rest, char *ret, size_t size)
{
	size_t key = 0, value, end;
	char clean[TEXT_SHORT];

	while (key < n && is_key_char(s[key]))
		key++;
	value = key;
	while (value < n && is_blank(s[value]))
		value++;
	if (value < n && (s[value] == ':' || s[value] == '='))
		value++;
	while (value < n && is_blank(s[value]))
		value++;
	for (end = value; end < n && (rest || !is_blank(s[end]));)
		end++;
	if (key == 0 || key >= TEXT_SHORT || value == key || value >= n)
		return false;
	(void)snprintf(ret, size, "%.*s: %s", (int)key, s,
		       text_clean(clean, sizeof(clean), s + value, end - value));
	return true;
}

/* Text at [from, to) that should be a key and a value. */
static void say_pair(const struct syntax_error *e, struct diags *d, size_t from, size_t to)
{
	const char *text = e->src->text + from;
	size_t n = to - from, key = 0;
	char pair[2 * TEXT_SHORT + 4];
	struct diag *g;

	while (key < n && is_key_char(text[key]))
		key++;
	if (n > 1 && text[0] == '-' && text[1] != '-') {
		g = say(e, d, from, 1, "a '-' without a blank behind it");
		diag_hint(g, "write '- ' before each entry of a list");
	} else if (key > 0 && key + 1 < n && text[key] == ':') {
		g = say(e, d, from, key + 1, "a ':' without a blank behind it");
		if (syntax_pair(text, n, true, pair, sizeof(pair)))
			diag_hint(g, "write '%s'", pair);
	} else {
		g = say(e, d, from, n, "a key without ':'");
		if (syntax_pair(text, n, true, pair, sizeof(pair)))
			diag_hint(g, "write '%s'", pair);
		else
			diag_hint(g, "write 'key: value'");
	}
}

/* Has the text [from, to) a ':' that YAML takes for one? */
static bool has_colon(const struct src_text *src, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (src->text[i] == ':' && (i + 1 == to || is_blank(src->text[i + 1])))
			return true;
	}
	return false;
}

/* Does the line of @at begin with a '-' that has no blank behind it? `-{a: b}` is a key, "-{a". */
static bool dash_slip(const struct syntax_error *e, struct diags *d, size_t at)
{
	const struct line l = line_of(e->src, at);
	const char *t = e->src->text + l.body;

	if (l.end - l.body < 2 || t[0] != '-' || t[1] == '-' || is_blank(t[1]))
		return false;
	say_pair(e, d, l.body, l.end);
	return true;
}

/* "a ':' that cannot be here", at e->at: the slip may be in a line before. */
static bool colon_slip(const struct syntax_error *e, struct diags *d)
{
	const char *t = e->src->text;
	struct line here = line_of(e->src, e->at), l = here;
	size_t column = here.body - here.start, best = SIZE_MAX, best_end = 0;

	if (dash_slip(e, d, e->at))
		return true;
	if (has_colon(e->src, here.body, e->at < here.end ? e->at : here.end))
		return false;
	while (line_before(e->src, &l)) {
		bool dash = t[l.body] == '-' && l.body - l.start < column;

		if (!dash && (l.body - l.start != column || has_colon(e->src, l.body, l.end)))
			break;
		if (!is_key_char(t[l.body]))
			break;
		best = l.body;
		best_end = l.end;
		if (dash)
			break;
	}
	if (best == SIZE_MAX)
		return false;
	say_pair(e, d, best, best_end);
	return true;
}

/* A line that belongs to another language. */
static bool foreign_line(const struct syntax_error *e, struct diags *d, size_t at)
{
	static const struct {
		const char *text, *msg, *hint;
	} lines[] = {
		{ "//", "a comment of another language", "a comment begins with '#'" },
		{ "/*", "a comment of another language", "a comment begins with '#'" },
		{ "<<<<<<<", "a merge that was not finished", "keep one of the two versions" },
		{ "=======", "a merge that was not finished", "keep one of the two versions" },
		{ ">>>>>>>", "a merge that was not finished", "keep one of the two versions" },
		{ "```", "the fence of a code block", "delete the line" },
		{ "~~~", "the fence of a code block", "delete the line" },
	};
	struct line l = line_of(e->src, at);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = strlen(lines[i].text);

		if (l.end - l.body >= len &&
		    memcmp(e->src->text + l.body, lines[i].text, len) == 0) {
			diag_hint(say(e, d, l.body, len, lines[i].msg), "%s", lines[i].hint);
			return true;
		}
	}
	/* "a": 1, // like this */
	for (size_t i = l.body; i + 1 < l.end; i++) {
		size_t before = i;

		if (e->src->text[i] != '/' || strchr("/*", e->src->text[i + 1]) == NULL)
			continue;
		while (before > l.body && is_blank(e->src->text[before - 1]))
			before--;
		if (before < i && before > l.body &&
		    strchr(",:[]{}\"", e->src->text[before - 1]) != NULL) {
			diag_hint(say(e, d, i, 2, lines[0].msg), "%s", lines[0].hint);
			return true;
		}
	}
	return false;
}

/* Could the look-alike at @at in line @l be what stopped libyaml? */
static bool is_culprit(const struct syntax_error *e, const struct line *l, size_t at,
		       const struct lookalike *look)
{
	const char *t = e->src->text;
	char like = look->like[0];

	if (look->look != LOOK_MARK)
		return look->look != LOOK_LETTER;
	if (like == ':')
		return !has_colon(e->src, l->body, at);
	if (like == '-')
		return at == l->body;
	if (at == l->body || (strchr(",]}", like) != NULL && strstr(e->problem, "',' or") != NULL))
		return true;
	return strchr("\"',[]{}#", like) != NULL && strchr(" \t,[{", t[at - 1]) != NULL;
}

static bool lookalike_line(const struct syntax_error *e, struct diags *d, size_t at)
{
	struct line l = line_of(e->src, at);
	struct lookalike look;

	for (size_t i = l.start; i < l.end;) {
		i += lookalike_in(e->src->text + i, l.end - i, LOOK_HIDDEN | LOOK_BLANK | LOOK_MARK,
				  &look);
		if (i < l.end && is_culprit(e, &l, i, &look)) {
			(void)syntax_lookalike(d, mark_at(e->src, i, 1), NULL, &look);
			return true;
		}
		/* Behind this one, whatever it is. */
		for (i += i < l.end; i < l.end && ((unsigned char)e->src->text[i] & 0xc0) == 0x80;)
			i++;
	}
	return false;
}

/* The lines from the last thing that was read to where it ended. */
static bool line_slip(const struct syntax_error *e, struct diags *d)
{
	size_t at = e->last < e->at ? e->last : e->at;

	if (e->context != NULL && strcmp(e->context, "while scanning a simple key") == 0 &&
	    e->context_at < at)
		at = e->context_at;
	while (at <= e->at) {
		if (foreign_line(e, d, at) || lookalike_line(e, d, at))
			return true;
		at = line_end(e->src, at) + 1;
	}
	return false;
}

static bool quote_slip(const struct syntax_error *e, struct diags *d)
{
	bool inside = e->context != NULL &&
		      strcmp(e->context, "while scanning a quoted scalar") == 0 &&
		      strstr(e->problem, "unexpected") != NULL;
	struct quotes q;
	struct diag *g;
	char c;

	if (inside) {
		g = say(e, d, e->context_at, 1, "quotes that are not closed");
		if (e->at < e->src->size)
			say_other(e, g, e->at, "the document ends here");
		diag_hint(g, "put a %c behind the text", e->src->text[e->context_at]);
		return true;
	}
	if (!quotes_before(e->src, e->at, &q) || q.to > e->at ||
	    line_start(e->src, q.to - 1) != line_start(e->src, e->at))
		return false;
	c = e->src->text[q.from];
	if (q.lines) {
		g = say(e, d, q.from, 1, "quotes that are not closed");
		say_other(e, g, q.to - 1, "they end at the next one");
		diag_hint(g, "put a %c behind the text", c);
		return true;
	}
	for (size_t i = q.to; i < e->at; i++) {
		if (!is_blank(e->src->text[i]))
			return false;
	}
	if (e->at >= e->src->size || strchr(":,]}\r\n", e->src->text[e->at]) != NULL)
		return false;
	g = say(e, d, e->at, 1, "text behind the closing quote");
	diag_hint(g, c == '\'' ? "inside single quotes, a quote is written twice: ''"
			       : "inside double quotes, a quote is written \\\"");
	return true;
}

/* Brackets or braces at e->context_at that did not go on at e->at as they must. */
static void say_brackets(const struct syntax_error *e, struct diags *d)
{
	bool list = strstr(e->problem, "']'") != NULL;
	const char *t = e->src->text;
	struct line here = line_of(e->src, e->at);
	struct diag *g;

	if (e->at > here.body && e->at < here.end && t[e->at] == '{' && t[e->at - 1] == '$') {
		g = say(e, d, e->at - 1, 2, "a variable without quotes between braces or brackets");
		diag_hint(g, "write \"${NAME}\" there: alone it is a number where one is due");
		return;
	}
	if (!brackets_end(e->src, e->context_at)) {
		g = say(e, d, e->context_at, 1,
			list ? "brackets that are not closed" : "braces that are not closed");
		say_other(e, g, e->at, "this does not belong into them");
		diag_hint(g,
			  list ? "put ']' behind the last entry" : "put '}' behind the last pair");
		return;
	}
	if (e->at < here.end && t[e->at] == ':' && has_colon(e->src, here.body, e->at)) {
		g = say(e, d, e->at, 1, "a ':' that cannot be here");
		diag_hint(g, "text that holds ': ' needs quotes");
		return;
	}
	/* The key before a ':' ran on from the line above. */
	g = say(e, d, e->at < here.end && t[e->at] == ':' ? here.body : e->at, 1,
		"a ',' is missing before this");
	say_other(e, g, e->context_at,
		  list ? "the brackets were opened here" : "the braces were opened here");
	diag_hint(g, list ? "put ',' between the entries" : "put ',' between the pairs");
}

/* What libyaml says, in words that help. */
static const struct {
	const char *problem, *msg, *hint;
} plain_words[] = {
	{ "mapping values are not allowed in this context", "a ':' that cannot be here",
	  "is the line indented as its neighbours are? Text that holds ': ' needs quotes" },
	{ "did not find expected key", "this does not fit the lines above it",
	  "the keys of one mapping begin in the same column" },
	{ "did not find expected '-' indicator", "this does not fit the list above it",
	  "the entries of one list begin with '-' in the same column" },
	{ "block sequence entries are not allowed in this context", "a list that cannot begin here",
	  "put it on the line after its key" },
	{ "found unknown escape character", "an escape that YAML does not know",
	  "in double quotes a backslash is written \\\\; or use single quotes" },
	{ "did not find expected node content", "a value is missing", "" },
	{ "found character that cannot start any token", "a character that cannot begin a value",
	  "text that begins with '@', '`' or '%' needs quotes" },
	{ "did not find expected <document start>", "text after the end of the document",
	  "separate documents by a line '---'" },
};

static void say_plain(const struct syntax_error *e, struct diags *d)
{
	struct diag *g = say(e, d, e->at, 1, e->problem);

	for (size_t i = 0; i < sizeof(plain_words) / sizeof(plain_words[0]); i++) {
		if (strcmp(e->problem, plain_words[i].problem) != 0)
			continue;
		(void)snprintf(g->msg, sizeof(g->msg), "not YAML: %s", plain_words[i].msg);
		diag_hint(g, "%s", plain_words[i].hint);
	}
	if (e->context == NULL || e->context_at >= e->at)
		return;
	if (strcmp(e->context, "while parsing a block mapping") == 0)
		say_other(e, g, e->context_at, "the mapping begins here");
	else if (strcmp(e->context, "while parsing a block collection") == 0)
		say_other(e, g, e->context_at, "the list begins here");
	else
		say_other(e, g, e->context_at, "it begins here");
}

void syntax_report(const struct syntax_error *e, struct diags *d)
{
	if ((e->at < e->src->size && e->src->text[e->at] == '\t') ||
	    strstr(e->problem, "tab character") != NULL) {
		diag_hint(diag_add(d, mark_at(e->src, e->at, 1), NULL,
				   "a tab where YAML wants blanks"),
			  "indent with blanks only");
		return;
	}
	if (line_slip(e, d) || quote_slip(e, d))
		return;
	if (strcmp(e->problem, "could not find expected ':'") == 0) {
		struct line l = line_of(e->src, e->context_at);

		say_pair(e, d, e->context_at, l.end > e->context_at ? l.end : e->context_at + 1);
	} else if (strncmp(e->problem, "did not find expected ',' or", 28) == 0) {
		say_brackets(e, d);
	} else if (strncmp(e->problem, "mapping values are not", 22) == 0) {
		if (!colon_slip(e, d))
			say_plain(e, d);
	} else if (strncmp(e->problem, "did not find expected", 21) != 0 ||
		   (!dash_slip(e, d, e->at) &&
		    (e->context == NULL || !dash_slip(e, d, e->context_at)))) {
		say_plain(e, d);
	}
}
