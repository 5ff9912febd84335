/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h - what the verbs of `sill image` share.
 *
 * One file per verb, ending in image_verb_<name>, and a line in verbs.def.
 * Every image a verb touches is locked as a VM locks its disks: against
 * writers, or against everybody.
 */
#ifndef RUNNER_IMAGE_VERBS_H
#define RUNNER_IMAGE_VERBS_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/cmd/cmd.h"
#include "runner/host/pathfd.h"
#include "sill/image.h"

#define IMAGE_VERB(name) extern const struct verb image_verb_##name;
#include "runner/image/verbs.def"
#undef IMAGE_VERB

/* --- words on the command line (args.c, words.c) ----------------------------- */

/*
 * cmd_options(), and what people know from qemu-img: -pq, -fqcow2, -1G, --output=json, -U, -t, -T ...
 * What changes nothing here is taken without a word.
 */
int image_options(const struct verb *v, int argc, char **argv, const struct opt *opts,
		  size_t count);

/* 0, or -1 when the mistake was reported. */
int image_arg_format(const struct verb *v, const char *option, const char *text,
		     enum sill_disk_format *ret);
/* The same for what an overlay is made on top of: raw or qcow2. */
int image_arg_base_format(const struct verb *v, const char *option, const char *text,
			  enum sill_disk_format *ret);
/*
 * The same for a verb that only reads @path: without @text the header tells, and that is said. A raw image
 * has no header: it must be named.
 */
int image_arg_format_of(const struct verb *v, const char *option, const char *text,
			const char *path, enum sill_disk_format *ret);
/*
 * 20G, 1.5G, 10g, 512k, bytes from 1 MiB up or in whole sectors: *ret is in whole sectors, rounded up, and
 * that is said.
 */
int image_arg_size(const struct verb *v, const char *what, const char *text, uint64_t *ret);
int image_arg_number(const struct verb *v, const char *option, const char *text, unsigned max,
		     unsigned *ret);

/* How a new image shall be made; NULL: as usual. Public struct. */
struct image_words {
	const char *block, *prealloc, *compat, *refcount_bits, *sector, *subformat, *compression;
	bool subclusters, lazy;
	const char *qemu; /* -o: all of these and more, as k=v,k=v */
	/* Only by -o: for who has options of his own for these. */
	const char *size, *backing, *backing_format;
};

/* clang-format off */
#define IMAGE_OPTIONS(w) \
	{ .name = "cluster-size", .text = &(w).block }, \
	{ .name = "block-size", .text = &(w).block }, \
	{ .name = "preallocation", .text = &(w).prealloc }, \
	{ .name = "compat", .text = &(w).compat }, \
	{ .name = "refcount-bits", .text = &(w).refcount_bits }, \
	{ .name = "sector-size", .text = &(w).sector }, \
	{ .name = "subformat", .text = &(w).subformat }, \
	{ .name = "subclusters", .flag = &(w).subclusters }, \
	{ .name = "lazy-refcounts", .flag = &(w).lazy }, \
	{ .name = "compression-type", .text = &(w).compression }, \
	{ .name = "options", .letter = 'o', .text = &(w).qemu }
/* clang-format on */

/* 0, or -1 when the mistake was reported. */
int image_words_read(const struct verb *v, struct image_words *w, struct sill_image_options *o);
/* The same for what -o said, into @w; image_words_read() does that too. */
int image_words_o(const struct verb *v, struct image_words *w);
/* The same when -o said what only one verb can do. */
int image_words_refuse(const struct verb *v, const struct image_words *w);

/* What the help says about them. */
#define IMAGE_OPTIONS_HELP                                                                      \
	"      --preallocation P    off, metadata (qcow2: the tables), full (host space too)\n" \
	"      --cluster-size N     qcow2: 512 to 2M (64K); vhd and vhdx: size of a block\n"    \
	"                           (2M, 32M), also --block-size\n"                             \
	"      --subclusters        qcow2: 32 subclusters in a cluster (extended L2)\n"         \
	"      --compat V           qcow2: v2 or v3 (v3)\n"                                     \
	"      --refcount-bits N    qcow2: 1, 2, 4 ... 64 (16)\n"                               \
	"      --lazy-refcounts     qcow2: other programs may update refcounts lazily\n"        \
	"      --compression-type C qcow2: zlib or zstd, for clusters that get compressed\n"    \
	"                           (zlib)\n"                                                   \
	"      --subformat S        vhd, vhdx: dynamic (usual) or fixed\n"                      \
	"      --sector-size N      vhdx: 512 or 4096 bytes a sector (512)\n"

