/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - see image.h. */
#include "firmware/image.h"

#define PAGE 4096ull

int image_place_top(uint64_t lo, uint64_t hi, uint64_t size, uint64_t *ret_gpa, struct sill_err *e)
{
	uint64_t top = hi;

	if (size > top)
		goto no_room;
	top = (top - size) & ~(PAGE - 1);
	if (lo > hi || top < lo)
		goto no_room;
	*ret_gpa = top;
	return 0;
no_room:
	return sill_err_set(e, SILL_ERR_LIMIT,
			    "%llu bytes do not fit between 0x%llx and 0x%llx of guest memory",
			    (unsigned long long)size, (unsigned long long)lo,
			    (unsigned long long)hi);
}
