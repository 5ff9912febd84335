/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_vhd.c - a VHD image that is all the attacker's.
 *
 * Input: the last 64 bytes are requests of four bytes { op, sector, length,
 * place }; what is before them is the image in records (vhd_fuzz.h). The
 * checksums are set right, so that they are not what is tested.
 */
#include "vhd_fuzz.h"

static void sum_up(uint8_t *p, size_t size, size_t at)
{
	uint32_t sum = 0;

	memset(p + at, 0, 4);
	for (size_t i = 0; i < size; i++)
		sum += p[i];
	sum = __builtin_bswap32(~sum);
	memcpy(p + at, &sum, 4);
}

static void repair(int fd, off_t size)
{
	uint8_t s[1024];

	for (off_t at = 0; at <= size - 512; at += size - 512 != 0 ? size - 512 : 1) {
		if (pread(fd, s, 512, at) == 512 && memcmp(s, "conectix", 8) == 0) {
			sum_up(s, 512, 64);
			(void)!pwrite(fd, s, 512, at);
		}
	}
	if (pread(fd, s, 1024, 512) == 1024 && memcmp(s, "cxsparse", 8) == 0) {
		sum_up(s, 1024, 36);
		(void)!pwrite(fd, s, 1024, 512);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_image(&blk_vhd_ops, repair, data, size);
}
