/* SPDX-License-Identifier: Apache-2.0 */
/* shares.c - which VMs want the same file, by a table of all that they hold. */
#include "runner/manifest/shares.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/manifest.h"
#include "runner/net/forwardspec.h"
#include "runner/report/text.h"
#include "sill/config.h"
#include "sill/hash.h"

/* --- what is held -------------------------------------------------------- */

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISFIFO(st->st_mode);
}

/* A file that is not there yet is known by its directory. */
static void identify_new(struct check *c, struct held *h, const char *abs)
{
	const char *slash = strrchr(abs, '/');
	const char *dir = arena_copy(c->a, abs, slash == abs ? 1 : (size_t)(slash - abs));
	struct stat st;

	c->no_memory |= dir == NULL;
	h->name = abs;
	if (dir == NULL || c->host == NULL || stat(dir, &st) < 0)
		return;
	h->dev = st.st_dev;
	h->ino = st.st_ino;
	h->name = slash + 1;
}

static void identify(struct held *h, const struct stat *st)
{
	h->dev = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;
	h->ino = S_ISBLK(st->st_mode) ? 0 : st->st_ino;
	h->name = "";
}

static struct held *add(struct check *c, const struct node *n, enum held_kind kind, bool writes)
{
	struct held *h = arena_alloc(c->a, sizeof(*h));
	void **list = h != NULL ? arena_grow(c->a, (void **)c->held, c->held_count) : NULL;

	if (list == NULL) {
		c->no_memory = true;
		return NULL;
	}
	*h = (struct held){ .kind = kind,
			    .writes = writes,
			    .owner = c->doc,
			    .vm = c->vm,
			    .key = n->path,
			    .at = n->at,
			    .name = "" };
	c->held = (struct held **)list;
	c->held[c->held_count++] = h;
	return h;
}

static void add_path(struct check *c, char *const *path, enum held_kind kind, bool writes)
{
	const struct node *n = place_at(c, path);
	struct held *h;
	struct stat st;

	if (*path == NULL || (kind == HELD_IMAGE && strcmp(*path, "auto") == 0))
		return;
	if (c->host != NULL && stat(*path, &st) == 0) {
		if (is_device(&st))
			return;
		h = add(c, n, kind, writes);
		if (h != NULL)
			identify(h, &st);
		return;
	}
	h = add(c, n, kind, writes);
	if (h != NULL)
		identify_new(c, h, *path);
}

static void add_end(struct check *c, const struct sill_char_config *s)
{
	if (place_ok(c, &s->mode) == NULL || s->path == NULL)
		return;
	if (s->mode == SILL_CHAR_SOCKET && s->log != NULL && strncmp(s->log, "/dev/", 5) != 0)
		add_path(c, &s->log, HELD_LOG, true);
	if (s->mode == SILL_CHAR_SOCKET)
		add_path(c, &s->path, HELD_SOCKET, true);
	else if (s->mode == SILL_CHAR_FILE && strncmp(s->path, "/dev/", 5) != 0)
		add_path(c, &s->path, HELD_LOG, true);
}

static void add_disk(struct check *c, const struct sill_disk_config *d)
{
	const bool writes = disk_is_written(c, d);

	add_path(c, &d->path, HELD_IMAGE, writes);
	add_path(c, &d->data_file, HELD_IMAGE, writes);
	for (unsigned i = 0; place_ok(c, &d->backing) != NULL && i < d->backing_count; i++) {
		add_path(c, &d->backing[i].path, HELD_IMAGE, false);
		add_path(c, &d->backing[i].data_file, HELD_IMAGE, false);
	}
}

/* One port of the host, at one of its addresses. */
static void add_port(struct check *c, const struct node *n, int family, const void *address,
		     unsigned port)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct held *h = add(c, n, HELD_PORT, true);

	(void)inet_ntop(family, address, text, sizeof(text));
	if (h != NULL)
		h->name = arena_printf(c->a, "%s port %u", text, port);
	c->no_memory |= h != NULL && h->name == NULL;
}

