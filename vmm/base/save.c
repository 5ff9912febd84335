/* SPDX-License-Identifier: Apache-2.0 */
/* save.c - see save.h. */
#include "base/save.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"

enum { HEADER_SIZE = 12 };

void save_init(struct saver *s, struct buf *out)
{
	*s = (struct saver){ .out = out };
}

void save_begin(struct saver *s, uint32_t tag, uint32_t version)
{
	s->open_at = buf_add32(s->out, tag);
	(void)buf_add32(s->out, version);
	(void)buf_add32(s->out, 0);
}

void save_end(struct saver *s)
{
	uint8_t size[4];

	if (s->out->failed)
		return;
	st32(size, (uint32_t)(s->out->size - s->open_at - HEADER_SIZE));
	buf_put(s->out, s->open_at + 8, size, sizeof(size));
}

void save_u8(struct saver *s, uint8_t v)
{
	(void)buf_add8(s->out, v);
}

void save_u16(struct saver *s, uint16_t v)
{
	(void)buf_add16(s->out, v);
}

void save_u32(struct saver *s, uint32_t v)
{
	(void)buf_add32(s->out, v);
}

void save_u64(struct saver *s, uint64_t v)
{
	(void)buf_add64(s->out, v);
}

void save_bytes(struct saver *s, const void *p, size_t n)
{
	(void)buf_add(s->out, p, n);
}

void save_str(struct saver *s, const char *text)
{
	const size_t n = strlen(text);

	assert(n <= UINT16_MAX);
	save_u16(s, (uint16_t)n);
	save_bytes(s, text, n);
}

void load_init(struct loader *l, const void *data, size_t size)
{
	*l = (struct loader){ .data = data, .size = size };
}

void load_fail(struct loader *l)
{
	l->failed = true;
}

uint32_t load_begin(struct loader *l, uint32_t tag, uint32_t max_version)
{
	uint32_t version, size;

	if (l->failed || l->size - l->at < HEADER_SIZE || ld32(l->data + l->at) != tag)
		goto bad;
	version = ld32(l->data + l->at + 4);
	size = ld32(l->data + l->at + 8);
	if (version == 0 || version > max_version || size > l->size - l->at - HEADER_SIZE)
		goto bad;
	l->at += HEADER_SIZE;
	l->end = l->at + size;
	return version;
bad:
	l->failed = true;
	l->end = l->at;
	return 0;
}

static int damaged(const char *what, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_STATE, "state of %s is damaged or of another version",
			    what);
}

int load_end(struct loader *l, const char *what, struct sill_err *e)
{
	return l->failed || l->at != l->end ? damaged(what, e) : 0;
}

int load_done(const struct loader *l, const char *what, struct sill_err *e)
{
	return l->failed || l->at != l->size ? damaged(what, e) : 0;
}

void load_bytes(struct loader *l, void *p, size_t n)
{
	if (l->failed || n > l->end - l->at) {
		l->failed = true;
		memset(p, 0, n);
		return;
	}
	memcpy(p, l->data + l->at, n);
	l->at += n;
}

uint8_t load_u8(struct loader *l)
{
	uint8_t v;

	load_bytes(l, &v, sizeof(v));
	return v;
}

uint16_t load_u16(struct loader *l)
{
	uint16_t v;

	load_bytes(l, &v, sizeof(v));
	return v;
}

uint32_t load_u32(struct loader *l)
{
	uint32_t v;

	load_bytes(l, &v, sizeof(v));
	return v;
}

uint64_t load_u64(struct loader *l)
{
	uint64_t v;

	load_bytes(l, &v, sizeof(v));
	return v;
}

bool load_bool(struct loader *l)
{
	uint8_t v = load_u8(l);

	if (v > 1)
		l->failed = true;
	return v == 1;
}

void load_str(struct loader *l, char *ret, size_t room)
{
	const uint16_t n = load_u16(l);

	ret[0] = '\0';
	if (n >= room) {
		l->failed = true;
		return;
	}
	load_bytes(l, ret, n);
	ret[n] = '\0';
	if (l->failed || strlen(ret) != n) {
		l->failed = true;
		ret[0] = '\0';
	}
}

struct loader load_rest(struct loader *l)
{
	struct loader rest = { .data = l->data + l->at, .failed = l->failed };

	if (!l->failed) {
		rest.size = l->end - l->at;
		l->at = l->end;
	}
	return rest;
}

uint32_t load_peek(const struct loader *l)
{
	if (l->failed || l->size - l->at < HEADER_SIZE)
		return 0;
	return ld32(l->data + l->at);
}
