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

		b = calloc(1, sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		b->size = size;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	return p;
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
