/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - a document against the table.
 *
 * One walk over the nodes. What a scalar means is kept in its node, so that
 * nobody reads the text a second time and reads something else.
 */
#include "runner/manifest/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "runner/manifest/foreign.h"
#include "runner/manifest/scalar.h"
#include "runner/manifest/short.h"
#include "runner/manifest/syntax.h"
#include "runner/report/lookalike.h"
#include "runner/report/text.h"

static struct diag *fail_at(struct check *c, struct mark at, const struct node *n, const char *fmt,
			    va_list ap) SILL_PRINTF(4, 0);

static struct diag *fail_at(struct check *c, struct mark at, const struct node *n, const char *fmt,
			    va_list ap)
{
	struct diag *g;

	if (n->from.line == 0)
		return diag_vadd(c->d, at, n->path, fmt, ap);
	g = diag_vadd_alias(c->d, at, n->from, n->path, fmt, ap);
	if (n->var)
		diag_other(g, n->from, "what the variable stands for");
	return g;
}

struct diag *check_fail(struct check *c, const struct node *n, const char *fmt, ...)
{
	struct diag *g;
	va_list ap;

	va_start(ap, fmt);
	g = fail_at(c, n->at, n, fmt, ap);
	va_end(ap);
	return g;
}

struct diag *check_fail_key(struct check *c, const struct node *n, const char *fmt, ...)
{
	struct diag *g;
	va_list ap;

	va_start(ap, fmt);
	g = fail_at(c, n->key_at.line > 0 ? n->key_at : n->at, n, fmt, ap);
	va_end(ap);
	return g;
}

/* The text of a node, fit for a message. */
static const char *shown(char buf[TEXT_SHORT], const struct node *n)
{
	return text_clean(buf, TEXT_SHORT, n->text, n->len);
}

/* "a number" ... what a row asks for. */
static const char *due(const struct key *row)
{
	switch (row->kind) {
	case KIND_TEXT:
	case KIND_NAME:
		return "text";
	case KIND_UUID:
		return "a UUID";
	case KIND_UINT:
		return "a number";
	case KIND_SIZE:
		return "a size";
	case KIND_BOOL:
		return "on or off";
	case KIND_ENUM:
		return "a word";
	case KIND_FILE_READ:
	case KIND_FILE_WRITE:
	case KIND_PATH:
		return "a path";
	case KIND_MAP:
		return "a mapping";
	case KIND_LIST:
		return "a list";
	}
	return "";
}

/*
 * The place of the byte at @off in the text of a scalar that is written at @at; of all of it where
 * that is not known.
 */
static struct mark byte_mark(const struct node *n, struct mark at, size_t off)
{
	size_t quote = n->plain ? 0 : 1;

	if (n->from.line == 0 && at.width != n->len + 2 * quote)
		return at;
	at.col += (unsigned)(off + quote);
	at.width = 1;
	return at;
}

/* Was something said of this place? */
static bool is_said(const struct diags *d, struct mark at)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->list[i].at.line == at.line && d->list[i].at.col == at.col &&
		    d->list[i].at.src == at.src)
			return true;
	}
	return false;
}

/* A character in @n that only looks like ASCII, where nothing else can be right. @write: the hint. */
static bool check_lookalike(struct check *c, const struct node *n, const char *write)
{
	struct lookalike l;
	size_t at = lookalike_in(n->text, n->len, ~0u, &l);
	char plain[TEXT_SHORT], clean[TEXT_SHORT];
	struct diag *g;

	if (at >= n->len)
		return false;
	if (n->from.line > 0 && is_said(c->d, byte_mark(n, n->from, at)))
		return true;
	(void)lookalike_plain(plain, sizeof(plain), n->text, n->len);
	g = syntax_lookalike(c->d, n->from.line > 0 ? n->at : byte_mark(n, n->at, at), n->path, &l);
	if (n->from.line > 0)
		diag_other(g, n->from, "what the alias stands for");
	diag_hint(g, "write %s",
		  write != NULL ? write : text_clean(clean, sizeof(clean), plain, strlen(plain)));
	return true;
}

