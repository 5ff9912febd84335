/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.c - from bytes to trees.
 *
 * The text is looked at before libyaml sees it: UTF-8 only, no control
 * characters. libyaml counts columns in characters and knows line breaks that
 * editors do not show as such (NEL, U+2028); the first is converted, the second
 * refused, so that the places we name are the ones a person sees.
 */
#include "runner/manifest/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "runner/manifest/scalar.h"
#include "runner/manifest/syntax.h"
#include "runner/report/lookalike.h"
#include "runner/report/text.h"

static int no_memory(struct diags *d)
{
	(void)diag_add(d, (struct mark){ 0 }, NULL, "no memory for the manifest");
	return -1;
}

int source_set(struct source *s, const char *name, const char *text, size_t size, struct arena *a,
	       struct diags *d)
{
	*s = (struct source){ .src = { .name = name, .text = "" } };
	d->src = &s->src;
	s->src.name = arena_copy(a, name, strlen(name));
	if (s->src.name == NULL) {
		s->src.name = "manifest";
		return no_memory(d);
	}
	if (size > SOURCE_BYTES) {
		(void)diag_add(d, (struct mark){ 0 }, NULL, "larger than 1 MiB: not a manifest");
		return -1;
	}
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
	s->src.text = arena_copy(a, text, size);
	if (s->src.text == NULL) {
		s->src.text = "";
		return no_memory(d);
	}
	s->src.size = size;
	return 0;
}

/* All of @fd into @ret_buf, which the caller frees; at most SOURCE_BYTES + 1. -1 and errno. */
static ssize_t read_all(int fd, const struct stat *st, char **ret_buf)
{
	size_t guess = (size_t)st->st_size, got = 0;
	size_t room = guess < SOURCE_BYTES ? guess + 1 : SOURCE_BYTES + 1;
	char *buf = malloc(room);

	*ret_buf = buf;
	while (buf != NULL && got < SOURCE_BYTES + 1) {
		ssize_t n = read(fd, buf + got, room - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)got;
		got += (size_t)n;
		if (S_ISREG(st->st_mode) && got < room && got == guess)
			break;
		if (got < room || room == SOURCE_BYTES + 1)
			continue;
		/* A pipe, or a file that grows. */
		room = room < SOURCE_BYTES / 4 ? room * 4 + 4096 : SOURCE_BYTES + 1;
		buf = realloc(buf, room);
		if (buf == NULL)
			break;
		*ret_buf = buf;
	}
	return buf != NULL ? (ssize_t)got : -1;
}

static int cannot(struct source *s, struct diags *d, const char *what, int err)
{
	s->unreadable = true;
	(void)diag_add(d, (struct mark){ 0 }, NULL, "%s%s", what,
		       err != 0 ? strerrordesc_np(err) : "");
	return -1;
}

/* What @mode is when it cannot be a manifest. */
static const char *not_a_file(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "is a directory";
	case S_IFIFO:
		return "is a FIFO, not a file";
	case S_IFSOCK:
		return "is a socket, not a file";
	default:
		return "is a device, not a file";
	}
}

/* The descriptor that @path names: "-", /dev/stdin, /dev/fd/N, /proc/self/fd/N; or -1. */
static int named_fd(const char *path)
{
	static const char *const prefixes[] = { "/dev/fd/", "/proc/self/fd/" };
	uint64_t n = 0;

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
		return STDIN_FILENO;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(path, prefixes[i], len) == 0 &&
		    scalar_uint(path + len, &n) == SCALAR_OK && n <= INT_MAX)
			return (int)n;
	}
	return -1;
}

/*
 * Open @path when it is a regular file. To open anything else may wait or act: so it is looked at
 * through a descriptor that opens nothing, and what was looked at is what is read. -1: said.
 */
