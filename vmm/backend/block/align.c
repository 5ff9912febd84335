/* SPDX-License-Identifier: Apache-2.0 */
/* align.c - O_DIRECT and requests that are not aligned; see align.h. */
#include "backend/block/align.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { SECTOR = 512, PAGE = 4096, BOUNCE = 256 * 1024 };

uint32_t align_floor;

static bool is_sane(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0 && n <= BOUNCE;
}

/* Where the kernel (6.1 and newer) tells; else a device's sector, or the safe guess. */
static int ask(struct align *a, int fd)
{
	struct stat st;
	int sector = 0;

	a->mem = a->off = PAGE;
	if (fstat(fd, &st) < 0)
		return errno;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKSSZGET, &sector) == 0 &&
	    is_sane((uint32_t)sector) && sector >= SECTOR)
		a->mem = a->off = (uint32_t)sector;
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) != 0 && is_sane(sx.stx_dio_offset_align) &&
	    is_sane(sx.stx_dio_mem_align)) {
		a->mem = sx.stx_dio_mem_align;
		a->off = sx.stx_dio_offset_align;
	}
#endif
	if (a->off < align_floor)
		a->off = align_floor;
	return 0;
}

int align_init(struct align *a, int fd)
{
	int err;

	*a = (struct align){ 0 };
	err = ask(a, fd);
	if (err != 0)
		return err;
	a->bounce = aligned_alloc(a->mem > PAGE ? a->mem : PAGE, BOUNCE);
	if (a->bounce == NULL)
		return ENOMEM;
	a->shares = a->off > SECTOR;
	lock_init(&a->lock, RANK_IMAGE);
	ranges_init(&a->at_work);
	return 0;
}

void align_fini(struct align *a)
{
	if (a->bounce == NULL)
		return;
	ranges_fini(&a->at_work);
	lock_fini(&a->lock);
	free(a->bounce);
	*a = (struct align){ 0 };
}

bool align_fits(const struct align *a, const struct iovec *iov, int count, uint64_t off)
{
	uint64_t odd = off & (a->off - 1);

	for (int i = 0; i < count; i++)
		odd |= ((uintptr_t)iov[i].iov_base & (a->mem - 1)) |
		       (iov[i].iov_len & (a->off - 1));
	return odd == 0;
}

bool align_fits_part(const struct align *a, struct align_part p, uint64_t off)
{
	uint64_t odd = off & (a->off - 1);

	for (int i = 0; i < p.count && p.n > 0; i++) {
		size_t piece = p.iov[i].iov_len;

		if (p.skip >= piece) {
			p.skip -= piece;
			continue;
		}
		piece = piece - p.skip < p.n ? piece - p.skip : p.n;
		odd |= (((uintptr_t)p.iov[i].iov_base + p.skip) & (a->mem - 1)) |
		       (piece & (a->off - 1));
		p.skip = 0;
		p.n -= piece;
	}
	return odd == 0;
}

void align_copy(struct align_part p, uint8_t *flat, bool to_flat)
{
	for (int i = 0; i < p.count && p.n > 0; i++) {
		size_t piece = p.iov[i].iov_len;
		uint8_t *bytes;

		if (p.skip >= piece) {
			p.skip -= piece;
			continue;
		}
		bytes = (uint8_t *)p.iov[i].iov_base + p.skip;
		piece -= p.skip;
		if (piece > p.n)
			piece = p.n;
		if (flat == NULL) {
			memset(bytes, 0, piece);
		} else {
			memcpy(to_flat ? flat : bytes, to_flat ? bytes : flat, piece);
			flat += piece;
		}
		p.skip = 0;
		p.n -= piece;
	}
	assert(p.n == 0);
}

int align_bounce(struct align *a, const struct align_file *f, struct align_part p, uint64_t off)
{
	int err = 0;

	lock_take(&a->lock);
	while (p.n > 0 && err == 0) {
		const size_t lead = (size_t)(off & (a->off - 1));
		const size_t piece = p.n < BOUNCE - lead ? p.n : BOUNCE - lead;
		const size_t whole = (lead + piece + a->off - 1) & ~(size_t)(a->off - 1);

		if (!f->write || whole != piece)
			err = f->fn(f->ctx, false, a->bounce, whole, off - lead);
		if (err == 0) {
			align_copy((struct align_part){ p.iov, p.count, p.skip, piece },
				   a->bounce + lead, f->write);
			if (f->write)
				err = f->fn(f->ctx, true, a->bounce, whole, off - lead);
		}
		p.skip += piece;
		off += piece;
		p.n -= piece;
	}
	lock_drop(&a->lock);
	return err;
}

static void describe(const struct align *a, struct range *r, uint64_t off, uint64_t n)
{
	*r = (struct range){ .first = off / a->off,
			     .last = (off + n - 1) / a->off,
			     .exclusive = ((off | n) & (a->off - 1)) != 0 };
}

bool align_try(struct align *a, struct range *r, uint64_t off, uint64_t n)
{
	if (!a->shares)
		return true;
	describe(a, r, off, n);
	return range_try(&a->at_work, r);
}

void align_take(struct align *a, struct range *r, uint64_t off, uint64_t n)
{
	if (!a->shares)
		return;
	describe(a, r, off, n);
	range_take(&a->at_work, r);
}

void align_drop(struct align *a, struct range *r)
{
	if (a->shares)
		range_drop(&a->at_work, r);
}
