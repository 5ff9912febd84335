/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - one list of blocks. */
#include "runner/manifest/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 << 10 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct arena_block *b = a->blocks;
	size_t need;
	void *p;

	a->count++;
	if (a->fail_after != 0 && a->count >= a->fail_after)
		return NULL;
	if (n > ARENA_LIMIT || a->used > ARENA_LIMIT - n)
		return NULL;
	need = (n + align - 1) / align * align;
	if (b == NULL || b->size - b->used < need) {
		size_t size = need > BLOCK ? need : BLOCK;

		b = malloc(sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		b->size = size;
		b->used = 0;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	/* Here, not the whole block: most manifests are small. */
	return memset(p, 0, need);
}

char *arena_copy(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p != NULL)
		memcpy(p, s, n);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1);
	if (p != NULL)
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return p;
}

const char *arena_join(struct arena *arena, const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	char *p;

	if (n == 0)
		return b;
	p = arena_alloc(arena, n + m + 2);
	if (p == NULL)
		return NULL;
	memcpy(p, a, n);
	p[n] = '.';
	memcpy(p + n + 1, b, m);
	return p;
}

void **arena_grow(struct arena *a, void **list, size_t count)
{
	void **bigger;

	/* Powers of two have no room left; the old array stays in the arena. */
	if (count != 0 && (count & (count - 1)) != 0)
		return list;
	bigger = arena_alloc(a, (count == 0 ? 1 : 2 * count) * sizeof(*bigger));
	if (bigger != NULL && count > 0)
		memcpy(bigger, list, count * sizeof(*list));
	return bigger;
}

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b != NULL) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	*a = (struct arena){ 0 };
}