static int open_regular(struct source *s, const char *path, struct diags *d, struct stat *ret_st)
{
	int look = open(path, O_PATH | O_CLOEXEC), fd;
	char link[40];

	if (look < 0)
		return cannot(s, d, "cannot open it: ", errno);
	if (fstat(look, ret_st) < 0) {
		fd = cannot(s, d, "cannot look at it: ", errno);
	} else if (!S_ISREG(ret_st->st_mode)) {
		fd = cannot(s, d, not_a_file(ret_st->st_mode), 0);
	} else {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", look);
		fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd < 0)
			(void)cannot(s, d, "cannot open it: ", errno);
	}
	(void)close(look);
	return fd;
}

/* All of @fd, as the file that @s is called by. */
static int read_fd(struct source *s, int fd, const struct stat *st, struct arena *a,
		   struct diags *d)
{
	char *buf = NULL;
	ssize_t n = read_all(fd, st, &buf);
	int ret;

	if (buf == NULL)
		ret = no_memory(d);
	else if (n < 0)
		ret = cannot(s, d, "cannot read it: ", errno);
	else
		ret = source_set(s, s->src.name, buf, (size_t)n, a, d);
	free(buf);
	return ret;
}

int source_read_file(struct source *s, const char *path, struct arena *a, struct diags *d)
{
	struct stat st = { 0 };
	int fd, ret;

	if (source_set(s, path, "", 0, a, d) < 0)
		return -1;
	fd = open_regular(s, path, d, &st);
	if (fd < 0)
		return -1;
	ret = read_fd(s, fd, &st, a, d);
	(void)close(fd);
	return ret;
}

int source_read(struct source *s, const char *path, struct arena *a, struct diags *d)
{
	const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
	const int fd = named_fd(path);
	struct stat st = { 0 };

	if (fd < 0)
		return source_read_file(s, path, a, d);
	if (source_set(s, name, "", 0, a, d) < 0)
		return -1;
	return read_fd(s, fd, &st, a, d);
}

/* Why a character may not be in a manifest, or NULL. */
static const char *refuse_char(uint32_t c)
{
	if (c == '\n' || c == '\r' || c == '\t')
		return NULL;
	if (c == 0)
		return "a NUL byte";
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return "a control character";
	if (c == 0x2028 || c == 0x2029)
		return "an invisible line separator";
	if (!utf8_printable(c))
		return "an invisible character that changes how text is shown";
	return NULL;
}

static int check_bytes(const struct src_text *src, struct diags *d)
{
	struct mark at = { .line = 1, .col = 1, .width = 1, .src = src };
	struct lookalike bom;
	int ret = 0;

	for (size_t i = 0; i < src->size;) {
		const char *p = src->text + i;
		uint32_t c = 0;
		size_t len = utf8_next(p, src->size - i, &c);
		const char *why = len == 0 ? "not UTF-8" : refuse_char(c);

		if (why != NULL && len == 0) {
			struct diag *g = diag_add(d, at, NULL, "byte 0x%02x is not UTF-8",
						  (unsigned char)*p);

			diag_hint(g, "save the file as UTF-8");
			return -1; /* the rest is likely the same */
		}
		if (why != NULL || (c == 0xfeff && lookalike_find(c, &bom))) {
			if (why != NULL)
				(void)diag_add(d, at, NULL, "%s (U+%04X)", why, c);
			else
				(void)syntax_lookalike(d, at, NULL, &bom);
			ret = -1;
			if (d->total >= DIAGS_MAX)
				return -1;
		}
		at.col += (unsigned)len;
		i += len;
		if (c == '\n' || (c == '\r' && !(i < src->size && src->text[i] == '\n')))
			at = (struct mark){ at.line + 1, 1, 1, src };
	}
	return ret;
}

struct anchor {
	const char *name;
	struct mark at;
	struct node *node; /* NULL while it is being read */
};

/* What is needed while one file is read. */
struct reader {
	yaml_parser_t yaml;
	struct source *s;
	struct arena *a;
	struct diags *d;
	const size_t *lines; /* offsets of their beginnings */
	size_t line_count;
	size_t last_index, last_at; /* of the last mark: its characters, its bytes */
	size_t last_event;          /* where it begins */
	bool refused;               /* a character of this document; it is read to its end */
	struct anchor anchors[SOURCE_ANCHORS];
	size_t anchor_count;
};

