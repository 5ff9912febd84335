/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - is an image sound, and can it be made so? One function per format, blk_format.check.
 *
 * They read the file by themselves, because what is damaged cannot be opened.
 * Repair never lowers what anybody may still need: a count is raised before
 * anything relies on it, what is replaced is written beside the old and then
 * switched to, and nothing is freed while it is not known who uses what.
 */
#ifndef BACKEND_BLOCK_CHECK_H
#define BACKEND_BLOCK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "sill/image.h"

struct blk_ops;

/* Caller-allocated. A check returns 0, also when errors were found; -1 and @e: it could not be done. */
struct blk_check {
	int fd;                    /* borrowed; open for writing with repair */
	const char *path;          /* borrowed */
	const struct blk_ops *ops; /* of the format; opens what can be opened */
	bool repair;
	void (*report)(void *ctx, const char *line); /* may be NULL */
	void *ctx;
	unsigned reported;
	struct sill_image_check found;
};

/*
 * The image could not be opened, because of @why: an error that was found, 0; or nothing that is
 * wrong with the image, but with us or the host: -1 and @e.
 */
int blk_check_refused(struct blk_check *c, const struct sill_err *why, struct sill_err *e);
/* Tell what is no error. */
void blk_check_note(struct blk_check *c, const char *fmt, ...) PRINTF(2, 3);
/* Count an error or a leak and tell. */
void blk_check_error(struct blk_check *c, const char *fmt, ...) PRINTF(2, 3);
void blk_check_leak(struct blk_check *c, uint64_t count, const char *fmt, ...) PRINTF(3, 4);

#endif
