/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - disk images without a VM: make, look at, read, write, copy, check.
 *
 * The caller opens and locks the files; nothing is opened by path here, so
 * what an image is made on top of is opened first and given with it. All
 * functions work on the calling thread and block on its files; one image may
 * be read and written by any number of threads.
 *
 * An image is a stranger's word: no content of one makes these crash, hang or
 * take memory beyond the limits of its format.
 */
#ifndef SILL_IMAGE_H
#define SILL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SILL_IMAGE_MAX_DEPTH 64u   /* images on top of each other */
#define SILL_IMAGE_MAX_NAME  1023u /* bytes of a backing file's name, as qcow2 has it */

/* --- making ---------------------------------------------------------------- */

enum sill_image_prealloc {
	SILL_PREALLOC_OFF,      /* space is taken when it is written to */
	SILL_PREALLOC_METADATA, /* tables for the whole disk; the file has holes */
	SILL_PREALLOC_FULL,     /* and the host's space for all of it */
};

/* Zero means: what is usual. */
struct sill_image_options {
	enum sill_disk_format format;
	uint64_t size; /* bytes, a multiple of 512 */
	enum sill_image_prealloc prealloc;
	uint32_t block_size;    /* qcow2: cluster, 64 KiB; vhd: 2 MiB; vhdx: 32 MiB */
	unsigned version;       /* qcow2: 2 or 3; 3 */
	unsigned refcount_bits; /* qcow2: 1, 2, 4 ... 64; 16 */
	bool subclusters;       /* qcow2: 32 subclusters in a cluster */
	bool lazy_refcounts;    /* qcow2: others may keep refcounts lazily; we never do */
	bool zstd;              /* qcow2: what will be compressed is so by zstd, not zlib */
	bool fixed;             /* vhd, vhdx: every block is there */
	uint32_t sector_size;   /* vhdx: logical; 512 */
	uint32_t physical_size; /* vhdx: of a physical sector; 4096 */
	/* qcow2: what it is made on top of; the name as it shall stand in the header. */
	const char *backing; /* borrowed; NULL: nothing */
	enum sill_disk_format backing_format;
	/* qcow2 version 3: where its data are, likewise; that file is the caller's business. */
	const char
		*data_file; /* borrowed; NULL: in the image itself; empty: whoever opens it knows */
};

/*
 * Write a new image to @fd, an empty regular file, which stays the caller's.
 * Nothing is synced. On failure the file holds nothing of use.
 */
int sill_image_create(int fd, const struct sill_image_options *o, struct sill_err *e);

/* --- what a header says ---------------------------------------------------- */

/* What a file is that is none of our formats. */
enum sill_image_foreign_kind {
	SILL_FOREIGN_NONE,
	SILL_FOREIGN_OURS,    /* one of our formats, after all */
	SILL_FOREIGN_DISK,    /* another program's disk image */
	SILL_FOREIGN_PACKED,  /* a packed file */
	SILL_FOREIGN_ARCHIVE, /* files in a file */
	SILL_FOREIGN_CONTENT, /* a raw disk, by what is on it */
};

struct sill_image_foreign {
	enum sill_image_foreign_kind kind;
	const char *name; /* "vmdk", "xz"; static */
	const char *with; /* the program that makes something of it; static, or NULL */
	uint64_t size;    /* of the disk, as a stranger says; 0: not known */
};

struct sill_image_info {
	enum sill_disk_format format;
	uint64_t size;       /* of the disk */
	uint64_t file_size;  /* bytes of the file */
	uint64_t host_bytes; /* that the host spends on it */
	uint32_t block_size; /* cluster or block; 0: there are none */
	bool fixed;          /* vhd, vhdx */
	uint32_t sector_size;
	uint32_t physical_size; /* vhdx: of a physical sector */
	/* qcow2 */
	unsigned version;
	unsigned refcount_bits;
	bool subclusters, lazy_refcounts, dirty, corrupt, zstd, encrypted, has_bitmaps;
	uint32_t snapshots;
	bool has_data_file, data_raw;
	char data_file[SILL_IMAGE_MAX_NAME + 1];
	/* Empty: none. As they stand in the header: a stranger's bytes. */
	char backing[SILL_IMAGE_MAX_NAME + 1];
	char backing_format_said[16]; /* what the header calls it, likewise */
	bool has_backing_format;
	enum sill_disk_format backing_format;
	/* vhdx */
	bool has_log; /* was not closed; the log is replayed by whoever opens it to write */
	/* vhd, vhdx: on top of another image, which is not supported. */
	bool differencing;
	/* raw: what its first or last bytes are of. A guest can write anything into its disk. */
	enum sill_disk_format looks_like;
	/* raw: what its contents look like. For words only: a guest can write anything into its disk. */
	struct sill_image_foreign foreign;
};