static int index_lines(struct reader *r)
{
	const struct src_text *src = &r->s->src;
	size_t count = 1, *lines;

	for (size_t i = 0; i < src->size; i++)
		count += src->text[i] == '\n' || src->text[i] == '\r';
	lines = arena_alloc(r->a, (count + 1) * sizeof(*lines));
	if (lines == NULL)
		return no_memory(r->d);
	r->lines = lines;
	r->line_count = 1;
	for (size_t i = 0; i < src->size; i++) {
		if (src->text[i] == '\r' && i + 1 < src->size && src->text[i + 1] == '\n')
			continue;
		if (src->text[i] == '\n' || src->text[i] == '\r')
			lines[r->line_count++] = i + 1;
	}
	return 0;
}

/*
 * Offset in the text of a mark of libyaml's, which counts characters. The marks come nearly in order:
 * from one to the next is a short way, however long the line is.
 */
static size_t mark_offset(struct reader *r, yaml_mark_t m)
{
	const struct src_text *src = &r->s->src;

	for (; r->last_index < m.index && r->last_at < src->size; r->last_index++) {
		uint32_t c;
		size_t len = utf8_next(src->text + r->last_at, src->size - r->last_at, &c);

		r->last_at += len > 0 ? len : 1;
	}
	for (; r->last_index > m.index && r->last_at > 0; r->last_index--) {
		do {
			r->last_at--;
		} while (r->last_at > 0 && ((unsigned char)src->text[r->last_at] & 0xc0) == 0x80);
	}
	return r->last_at;
}

/* Where the text of a line ends, without its break. */
static size_t line_end(const struct reader *r, size_t line)
{
	const char *text = r->s->src.text;
	size_t end;

	if (line + 1 >= r->line_count)
		return r->s->src.size;
	end = r->lines[line + 1] - 1;
	return end > r->lines[line] && text[end] == '\n' && text[end - 1] == '\r' ? end - 1 : end;
}

static struct mark place(struct reader *r, yaml_mark_t from, yaml_mark_t to)
{
	size_t line = from.line < r->line_count ? from.line : r->line_count - 1;
	size_t a = mark_offset(r, from), b = mark_offset(r, to);
	size_t eol = line_end(r, line);

	if (b > eol)
		b = eol;
	return (struct mark){ .line = (unsigned)line + 1,
			      .col = (unsigned)(a - r->lines[line]) + 1,
			      .width = b > a ? (unsigned)(b - a) : 1,
			      .src = &r->s->src };
}

static int syntax_error(struct reader *r)
{
	const yaml_parser_t *y = &r->yaml;
	struct syntax_error e = {
		.src = &r->s->src,
		.problem = y->problem != NULL ? y->problem : "no reason given",
		.context = y->context,
		.last = r->last_event,
	};

	if (y->error == YAML_MEMORY_ERROR)
		return no_memory(r->d);
	/* One slip is one message. */
	if (r->refused)
		return -1;
	e.context_at = mark_offset(r, y->context_mark);
	e.at = mark_offset(r, y->problem_mark);
	syntax_report(&e, r->d);
	return -1;
}

/* The next event, or -1 with the mistake reported. */
static int next_event(struct reader *r, yaml_event_t *ev)
{
	if (yaml_parser_parse(&r->yaml, ev) == 0)
		return syntax_error(r);
	/* An empty value is where libyaml misses one, not what it has read. */
	if (ev->type != YAML_SCALAR_EVENT || ev->start_mark.index != ev->end_mark.index)
		r->last_event = mark_offset(r, ev->start_mark);
	return 0;
}

