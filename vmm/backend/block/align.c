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

bool align_fits_part(const struct align *a, const struct iovec *iov, int count, size_t skip,
		     size_t n, uint64_t off)
{
	uint64_t odd = off & (a->off - 1);

	for (int i = 0; i < count && n > 0; i++) {
		size_t piece = iov[i].iov_len;

		if (skip >= piece) {
			skip -= piece;
			continue;
		}
		piece = piece - skip < n ? piece - skip : n;
		odd |= (((uintptr_t)iov[i].iov_base + skip) & (a->mem - 1)) |
		       (piece & (a->off - 1));
		skip = 0;
		n -= piece;
	}
	return odd == 0;
}

void align_copy(const struct iovec *iov, int count, size_t skip, uint8_t *flat, size_t n,
		bool to_flat)
{
	for (int i = 0; i < count && n > 0; i++) {
		size_t piece = iov[i].iov_len;
		uint8_t *p;

		if (skip >= piece) {
			skip -= piece;
			continue;
		}
		p = (uint8_t *)iov[i].iov_base + skip;
		piece -= skip;
		if (piece > n)
			piece = n;
		if (flat == NULL) {
			memset(p, 0, piece);
		} else {
			memcpy(to_flat ? flat : p, to_flat ? p : flat, piece);
			flat += piece;
		}
		skip = 0;
		n -= piece;
	}
	assert(n == 0);
}

int align_bounce(struct align *a, align_fn fn, void *ctx, bool write, const struct iovec *iov,
		 int count, size_t skip, size_t n, uint64_t off)
{
	int err = 0;

	lock_take(&a->lock);
	while (n > 0 && err == 0) {
		const size_t lead = (size_t)(off & (a->off - 1));
		const size_t piece = n < BOUNCE - lead ? n : BOUNCE - lead;
		const size_t whole = (lead + piece + a->off - 1) & ~(size_t)(a->off - 1);

		if (!write || whole != piece)
			err = fn(ctx, false, a->bounce, whole, off - lead);
		if (err == 0) {
			align_copy(iov, count, skip, a->bounce + lead, piece, write);
			if (write)
				err = fn(ctx, true, a->bounce, whole, off - lead);
		}
		skip += piece;
		off += piece;
		n -= piece;
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