static void check_uint(struct check *c, const struct key *row, struct node *n)
{
	char buf[TEXT_SHORT];
	uint64_t v = 0;

	switch (scalar_uint(n->text, &v)) {
	case SCALAR_OK:
		break;
	case SCALAR_OCTAL:
		diag_hint(check_fail(c, n, "'%s' begins with 0: octal or not?", shown(buf, n)),
			  "write it without the 0, or as 0x...");
		return;
	case SCALAR_BIG:
		(void)check_fail(c, n, "'%s' is too large: %" PRIu64 " to %" PRIu64, shown(buf, n),
				 row->min, row->max);
		return;
	default:
		diag_hint(check_fail(c, n, "'%s' is not a number", shown(buf, n)),
			  row->min == row->max ? "write %" PRIu64
					       : "%" PRIu64 " to %" PRIu64 ", decimal or 0x...",
			  row->min, row->max);
		return;
	}
	if (!n->plain) {
		diag_hint(check_fail(c, n, "text where a number is due"),
			  "write %" PRIu64 " without quotes", v);
		return;
	}
	if (v != row->min && row->min == row->max) {
		diag_hint(check_fail(c, n, "'%s' is not known, only %" PRIu64, shown(buf, n),
				     row->min),
			  "a newer sill may know it");
		return;
	}
	if (v < row->min || v > row->max) {
		(void)check_fail(c, n, "'%s' is too %s: %" PRIu64 " to %" PRIu64, shown(buf, n),
				 v < row->min ? "small" : "large", row->min, row->max);
		return;
	}
	n->num = v;
	n->ok = true;
}

static void check_size(struct check *c, const struct key *row, struct node *n)
{
	char buf[TEXT_SHORT], text[32], low[32], high[32], hint[96];
	enum scalar_result r;
	struct diag *g = NULL;
	uint64_t v = 0;

	if (row->or_off && strcmp(n->text, "off") == 0) {
		n->num = 0;
		n->ok = true;
		return;
	}
	(void)scalar_size_text(low, sizeof(low), row->min);
	(void)scalar_size_text(high, sizeof(high), row->max);
	r = scalar_size(n->text, &v);
	switch (r) {
	case SCALAR_OK:
		break;
	case SCALAR_NO_UNIT:
		g = check_fail(c, n, "'%s' has no unit", shown(buf, n));
		scalar_unit_hint(row, n->text, hint, sizeof(hint));
		diag_hint(g, "%s", hint);
		return;
	case SCALAR_BIG:
		(void)check_fail(c, n, "'%s' is too large: %s to %s", shown(buf, n), low, high);
		return;
	case SCALAR_OCTAL:
		g = check_fail(c, n, "'%s' begins with 0: octal or not?", shown(buf, n));
		break;
	case SCALAR_UNIT:
	case SCALAR_NOT:
		g = check_fail(c, n, "'%s' is not a size", shown(buf, n));
		break;
	}
	if (r != SCALAR_OK) {
		if (scalar_size_guess(n->text, text, sizeof(text)))
			diag_hint(g, "write %s", text);
		else
			diag_hint(g,
				  "a whole number and K, M, G or T, as in 512M; all are powers of "
				  "1024");
		return;
	}
	if (v < row->min || v > row->max) {
		(void)check_fail(c, n, "'%s' is too %s: %s to %s", shown(buf, n),
				 v < row->min ? "small" : "large", low, high);
		return;
	}
	n->num = v;
	n->ok = true;
}

static void check_bool(struct check *c, struct node *n)
{
	static const struct {
		const char *text;
		int value; /* -1: not accepted, and the hint knows what was meant */
		const char *meant;
	} words[] = {
		{ "on", 1, NULL },        { "off", 0, NULL },        { "true", 1, NULL },
		{ "false", 0, NULL },     { "yes", -1, "on" },       { "no", -1, "off" },
		{ "y", -1, "on" },        { "n", -1, "off" },        { "1", -1, "on" },
		{ "0", -1, "off" },       { "enable", -1, "on" },    { "enabled", -1, "on" },
		{ "disable", -1, "off" }, { "disabled", -1, "off" },
	};
	char buf[TEXT_SHORT];
	struct diag *g;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].value >= 0 && strcmp(n->text, words[i].text) == 0 &&
		    (n->plain || i < 2)) {
			n->num = (uint64_t)words[i].value;
			n->ok = true;
			return;
		}
	}
	g = check_fail(c, n, "'%s' is neither on nor off", shown(buf, n));
	diag_hint(g, "write on or off");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(n->text, words[i].text) == 0) {
			diag_hint(g, "write %s%s",
				  words[i].meant != NULL ? words[i].meant : words[i].text,
				  n->plain ? "" : " without quotes");
			return;
		}
	}
}