/* Count a node; false when there are too many. */
static bool count_node(struct reader *r, struct mark at)
{
	struct diag *g;

	if (++r->s->nodes <= SOURCE_NODES)
		return true;
	if (r->s->nodes == SOURCE_NODES + 1) {
		g = diag_add(r->d, at, NULL, "more than %d values in one file", SOURCE_NODES);
		diag_hint(g, "what an alias stands for counts each time");
	}
	return false;
}

/* A copy of @key without what is in it; it remembers where it is from. NULL: said. */
static struct node *copy_key(struct reader *r, const struct node *key, struct mark at)
{
	struct node *c = arena_alloc(r->a, sizeof(*c));

	if (c == NULL) {
		(void)no_memory(r->d);
		return NULL;
	}
	*c = *key;
	c->at = at;
	c->from = key->from.line > 0 ? key->from : key->at;
	return c;
}

/* A copy of @n for an alias at @at. NULL: said. */
static struct node *copy_node(struct reader *r, const struct node *n, struct mark at)
{
	struct node *c, *key = NULL;

	if (!count_node(r, at))
		return NULL;
	c = copy_key(r, n, at);
	if (c == NULL)
		return NULL;
	c->keys = c->items = NULL;
	c->count = 0;
	for (size_t i = 0; i < n->count; i++) {
		struct node *item = copy_node(r, n->items[i], at);

		if (item != NULL && n->keys != NULL)
			key = copy_key(r, n->keys[i], at);
		if (item == NULL || (n->keys != NULL && key == NULL))
			return NULL;
		if (node_append(r->a, c, key, item) < 0) {
			(void)no_memory(r->d);
			return NULL;
		}
	}
	return c;
}

static struct node *resolve_alias(struct reader *r, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	struct mark at = place(r, ev->start_mark, ev->end_mark);
	char clean[TEXT_SHORT];

	(void)text_clean(clean, sizeof(clean), name, strlen(name));
	for (size_t i = 0; i < r->anchor_count; i++) {
		struct anchor *an = &r->anchors[i];

		if (strcmp(an->name, name) != 0)
			continue;
		if (an->node != NULL)
			return copy_node(r, an->node, at);
		diag_other(diag_add(r->d, at, NULL, "'*%s' stands inside what it names", clean),
			   an->at, "'&%s' is here", clean);
		return NULL;
	}
	/* Its '&' may stand behind a character that was refused. */
	if (r->refused)
		return NULL;
	diag_hint(diag_add(r->d, at, NULL, "nothing is named '&%s'", clean),
		  "an anchor comes before its aliases, in the same document; text that begins with "
		  "'*' needs quotes");
	return NULL;
}

/* Note an anchor; its index, or -1 (none, or reported). */
static int open_anchor(struct reader *r, const yaml_char_t *name, struct mark at, bool *ret_bad)
{
	const char *s = (const char *)name;
	char clean[TEXT_SHORT];

	if (s == NULL)
		return -1;
	(void)text_clean(clean, sizeof(clean), s, strlen(s));
	*ret_bad = true;
	for (size_t i = 0; i < r->anchor_count; i++) {
		if (strcmp(r->anchors[i].name, s) == 0) {
			diag_other(
				diag_add(r->d, at, NULL, "the anchor '&%s' is there twice", clean),
				r->anchors[i].at, "the other one");
			return -1;
		}
	}
	if (r->anchor_count == SOURCE_ANCHORS) {
		(void)diag_add(r->d, at, NULL, "more than %d anchors in one document",
			       SOURCE_ANCHORS);
		return -1;
	}
	r->anchors[r->anchor_count].name = arena_copy(r->a, s, strlen(s));
	if (r->anchors[r->anchor_count].name == NULL) {
		(void)no_memory(r->d);
		return -1;
	}
	r->anchors[r->anchor_count].at = at;
	r->anchors[r->anchor_count].node = NULL;
	*ret_bad = false;
	return (int)r->anchor_count++;
}

