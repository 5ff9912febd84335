/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->size = 0;
	b->failed = false;
}

int buf_reserve(struct buf *b)
{
	uint8_t *p = realloc(b->data, b->max);

	if (p == NULL)
		return -1;
	b->data = p;
	b->room = b->max;
	return 0;
}

static bool grow(struct buf *b, size_t n)
{
	size_t need, room;
	uint8_t *p;

	if (b->failed || __builtin_add_overflow(b->size, n, &need) || need > b->max) {
		b->failed = true;
		return false;
	}
	if (need <= b->room)
		return true;
	room = b->room == 0 ? 256 : b->room;
	while (room < need)
		room *= 2;
	p = realloc(b->data, room);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->data = p;
	b->room = room;
	return true;
}

size_t buf_add(struct buf *b, const void *p, size_t n)
{
	size_t off = b->size;

	if (n == 0 || !grow(b, n))
		return b->failed ? 0 : off;
	if (p != NULL)
		memcpy(b->data + off, p, n);
	else
		memset(b->data + off, 0, n);
	b->size += n;
	return off;
}

size_t buf_add8(struct buf *b, uint8_t v)
{
	return buf_add(b, &v, sizeof(v));
}

size_t buf_add16(struct buf *b, uint16_t v)
{
	return buf_add(b, &v, sizeof(v));
}

size_t buf_add32(struct buf *b, uint32_t v)
{
	return buf_add(b, &v, sizeof(v));
}

size_t buf_add64(struct buf *b, uint64_t v)
{
	return buf_add(b, &v, sizeof(v));
}

void buf_align(struct buf *b, size_t align)
{
	size_t over = b->size % align;

	if (over != 0)
		(void)buf_add(b, NULL, align - over);
}

void buf_put(struct buf *b, size_t off, const void *p, size_t n)
{
	size_t end;

	if (b->failed)
		return;
	if (__builtin_add_overflow(off, n, &end) || end > b->size) {
		b->failed = true;
		return;
	}
	if (n != 0)
		memcpy(b->data + off, p, n);
}

void buf_insert(struct buf *b, size_t off, const void *p, size_t n)
{
	size_t tail;

	if (b->failed || off > b->size) {
		b->failed = true;
		return;
	}
	tail = b->size - off;
	if (n == 0 || !grow(b, n))
		return;
	memmove(b->data + off + n, b->data + off, tail);
	memcpy(b->data + off, p, n);
	b->size += n;
}
