/* SPDX-License-Identifier: Apache-2.0 */
/* needs.c - what a VM takes from its host. */
#include "runner/export/export.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/emit.h"
#include "runner/report/text.h"

/* Sill's own memory beside the guest's: its program, and buffers of queues. */
static const uint64_t own_memory = 256 << 20;

static void add(struct export_needs *n, const char **list, unsigned *count, const char *path)
{
	for (unsigned i = 0; path != NULL && i < *count; i++)
		if (strcmp(list[i], path) == 0)
			return;
	if (path != NULL && *count < EXPORT_DIRS)
		list[(*count)++] = path;
	else
		n->left_out++;
}

/* What an image with sill in it has by itself. */
static bool is_everywhere(const char *path)
{
	return strncmp(path, "/usr/", 5) == 0 || strcmp(path, "/dev/urandom") == 0 ||
	       strcmp(path, "/dev/random") == 0 || strcmp(path, "/dev/hwrng") == 0;
}

/* @path, which is absolute, without "." and ".."; engines refuse them. NULL: no memory. */
static char *plain_path(struct arena *a, const char *path)
{
	char *to = arena_alloc(a, strlen(path) + 2);
	size_t n = 0;

	while (to != NULL && *path != '\0') {
		const size_t len = strcspn(path += strspn(path, "/"), "/");

		if (len == 2 && memcmp(path, "..", 2) == 0) {
			while (n > 0 && to[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			to[n++] = '/';
			memcpy(to + n, path, len);
			n += len;
		}
		path += len;
	}
	if (to != NULL)
		to[n] = '\0';
	return to;
}

static void take_path(struct export_needs *n, const struct export_vm *vm, struct node *node,
		      bool relative)
{
	struct check *c = &vm->mf->check;
	const char *written = check_path(c, node);
	const char *path = written != NULL ? plain_path(c->a, written) : NULL;
	const size_t dir = strlen(c->dir);
	const char *slash;

	if (path == NULL)
		return;
	if (strncmp(path, c->dir, dir) == 0 && path[dir] == '/') {
		n->beside = true;
		node->text = relative ? path + dir + 1 : path;
	} else {
		node->text = path;
		slash = strrchr(path, '/');
		if (strncmp(path, "/dev/", 5) == 0 && !is_everywhere(path))
			add(n, n->device, &n->devices, path);
		else if (!is_everywhere(path) && slash != path)
			add(n, n->dir, &n->dirs, arena_copy(c->a, path, (size_t)(slash - path)));
	}
	node->len = strlen(node->text);
	node->at.src = NULL; /* no base's directory counts for it any more */
}

static void walk(struct export_needs *n, const struct export_vm *vm, const struct node *node,
		 bool relative)
{
	for (size_t i = 0; i < node->count; i++)
		walk(n, vm, node->items[i], relative);
	/* The tree is this command's own. */
	if (node->type == NODE_SCALAR && !node->implied && node->row != NULL && node_is_path(node))
		take_path(n, vm, (struct node *)(uintptr_t)node, relative);
}

static bool is_own_tap(const struct sill_net_config *c)
{
	return c->tap != NULL || c->bridge != NULL || c->macvtap != NULL;
}

void export_needs_get(struct export_needs *n, const struct export_vm *vm, bool relative)
{
	const struct sill_config *v = vm->mf->docs[vm->doc].m;

	*n = (struct export_needs){ .cpus = v->cpus.boot,
				    .memory = v->memory.size + v->memory.hotplug_size + own_memory,
				    .tty = sill_port_on_tty(v) != SILL_PORTS };
	for (unsigned i = 0; i < v->net_count; i++) {
		n->tun |= is_own_tap(&v->net[i]);
		n->net_admin |= is_own_tap(&v->net[i]) || v->net[i].nat || v->net[i].isolate;
		n->vhost |= is_own_tap(&v->net[i]);
		n->dnsmasq |= v->net[i].dhcp == SILL_DHCP_DNSMASQ;
	}
	walk(n, vm, vm->mf->docs[vm->doc].root, relative);
	if (n->left_out > 0)
		text_say(vm->notes, "%s: %u files more, in other directories than the %u told of",
			 v->name, n->left_out, n->dirs);
}

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), 32 bits folded to 24. */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return (h >> 24 ^ h) & 0xffffff;
}

void export_label(char dst[64], const char *name)
{
	const char *from = name;
	size_t n = 0;

	if (!isalpha((unsigned char)*from))
		n = (size_t)snprintf(dst, 64, "v-");
	for (; *from != '\0' && n < 52; from++) {
		const unsigned char c = (unsigned char)*from;

		if (isalnum(c))
			dst[n++] = (char)tolower(c);
		else if (n > 0 && dst[n - 1] != '-')
			dst[n++] = '-';
	}
	while (n > 0 && dst[n - 1] == '-')
		n--;
	dst[n] = '\0';
	if (strcmp(dst, name) == 0)
		return;
	n = n > 45 ? 45 : n;
	(void)snprintf(dst + n, 64 - n, "-%06x", hash(name));
}

char *export_manifest(const struct export_vm *vm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int ret = f != NULL ? emit_yaml(f, &vm->mf->check, vm->mf->docs[vm->doc].root, EMIT_WRITTEN)
			    : -1;

	if (f != NULL && fclose(f) != 0)
		ret = -1;
	if (ret == 0)
		return text;
	free(text);
	return NULL;
}