static bool refuse_tag(struct reader *r, const yaml_char_t *tag, struct mark at)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *text = (const char *)tag;
	char clean[TEXT_SHORT];
	bool is_standard;

	if (tag == NULL)
		return false;
	/* As it was written: `!!str`. */
	is_standard = strncmp(text, standard, sizeof(standard) - 1) == 0;
	text += is_standard ? sizeof(standard) - 1 : 0;
	diag_hint(diag_add(r->d, at, NULL, "a tag ('%s%s') is not understood here",
			   is_standard ? "!!" : "",
			   text_clean(clean, sizeof(clean), text, strlen(text))),
		  "leave it out; text that begins with '!' needs quotes");
	return true;
}

static struct node *build(struct reader *r, yaml_event_t *ev, unsigned depth);

/* The entries of a list or the pairs of a map, up to its end. 0, or -1. */
static int build_items(struct reader *r, struct node *n, unsigned depth)
{
	struct node *key = NULL;

	for (;;) {
		struct node *item;
		yaml_event_t ev;
		bool end;

		if (next_event(r, &ev) < 0)
			return -1;
		end = ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT;
		item = end ? NULL : build(r, &ev, depth);
		yaml_event_delete(&ev);
		if (end)
			return 0;
		if (item == NULL)
			return -1;
		if (n->type == NODE_MAP && key == NULL) {
			key = item;
			continue;
		}
		if (node_append(r->a, n, key, item) < 0)
			return no_memory(r->d);
		key = NULL;
	}
}

/* The place of the byte at offset @at of the text. */
static struct mark place_byte(const struct reader *r, const yaml_mark_t *from, size_t at)
{
	size_t line = from->line;

	while (line + 1 < r->line_count && r->lines[line + 1] <= at)
		line++;
	return (struct mark){ .line = (unsigned)line + 1,
			      .col = (unsigned)(at - r->lines[line]) + 1,
			      .width = 1,
			      .src = &r->s->src };
}

/* Does text without quotes begin with a character that wants to be YAML's? */
static bool begins_wrong(const char *s, size_t n, struct lookalike *ret)
{
	uint32_t c = 0, next = 0;
	size_t len = utf8_next(s, n, &c);

	if (len < 2 || !lookalike_find(c, ret) || ret->look != LOOK_MARK)
		return false;
	(void)utf8_next(s + len, n - len, &next);
	if (ret->like[0] == '-')
		return next == ' ' || next == 0xa0;
	return strchr("\"'[]{}#&*!|>,:", ret->like[0]) != NULL;
}

/* Refuse characters that nobody sees, as they are written: an escape says that they are meant. */
static void refuse_lookalikes(struct reader *r, const yaml_event_t *ev)
{
	size_t at = mark_offset(r, ev->start_mark), end = mark_offset(r, ev->end_mark);
	bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	const char *text = r->s->src.text;
	struct lookalike l;

	if (plain && begins_wrong(text + at, end - at, &l)) {
		(void)syntax_lookalike(r->d, place_byte(r, &ev->start_mark, at), NULL, &l);
		r->refused = true;
		return;
	}
	while (r->d->total < DIAGS_MAX &&
	       (at += lookalike_in(text + at, end - at, LOOK_HIDDEN | LOOK_BLANK, &l)) < end) {
		(void)syntax_lookalike(r->d, place_byte(r, &ev->start_mark, at), NULL, &l);
		r->refused = true;
		/* One for a run of them. */
		while (at < end && (unsigned char)text[at] >= 0x80)
			at++;
	}
}

static bool is_ascii(const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] >= 0x80)
			return false;
	}
	return true;
}

static struct node *build_scalar(struct reader *r, const yaml_event_t *ev, struct mark at)
{
	struct node *n = node_new(r->a, NODE_SCALAR, at);

