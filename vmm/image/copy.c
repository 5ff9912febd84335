/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - from one image to another, by several threads.
 *
 * The crew's cursor goes over the source, extent by extent, and hands out pieces:
 * holes as they are, data in buffers' worth. Whoever has a piece reads it, finds the
 * zeroes in it and writes the rest. The pieces begin at multiples of their size so
 * that no two threads share a cluster; those of one image are in rising order but
 * for a few, which is what disks and readahead like.
 */
#include <errno.h>
#include <string.h>

#include "backend/block/qcow2_pack.h"
#include "image/crew.h"
#include "image/open.h"

enum { PAGE = 4096 };

enum kind { DATA, ZEROES };

struct job {
	const struct sill_image_copy *c;
	struct qcow2 *packs;        /* `to`, when its clusters get compressed; else NULL */
	uint64_t piece;             /* pieces begin at multiples of it */
	uint32_t grain;             /* zeroes are looked for in so large pieces of `to` */
	struct sill_image_extent x; /* the crew's lock: the last one that was looked up */
};

/* The extent that @at is in. */
static int look_up(struct job *j, uint64_t at, uint64_t size, struct sill_err *e)
{
	const unsigned depth = j->c->top_only ? 0 : SILL_IMAGE_MAX_DEPTH;

	if (at >= j->x.offset && at - j->x.offset < j->x.length)
		return 0;
	return sill_image_extent(j->c->from, at, size - at, depth, &j->x, e);
}

static uint64_t size_of(const struct job *j)
{
	return j->c->size != 0 ? j->c->size : sill_image_size(j->c->from);
}

static int look(void *ctx, uint64_t at, struct crew_piece *p, struct sill_err *e)
{
	struct job *j = ctx;
	const uint64_t boundary = (at / j->piece + 1) * j->piece;
	uint64_t end;
	bool skip;

	if (look_up(j, at, size_of(j), e) < 0)
		return -1;
	end = j->x.offset + j->x.length;
	skip = (j->c->top_only && !j->x.present) ||
	       (j->x.zero && (j->c->is_new || j->c->punch_only));
	*p = (struct crew_piece){ .off = at, .kind = j->x.zero ? ZEROES : DATA };
	if (!skip && !j->x.zero && end > boundary)
		end = boundary;
	p->length = end - at;
	return skip ? 0 : 1;
}

/* Whole clusters only: those that are all zeroes, or what there is up to the end of the piece. */
static int look_packed(void *ctx, uint64_t at, struct crew_piece *p, struct sill_err *e)
{
	struct job *j = ctx;
	const uint64_t size = size_of(j), cluster = j->packs->cluster_size;
	uint64_t end;

	if (look_up(j, at, size, e) < 0)
		return -1;
	*p = (struct crew_piece){ .off = at, .kind = DATA };
	end = j->x.offset + j->x.length;
	if (end < size && j->x.zero)
		end -= end % cluster;
	if (j->x.zero && end > at) {
		p->length = end - at;
		return 0;
	}
	end = (at / j->piece + 1) * j->piece;
	p->length = (end < size ? end : size) - at;
	return 1;
}

/* Is all of it zero? Compared with itself one word further on, which libc does at full speed. */
static bool is_zero(const uint8_t *p, size_t n)
{
	uint64_t first;

	memcpy(&first, p, sizeof(first));
	return first == 0 && memcmp(p, p + sizeof(first), n - sizeof(first)) == 0;
}

/* One run of the buffer that is all zeroes, or all to be written. */
static int put_run(struct job *j, const uint8_t *p, uint64_t off, uint64_t n, bool zero,
		   struct sill_err *e)
{
	if (!zero && j->c->punch_only)
		return 0;
	if (!zero)
		return sill_image_write(j->c->to, p, (size_t)n, off, e);
	return j->c->is_new ? 0 : sill_image_zero(j->c->to, off, n, true, e);
}

static int put_data(struct job *j, const uint8_t *buf, const struct crew_piece *p,
		    struct sill_err *e)
{
	uint64_t from = 0;
	bool zero = false;

	for (uint64_t at = 0; at < p->length;) {
		uint64_t n = j->grain - (p->off + at) % j->grain;
		bool z;

		n = n < p->length - at ? n : p->length - at;
		z = is_zero(buf + at, (size_t)n);
		if (at > from && z != zero) {
			if (put_run(j, buf + from, p->off + from, at - from, zero, e) < 0)
				return -1;
			from = at;
		}
		zero = z;
		at += n;
	}
	return put_run(j, buf + from, p->off + from, p->length - from, zero, e);
}

