/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - an image and all files that belong to it, opened.
 *
 * An image may name other files: what it was made on top of, and where its
 * data are. Those names are a stranger's. They are followed only where the
 * manifest has the same name, or who asks says that they shall be; what is below
 * the first image is opened for reading, whatever it is, and as the format that
 * the image above states: a guest may have written the header of an overlay into
 * its raw disk.
 *
 * All that opens images goes this way, manifests and `sill image`; struct
 * chain_policy is what differs.
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

/* Public struct. */
struct chain_policy {
	bool by_manifest; /* it names what is below; messages are about its keys */
	/* What a VM cannot use is refused: see sill_image_head(); and empty files, raw ones that do not look raw. */
	bool to_use;
	/* Only headers are looked at. Data files are left alone; where nobody says the format, a header may. */
	bool heads;
};
extern const struct chain_policy chain_manifest; /* the usual one */
extern const struct chain_policy chain_image;    /* `sill image` */
extern const struct chain_policy chain_heads;    /* `sill image info` */

struct chain_want {
	struct chain_name top;             /* has_format, unless with `heads` */
	const struct chain_policy *policy; /* NULL: chain_manifest */
	const struct chain_name *backing;
	size_t backing_count;
	bool backing_auto; /* whatever the images say */
	bool writes;
	bool direct;
	bool any_head;  /* raw files may look like another format's */
	bool look_only; /* open for reading, take no lock */

	/* Not by manifest: */
	const char *hint;  /* what to do when an image names another, and not backing_auto */
	const char *above; /* an image that is, or will be, made on the first one; NULL: none */
	/* What its header says: the first image is what that names, only read; NULL: it is `top`. */
	const struct sill_image_info *above_head;
	bool is_open; /* the first image is open and locked, its data file too if there is one: */
	int fd, data_fd; /* borrowed; data_fd -1: no */
	/* Each header that was read; `told`: only that says of which format it is. May be NULL. */
	void (*found)(void *ctx, const char *path, bool told, const struct sill_image_info *head);
	void *ctx;
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

/* The path that a name in the image @path leads to; owned by the caller. NULL and @e. */
char *chain_resolve(const struct chain_policy *p, const char *path, const char *name,
		    struct sill_err *e);
/* The image @image is to name @path, as @said: 0, or -1 and @e when that is itself. */
int chain_check_loop(const char *image, const char *path, const char *said, struct sill_err *e);
/* One file as the images of a chain are opened: its descriptor, or -1 and @e. */
int chain_open_file(const struct chain_want *w, const char *path, bool writes, struct sill_err *e);

void chain_init(struct chain *c);
/*
 * 0, or -1, @e and @ret_blame; what was opened stays in @c until chain_fini(). On failure
 * layer[count].path is the image that it is about, NULL when there is no path to it.
 */
int chain_open(struct chain *c, const struct chain_want *w, enum chain_blame *ret_blame,
	       struct sill_err *e);
void chain_fini(struct chain *c);

#endif