	if (n != NULL)
		n->text = arena_copy(r->a, (const char *)ev->data.scalar.value,
				     ev->data.scalar.length);
	if (n == NULL || n->text == NULL) {
		(void)no_memory(r->d);
		return NULL;
	}
	if (!is_ascii(ev->data.scalar.value, ev->data.scalar.length))
		refuse_lookalikes(r, ev);
	n->len = ev->data.scalar.length;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (n->len > SOURCE_TEXT) {
		(void)diag_add(r->d, at, NULL, "text of %zu bytes; at most %d are read", n->len,
			       SOURCE_TEXT);
		return NULL;
	}
	return n;
}

/* The node that begins with @ev; NULL when a mistake was reported and the file is not read on. */
static struct node *build(struct reader *r, yaml_event_t *ev, unsigned depth)
{
	struct mark at = place(r, ev->start_mark, ev->end_mark);
	const yaml_char_t *anchor, *tag;
	struct node *n = NULL;
	bool bad = false;
	int index;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return resolve_alias(r, ev);
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	default:
		return NULL;
	}
	if (!count_node(r, at) || refuse_tag(r, tag, at))
		return NULL;
	if (depth > SOURCE_DEPTH) {
		(void)diag_add(r->d, at, NULL, "nested more than %d deep", SOURCE_DEPTH);
		return NULL;
	}
	index = open_anchor(r, anchor, at, &bad);
	if (bad)
		return NULL;
	if (ev->type == YAML_SCALAR_EVENT) {
		n = build_scalar(r, ev, at);
	} else {
		n = node_new(r->a, ev->type == YAML_MAPPING_START_EVENT ? NODE_MAP : NODE_LIST, at);
		if (n == NULL)
			(void)no_memory(r->d);
		else if (build_items(r, n, depth + 1) < 0)
			n = NULL;
	}
	if (index >= 0)
		r->anchors[index].node = n;
	return n;
}

/* One document after its start event. 0, or -1. */
static int build_document(struct reader *r, struct mark at)
{
	yaml_event_t ev;
	struct node *root;

	if (r->s->doc_count == SOURCE_DOCS) {
		(void)diag_add(r->d, at, NULL, "more than %d documents in one file", SOURCE_DOCS);
		return -1;
	}
	r->anchor_count = 0;
	r->refused = false;
	if (next_event(r, &ev) < 0)
		return -1;
	root = build(r, &ev, 1);
	yaml_event_delete(&ev);
	if (root == NULL)
		return -1;
	/* The end must be seen before the document counts: text may follow that is not YAML. */
	if (next_event(r, &ev) < 0)
		return -1;
	yaml_event_delete(&ev);
	/* What is in a tree with such characters is not what its author sees. */
	if (!r->refused)
		r->s->docs[r->s->doc_count++] = root;
	return 0;
}

static int build_all(struct reader *r)
{
	for (;;) {
		yaml_event_type_t type;
		yaml_event_t ev;
		struct mark at;

		if (next_event(r, &ev) < 0)
			return -1;
		type = ev.type;
		at = place(r, ev.start_mark, ev.end_mark);
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type == YAML_DOCUMENT_START_EVENT && build_document(r, at) < 0)
			return -1;
	}
}

int source_parse(struct source *s, struct arena *a, struct diags *d)
{
	struct reader *r;
	int ret;

	if (check_bytes(&s->src, d) < 0)
		return -1;
	r = arena_alloc(a, sizeof(*r));
	if (r == NULL)
		return no_memory(d);
	r->s = s;
	r->a = a;
	r->d = d;
	if (index_lines(r) < 0)
		return -1;
	if (yaml_parser_initialize(&r->yaml) == 0)
		return no_memory(d);
	yaml_parser_set_encoding(&r->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->yaml, (const unsigned char *)s->src.text, s->src.size);
	ret = build_all(r);
	yaml_parser_delete(&r->yaml);
	if (ret == 0 && s->doc_count == 0 && d->total == 0) {
		diag_hint(diag_add(d, (struct mark){ .src = &s->src }, NULL,
				   "no document in the file"),
			  "begin it with 'sill: 1' and 'name: ...'");
		return -1;
	}
	return ret;
}