/* " a, b or c" of an enumeration. */
static const char *all_words(char *dst, size_t size, const struct key *row)
{
	size_t used = 0;

	dst[0] = '\0';
	for (uint32_t i = 0; i < row->field.value.enumeration.count && used < size; i++) {
		const char *sep = i == 0                                        ? ""
				  : i + 1 == row->field.value.enumeration.count ? " or "
										: ", ";

		used += (size_t)snprintf(dst + used, size - used, "%s%s", sep,
					 row->field.value.enumeration.strings[i].str);
	}
	return dst;
}

static void check_enum(struct check *c, const struct key *row, struct node *n)
{
	const cyaml_strval_t *words = row->field.value.enumeration.strings;
	char buf[TEXT_SHORT], all[160], word[TEXT_SHORT + 2];
	unsigned best = ~0u, dist;
	const char *near = NULL;
	struct diag *g;

	for (uint32_t i = 0; i < row->field.value.enumeration.count; i++) {
		if (strcmp(words[i].str, n->text) == 0) {
			n->num = (uint64_t)words[i].val;
			n->ok = true;
			return;
		}
		if (text_similar(n->text, words[i].str, &dist) && dist < best) {
			best = dist;
			near = words[i].str;
		}
	}
	(void)all_words(all, sizeof(all), row);
	(void)snprintf(word, sizeof(word), " %s ", shown(buf, n));
	if (row->later != NULL && strcasestr(row->later, word) != NULL) {
		g = check_fail(c, n, "'%s' is not supported by this version, only %s", buf, all);
		if (strcmp(row->field.key, "format") == 0)
			diag_hint(g, "convert the image: qemu-img convert -O raw OLD NEW");
		return;
	}
	g = check_fail(c, n, "'%s' is not one of the words it can be", buf);
	if (foreign_word(row, n) != NULL)
		diag_hint(g, "%s", foreign_word(row, n));
	else if (near != NULL)
		diag_hint(g, "did you mean '%s'? It can be %s", near, all);
	else
		diag_hint(g, "it can be %s", all);
}

/* A value that is right, with its key where that has one. */
static void hint_example(struct diag *g, const struct key *row)
{
	if (row->example != NULL && strchr(row->field.key, '[') == NULL)
		diag_hint(g, "for example %s: %s", row->field.key, row->example);
	else if (row->example != NULL)
		diag_hint(g, "for example %s", row->example);
}

/* Text without control characters, of a length the row allows. */
static bool check_text(struct check *c, const struct key *row, struct node *n)
{
	for (size_t i = 0; i < n->len;) {
		uint32_t ch = 0;
		size_t len = utf8_next(n->text + i, n->len - i, &ch);

		if (len == 0 || !utf8_printable(ch)) {
			struct diag *g = check_fail(c, n, "text with %s (U+%04X)",
						    ch == '\n' ? "a line break"
						    : ch == 0  ? "a NUL"
							       : "a control character",
						    ch);
			if (ch == '\n')
				diag_hint(g, "%s",
					  i + 1 == n->len
						  ? "write '>-' behind the colon, or all of it on "
						    "one line"
						  : "write '>-' behind the colon, which makes one "
						    "line of several");
			return false;
		}
		i += len;
	}
	if (n->len == 0 && row->min > 0) {
		(void)check_fail(c, n, "empty text");
		return false;
	}
	if (n->len > row->max && row->max > 0) {
		struct diag *g =
			check_fail(c, n, "%zu bytes long: at most %" PRIu64, n->len, row->max);

		if (!foreign_has_form(row, NULL))
			hint_example(g, row);
		return false;
	}
	return true;
}