static void add_listener(void *ctx, const struct node *n, const struct forward_spec *at)
{
	struct check *c = ctx;

	if (at->v4)
		add_port(c, n, AF_INET, &at->address4, at->host_port);
	if (at->v6)
		add_port(c, n, AF_INET6, &at->address6, at->host_port);
}

static void add_forward(struct check *c, char *const *text)
{
	const struct node *n = place_ok(c, text);
	struct sill_err e = { 0 };
	struct forward_spec s;

	if (n != NULL && forward_read(*text, &s, &e) == 0)
		add_listener(c, n, &s);
}

static void add_ports(struct check *c, const struct sill_config *v)
{
	check_listeners(c, v, add_listener, c);
	for (unsigned i = 0; i < v->net_count; i++)
		for (unsigned j = 0; j < v->net[i].forward_count; j++)
			add_forward(c, &v->net[i].forward[j]);
}

void shares_collect(struct check *c, const struct sill_config *v, unsigned doc)
{
	c->doc = doc;
	c->vm = v->name != NULL ? v->name : "";
	add_path(c, &v->firmware.vars, HELD_STORE, true);
	for (unsigned i = 0; i < v->disk_count; i++)
		add_disk(c, &v->disk[i]);
	for (unsigned p = 0; p < SILL_PORTS; p++)
		add_end(c, sill_port_config(v, p));
	if (place_ok(c, &v->vsock.socket) != NULL)
		add_path(c, &v->vsock.socket, HELD_SOCKET, true);
	if (place_ok(c, &v->api.socket) != NULL)
		add_path(c, &v->api.socket, HELD_SOCKET, true);
	if (place_ok(c, &v->debug.gdb) != NULL && strchr(v->debug.gdb, '/') != NULL)
		add_path(c, &v->debug.gdb, HELD_SOCKET, true);
	add_ports(c, v);
}

void shares_collect_image(struct check *c, const struct node *n, const struct stat *st, bool writes)
{
	struct held *h = add(c, n, HELD_IMAGE, writes);

	if (h != NULL)
		identify(h, st);
}

/* --- the table ----------------------------------------------------------- */

static size_t hash(const struct held *h)
{
	uint64_t v = (uint64_t)h->dev * 0x9e3779b97f4a7c15ull ^ (uint64_t)h->ino;

	v = sill_hash_text(v, h->name);
	return (size_t)(v ^ v >> 29);
}

static bool same(const struct held *a, const struct held *b)
{
	return a->dev == b->dev && a->ino == b->ino && strcmp(a->name, b->name) == 0;
}

static bool clash(const struct held *a, const struct held *b)
{
	if (a->owner == b->owner || !same(a, b))
		return false;
	if (a->kind == HELD_LOG || b->kind == HELD_LOG)
		return a->kind != b->kind && a->kind != HELD_SOCKET && b->kind != HELD_SOCKET;
	return a->writes || b->writes;
}

static bool grow(struct shares *s)
{
	const size_t size = s->size > 0 ? 2 * s->size : 64;
	struct held **slot = calloc(size, sizeof(struct held *));

	if (slot == NULL)
		return false;
	for (size_t i = 0; i < s->size; i++) {
		size_t at;

		if (s->slot[i] == NULL)
			continue;
		for (at = hash(s->slot[i]) & (size - 1); slot[at] != NULL;)
			at = (at + 1) & (size - 1);
		slot[at] = s->slot[i];
	}
	free(s->slot);
	s->slot = slot;
	s->size = size;
	return true;
}

static const struct held *find_clash(const struct shares *s, const struct held *h)
{
	for (size_t at = hash(h); s->size > 0 && s->slot[at & (s->size - 1)] != NULL; at++) {
		if (clash(s->slot[at & (s->size - 1)], h))
			return s->slot[at & (s->size - 1)];
	}
	return NULL;
}

/* Is there one that clashes with the same others? Then a second says nothing more. */
static bool is_noted(const struct shares *s, const struct held *h)
{
	for (size_t at = hash(h); s->size > 0 && s->slot[at & (s->size - 1)] != NULL; at++) {
		const struct held *o = s->slot[at & (s->size - 1)];

		if (same(o, h) && o->kind == h->kind && o->writes == h->writes)
			return true;
	}
	return false;
}

