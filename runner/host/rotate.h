/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotate.h - a file that a guest writes to is PATH up to its limit, then becomes PATH.1, and a new
 * PATH begins: two files of the limit's size at most, whatever the guest prints.
 *
 * A crash at any point leaves every byte in one of the two. The directory is kept open: its path may
 * change, and the directory is all that a rotation needs.
 */
#ifndef RUNNER_HOST_ROTATE_H
#define RUNNER_HOST_ROTATE_H

#include <limits.h>
#include <sys/types.h>

#include "sill/error.h"

/* Public struct. */
struct rotated {
	int dir_fd; /* owned; -1: nothing to rotate */
	char name[NAME_MAX + 1], old[NAME_MAX + 3];
	dev_t dev; /* of the file that is PATH now */
	ino_t ino;
};

/*
 * @fd has just been opened at @path. 0, also when it is no file, which has no end; -1 and @e when
 * PATH.1 is something that a rotation must not replace: no file, or an image in use.
 */
int rotate_init(struct rotated *r, int fd, const char *path, struct sill_err *e);

/*
 * PATH becomes PATH.1, the former PATH.1 is gone. A descriptor of the new PATH, made like the old one;
 * -1: it cannot be done, and all is as it was. Does not wait. One thread at a time.
 */
int rotate_next(struct rotated *r, int flags);

void rotate_fini(struct rotated *r);

#endif