/* One of the row's names. */
static void check_one_of(struct check *c, const struct key *row, struct node *n)
{
	char buf[TEXT_SHORT];
	unsigned best = ~0u, dist;
	const char *near = NULL, *name;
	struct diag *g;

	for (size_t i = 0; (name = row->names(i)) != NULL; i++) {
		if (strcmp(n->text, name) == 0) {
			n->ok = true;
			return;
		}
		if (text_similar(n->text, name, &dist) && dist < best) {
			best = dist;
			near = name;
		}
	}
	g = check_fail(c, n, "'%s' is not a name that is known here", shown(buf, n));
	if (near != NULL)
		diag_hint(g, "did you mean '%s'?", near);
	else
		diag_hint(g, "`sill schema` lists what there is");
}

static void check_name(struct check *c, const struct key *row, struct node *n)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	char buf[TEXT_SHORT];

	if (row->names != NULL) {
		check_one_of(c, row, n);
		return;
	}
	if (strspn(n->text, allowed) == n->len && strchr("._-", n->text[0]) == NULL) {
		n->ok = true;
		return;
	}
	diag_hint(check_fail(c, n, "'%s' cannot be a name", shown(buf, n)),
		  "letters, digits, '.', '_' and '-'; the first is a letter or a digit");
}

static void check_uuid(struct check *c, const struct key *row, struct node *n)
{
	static const uint8_t nil[16];
	char buf[TEXT_SHORT];
	uint8_t uuid[16];

	for (size_t i = 0; row->names != NULL && row->names(i) != NULL; i++) {
		if (strcmp(n->text, row->names(i)) == 0) {
			n->ok = true;
			return;
		}
	}
	if (sill_uuid_read(n->text, uuid) < 0) {
		diag_hint(check_fail(c, n, "'%s' is not a UUID", shown(buf, n)),
			  "%s8-4-4-4-12 hexadecimal digits; uuidgen(1) makes one",
			  row->names != NULL ? "off, auto, or " : "");
		return;
	}
	if (memcmp(uuid, nil, sizeof(nil)) == 0) {
		diag_hint(check_fail(c, n, "the UUID of nothing (all zero)"), "%s",
			  row->names != NULL ? "write off" : "leave the key out");
		return;
	}
	n->ok = true;
}

/* Can no value of the kind hold other characters? */
static bool is_ascii_kind(enum kind kind)
{
	return kind == KIND_UINT || kind == KIND_SIZE || kind == KIND_BOOL || kind == KIND_ENUM ||
	       kind == KIND_NAME || kind == KIND_UUID;
}

/* What is a number to every other reader is not text to us. */
static bool check_is_text(struct check *c, const struct key *row, const struct node *n)
{
	const bool plain = n->plain && !n->untyped;
	const bool word = key_is_word(row, n->text) && !row->or_port; /* a port is text, too */
	const char *what = plain && !word ? scalar_reads_as(n->text) : NULL;
	char buf[TEXT_SHORT];

	if (what == NULL)
		return true;
	if (row->form != NULL)
		diag_hint(check_fail(c, n, "%s without a unit", what), "write %s", row->form);
	else if (foreign_is_right_quoted(row, n->text))
		diag_hint(check_fail(c, n, "%s where %s is due", what, due(row)),
			  "write '%s', with the quotes", shown(buf, n));
	else
		hint_example(check_fail(c, n, "%s where %s is due", what, due(row)), row);
	return false;
}

static void check_scalar(struct check *c, const struct key *row, struct node *n)
{
	/* A word of an enumeration may look like nothing (mode: null); an empty value never does. */
	if (node_is_null(n) && !(row->kind == KIND_ENUM && strcmp(n->text, "null") == 0)) {
		struct diag *g = check_fail_key(c, n, "no value where %s is due", due(row));

		if (row->example != NULL)
			diag_hint(g, "for example %s: %s%s", row->field.key, row->example,
				  row->required ? "" : "; to have the default, leave the key out");
		return;
	}
	if (is_ascii_kind(row->kind) && check_lookalike(c, n, NULL))
		return;
	if (is_ascii_kind(row->kind) && foreign_variable(c, n))
		return;
	if (!short_off(c, row, n))
		return;
	switch (row->kind) {
	case KIND_UINT:
		check_uint(c, row, n);
		break;
	case KIND_SIZE:
		check_size(c, row, n);
		break;
	case KIND_BOOL:
		check_bool(c, n);
		break;
	case KIND_ENUM:
		check_enum(c, row, n);
		break;
	case KIND_NAME:
		if (check_is_text(c, row, n) && check_text(c, row, n))
			check_name(c, row, n);
		break;
	case KIND_UUID:
		if (check_is_text(c, row, n))
			check_uuid(c, row, n);
		break;
	case KIND_TEXT:
	case KIND_FILE_READ:
	case KIND_FILE_WRITE:
	case KIND_PATH:
		n->ok = check_is_text(c, row, n) && check_text(c, row, n);
		break;
	case KIND_MAP:
	case KIND_LIST:
		break;
	}
}

