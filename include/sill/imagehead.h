/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagehead.h - what an image says about itself, before anything is made of it.
 *
 * Enough to open what belongs to an image, and to tell a person what is wrong
 * with it. Everything in the file is a stranger's word: sizes are checked, and
 * names are only names until the caller has decided to follow them. Only the
 * first and the last few KiB are read. Any thread.
 */
#ifndef SILL_IMAGEHEAD_H
#define SILL_IMAGEHEAD_H

#include "sill/config.h"
#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SILL_IMAGE_NAME = 1024 }; /* with the NUL */

/* Names are as they stand in the image: NUL-terminated bytes of any kind, never printed as they are. */
struct sill_image_head {
	uint64_t size;                   /* of the disk, bytes; 0: not known from the head (vhdx) */
	char backing[SILL_IMAGE_NAME];   /* what it was made on top of; "": nothing */
	char backing_format[16];         /* what it says that is: "raw", "qcow2" ...; "": nothing */
	bool has_data_file;              /* its data are in another file */
	char data_file[SILL_IMAGE_NAME]; /* of this name; "": it does not say */
	bool corrupt;                    /* it says that it must not be written to any more */
	enum sill_disk_format looks_like; /* raw: what its first or last bytes are of */
};

/*
 * Look at the image in @fd (borrowed, open for reading, without O_DIRECT).
 * Fails when it is not one of @format, or is one that cannot be used: cut off, encrypted, with internal
 * snapshots, with a feature that is not known. @path is for messages.
 */
int sill_image_head(int fd, enum sill_disk_format format, const char *path,
		    struct sill_image_head *ret, struct sill_err *e);

#ifdef __cplusplus
}
#endif
#endif
