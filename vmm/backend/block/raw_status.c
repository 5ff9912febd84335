/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw_status.c - where a file has holes, as the host's file system tells.
 *
 * To say where data end, a file system may have to walk over all of them. An
 * image of another format asks for its clusters one by one, so the last answer
 * is kept. It may be out of date, or half of it another thread's: then a hole
 * is taken for data, which is only slower.
 */
#include <errno.h>
#include <unistd.h>

#include "backend/block/block.h"

/* Where the data that @off is in end, if that is known; else 0. */
static uint64_t known_end(struct blk *b, uint64_t off)
{
	const uint64_t from = __atomic_load_n(&b->data_from, __ATOMIC_RELAXED),
		       to = __atomic_load_n(&b->data_to, __ATOMIC_RELAXED);

	return off >= from && off < to ? to : 0;
}

static uint64_t find_end(struct blk *b, uint64_t off)
{
	const off_t hole = lseek(b->fd, (off_t)off, SEEK_HOLE);

	if (hole <= (off_t)off)
		return UINT64_MAX;
	__atomic_store_n(&b->data_from, off, __ATOMIC_RELAXED);
	__atomic_store_n(&b->data_to, (uint64_t)hole, __ATOMIC_RELAXED);
	return (uint64_t)hole;
}

bool blk_is_hole(struct blk *b, uint64_t off, uint64_t n, uint64_t *ret_n)
{
	uint64_t end = known_end(b, off);
	bool is_hole = false;
	off_t data;

	if (end == 0) {
		data = lseek(b->fd, (off_t)off, SEEK_DATA);
		is_hole = data > (off_t)off || (data < 0 && errno == ENXIO);
		if (is_hole)
			end = data < 0 ? UINT64_MAX : (uint64_t)data;
		else if (data < 0)
			end = UINT64_MAX; /* a device, or a file system that does not tell */
		else
			end = find_end(b, off);
	}
	*ret_n = end - off < n ? end - off : n;

	/* Only whole sectors are anybody's business. A sector with data in it has data. */
	if (is_hole && *ret_n < n)
		*ret_n -= (off + *ret_n) % 512;
	if (is_hole && *ret_n == 0) {
		*ret_n = 512;
		is_hole = false;
	} else if (!is_hole && *ret_n < n) {
		*ret_n += (512 - (off + *ret_n) % 512) % 512;
	}
	if (*ret_n > n)
		*ret_n = n;
	return is_hole;
}

int raw_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	struct blk_status s = { .kind = BLK_DATA, .has_place = true, .place = off };

	if (blk_is_hole(b, off, n, &s.length))
		s.kind = BLK_ZEROES;
	*ret = s;
	return 0;
}
