/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_check.c - is a VHD image sound? Footer and its copy, then what opening finds.
 *
 * Repair: a footer is replaced by its copy, or the copy by the footer, only after the disk has been
 * opened through the one that stays: a checksum says that it was written, not that it leads anywhere.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/vhd.h"
#include "base/fd.h"

/* Write a good one to where there is none. */
static int replace(struct blk_check *c, const struct vhd_footer *footer, uint64_t off,
		   struct sill_err *e)
{
	if (!c->repair)
		return 0;
	if (fd_pwrite_full(c->fd, footer, VHD_FOOTER, (off_t)off) < 0 || fdatasync(c->fd) < 0)
		return sill_err_sys(e, errno, "footer of '%s'", c->path);
	return 0;
}

/* @v is open: the other one is to be the same. */
static int compare(struct blk_check *c, const struct vhd *v, struct sill_err *e)
{
	struct vhd_footer copy;

	if (!v->dynamic)
		return 0;
	if (v->no_footer) {
		blk_check_error(c, "the footer is damaged; its copy is good");
		return replace(c, &v->foot, v->footer_off, e);
	}
	if (fd_pread_full(c->fd, &copy, sizeof(copy), 0) < 0)
		return sill_err_sys(e, errno, "copy of the footer of '%s'", c->path);
	if (memcmp(&copy, &v->foot, sizeof(copy)) == 0)
		return 0;
	blk_check_error(c, "the copy of the footer is damaged, or another one");
	return replace(c, &v->foot, 0, e);
}

/* Without any footer it is no vhd image at all, or the end of one is missing. */
static int look(struct blk_check *c, struct sill_err *e)
{
	struct vhd_footer footer;
	enum vhd_place place;
	struct stat st;
	int err;

	if (fstat(c->fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	if (!S_ISREG(st.st_mode) || st.st_size < VHD_FOOTER)
		return sill_err_set(e, SILL_ERR_HOST, "'%s' is too short for a vhd image", c->path);
	c->found.end_offset = (uint64_t)st.st_size;
	err = vhd_read_footer(c->fd, c->found.end_offset, &footer, &place);
	if (err != 0)
		return sill_err_sys(e, err, "footer of '%s'", c->path);
	if (place != VHD_NOWHERE)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%s' has no footer: it is no vhd image, or is cut",
			    c->path);
}

int vhd_check(struct blk_check *c, struct sill_err *e)
{
	struct blk_config config = { .path = c->path, .readonly = true, .quiet = true };
	struct sill_err why = { 0 };
	struct blk *b;
	int ret;

	if (look(c, e) < 0)
		return -1;
	config.fd = dup(c->fd);
	if (config.fd < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	b = blk_open(c->ops, &config, &why);
	ret = b != NULL ? compare(c, b->state, e) : blk_check_refused(c, &why, e);
	blk_close(b);
	return ret;
}