/* The format as the bytes at the beginning (vhd: or the end) have it: raw when nothing fits. */
int sill_image_tell(int fd, enum sill_disk_format *ret_format, struct sill_err *e);
/* What the header says, without what is below and without the tables. */
int sill_image_info(int fd, const char *path, enum sill_disk_format format,
		    struct sill_image_info *ret, struct sill_err *e);

/*
 * The same for who is to use it: fails as well when it is one that cannot be used, because it was cut off,
 * is encrypted, has internal snapshots or a feature that is not known. @fd: open without O_DIRECT.
 */
int sill_image_head(int fd, const char *path, enum sill_disk_format format,
		    struct sill_image_info *ret, struct sill_err *e);

/* The names of the formats (sill/formats.def), for people. */
#define SILL_IMAGE_FORMATS "raw, qcow2, vhd or vhdx"
/* "raw", "qcow2" ... */
const char *sill_image_format_name(enum sill_disk_format format);
bool sill_image_format_find(const char *name, enum sill_disk_format *ret);

/* --- reading and writing --------------------------------------------------- */

struct sill_image;

struct sill_image_source {
	int fd;           /* taken, also on failure */
	const char *path; /* borrowed for the call: messages */
	enum sill_disk_format format;
	bool readonly;
	/*
	 * With readonly: a damaged image is opened too, as far as anything is known of it, and no read fails
	 * that lies within the disk. What is lost is zeroes; sill_image_lost() tells.
	 */
	bool salvage;
	/* Both taken, also on failure. */
	struct sill_image *backing; /* NULL: none */
	struct sill_image *data;    /* the raw data file of a qcow2 image; NULL: none */
};

struct sill_image *sill_image_open(const struct sill_image_source *s, struct sill_err *e);
/* Accepts NULL; with everything below it. What was not flushed may be lost, without a word. */
void sill_image_close(struct sill_image *i);
/* Flush, then close in order. @i is gone also on failure: then something may not be on the medium. */
int sill_image_finish(struct sill_image *i, struct sill_err *e);
uint64_t sill_image_size(const struct sill_image *i);
/*
 * The path of the file that its data are in: its own, or its data file's; @depth: of those below it. NULL
 * when it has no so many.
 */
const char *sill_image_data_path(const struct sill_image *i, unsigned depth);

/* Offsets and lengths are multiples of 512 within the disk. */
int sill_image_read(struct sill_image *i, void *p, size_t n, uint64_t off, struct sill_err *e);
/*
 * Of an image opened with `salvage`: how many bytes of the disk could not be had so far, by reads and
 * lookups, and where they are, in rising order. (The first 65536 runs; the sum has them all.)
 */
uint64_t sill_image_lost(struct sill_image *i,
			 void (*each)(void *ctx, uint64_t off, uint64_t length), void *ctx);
int sill_image_write(struct sill_image *i, const void *p, size_t n, uint64_t off,
		     struct sill_err *e);
/* @unmap: the space may be freed. */
int sill_image_zero(struct sill_image *i, uint64_t off, uint64_t n, bool unmap, struct sill_err *e);
int sill_image_flush(struct sill_image *i, struct sill_err *e);

/* A run of the disk that is of one kind. */
struct sill_image_extent {
	uint64_t offset, length;
	unsigned depth;  /* of the image that says so: 0 is the top one */
	bool present;    /* that image has something here; false: nobody has */
	bool data;       /* there are bytes in a file, or with `zero` a hole for some */
	bool zero;       /* it reads as zeroes, whatever is in the file */
	bool compressed; /* the bytes are packed: no place of their own */
	bool has_place;  /* also of zeroes, and of what is not present */
	uint64_t place;  /* in that image's file (its data file, if it has one) */
};

