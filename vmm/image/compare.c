/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.c - is the same on two disks?
 *
 * What reads as zeroes on both, by their tables, is not looked at; where it is so
 * on one, the other's bytes have to be zero. The rest is read from both. Pieces are
 * handed out in rising order, so all before the first difference that is found has
 * been handed out too: the least of what the threads find is the first one.
 */
#include <pthread.h>
#include <string.h>

#include "image/crew.h"
#include "image/open.h"

enum { SECTOR = 512 };

enum { FIRST_ZERO = 1, SECOND_ZERO = 2 }; /* a piece's kind */

struct job {
	const struct sill_image_compare *c;
	struct sill_image *disk[2];
	struct sill_image_extent x[2]; /* the crew's lock: what was looked up last */
	pthread_mutex_t mutex;         /* a leaf: */
	uint64_t differs;              /* the least that was found; UINT64_MAX: none */
	uint64_t other_kind;           /* likewise where they are not allocated alike */
};

static void found(struct job *j, uint64_t *what, uint64_t at)
{
	(void)pthread_mutex_lock(&j->mutex);
	if (at < *what)
		*what = at;
	(void)pthread_mutex_unlock(&j->mutex);
}

/* What is at @at of disk @i. Behind its end there are zeroes, which nobody has. */
static int look_up(struct job *j, unsigned i, uint64_t at, struct sill_err *e)
{
	const uint64_t size = sill_image_size(j->disk[i]);

	if (at >= j->x[i].offset && at - j->x[i].offset < j->x[i].length)
		return 0;
	if (at < size)
		return sill_image_extent(j->disk[i], at, size - at, SILL_IMAGE_MAX_DEPTH, &j->x[i],
					 e);
	j->x[i] =
		(struct sill_image_extent){ .offset = at, .length = UINT64_MAX - at, .zero = true };
	return 0;
}

static int look(void *ctx, uint64_t at, struct crew_piece *p, struct sill_err *e)
{
	struct job *j = ctx;
	const struct sill_image_extent *a = &j->x[0], *b = &j->x[1];
	uint64_t end;

	if (look_up(j, 0, at, e) < 0 || look_up(j, 1, at, e) < 0)
		return -1;
	if (a->present != b->present || a->zero != b->zero || a->data != b->data)
		found(j, &j->other_kind, at);
	end = a->offset + a->length < b->offset + b->length ? a->offset + a->length
							    : b->offset + b->length;
	*p = (struct crew_piece){
		.off = at, .kind = (a->zero ? FIRST_ZERO : 0) | (b->zero ? SECOND_ZERO : 0)
	};
	if (p->kind != (FIRST_ZERO | SECOND_ZERO) && end > (at / CREW_PIECE + 1) * CREW_PIECE)
		end = (at / CREW_PIECE + 1) * CREW_PIECE;
	p->length = end - at;
	return p->kind == (FIRST_ZERO | SECOND_ZERO) ? 0 : 1;
}

/* The first sector of @n bytes in which they differ; @n: none. */
static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	uint64_t at = 0;

	if (memcmp(a, b, (size_t)n) == 0)
		return n;
	while (memcmp(a + at, b + at, SECTOR) == 0)
		at += SECTOR;
	return at;
}

static int visit(void *ctx, const struct crew_hand *h, const struct crew_piece *p,
		 struct sill_err *e)
{
	struct job *j = ctx;
	uint8_t *bytes[2] = { h->buf, h->buf + CREW_PIECE };
	uint64_t at;

	for (unsigned i = 0; i < 2; i++) {
		if ((p->kind & (i == 0 ? FIRST_ZERO : SECOND_ZERO)) != 0)
			memset(bytes[i], 0, (size_t)p->length);
		else if (sill_image_read(j->disk[i], bytes[i], (size_t)p->length, p->off, e) < 0)
			return -1;
	}
	at = first_difference(bytes[0], bytes[1], p->length);
	if (at == p->length)
		return 0;
	found(j, &j->differs, p->off + at);
	return 1;
}

int sill_image_compare(const struct sill_image_compare *c, struct sill_image_comparison *ret,
		       struct sill_err *e)
{
	const uint64_t a = sill_image_size(c->a), b = sill_image_size(c->b);
	struct job j = {
		.c = c, .disk = { c->a, c->b }, .differs = UINT64_MAX, .other_kind = UINT64_MAX
	};
	const struct crew crew = { .size = a > b ? a : b,
				   .buffer = 2 * (size_t)CREW_PIECE,
				   .workers = c->workers,
				   .look = look,
				   .visit = visit,
				   .ctx = &j,
				   .progress = c->progress,
				   .progress_ctx = c->ctx };
	int failed;

	(void)pthread_mutex_init(&j.mutex, NULL);
	failed = crew_run(&crew, e);
	(void)pthread_mutex_destroy(&j.mutex);
	if (failed == 0)
		*ret = (struct sill_image_comparison){ .differs = j.differs,
						       .other_kind = j.other_kind };
	return failed;
}
