/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - an image and all files that belong to it, opened.
 *
 * An image may name other files: what it was made on top of, and where its
 * data are. Those names are a stranger's. They are followed only where the
 * manifest has the same name, or says `auto`; what is below the first image is
 * opened for reading, whatever it is.
 */
#ifndef RUNNER_HOST_CHAIN_H
#define RUNNER_HOST_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"
#include "sill/image.h"

/* What the manifest says of one image. Paths are absolute or relative to the working directory. */
struct chain_name {
	const char *path;
	bool has_format; /* else it is what the image above says */
	enum sill_disk_format format;
	const char *data_file; /* NULL: none, "auto": what the image says */
};

struct chain_want {
	struct chain_name top; /* has_format */
	const struct chain_name *backing;
	size_t backing_count;
	bool backing_auto; /* whatever the images say */
	bool writes;
	bool direct;
	bool any_head;  /* raw files may look like another format's */
	bool look_only; /* open for reading, take no lock */
};

/* One image. Descriptors and paths are owned. */
struct chain_layer {
	int fd, data_fd; /* -1: none */
	char *path, *data_path;
	enum sill_disk_format format;
	bool direct; /* both descriptors */
};

/* Public struct. [0] is the disk's own image, each is made on the next. */
struct chain {
	struct chain_layer layer[SILL_MAX_LAYERS];
	size_t count;
	uint64_t size; /* of the disk, bytes; 0: not known before it is opened (vhdx) */
	struct sill_image_foreign foreign; /* of the topmost when that is raw: what it looks like */
};

/* The key of the manifest that a failure is about. */
enum chain_blame { CHAIN_PATH, CHAIN_FORMAT, CHAIN_BACKING, CHAIN_DATA_FILE, CHAIN_DIRECT };

/*
 * A name in an image as a path: relative to the image; or, when it is not @name itself because that begins
 * with "file:", relative to where we are, as QEMU has it. NULL: it is none, but "nbd://host" or such.
 */
const char *chain_plain_name(const char *name);

void chain_init(struct chain *c);
/* 0, or -1, @e and @ret_blame; what was opened stays in @c until chain_fini(). */
int chain_open(struct chain *c, const struct chain_want *w, enum chain_blame *ret_blame,
	       struct sill_err *e);
/* The descriptors now belong to somebody else. */
void chain_give(struct chain *c);
void chain_fini(struct chain *c);

#endif