static int visit(void *ctx, const struct crew_hand *h, const struct crew_piece *p,
		 struct sill_err *e)
{
	struct job *j = ctx;

	if (p->kind == ZEROES)
		return sill_image_zero(j->c->to, p->off, p->length, true, e);
	if (sill_image_read(j->c->from, h->buf, (size_t)p->length, p->off, e) < 0)
		return -1;
	return put_data(j, h->buf, p, e);
}

/* A cluster, which ends with the disk if that is shorter. */
static int put_packed(struct job *j, const struct crew_hand *h, uint8_t *plain,
		      const struct crew_piece *p, struct sill_err *e)
{
	const uint32_t cluster = j->packs->cluster_size;
	bool packed;
	int err;

	memset(plain + p->length, 0, cluster - p->length);
	if (is_zero(plain, cluster))
		return 0;
	err = qcow2_pack(j->packs, h->tool, plain, p->off, &packed);
	if (err != 0)
		return sill_err_sys(e, err, "write '%s' at %llu", j->c->to->blk->path,
				    (unsigned long long)p->off);
	return packed ? 0 : sill_image_write(j->c->to, plain, (size_t)p->length, p->off, e);
}

static int visit_packed(void *ctx, const struct crew_hand *h, const struct crew_piece *p,
			struct sill_err *e)
{
	struct job *j = ctx;
	const uint32_t cluster = j->packs->cluster_size;

	if (sill_image_read(j->c->from, h->buf, (size_t)p->length, p->off, e) < 0)
		return -1;
	for (uint64_t at = 0; at < p->length; at += cluster) {
		const uint64_t left = p->length - at;
		const struct crew_piece one = { .off = p->off + at,
						.length = left < cluster ? left : cluster };

		if (put_packed(j, h, h->buf + at, &one, e) < 0)
			return -1;
	}
	return 0;
}

static void *make_packer(void *ctx)
{
	struct job *j = ctx;

	return qcow2_packer_create(j->packs);
}

static void drop_packer(void *tool)
{
	qcow2_packer_destroy(tool);
}

static uint32_t grain_of(const struct sill_image *i)
{
	const struct qcow2 *q = i->blk->state;

	if (i->format != SILL_DISK_QCOW2)
		return PAGE;
	return 1u << q->granule_bits;
}

/* 0, or -1 and @e: only a new qcow2 image that has its data itself gets compressed clusters. */
static int begin_packing(struct job *j, struct sill_err *e)
{
	struct sill_image *to = j->c->to;

	if (!j->c->compress)
		return 0;
	if (to->format != SILL_DISK_QCOW2 || !j->c->is_new || j->c->top_only ||
	    to->blk->data != NULL)
		return sill_err_set(e, SILL_ERR_STATE,
				    "'%s': only a new qcow2 image gets compressed clusters",
				    to->blk->path);
	j->packs = to->blk->state;
	if (j->piece < j->packs->cluster_size)
		j->piece = j->packs->cluster_size;
	return 0;
}

int sill_image_copy(const struct sill_image_copy *c, struct sill_err *e)
{
	struct job j = { .c = c, .piece = CREW_PIECE, .grain = grain_of(c->to) };
	struct crew crew = { .size = size_of(&j),
			     .workers = c->workers,
			     .look = look,
			     .visit = visit,
			     .ctx = &j,
			     .progress = c->progress,
			     .progress_ctx = c->ctx };
	int err;

	if (crew.size > sill_image_size(c->from) || crew.size > sill_image_size(c->to))
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is too small for '%s'",
				    c->to->blk->path, c->from->blk->path);
	if (begin_packing(&j, e) < 0)
		return -1;
	crew.buffer = (size_t)j.piece;
	if (j.packs == NULL)
		return crew_run(&crew, e);
	crew.look = look_packed;
	crew.visit = visit_packed;
	crew.tool_make = make_packer;
	crew.tool_drop = drop_packer;
	if (crew_run(&crew, e) < 0)
		return -1;
	err = qcow2_pack_end(j.packs);
	return err != 0 ? sill_err_sys(e, err, "'%s'", c->to->blk->path) : 0;
}
