/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_check.c - is a VHD image sound? Footer and its copy, then what opening finds.
 *
 * Repair: whichever of the two is good replaces the other one.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "backend/block/check.h"
#include "backend/block/qcow2.h"
#include "base/fd.h"

enum { SECTOR = 512, FOOTER_SIZE = 512, TYPE_FIXED = 2 };

static bool is_footer(const uint8_t *f)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < FOOTER_SIZE; i++)
		sum += i < 64 || i >= 68 ? f[i] : 0;
	return memcmp(f, "conectix", 8) == 0 && qcow2_be32(f + 64) == ~sum;
}

/* The tables, the way a disk is opened. */
static int open_it(struct blk_check *c, struct sill_err *e)
{
	const struct blk_config config = { .fd = dup(c->fd), .path = c->path, .readonly = true };
	struct sill_err why = { 0 };
	struct blk *b;

	if (config.fd < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	b = blk_open(&blk_vhd_ops, &config, &why);
	if (b == NULL)
		blk_check_error(c, "%s", why.msg);
	blk_close(b);
	return 0;
}

/* Write a good one to where there is none. */
static int replace(struct blk_check *c, const uint8_t *footer, uint64_t off, struct sill_err *e)
{
	if (!c->repair)
		return 0;
	if (fd_pwrite_full(c->fd, footer, FOOTER_SIZE, (off_t)off) < 0 || fdatasync(c->fd) < 0)
		return sill_err_sys(e, errno, "footer of '%s'", c->path);
	return 0;
}

int vhd_check(struct blk_check *c, struct sill_err *e)
{
	uint8_t end[FOOTER_SIZE], copy[FOOTER_SIZE];
	struct stat st;
	bool has_end, has_copy;
	uint64_t errors;

	if (fstat(c->fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	if (!S_ISREG(st.st_mode) || st.st_size < FOOTER_SIZE)
		return sill_err_set(e, SILL_ERR_HOST, "'%s' is too short for a vhd image", c->path);
	if (fd_pread_full(c->fd, end, sizeof(end), st.st_size - FOOTER_SIZE) < 0 ||
	    fd_pread_full(c->fd, copy, sizeof(copy), 0) < 0)
		return sill_err_sys(e, errno, "footer of '%s'", c->path);
	has_end = is_footer(end);
	/* Of a fixed disk there is no copy; what looks like one is the guest's. */
	has_copy = is_footer(copy) && qcow2_be32(copy + 60) != TYPE_FIXED;
	c->found.end_offset = (uint64_t)st.st_size;
	if (!has_end && !has_copy)
		return sill_err_set(e, SILL_ERR_HOST,
				    "'%s' has no footer: it is no vhd image, or is cut", c->path);
	if (!has_end) {
		blk_check_error(c, "the footer is damaged; its copy is good");
		errors = c->found.errors;
		if (open_it(c, e) < 0)
			return -1;
		/* Where blocks are missing as well the file is cut: a footer would not help. */
		return c->found.errors != errors
			       ? 0
			       : replace(c, copy,
					 ((uint64_t)st.st_size + SECTOR - 1) / SECTOR * SECTOR, e);
	}
	if (qcow2_be32(end + 60) != TYPE_FIXED && memcmp(end, copy, FOOTER_SIZE) != 0) {
		blk_check_error(c, "the copy of the footer %s",
				has_copy ? "is another one" : "is damaged");
		if (replace(c, end, 0, e) < 0)
			return -1;
	}
	return open_it(c, e);
}
