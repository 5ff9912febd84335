/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h - what an image says about itself, before anything is made of it.
 *
 * Everything in the file is a stranger's word: sizes are checked, and names are only names until the
 * caller has decided to follow them. Only headers are read.
 */
#ifndef BACKEND_BLOCK_LOOK_H
#define BACKEND_BLOCK_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sill/image.h"

enum { LOOK_FRONT = 64 * 1024, LOOK_TAIL = 512 };

/* A file that is looked at. */
struct blk_look {
	int fd;
	const char *path;
	enum sill_disk_format format; /* that was asked for */
	enum sill_disk_format like; /* what the bytes look like; raw: like nothing that is known */
	bool to_use;                /* refuse what cannot be used, not only what is none */
	uint64_t size;              /* bytes */
	uint8_t *front; /* owned: LOOK_FRONT bytes, zeroes behind the file's end, and a NUL */
	size_t n;       /* of them that are there */
	uint8_t tail[LOOK_TAIL]; /* its last bytes; zeroes when it has not so many */
};

/* All return -1. What it is instead, as the hint of @e. */
int blk_look_hint(const struct blk_look *l, struct sill_err *e);
/* "it is none: @what", and what it is instead. */
int blk_look_is_none(const struct blk_look *l, const char *what, struct sill_err *e);
int blk_look_bad(const struct blk_look *l, const char *what, struct sill_err *e);

#endif