static const char *join(struct check *c, const char *path, const char *key)
{
	const char *p = arena_join(c->a, path, key);

	c->no_memory |= p == NULL;
	return p != NULL ? p : key;
}

/* Where in the table a key of this name is, other than in @not; "cpus.boot", or NULL. */
static const char *elsewhere(const struct section *s, const struct section * not, const char *name)
{
	const char *found = NULL;

	if (s != not &&section_find(s, name) != NULL)
		return s->name[0] != '\0' ? s->name : "the document itself";
	for (size_t i = 0; i < s->count && found == NULL; i++) {
		if (s->keys[i].section != NULL)
			found = elsewhere(s->keys[i].section, not, name);
	}
	return found;
}

/* The row whose name is most like @text, or NULL; *ret_distance is how much. */
static const struct key *nearest_row(const struct section *s, const char *text,
				     unsigned *ret_distance)
{
	const struct key *near = NULL;
	unsigned dist;

	*ret_distance = ~0u;
	for (size_t i = 0; i < s->count; i++) {
		if (text_similar(text, s->keys[i].field.key, &dist) && dist < *ret_distance) {
			*ret_distance = dist;
			near = &s->keys[i];
		}
	}
	return near;
}

/* "size:1G" or "size 1G" where a key is due, or another script's letters in it. */
static bool key_slip(struct check *c, const struct section *s, struct node *key)
{
	char plain[TEXT_SHORT], pair[2 * TEXT_SHORT + 4], buf[TEXT_SHORT];
	unsigned dist;

	(void)lookalike_plain(plain, sizeof(plain), key->text, key->len);
	if (syntax_pair(plain, strlen(plain), true, pair, sizeof(pair))) {
		plain[strcspn(pair, ":")] = '\0';
		key->row = section_find(s, plain);
	} else {
		key->row = section_find(s, plain);
		pair[0] = '\0';
	}
	if (check_lookalike(c, key, pair[0] != '\0' ? pair : NULL)) {
		if (key->row == NULL)
			key->row = nearest_row(s, plain, &dist);
		return true;
	}
	if (key->row == NULL || pair[0] == '\0')
		return false;
	diag_hint(check_fail(c, key, "unknown key '%s'", shown(buf, key)), "write '%s'", pair);
	return true;
}

/* One of those that no row has. */
static bool front_slip(const struct node *key, struct diag *g)
{
	unsigned dist;

	for (const struct front_key *f = front_keys; f->key != NULL; f++) {
		if (strcmp(f->key, key->text) == 0)
			diag_hint(g, "'%s' is for files, not for what a program says", f->key);
		else if (text_similar(key->text, f->key, &dist))
			diag_hint(g, "did you mean '%s'?", f->key);
		else
			continue;
		return true;
	}
	return false;
}

