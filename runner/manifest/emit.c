/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emit.c - a tree back to text, in the order of the table.
 *
 * The values come from what the checker understood (node.num), not from the
 * text, so that all readers of the output agree with the checker.
 */
#include "runner/manifest/emit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "runner/manifest/scalar.h"
#include "runner/manifest/short.h"
#include "runner/report/json.h"
#include "runner/report/lookalike.h"
#include "runner/report/text.h"

/* Where the text of one scalar is put together. */
struct scalar {
	char buf[64];
	const char *text;
	bool quote;
};

bool emit_is_plain(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_0123456789"
		".+-=,@ ";
	/* Of YAML; the other switches of YAML are no path either. */
	static const char *const words[] = { "y", "n", "null", "nan", "inf" };
	size_t len = strlen(s);

	if (len == 0 || strchr(first, s[0]) == NULL || strspn(s, rest) != len || s[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(s, words[i]) == 0)
			return false;
	}
	return !short_is_no_path(s);
}

/* NULL without memory. */
static const char *path_text(struct check *c, const struct node *n, enum emit_style style)
{
	const bool own = n->at.src == NULL || n->at.src->dir == NULL;

	/* One in a base begins elsewhere. */
	return style == EMIT_WRITTEN && own ? n->text : check_path(c, n);
}

static int text_of(struct scalar *s, struct check *c, const struct node *n, enum emit_style style)
{
	*s = (struct scalar){ .text = s->buf };
	switch (n->row->kind) {
	case KIND_UINT:
	case KIND_SIZE:
	case KIND_BOOL:
		(void)scalar_text(s->buf, sizeof(s->buf), n->row, n->num);
		return 0;
	case KIND_ENUM:
		s->text = n->text;
		return 0;
	default:
		s->text = node_is_path(n) ? path_text(c, n, style) : n->text;
		s->quote = s->text != NULL && !emit_is_plain(s->text);
		return s->text != NULL ? 0 : -1;
	}
}

static bool is_wanted(const struct node *n, enum emit_style style)
{
	return n != NULL && (style != EMIT_WRITTEN || !n->implied);
}

/* Hand an event to the emitter; @made is what its initialiser returned. */
static int put(yaml_emitter_t *y, yaml_event_t *ev, int made)
{
	return made != 0 && yaml_emitter_emit(y, ev) != 0 ? 0 : -1;
}

static int put_scalar(yaml_emitter_t *y, const char *text, bool quote)
{
	yaml_event_t ev;
	int made = yaml_scalar_event_initialize(
		&ev, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1,
		quote ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);

	return put(y, &ev, made);
}

static int put_node(yaml_emitter_t *y, struct check *c, const struct node *n,
		    enum emit_style style);

static int put_map(yaml_emitter_t *y, struct check *c, const struct section *s,
		   const struct node *n, enum emit_style style)
{
	yaml_event_t ev;

	if (put(y, &ev,
		yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE)))
		return -1;
	for (size_t i = 0; i < s->count; i++) {
		const struct node *v = node_find(n, s->keys[i].field.key);

		if (is_wanted(v, style) && (put_scalar(y, s->keys[i].field.key, false) < 0 ||
					    put_node(y, c, v, style) < 0))
			return -1;
	}
	return put(y, &ev, yaml_mapping_end_event_initialize(&ev));
}

static int put_list(yaml_emitter_t *y, struct check *c, const struct node *n, enum emit_style style)
{
	bool flow = n->row->item != NULL || n->count == 0;
	yaml_event_t ev;

	if (put(y, &ev,
		yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
						     flow ? YAML_FLOW_SEQUENCE_STYLE
							  : YAML_BLOCK_SEQUENCE_STYLE)))
		return -1;
	for (size_t i = 0; i < n->count; i++) {
		if ((n->row->item != NULL ? put_node(y, c, n->items[i], style)
					  : put_map(y, c, n->row->section, n->items[i], style)) < 0)
			return -1;
	}
	return put(y, &ev, yaml_sequence_end_event_initialize(&ev));
}

/* "${" is not a variable any more. NULL: no memory. */
static const char *escape_dollars(struct check *c, const char *s)
{
	char *text = arena_alloc(c->a, 2 * strlen(s) + 1), *to = text;

	for (; text != NULL && *s != '\0'; *to++ = *s++)
		if (s[0] == '$' && s[1] == '{') {
			*to++ = '$';
		}
	return text;
}

static int put_node(yaml_emitter_t *y, struct check *c, const struct node *n, enum emit_style style)
{
	struct scalar s;

	switch (n->type) {
	case NODE_MAP:
		return put_map(y, c, n->row->section, n, style);
	case NODE_LIST:
		return put_list(y, c, n, style);
	case NODE_SCALAR:
		break;
	}
	if (text_of(&s, c, n, style) < 0)
		return -1;
	if (strstr(s.text, "${") != NULL)
		s.text = escape_dollars(c, s.text);
	return s.text != NULL ? put_scalar(y, s.text, s.quote) : -1;
}