/* "1.5 GiB". */
char *image_size_text(char *dst, size_t size, uint64_t v);

/* Who may read the files that something was made from. Public struct. */
struct image_access {
	bool any; /* there is one */
	mode_t mode;
	gid_t group;
};

/* --- images that are there (open.c) ---------------------------------------- */

/* Public struct. */
struct image_want {
	const char *path;
	enum sill_disk_format format;
	bool write;
	bool salvage;      /* what is damaged too, here and below: see sill/image.h */
	bool follow;       /* open what the header names below it; else that is an error */
	const char *hint;  /* what to do about that */
	const char *above; /* what is, or will be, made on top of it; NULL: nothing */
	struct image_access *access; /* every file that is opened is added; NULL: not wanted */
};

/* The file behind @path, locked; its descriptor, or -1. A device that the host uses is not written. */
int image_open_file(const char *path, bool write, struct sill_err *e);
/* With everything below it. */
struct sill_image *image_open(const struct image_want *w, struct sill_err *e);
/* What the header of @path says. */
int image_look(const char *path, const enum sill_disk_format *format, struct sill_image_info *ret,
	       struct sill_err *e);
/*
 * What the header @f of @path says is below it, read-only; *@ret NULL: nothing.
 * @base_fd: the file below is open already, as this, and its data file as @base_data_fd; -1: it is not.
 */
int image_open_below(const char *path, const struct sill_image_info *f, int base_fd,
		     int base_data_fd, struct sill_image **ret, struct sill_err *e);
/*
 * What the header of @top is to call @base. A relative path is meant from where we are, the header's from
 * where the image is; where these differ it is absolute. One with a ':' is written so that it stays a path.
 */
int image_header_name(const char *top, const char *base, char ret[PATH_MAX], struct sill_err *e);
/* The file that @path's header calls @name. */
int image_resolve(const char *path, const char *name, char ret[PATH_MAX], struct sill_err *e);
/*
 * The file that the header of @path names as @said, open and locked for writing, since the person names it
 * too, as @given: the descriptor and the header's name for it. A file that only a header names is not
 * written to. @relation: "is made on", "has its data in"; @option: what is missing.
 */
struct image_named {
	const char *path, *said, *given, *relation, *option;
};
int image_open_named(const struct image_named *n, char ret_path[PATH_MAX], struct sill_err *e);
/*
 * The data file of @path, locked for writing: its descriptor and name. Both -1 and no error when neither
 * the header @f nor @data_file has one; @option: what is to be given when only the header does.
 */
int image_open_data_file(const char *path, const struct sill_image_info *f, const char *data_file,
			 const char *option, int *ret_fd, char ret_path[PATH_MAX],
			 struct sill_err *e);
/* It as an image; @fd stays the caller's. -1: *@ret is NULL. */
int image_open_data(int fd, const char *path, bool write, struct sill_image **ret,
		    struct sill_err *e);

/* --- what is none of ours (foreign.c) --------------------------------------- */

/* Not a disk that anybody here can read: an image of another program, a packed file, an archive. */
bool image_is_foreign(const struct sill_image_foreign *f);
/* "vmdk image", "xz file, packed", "iso9660 on a raw disk". Returns @dst. */
const char *image_foreign_text(const struct sill_image_foreign *f, char *dst, size_t size);
/* What to do with it, and then @more, as the hint of @e, if there is something. Returns -1. */
int image_foreign_hint(const struct sill_image_foreign *f, const char *more, struct sill_err *e);
/*
 * @path is named raw: 0, or -1 and @e when it is a packed file or another program's image. With @force, and
 * when it has the header of one of our formats, which a guest may have written, a warning is all.
 */
int image_check_raw(const char *path, bool force, struct sill_err *e);

/* On stderr: which bytes of @from, opened with `salvage`, are zeroes in @out because they could not be read. */
void image_tell_lost(struct sill_image *from, const char *in, const char *out);

