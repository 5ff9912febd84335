/* SPDX-License-Identifier: Apache-2.0 */
/* raw_status.c - where a raw file has holes, as the host's file system tells. */
#include <errno.h>
#include <unistd.h>

#include "backend/block/block.h"

int raw_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	struct blk_status s = { .kind = BLK_DATA, .length = n, .has_place = true, .place = off };
	const off_t data = lseek(b->fd, (off_t)off, SEEK_DATA);
	off_t hole;

	if (data < 0 && errno == ENXIO) { /* no data from here on */
		s.kind = BLK_ZEROES;
	} else if (data > (off_t)off) {
		s.kind = BLK_ZEROES;
		s.length = (uint64_t)data - off;
	} else if (data >= 0) {
		hole = lseek(b->fd, (off_t)off, SEEK_HOLE);
		if (hole > (off_t)off)
			s.length = (uint64_t)hole - off;
	} /* else: a device, or a file system that does not tell */

	/* Only whole sectors are anybody's business. A sector with data in it has data. */
	if (s.kind == BLK_ZEROES && s.length < n)
		s.length -= (off + s.length) % 512;
	if (s.kind == BLK_ZEROES && s.length == 0)
		s = (struct blk_status){ BLK_DATA, 512, false, true, off };
	else if (s.kind == BLK_DATA && s.length < n)
		s.length += (512 - (off + s.length) % 512) % 512;
	if (s.length > n)
		s.length = n;
	*ret = s;
	return 0;
}
