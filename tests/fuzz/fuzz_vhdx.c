/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_vhdx.c - a VHDX image that is all the attacker's.
 *
 * Input as of fuzz_vhd. The checksums of headers, region tables and log entries
 * are set right, so that they are not what is tested; those of the log only
 * where they are zero.
 */
#include "vhd_fuzz.h"

#include "backend/block/vhdx.h"

static void sum_up(int fd, off_t at, size_t size, uint32_t signature)
{
	static uint8_t s[64 * 1024];

	if (pread(fd, s, size, at) != (ssize_t)size || ld32(s) != signature)
		return;
	st32(s + 4, 0);
	st32(s + 4, vhdio_crc(0, s, size));
	(void)!pwrite(fd, s + 4, 4, at + 4);
}

static void repair_log(int fd)
{
	uint8_t h[VHDX_SECTOR];
	off_t at, end;

	if (pread(fd, h, sizeof(h), VHDX_HEADER_AT) != sizeof(h))
		return;
	at = (off_t)(ld64(h + 72) & 0xffffffff);
	end = at + (1 << 20);
	for (; at < end && pread(fd, h, 16, at) == 16; at += VHDX_SECTOR)
		if (ld32(h + 4) == 0 && ld32(h + 8) <= 64 * 1024)
			sum_up(fd, at, ld32(h + 8), 0x65676f6c);
}

static void repair(int fd, off_t size)
{
	(void)size;
	repair_log(fd);
	for (unsigned i = 1; i <= 2; i++)
		sum_up(fd, (off_t)i * VHDX_HEADER_AT, VHDX_SECTOR, 0x64616568);
	for (unsigned i = 3; i <= 4; i++)
		sum_up(fd, (off_t)i * 64 * 1024, 64 * 1024, 0x69676572);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_image(&blk_vhdx_ops, repair, data, size);
}