/* False without memory. */
static bool put(struct shares *s, struct held *h)
{
	size_t at;

	if (2 * s->count >= s->size && !grow(s))
		return false;
	for (at = hash(h) & (s->size - 1); s->slot[at] != NULL;)
		at = (at + 1) & (s->size - 1);
	s->slot[at] = h;
	s->count++;
	return true;
}

static void free_held(struct held *h)
{
	if (h == NULL)
		return;
	free((char *)(uintptr_t)h->vm);
	free((char *)(uintptr_t)h->key);
	free((char *)(uintptr_t)h->file);
	free((char *)(uintptr_t)h->name);
	free(h);
}

void shares_fini(struct shares *s)
{
	for (size_t i = 0; s->owned && i < s->size; i++)
		free_held(s->slot[i]);
	free(s->slot);
	*s = (struct shares){ 0 };
}

/* --- what is said -------------------------------------------------------- */

static const char *advice(const struct held *h)
{
	switch (h->kind) {
	case HELD_STORE:
		return "each VM needs a store of its own";
	case HELD_SOCKET:
		return "each VM needs a socket of its own";
	case HELD_PORT:
		return "each VM needs a port of its own";
	case HELD_IMAGE:
	case HELD_LOG:
		break;
	}
	return "VMs share an image that is readonly (or ephemeral) in all of them";
}

void shares_check(struct check *c)
{
	struct shares s = { 0 };
	const char *said = NULL; /* a forward holds two ports: it is said once */

	for (size_t i = 0; i < c->held_count && !c->no_memory; i++) {
		struct held *h = c->held[i];
		const struct held *other = find_clash(&s, h);

		if (other != NULL && h->key != said) {
			struct diag *g =
				diag_add(c->d, h->at, h->key,
					 "'%s' has it too, as %s: the two cannot run at the "
					 "same time",
					 other->vm, other->key);

			diag_other(g, other->at, "that one");
			diag_hint(g, "%s; two configurations of one VM go into two files",
				  advice(h->kind == HELD_LOG ? other : h));
			said = h->key;
		}
		if (!is_noted(&s, h) && !put(&s, h))
			c->no_memory = true;
	}
	shares_fini(&s);
}

static struct held *copy(const struct held *h)
{
	struct held *new = malloc(sizeof(*new));

	if (new == NULL)
		return NULL;
	*new = *h;
	new->vm = strdup(h->vm);
	new->key = strdup(h->key);
	new->name = strdup(h->name);
	new->file = strdup(h->file);
	if (new->vm != NULL &&new->key != NULL &&new->name != NULL &&new->file != NULL)
		return new;
	free_held(new);
	return NULL;
}

/* "web.yaml:3: disk[0].path of 'web'" */
static void describe(char *dst, size_t size, const struct held *h)
{
	char file[128];

	(void)snprintf(dst, size, "%s:%u: %s of '%s'",
		       text_clean(file, sizeof(file), h->file, strlen(h->file)), h->at.line, h->key,
		       h->vm);
}

void shares_note(struct shares *s, const struct mfile *f, void (*say)(void *arg, const char *text),
		 void *arg)
{
	const char *said = NULL;

	s->owned = true;
	s->files++;
	for (size_t i = 0; i < f->check.held_count; i++) {
		struct held h = *f->check.held[i], *new;
		char ours[320], theirs[320], text[800];
		const struct held *other;

		h.owner = s->files;
		h.file = h.at.src != NULL ? h.at.src->name : f->source.src.name;
		other = find_clash(s, &h);
		/* What is wrong with the file comes first. */
		if (other != NULL && f->diags.total == 0 && h.key != said) {
			said = h.key;
			describe(ours, sizeof(ours), &h);
			describe(theirs, sizeof(theirs), other);
			(void)snprintf(text, sizeof(text),
				       "%s is the %s of %s: the two cannot run at the same time",
				       ours, h.kind == HELD_PORT ? "port" : "file", theirs);
			say(arg, text);
		}
		if (is_noted(s, &h))
			continue;
		new = copy(&h);
		/* Without memory there is a note less. */
		if (new == NULL || !put(s, new)) {
			free_held(new);
			return;
		}
	}
}