/*
 * The extent at @off, at most @n bytes long. @depth: how far down to look; 0:
 * only what the image itself says, and what it does not have is not present.
 */
int sill_image_extent(struct sill_image *i, uint64_t off, uint64_t n, unsigned depth,
		      struct sill_image_extent *ret, struct sill_err *e);

/* --- changing -------------------------------------------------------------- */

/*
 * Grow an image that is open for writing to @size, in place. It is on the medium
 * then, and what is new reads as zeroes. When it fails, the image has its old
 * size or, after an I/O error, perhaps the new one.
 */
int sill_image_grow(struct sill_image *i, uint64_t size, struct sill_err *e);

/*
 * Write into the header of the qcow2 image @fd, which nobody has open, what is
 * below it; @backing NULL: nothing any more. No data is looked at.
 */
int sill_image_set_backing(int fd, const char *path, const char *backing,
			   enum sill_disk_format format, struct sill_err *e);

/* --- checking -------------------------------------------------------------- */

struct sill_image_checking {
	int fd;           /* borrowed; open for writing with repair */
	const char *path; /* borrowed: messages */
	enum sill_disk_format format;
	bool repair;
	/* One line per finding, of the first hundred. May be NULL. */
	void (*report)(void *ctx, const char *line);
	void *ctx;
};

struct sill_image_check {
	uint64_t errors; /* that are there, or still there */
	uint64_t leaks;  /* clusters that nobody uses and nobody can use */
	uint64_t errors_fixed, leaks_fixed;
	uint64_t end_offset; /* no cluster in use is behind it */
	/* qcow2: clusters of the disk; of these, with data; compressed; not behind their predecessor */
	uint64_t clusters, allocated, compressed, fragmented;
};

/*
 * 0, also when errors were found; -1: could not be done. Raw cannot be checked.
 * A repair never frees what anybody may still need; what it cannot set right
 * stays as it is. Interrupted at any instant it leaves the image no worse.
 */
int sill_image_check(const struct sill_image_checking *how, struct sill_image_check *ret,
		     struct sill_err *e);

/* --- copying --------------------------------------------------------------- */

struct sill_image_copy {
	struct sill_image *from, *to; /* borrowed; `to` is at least as large */
	uint64_t size;                /* how much from the beginning; 0: all of `from` */
	bool top_only;                /* only what `from` itself has, not what is below it */
	bool is_new;                  /* `to` reads as zeroes; they need not be written */
	bool compress; /* `to` is a new qcow2 image: clusters that get smaller by it are compressed */
	bool punch_only;  /* from == to: only free what holds zeroes */
	unsigned workers; /* threads, at most 8; 0: as the host has processors for */
	/* Now and then, on the calling thread; false: give up. May be NULL. */
	bool (*progress)(void *ctx, uint64_t done, uint64_t size);
	void *ctx;
};

/*
 * What reads as zeroes stays or becomes free in `to`. Not flushed. On failure
 * `to` holds some of it.
 */
int sill_image_copy(const struct sill_image_copy *c, struct sill_err *e);

/* --- comparing ------------------------------------------------------------- */

struct sill_image_compare {
	struct sill_image *a, *b; /* borrowed; the shorter one has zeroes behind its end */
	unsigned workers;         /* as for a copy, and so are these */
	bool (*progress)(void *ctx, uint64_t done, uint64_t size);
	void *ctx;
};

/* UINT64_MAX: nowhere. */
struct sill_image_comparison {
	uint64_t differs; /* the first sector that is not the same */
	/* Where the one first has data, zeroes or nothing and the other does not; looked at up to there only. */
	uint64_t other_kind;
};

/* What neither has is not read. */
int sill_image_compare(const struct sill_image_compare *c, struct sill_image_comparison *ret,
		       struct sill_err *e);

/* --- measuring ------------------------------------------------------------- */

struct sill_image_measure {
	uint64_t required; /* bytes that the new file has at most */
	uint64_t full;     /* and when the guest has written to all of its disk */
};

/* The file of a new image with these options: a copy of @from, then of its size, or @from NULL: empty. */
int sill_image_measure(const struct sill_image_options *o, struct sill_image *from,
		       struct sill_image_measure *ret, struct sill_err *e);

#ifdef __cplusplus
}
#endif
#endif