/* A bar on stderr, when that is a terminal; heeds signals. Public struct. */
struct image_progress {
	const char *what;
	bool drawn, quiet;
	uint64_t last_ns;
	int percent;
};
/* For sill_image_copy(). */
bool image_progress(void *ctx, uint64_t done, uint64_t size);
/* Take it away. */
void image_progress_end(struct image_progress *p);

/* --- files that are not there yet (newfile.c) ------------------------------ */

/*
 * A file without a name until it is whole: whatever happens before, nobody
 * sees any of it. Public struct.
 */
struct newfile {
	int fd;                  /* borrowed by who writes it; -1: none */
	int held;                /* owned: the file that is to be replaced, locked; -1: none */
	int old;                 /* that, or the one of newfile_open_own(): borrowed */
	struct place at;         /* owned */
	char name[160];          /* the path, as it is shown */
	char temp[NAME_MAX + 1]; /* empty: it has no name */
	bool replace;            /* what is there, if anything */
	bool is_there;           /* there is */
	bool keep_mode;          /* newfile_like() has set it */
	struct image_access access;
};

/* One more file that something is made from, or in the place of. */
void image_access_add(struct image_access *a, int fd);
/*
 * @replace: takes the place of what is there, if nobody uses that; else that is an error. Who could read
 * what it is made from, @like, can read it; NULL: nobody else.
 */
int newfile_open(struct newfile *n, const char *path, bool replace, const struct image_access *like,
		 struct sill_err *e);
/* Takes the place of what is there, @own, which we have locked; the person knows it as @shown. */
int newfile_open_own(struct newfile *n, const char *path, const char *shown, int own,
		     struct sill_err *e);
/* Owner, group, mode and attributes of @fd, as far as we may; never wider. */
void newfile_like(struct newfile *n, int fd);
/* The empty image in it. */
int newfile_create(struct newfile *n, const struct sill_image_options *o, struct sill_err *e);
/*
 * With @failed 0: on the medium, then under its name. Else, or when that fails, nothing of it stays,
 * and the hint of @e says so. Accepts one that could not be opened. Returns whether it failed.
 */
int newfile_end(struct newfile *n, int failed, struct sill_err *e);

/* --- the same image anew (rewrite.c) ---------------------------------------- */

/* What an image is, so that it can be made again. Public struct. */
struct image_self {
	const char *path; /* borrowed */
	char real[PATH_MAX];
	int fd;      /* owned, locked for writing */
	int data_fd; /* likewise its data file; -1: it has none */
	char data_path[PATH_MAX];
	struct sill_image_info info;
};

/*
 * 0, or -1 and @e; image_self_fini() in any case. @data_file: where its data are, as the person says. A
 * header may name any file of this host; what is to be written to has to be named by both.
 */
int image_self_init(struct image_self *s, const char *path, enum sill_disk_format format,
		    const char *data_file, struct sill_err *e);
void image_self_fini(struct image_self *s);
/* It as an image, with what is below; the descriptors stay with @s. See image_open_below(). */
struct sill_image *image_self_open(struct image_self *s, bool write, int base_fd, int base_data_fd,
				   struct sill_err *e);
/* A new file beside it: empty, with the same properties and @size. newfile_end() in any case. */
int image_again(struct image_self *s, uint64_t size, struct newfile *n, struct sill_err *e);
/* Such a file with what @from itself has; it takes the place of the old one. */
int image_rewrite(struct image_self *s, struct sill_image *from, uint64_t size, const char *what,
		  struct sill_err *e);
/* 0, or -1 and @e: the first @size bytes have compressed clusters, which would come out larger than they are. */
int image_refuse_packed(struct sill_image *from, uint64_t size, struct sill_err *e);
/* Add to @e that the disk in it has its old size still, if that is so. Returns -1. */
int image_self_size_hint(const struct image_self *s, struct sill_err *e);

/* --- the end on request (stop.c) -------------------------------------------- */

/*
 * From here on a signal that asks to end is noted; if that does not end the verb soon, or another one
 * comes, it kills.
 */
void image_catch_signals(void);
bool image_interrupted(void);
/* Ends as the signal would have, if there was one. */
void image_end_interrupted(void);
/* Names change only between these two. @name in the directory @dir goes if a signal kills; -1: none. */
void image_name_lock(void);
void image_name_unlock(int dir, const char *name);

#endif
