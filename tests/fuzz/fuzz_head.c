/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_head.c - the heads of images.
 *
 * Input: one byte that chooses the format, then the file; from FRONT bytes on
 * it is the file's last sector.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sill/image.h"

enum { FRONT = 2048, SIZE = 256 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int fd = -1;
	struct sill_image_info h;
	struct sill_err e = { 0 };
	int ret;

	if (n < 1)
		return 0;
	if (fd < 0)
		fd = memfd_create("head", MFD_CLOEXEC);
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, SIZE) < 0)
		abort();
	if (pwrite(fd, data + 1, n - 1 < FRONT ? n - 1 : FRONT, 0) < 0)
		abort();
	if (n - 1 > FRONT &&
	    pwrite(fd, data + 1 + FRONT, n - 1 - FRONT < 512 ? n - 1 - FRONT : 512, SIZE - 512) < 0)
		abort();
	ret = sill_image_head(fd, "x", (enum sill_disk_format)(data[0] % 4), &h, &e);
	if ((ret == 0) != (e.code == SILL_ERR_NONE))
		abort();
	if (ret == 0 && (strnlen(h.backing, sizeof(h.backing)) == sizeof(h.backing) ||
			 strnlen(h.data_file, sizeof(h.data_file)) == sizeof(h.data_file) ||
			 strnlen(h.backing_format_said, sizeof(h.backing_format_said)) ==
				 sizeof(h.backing_format_said)))
		abort();
	return 0;
}
