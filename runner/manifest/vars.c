/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vars.c - variables, and what the command line sets.
 *
 *   ${name}   what the variable says; alone it is what it is there, a number in a number's place
 *   $${       ${ itself
 *
 * A variable is what `vars` says, over it each --var-file, over that --set. Every document has
 * ${dir}, the directory of its file, and ${name}, its own name. One may be made of others; each is
 * worked out once, and all text that comes of them has a limit.
 */
#include <stdio.h>
#include <string.h>

#include "runner/manifest/compose.h"
#include "runner/report/text.h"

enum { VARS_MAX = 256, VARS_BYTES = 1 << 20 };

struct var {
	const char *name;
	struct node *value; /* NULL: declared without one */
	struct mark at;     /* of the name; line 0: built in */
	enum { VAR_NEW, VAR_BUSY, VAR_DONE, VAR_BAD } state;
	bool own, used; /* own: this document itself has it */
};

struct vars {
	struct compose *c;
	struct node *root;
	struct var list[VARS_MAX + 2]; /* and those that are built in */
	size_t count;
	const struct node *name; /* the value of ${name}, which is one of the document's, too */
	char buf[SOURCE_TEXT + 1];
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-";

static bool is_name(const char *s, size_t n)
{
	return n > 0 && n < TEXT_SHORT && strspn(s, letters) >= n &&
	       strchr("0123456789-", s[0]) == NULL;
}

static struct var *find(struct vars *v, const char *name, size_t n)
{
	for (size_t i = 0; i < v->count; i++)
		if (strlen(v->list[i].name) == n && memcmp(v->list[i].name, name, n) == 0)
			return &v->list[i];
	return NULL;
}

/* The variable, or failing that the key of a document, whose name is most like @name; or NULL. */
static const char *nearest(const struct vars *v, const char *name, bool keys)
{
	const char *best = NULL;
	unsigned least = ~0u, dist;

	for (size_t i = 0; i < v->count; i++) {
		if (text_similar(name, v->list[i].name, &dist) && dist < least) {
			least = dist;
			best = v->list[i].name;
		}
	}
	for (size_t i = 0; keys && i < root_section.count; i++) {
		if (text_similar(name, root_section.keys[i].field.key, &dist) && dist < least) {
			least = dist;
			best = root_section.keys[i].field.key;
		}
	}
	return best;
}

/* ---- which there are ---- */

/* Room for one called @name; the one that is there already; NULL: said at @key. */
static struct var *declare(struct vars *v, const struct node *key)
{
	struct var *var = key->type == NODE_SCALAR ? find(v, key->text, key->len) : NULL;
	char clean[TEXT_SHORT];

	(void)text_clean(clean, sizeof(clean), key->text, key->len);
	if (key->type != NODE_SCALAR || !is_name(key->text, key->len) ||
	    strlen(key->text) != key->len) {
		diag_hint(diag_add(v->c->d, key->at, "vars", "'%s' cannot be a variable's name",
				   clean),
			  "letters, digits, '_' and '-'; the first is a letter or '_'");
		return NULL;
	}
	if (section_find(&root_section, key->text) != NULL || front_find(key->text) != NULL ||
	    (var != NULL && var->at.line == 0)) {
		diag_hint(diag_add(v->c->d, key->at, "vars", "'%s' has a meaning already", clean),
			  "a variable has another name than a key of the document, and than dir");
		return NULL;
	}
	if (var == NULL && v->count > VARS_MAX) {
		(void)diag_add(v->c->d, key->at, "vars", "more than %d variables", VARS_MAX);
		return NULL;
	}
	if (var == NULL)
		var = &v->list[v->count++];
	var->name = key->text;
	var->at = key->at;
	return var;
}

/* Those of the mapping @map; one may be in it once. */
static void declare_all(struct vars *v, const struct node *map, bool own)
{
	if (map->type != NODE_MAP) {
		diag_hint(
			diag_add(v->c->d, map->at, "vars",
				 "%s where variables and their values are due", node_what(map)),
			"for example vars: {size: 4G}; the firmware's variables are firmware.vars");
		return;
	}
	for (size_t i = 0; i < map->count; i++) {
		struct node *value = map->items[i];
		struct var *var = declare(v, map->keys[i]);

		for (size_t j = 0; var != NULL && j < i; j++) {
			if (map->keys[j]->len == map->keys[i]->len &&
			    strcmp(map->keys[j]->text, var->name) == 0)
				diag_other(diag_add(v->c->d, map->keys[i]->at, "vars",
						    "'%s' is there twice", var->name),
					   map->keys[j]->at, "the other one");
		}
		if (var == NULL)
			continue;
		if (value->type != NODE_SCALAR)
			diag_hint(diag_add(v->c->d, value->at, "vars",
					   "%s where a single value is due", node_what(value)),
				  "a word, a number or text; lists and mappings stand in a base");
		var->own = own && var->at.src == v->root->at.src;
		var->value = value->type != NODE_SCALAR || node_is_null(value) ? NULL : value;
	}
}

static void built_in(struct vars *v, const char *name, struct node *value)
{
	v->list[v->count++] = (struct var){ .name = name, .value = value, .used = true };
}

/* The directory of the document's file. */
static struct node *dir_of(struct vars *v)
{
	struct node *n = node_new(v->c->a, NODE_SCALAR, v->root->at);
	const char *dir = compose_directory(v->c->a, v->root->at.src->name);

	if (n == NULL || dir == NULL)
		return NULL;
	n->text = dir;
	n->len = strlen(dir);
	return n;
}

/* ---- --set ---- */

static struct node *piece(struct vars *v, const struct src_text *src, size_t from, size_t len)
{
	const struct mark at = { 1, (unsigned)from + 1, len > 0 ? (unsigned)len : 1, src };
	struct node *n = node_new(v->c->a, NODE_SCALAR, at);

	if (n != NULL)
		n->text = arena_copy(v->c->a, src->text + from, len);
	if (n == NULL || n->text == NULL) {
		v->c->no_memory = true;
		return NULL;
	}
	n->len = len;
	n->plain = len > 0;
	return n;
}

/* {@key: @value} */
static struct node *pair(struct vars *v, struct node *key, struct node *value)
{
	struct node *map = node_new(v->c->a, NODE_MAP, key->at);

	if (map == NULL || node_append(v->c->a, map, key, value) < 0) {
		v->c->no_memory = true;
		return NULL;
	}
	return map;
}

/* "disk.root.path" or "disk[root].path", up to @end of the text: {disk: {root: {path: @value}}}. */
static struct node *path_of(struct vars *v, const struct src_text *src, size_t end,
			    struct node *value)
{
	size_t to = end;

	for (unsigned depth = 0; value != NULL; depth++) {
		size_t from, n = to;
		struct node *key;

		if (n > 0 && src->text[n - 1] == ']')
			n--;
		for (from = n; from > 0 && strchr(".[", src->text[from - 1]) == NULL;)
			from--;
		if (from == n || depth == SOURCE_DEPTH) {
			(void)diag_add(v->c->d, (struct mark){ 1, (unsigned)from + 1, 1, src },
				       NULL,
				       from == n ? "no key here" : "more keys than there can be");
			return NULL;
		}
		key = piece(v, src, from, n - from);
		value = key != NULL ? pair(v, key, value) : NULL;
		if (from == 0)
			return value;
		to = from - 1;
	}
	return NULL;
}

static void say_unknown(struct diags *d, struct mark at, const char *near)
{
	struct diag *g = diag_add(d, at, NULL, "'%.*s' is neither a variable nor a key",
				  (int)at.width, at.src->text);

	if (near != NULL)
		diag_hint(g, "did you mean '%s'?", near);
	else
		diag_hint(g,
			  "a variable is one that 'vars' has; a key has its sections: cpus.boot");
}

/* A name alone is a variable's, or a key of the document. One of several may have no such variable: @s is kept for the end. */
static bool is_known(struct vars *v, const struct node *name, struct compose_set *s)
{
	const char *near = nearest(v, name->text, true);

	if (section_find(&root_section, name->text) != NULL)
		return true;
	if (s == NULL) {
		say_unknown(v->c->d, name->at, near);
	} else if (s->missed == NULL) {
		s->missed = name;
		s->near = near;
	}
	return false;
}

void compose_end(struct compose *c)
{
	struct compose_many *many = c->extra != NULL ? c->extra->many : NULL;

	for (size_t i = 0; i < COMPOSE_SETS; i++) {
		const struct compose_set *s = &c->sets[i];

		if (many != NULL) {
			if (s->near != NULL && many->sets[i].near[0] == '\0')
				(void)snprintf(many->sets[i].near, sizeof(many->sets[i].near), "%s",
					       s->near);
			many->sets[i].missed |= s->missed != NULL;
			many->sets[i].taken |= s->taken;
		} else if (s->missed != NULL && !s->taken) {
			say_unknown(c->d, s->missed->at, s->near);
		}
	}
}

static struct src_text set_text(const char *set)
{
	return (struct src_text){ .name = "--set", .text = set, .size = strlen(set) };
}

void compose_many_end(const struct compose_extra *x, struct src_text *src, struct diags *d)
{
	for (size_t i = 0; i < x->set_count && i < COMPOSE_SETS; i++) {
		const char *near = x->many->sets[i].near;
		struct mark at = { 1, 1, (unsigned)strcspn(x->sets[i], "="), &src[i] };

		src[i] = set_text(x->sets[i]);
		if (x->many->sets[i].missed && !x->many->sets[i].taken)
			say_unknown(d, at, near[0] != '\0' ? near : NULL);
	}
}

/* Other text went through source.c. */
static bool is_utf8(struct vars *v, const struct node *n)
{
	for (size_t i = 0, len; i < n->len; i += len) {
		struct mark at = n->at;
		uint32_t c;

		len = utf8_next(n->text + i, n->len - i, &c);
		at.col += (unsigned)i;
		at.width = 1;
		if (len > 0)
			continue;
		(void)diag_add(v->c->d, at, NULL, "byte 0x%02x is not UTF-8",
			       (unsigned char)n->text[i]);
		return false;
	}
	return true;
}

/* @s: for what other documents are to know of it; NULL: there are none. */
static void set(struct vars *v, const struct src_text *src, struct compose_set *s)
{
	const char *equals = memchr(src->text, '=', src->size);
	const size_t n = equals != NULL ? (size_t)(equals - src->text) : src->size;
	struct node *name = piece(v, src, 0, n), *value = NULL, *over;
	struct var *var = find(v, src->text, n);

	if (equals == NULL || n == 0 || src->size > SOURCE_TEXT)
		(void)diag_add(v->c->d, (struct mark){ 1, 1, 1, src }, NULL, "%s",
			       src->size > SOURCE_TEXT ? "it is too long"
						       : "it has no NAME=, or no name");
	else if (name != NULL)
		value = piece(v, src, n + 1, src->size - n - 1);
	if (value == NULL)
		return;
	value->untyped = true;
	if (!is_utf8(v, value))
		return;
	if (var != NULL && var->at.line == 0 && strcmp(var->name, "name") != 0) {
		(void)diag_add(v->c->d, name->at, NULL, "'%s' cannot be set", var->name);
	} else if (var != NULL && var->at.line > 0) {
		var->value = value;
	} else if (strpbrk(name->text, ".[") == NULL && !is_known(v, name, s)) {
		return;
	} else {
		over = path_of(v, src, n, value);
		if (over != NULL)
			over = compose_merge(v->c, &root_section, v->root, over);
		if (over != NULL)
			over->key_at = v->root->key_at;
		v->root = over != NULL ? over : v->root;
	}
	if (s != NULL)
		s->taken = true;
}

static void take_extra(struct vars *v, const struct compose_extra *x)
{
	for (size_t i = 0; i < x->file_count; i++) {
		struct source *s = arena_alloc(v->c->a, sizeof(*s));
		const struct src_text *was = v->c->d->src;

		if (s == NULL) {
			v->c->no_memory = true;
			return;
		}
		if (source_set(s, x->files[i].name, x->files[i].text, x->files[i].size, v->c->a,
			       v->c->d) == 0 &&
		    source_parse(s, v->c->a, v->c->d) == 0 && s->doc_count > 0)
			declare_all(v, s->docs[0], false);
		v->c->d->src = was;
	}
	for (size_t i = 0; i < x->set_count; i++) {
		struct src_text *src = arena_alloc(v->c->a, sizeof(*src));

		if (src == NULL) {
			v->c->no_memory = true;
			return;
		}
		*src = set_text(x->sets[i]);
		src->dir = compose_directory(v->c->a, "./-");
		set(v, src,
		    (v->c->several || x->many != NULL) && i < COMPOSE_SETS ? &v->c->sets[i] : NULL);
	}
}

/* ---- what they stand for ---- */

/* Where a '$' that means something is in @n, from @from on. */
struct ref {
	size_t at, len; /* all of it */
	const char *name;
	size_t name_len; /* 0: "$${" */
};

/* @p is behind "${": the default of a shell or of Compose has its place in vars. */
static void bad_ref(struct vars *v, const struct node *n, const char *p)
{
	struct diag *g = diag_add(v->c->d, n->at, NULL, "'${' without a variable's name and '}'");
	const size_t len = strcspn(p, ":-?+=} ");

	if (is_name(p, len) && p[len] != '\0' && strchr(":-?+=", p[len]) != NULL)
		diag_hint(g, "write ${%.*s}; what it is by default stands in 'vars: {%.*s: ...}'",
			  (int)len, p, (int)len, p);
	else
		diag_hint(g, "write $${ for the two characters themselves");
}

/* False: there is none, or it is wrong, which was said. */
static bool next_ref(struct vars *v, const struct node *n, size_t from, struct ref *ret)
{
	const char *p = n->text + from;

	while ((p = strchr(p, '$')) != NULL) {
		const char *end;

		if (strncmp(p, "$${", 3) == 0) {
			*ret = (struct ref){ (size_t)(p - n->text), 3, NULL, 0 };
			return true;
		}
		if (p++[1] != '{')
			continue;
		end = strchr(p, '}');
		if (end != NULL && is_name(p + 1, (size_t)(end - p - 1))) {
			*ret = (struct ref){ (size_t)(p - 1 - n->text), (size_t)(end - p) + 2,
					     p + 1, (size_t)(end - p - 1) };
			return true;
		}
		bad_ref(v, n, p + 1);
		ret->name_len = SIZE_MAX;
		return false;
	}
	return false;
}

static bool expand(struct vars *v, struct node *n);

static struct var *undefined(struct vars *v, const struct node *n, const struct ref *r)
{
	char name[TEXT_SHORT];
	const char *near;
	struct diag *g;

	(void)snprintf(name, sizeof(name), "%.*s", (int)r->name_len, r->name);
	near = nearest(v, name, false);
	g = diag_add(v->c->d, n->at, NULL, "there is no variable '%s'", name);
	if (near != NULL)
		diag_hint(g, "did you mean ${%s}?", near);
	else if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(name))
		diag_hint(
			g,
			"the environment is not read: --set, with a name in 'vars', takes from it");
	else
		diag_hint(g, "say it in 'vars: {%s: ...}'; $${ is ${ itself", name);
	return NULL;
}

/* The variable that @r in @n names, worked out; NULL: said. */
static struct var *value_of(struct vars *v, const struct node *n, const struct ref *r)
{
	struct var *var = find(v, r->name, r->name_len);

	if (var == NULL)
		return undefined(v, n, r);
	var->used = true;
	if (var->value == NULL) {
		struct diag *g =
			diag_add(v->c->d, n->at, NULL, "the variable '%s' has no value", var->name);

		if (var->at.line > 0)
			diag_other(g, var->at, "it is declared here");
		diag_hint(g, "--set %s=VALUE gives it one", var->name);
		return NULL;
	}
	if (var->state == VAR_BUSY) {
		(void)diag_add(v->c->d, n->at, NULL, "the variable '%s' is made of itself",
			       var->name);
		return NULL;
	}
	if (var->state == VAR_NEW) {
		var->state = VAR_BUSY;
		var->state = expand(v, var->value) ? VAR_DONE : VAR_BAD;
	}
	return var->state == VAR_DONE ? var : NULL;
}

/* All that @n names is worked out; *ret_one: the only variable in it, or NULL. */
static bool resolve(struct vars *v, const struct node *n, struct var **ret_one)
{
	struct ref r = { .name_len = 0 };
	unsigned count = 0;
	bool good = true;

	*ret_one = NULL;
	for (size_t i = 0; next_ref(v, n, i, &r); i = r.at + r.len) {
		struct var *var = r.name_len > 0 ? value_of(v, n, &r) : NULL;

		good &= r.name_len == 0 || var != NULL;
		*ret_one = ++count == 1 ? var : NULL;
	}
	return good && r.name_len != SIZE_MAX;
}

/* The text of @n with everything in its place, in v->buf; its length, or SIZE_MAX: too long. */
static size_t fill(struct vars *v, const struct node *n)
{
	size_t used = 0, i = 0;
	struct ref r;

	while (i < n->len) {
		const bool more = next_ref(v, n, i, &r);
		const size_t plain = (more ? r.at : n->len) - i;
		const struct var *var = more && r.name_len > 0 ? find(v, r.name, r.name_len) : NULL;
		const char *text = var != NULL ? var->value->text : "${";
		const size_t len = !more ? 0 : var != NULL ? var->value->len : 2;

		if (used + plain + len > SOURCE_TEXT)
			return SIZE_MAX;
		memcpy(v->buf + used, n->text + i, plain);
		memcpy(v->buf + used + plain, text, len);
		used += plain + len;
		i = more ? r.at + r.len : n->len;
	}
	return used;
}

/* Alone, a variable is what it was where it was given. */
static void take_type(struct node *n, const struct var *one)
{
	const struct node *value = one->value;

	if (n->from.line == 0 && one->at.line > 0) {
		n->from = value->at;
		n->var = true;
	}
	if (n->text[0] != '$' || strchr(n->text, '}') != n->text + n->len - 1)
		return;
	/* Between braces it cannot be without quotes: then its place says what it is. */
	n->untyped = value->untyped || (!n->plain && value->plain);
	n->plain = value->plain;
}

/* False: said. */
static bool expand(struct vars *v, struct node *n)
{
	struct var *one;
	const char *text;
	size_t len;

	if (n->type != NODE_SCALAR || strstr(n->text, "${") == NULL)
		return true;
	/* The checker refuses it. */
	if (strlen(n->text) != n->len)
		return true;
	if (!resolve(v, n, &one))
		return false;
	len = fill(v, n);
	v->c->expanded += len;
	if (len == SIZE_MAX || v->c->expanded > VARS_BYTES) {
		(void)diag_add(v->c->d, n->at, NULL,
			       "with its variables it is too long: at most %d "
			       "bytes, and %d in a file",
			       SOURCE_TEXT, VARS_BYTES);
		v->c->expanded = 0;
		return false;
	}
	text = arena_copy(v->c->a, v->buf, len);
	v->c->no_memory |= text == NULL;
	if (text == NULL)
		return false;
	if (one != NULL)
		take_type(n, one);
	n->text = text;
	n->len = len;
	return true;
}

static bool expand_all(struct vars *v, struct node *n)
{
	bool good = expand(v, n);

	for (size_t i = 0; i < n->count; i++) {
		/* Anchors may stand there, and nobody reads it. */
		if (n == v->root && n->keys[i]->type == NODE_SCALAR &&
		    strncmp(n->keys[i]->text, "x-", 2) == 0)
			continue;
		if (n->items[i] == v->name)
			continue;
		good &= expand_all(v, n->items[i]);
	}
	return good;
}

static void note_unused(const struct vars *v)
{
	struct compose *c = v->c;

	for (size_t i = 0; i < v->count; i++) {
		const struct var *var = &v->list[i];
		struct node *n;

		if (!var->own || var->used || c->unused_count == COMPOSE_UNUSED)
			continue;
		n = node_new(c->a, NODE_SCALAR, var->at);
		if (n == NULL) {
			c->no_memory = true;
			return;
		}
		n->path = arena_join(c->a, "vars", var->name);
		c->no_memory |= n->path == NULL;
		if (n->path != NULL)
			c->unused[c->unused_count++] = n;
	}
}

/* The document's own name, worked out before it is what others are made of. */
static bool take_name(struct vars *v)
{
	struct node *name = node_find(v->root, "name");
	struct var *var;

	if (name == NULL || name->type != NODE_SCALAR)
		name = NULL;
	built_in(v, "name", name);
	if (name == NULL)
		return true;
	v->name = name;
	var = &v->list[v->count - 1];
	var->state = VAR_BUSY;
	var->state = expand(v, name) ? VAR_DONE : VAR_BAD;
	return var->state == VAR_DONE;
}

static struct node *with_vars(struct vars *v, struct node *map, const struct compose_extra *x)
{
	const size_t before = v->c->d->total;
	struct node *dir = dir_of(v);
	bool good;

	v->c->no_memory |= dir == NULL;
	built_in(v, "dir", dir);
	if (map != NULL)
		declare_all(v, map, true);
	if (x != NULL)
		take_extra(v, x);
	if (v->c->no_memory || v->c->d->total > before)
		return NULL;
	good = take_name(v);
	good &= expand_all(v, v->root);
	if (good)
		note_unused(v);
	return good ? v->root : NULL;
}

struct node *compose_vars(struct compose *c, struct node *root)
{
	const struct compose_extra *x = c->extra;
	struct node *map;
	struct vars *v;
	bool bad = false;

	if (x != NULL && x->file_count + x->set_count == 0)
		x = NULL;
	map = compose_take(c, root, "vars", &bad);
	if (bad)
		return NULL;
	if (map == NULL && x == NULL && !c->dollar)
		return root;
	v = arena_alloc(c->a, sizeof(*v));
	if (v == NULL) {
		c->no_memory = true;
		return NULL;
	}
	v->c = c;
	v->root = root;
	return with_vars(v, map, x);
}