/* Say that @key is unknown, and keep in it what row was meant. */
static void unknown_key(struct check *c, const struct section *s, struct node *key,
			const struct node *value)
{
	char buf[TEXT_SHORT], all[240];
	const struct key *near;
	const char *place;
	struct diag *g;
	size_t used = 0;
	unsigned best;

	if (key->plain && strcmp(key->text, "<<") == 0) {
		g = check_fail(c, key, "merge keys ('<<') are not supported");
		diag_hint(g, "write the keys out; a whole value can be repeated with '*name'");
		return;
	}
	if (key_slip(c, s, key))
		return;
	all[0] = '\0';
	for (size_t i = 0; i < s->count && used < sizeof(all); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? " " : "",
					 s->keys[i].field.key);
	for (const struct front_key *f = front_keys;
	     s == &root_section && f->key != NULL && used < sizeof(all); f++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, " %s", f->key);
	near = nearest_row(s, key->text, &best);
	place = elsewhere(&root_section, s, key->text);
	g = check_fail(c, key, "unknown key '%s'", shown(buf, key));
	if (foreign_hint(s, key, value, g, &key->row))
		return;
	if (s == &root_section && front_slip(key, g))
		return;
	if (near != NULL && (best < 2 || place == NULL)) {
		key->row = near;
		diag_hint(g, "did you mean '%s'?", near->field.key);
	} else if (place != NULL) {
		diag_hint(g, "'%s' belongs to %s", buf, place);
	} else {
		diag_hint(g, "the keys here are: %s", all);
	}
}

/* False when the key at @i was there before. */
static bool check_twice(struct check *c, const struct node *map, size_t i)
{
	const struct node *key = map->keys[i];
	char buf[TEXT_SHORT];

	for (size_t j = 0; j < i; j++) {
		const struct node *before = map->keys[j];

		if (before->type == NODE_SCALAR && before->len == key->len &&
		    memcmp(before->text, key->text, key->len) == 0) {
			struct diag *g = check_fail(c, key, "'%s' is there twice", shown(buf, key));

			diag_other(g, before->at, "the other one");
			diag_hint(g, "keep one of them");
			return false;
		}
	}
	return true;
}

/*
 * The pair at @i is the one that was meant, with a wrong value: so the key is not missing besides, and
 * no rule takes its default for what was written.
 */
static void stand_in(struct check *c, struct node *map, size_t i)
{
	struct node *key = map->keys[i], *value = map->items[i];
	const struct key *row = key->row;
	enum node_type type = row->kind == KIND_MAP    ? NODE_MAP
			      : row->kind == KIND_LIST ? NODE_LIST
						       : NODE_SCALAR;
	struct node *n = node_new(c->a, type, value->at);

	if (n == NULL) {
		c->no_memory = true;
		return;
	}
	n->row = row;
	n->path = join(c, map->path, row->field.key);
	n->key_at = key->at;
	key->text = row->field.key;
	key->len = strlen(key->text);
	map->items[i] = n;
}

static bool check_pair(struct check *c, const struct section *s, struct node *map, size_t i)
{
	struct node *key = map->keys[i], *value = map->items[i];
	const struct key *row;

	key->path = map->path;
	if (key->type != NODE_SCALAR) {
		struct diag *g = check_fail(c, key, "%s where a key is due", node_what(key));

		if (key->type == NODE_MAP && map->count == 1) /* {{name}} */
			diag_hint(g, "a variable is written ${NAME}: `sill explain vars`");
		return false;
	}
	/* A place for anchors, and for other programs. */
	if (s == &root_section && key->len > 2 && strncmp(key->text, "x-", 2) == 0)
		return check_twice(c, map, i);
	row = strlen(key->text) == key->len ? section_find(s, key->text) : NULL;
	if (row == NULL) {
		unknown_key(c, s, key, value);
		if (key->row != NULL && node_find(map, key->row->field.key) == NULL)
			stand_in(c, map, i);
		return false;
	}
	value->key_at = key->at;
	if (!check_twice(c, map, i)) {
		value->ok = false;
		return false;
	}
	check_value(c, row, value, join(c, map->path, row->field.key));
	return value->ok;
}

static void check_map(struct check *c, const struct section *s, struct node *map)
{
	struct node at = *map;

	map->ok = true;
	for (size_t i = 0; i < map->count; i++) {
		if (!check_pair(c, s, map, i))
			map->ok = false;
	}
	if (at.key_at.line == 0 && map->count > 0)
		at.key_at = map->keys[0]->at;
	for (size_t i = 0; i < s->count; i++) {
		const struct key *row = &s->keys[i];
		struct diag *g;

		if (!row->required || node_find(map, row->field.key) != NULL)
			continue;
		map->ok = false;
		g = check_fail_key(c, &at, "'%s' is missing", row->field.key);
		diag_hint(g, "add '%s: %s'", row->field.key, row->example);
	}
}

