/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd.h - what the parts of the VHD format share: vhd_look.c finds the footer, vhd.c
 * has opening, blocks and requests, vhd_grow.c makes the disk larger, vhd_create.c makes new images. All
 * functions that return an int without a sill_err return 0 or an errno.
 */
#ifndef BACKEND_BLOCK_VHD_H
#define BACKEND_BLOCK_VHD_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/block/format.h"
#include "backend/block/syncs.h"
#include "backend/block/vhdio.h"
#include "base/le.h"
#include "base/lock.h"
#include "base/log.h"

enum {
	VHD_SECTOR = 512,
	VHD_FOOTER = 512,
	VHD_HEADER = 1024,
	VHD_FIXED = 2,
	VHD_DYNAMIC = 3,
	VHD_DIFFERENCING = 4,
	VHD_VERSION = 1,
	VHD_PER_SECTOR = VHD_SECTOR / 4,
	VHD_MAX_BLOCK = 256 * 1024 * 1024, /* 2 MiB and 512 KiB are what is met */
	VHD_MAX_ENTRIES = 4 * 1024 * 1024, /* 2 TiB, the format's limit, in blocks of 512 KiB */
};

#define VHD_NOT_THERE 0xffffffffu /* in the BAT */
#define VHD_LOST      0xfffffffeu /* in memory, of an image that is salvaged: outside of the file */

struct vhd_footer {
	uint8_t cookie[8]; /* "conectix" */
	be32 features;
	be32 version;
	be64 data_offset; /* of the dynamic header */
	be32 timestamp;
	uint8_t creator[4];
	be32 creator_version;
	be32 creator_os;
	be64 original_size;
	be64 current_size;
	be32 geometry;
	be32 type;
	be32 checksum;
	uint8_t id[16];
	uint8_t saved_state;
	uint8_t reserved[427];
};
WIRE_SIZE(struct vhd_footer, VHD_FOOTER);
WIRE_AT(struct vhd_footer, current_size, 48);
WIRE_AT(struct vhd_footer, checksum, 64);

struct vhd_header {
	uint8_t cookie[8]; /* "cxsparse" */
	be64 data_offset;
	be64 table_offset;
	be32 version;
	be32 max_entries;
	be32 block_size;
	be32 checksum;
	uint8_t parent[984]; /* of differencing disks */
};
WIRE_SIZE(struct vhd_header, VHD_HEADER);
WIRE_AT(struct vhd_header, checksum, 36);

struct vhd {
	struct lock lock; /* RANK_BACKEND; held across the I/O of metadata */
	int fd;           /* borrowed */
	struct syncs syncs;
	bool dynamic;
	bool no_footer; /* at the end of the file, when it was opened */
	bool is_dirty;  /* atomic: the file's BAT is behind */
	uint32_t block_size, bitmap_size;
	uint32_t *bat; /* in bat_table; atomic; written under lock */
	uint8_t *full; /* in full_table; atomic; per block: every bit of its bitmap is set */

	/* under lock */
	struct vhdio_table bat_table, full_table; /* grow, but do not move */
	struct vhd_footer foot;
	struct vhd_header head;
	uint64_t head_off, table_offset;
	uint32_t entries;    /* that the disk's size needs */
	uint32_t sectors;    /* of the BAT */
	uint8_t *bitmap;     /* owned: one block's */
	uint8_t *dirty;      /* owned: per sector of the largest BAT there can be */
	bool broken;         /* where the BAT is is not known any more */
	uint64_t footer_off; /* the file ends behind it */
	uint64_t next;       /* where the next block goes */
	struct log_bucket bucket;
};

#define VHD_MAX_DISK (2040ull << 30)

/* vhd_look.c */
/* The ones' complement of the sum of all bytes, but the four of the field itself. */
uint32_t vhd_checksum(const void *p, size_t n, size_t field);
/* Where a footer is: VHD_CUT is one that a byte is missing of. */
enum vhd_place { VHD_NOWHERE, VHD_AT_END, VHD_CUT, VHD_COPY };
/*
 * The footer of a file of @size bytes, at least VHD_FOOTER, or its copy at the beginning. VHD_NOWHERE: *@ret
 * is what the file begins with.
 */
int vhd_read_footer(int fd, uint64_t size, struct vhd_footer *ret, enum vhd_place *ret_place);
/* At 0. Only dynamic disks have one: of a fixed one the guest wrote what looks like it. */
bool vhd_is_copy(const struct vhd_footer *f);
unsigned vhd_is(const struct blk_look *l);
int vhd_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e);

/* vhd.c */
int vhd_open(struct blk *b, struct sill_err *e);
void vhd_submit(struct blk *b, struct blk_req *r);
int vhd_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret);
int vhd_close(struct blk *b);
int vhd_sync(struct vhd *v) MUST_CHECK;
/* What is on the medium: data and blocks first, then the entries that lead to them. */
int vhd_commit_locked(struct vhd *v) REQUIRES(v->lock) MUST_CHECK;
/* The footer as it is to @off, which is behind the one that is there; on failure that one counts. */
int vhd_move_footer_locked(struct vhd *v, uint64_t off) REQUIRES(v->lock) MUST_CHECK;

/* vhd_create.c */
/* Size and geometry of @footer, and a maker whose size counts; with the checksum. */
void vhd_footer_set_size(uint8_t *footer, uint64_t size);
int vhd_create(int fd, const struct sill_image_options *o, struct sill_err *e);
uint64_t vhd_block_bytes(const struct sill_image_options *o);

/* vhd_check.c */
int vhd_check(struct blk_check *c, struct sill_err *e);

/* vhd_grow.c */
int vhd_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e);

#endif
