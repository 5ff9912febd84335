/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootfile.h - what a kernel or firmware image wants in guest memory.
 *
 * Parsers (elf.h, bzimage.h) read hostile files: every number is checked
 * against the file's size and against the guest memory the caller allows, and
 * the result can be copied without another check. They never keep a pointer
 * into the file. The bytes must not change during the call (read the file, do
 * not map one that others may write).
 */
#ifndef FIRMWARE_BOOTFILE_H
#define FIRMWARE_BOOTFILE_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

/* Copy file_size bytes from file_off to gpa; zero the rest up to mem_size. */
struct bootfile_segment {
	uint64_t file_off, file_size;
	uint64_t gpa, mem_size; /* mem_size >= file_size, and > 0 */
};

/* Guest RAM an image may be put into: [start, end), end <= 4 GiB. */
struct bootfile_ram {
	uint64_t start, end;
};

/*
 * The highest page-aligned place for @size bytes in [lo, hi): an initramfs.
 * -1 when it does not fit (ERR_LIMIT). size 0 fits anywhere.
 */
int bootfile_place_top(uint64_t lo, uint64_t hi, uint64_t size, uint64_t *ret_gpa,
		       struct sill_err *e) MUST_CHECK;

/*
 * A file that is no kernel we can start: say what it is, as far as its first bytes
 * tell. Always -1, ERR_HOST; the message has no name.
 */
int bootfile_refuse(const void *file, size_t size, struct sill_err *e);

#endif