/* Text where a mapping of @s is due may be a pair whose ':' or blank is missing. */
static bool pair_slip(struct check *c, const struct section *s, const struct node *n)
{
	char plain[2 * TEXT_SHORT], pair[2 * TEXT_SHORT + 4], key[TEXT_SHORT];

	if (n->type != NODE_SCALAR || !n->plain)
		return false;
	(void)lookalike_plain(plain, sizeof(plain), n->text, n->len);
	if (!syntax_pair(plain, strlen(plain), false, pair, sizeof(pair)))
		return false;
	(void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(pair, ":"), pair);
	if (section_find(s, key) == NULL)
		return false;
	if (!check_lookalike(c, n, pair))
		diag_hint(check_fail(c, n, "a key and its value without ': ' between them"),
			  "write '%s'", pair);
	return true;
}

/* "-a" where a list is due. */
static bool dash_slip(struct check *c, const struct node *n)
{
	const struct node *first = n->type == NODE_MAP && n->count > 0 ? n->keys[0] : n;

	if (first->type != NODE_SCALAR || !first->plain || first->text[0] != '-')
		return false;
	diag_hint(check_fail(c, first, "a '-' without a blank behind it"),
		  "write '- ' before each entry of a list");
	return true;
}

static void check_list(struct check *c, const struct key *row, struct node *list)
{
	if (list->count < row->min || list->count > row->max) {
		(void)check_fail_key(c, list, "%zu entries: %" PRIu64 " to %" PRIu64, list->count,
				     row->min, row->max);
		return;
	}
	list->ok = true;
	for (size_t i = 0; i < list->count; i++) {
		struct node *n = list->items[i];
		const char *path = arena_printf(c->a, "%s[%zu]", list->path, i);

		c->no_memory |= path == NULL;
		if (path == NULL)
			return;
		n->path = path;
		n->key_at = n->at;
		if (row->short_key != NULL && n->type == NODE_SCALAR && !node_is_null(n))
			short_unfold(c, row->short_key, n);
		if (row->item != NULL) {
			check_value(c, row->item, n, path);
		} else if (n->type != NODE_MAP) {
			if (!pair_slip(c, row->section, n))
				hint_example(
					check_fail(c, n, "%s where a mapping is due", node_what(n)),
					row);
		} else {
			check_map(c, row->section, n);
		}
		list->ok &= n->ok;
	}
}

void check_value(struct check *c, const struct key *row, struct node *n, const char *path)
{
	struct diag *g;

	n->row = row;
	n->path = path;
	n->ok = false;
	/* A slip is not to be taken for the short form. */
	if (row->kind == KIND_MAP && pair_slip(c, row->section, n))
		return;
	short_expand(c, row, n);
	if (row->kind == KIND_MAP && n->type == NODE_MAP) {
		check_map(c, row->section, n);
	} else if (row->kind == KIND_LIST && n->type == NODE_LIST) {
		check_list(c, row, n);
	} else if (row->kind != KIND_MAP && row->kind != KIND_LIST && n->type == NODE_SCALAR) {
		if (strlen(n->text) != n->len)
			(void)check_fail(c, n, "text with a NUL (U+0000)");
		else
			check_scalar(c, row, n);
	} else if (!(row->kind == KIND_LIST && dash_slip(c, n))) {
		g = check_fail_key(c, n, "%s where %s is due", node_what(n), due(row));
		if (row->kind == KIND_LIST && n->type == NODE_MAP)
			diag_hint(g, n->at.line == n->key_at.line
					     ? "put what is behind the colon between [ and ]"
					     : "begin each entry with '- '");
		else
			hint_example(g, row);
	}
}

void check_document(struct check *c, struct node *root)
{
	if (root->type == NODE_MAP) {
		check_map(c, &root_section, root);
	} else if (node_is_null(root)) {
		diag_hint(check_fail(c, root, "an empty document"),
			  "remove the '---' before it, or write a VM");
	} else if (!pair_slip(c, &root_section, root)) {
		diag_hint(check_fail(c, root, "%s where a mapping is due", node_what(root)),
			  "a document begins with 'sill: 1' and 'name: ...'");
	}
}