static int put_document(yaml_emitter_t *y, struct check *c, const struct node *root,
			enum emit_style style)
{
	yaml_event_t ev;

	if (put(y, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING)) < 0 ||
	    put(y, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1)) < 0 ||
	    put_map(y, c, &root_section, root, style) < 0 ||
	    put(y, &ev, yaml_document_end_event_initialize(&ev, 1)) < 0 ||
	    put(y, &ev, yaml_stream_end_event_initialize(&ev)) < 0)
		return -1;
	return yaml_emitter_flush(y) != 0 ? 0 : -1;
}

/* Is there text in @n that the manifest must hold as an escape? */
static bool has_hidden(const struct node *n)
{
	struct lookalike l;

	if (n->type == NODE_SCALAR)
		return lookalike_in(n->text, n->len, LOOK_HIDDEN | LOOK_BLANK | LOOK_JOINED, &l) <
		       n->len;
	for (size_t i = 0; i < n->count; i++) {
		if (has_hidden(n->items[i]))
			return true;
	}
	return false;
}

/* One character as UTF-8. Returns its length. */
static size_t put_utf8(char *dst, uint32_t c)
{
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/*
 * libyaml (0.2.5) escapes whatever is above U+FFFF, also what can be seen: put that back, in place. Quotes are
 * only where put_scalar() asked for them: plain text has none.
 */
static size_t unescape_planes(char *s, size_t n)
{
	bool quoted = false;
	size_t to = 0;

	for (size_t i = 0; i < n;) {
		size_t take = quoted && s[i] == '\\' && i + 1 < n ? 2 : 1;
		unsigned c;

		if (take == 1 && s[i] == '"')
			quoted = !quoted;
		if (take == 2 && s[i + 1] == 'U' && i + 10 <= n &&
		    sscanf(s + i + 2, "%8x", &c) == 1 && c > 0xffff && utf8_printable(c)) {
			to += put_utf8(s + to, c);
			i += 10;
			continue;
		}
		memmove(s + to, s + i, take);
		to += take;
		i += take;
	}
	return to;
}

static int emit_to(FILE *f, struct check *c, const struct node *root, enum emit_style style,
		   bool unicode)
{
	yaml_emitter_t y;
	int ret;

	if (yaml_emitter_initialize(&y) == 0)
		return -1;
	yaml_emitter_set_output_file(&y, f);
	yaml_emitter_set_unicode(&y, unicode);
	yaml_emitter_set_width(&y, -1); /* one scalar is one line */
	ret = put_document(&y, c, root, style);
	yaml_emitter_delete(&y);
	return ret;
}

int emit_yaml(FILE *f, struct check *c, const struct node *root, enum emit_style style)
{
	const bool unicode = !has_hidden(root);
	char *text = NULL;
	size_t n = 0;
	FILE *mem = open_memstream(&text, &n);
	int ret = mem != NULL ? emit_to(mem, c, root, style, unicode) : -1;

	if (mem != NULL && fclose(mem) != 0)
		ret = -1;
	if (ret == 0) {
		n = unicode ? unescape_planes(text, n) : n;
		ret = fwrite(text, 1, n, f) == n ? 0 : -1;
	}
	free(text);
	return ret;
}

static json_t *json_node(struct check *c, const struct node *n, enum emit_style style);

static json_t *json_map(struct check *c, const struct section *s, const struct node *n,
			enum emit_style style)
{
	json_t *o = json_object();

	for (size_t i = 0; i < s->count; i++) {
		const struct node *v = node_find(n, s->keys[i].field.key);

		if (is_wanted(v, style) &&
		    json_object_set_new(o, s->keys[i].field.key, json_node(c, v, style)) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static json_t *json_node(struct check *c, const struct node *n, enum emit_style style)
{
	struct scalar s;
	json_t *list;

	if (n->type == NODE_MAP)
		return json_map(c, n->row->section, n, style);
	if (n->type == NODE_LIST) {
		list = json_array();
		for (size_t i = 0; i < n->count; i++)
			(void)json_array_append_new(
				list, n->row->item != NULL
					      ? json_node(c, n->items[i], style)
					      : json_map(c, n->row->section, n->items[i], style));
		return list;
	}
	if (n->row->kind == KIND_UINT)
		return json_integer((json_int_t)n->num);
	if (n->row->kind == KIND_BOOL)
		return json_boolean(n->num != 0);
	return text_of(&s, c, n, style) == 0 ? json_text(s.text) : NULL;
}

json_t *emit_json(struct check *c, const struct node *root, enum emit_style style)
{
	return json_map(c, &root_section, root, style);
}

json_t *emit_value_json(struct check *c, const struct node *n)
{
	return json_node(c, n, EMIT_WRITTEN);
}
