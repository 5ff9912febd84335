/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx.h - what the parts of the VHDX format share: vhdx_look.c reads headers and
 * tables, vhdx.c has the data, the block table and the requests, vhdx_open.c checks
 * the file's structures, vhdx_log.c has headers and log, vhdx_grow.c makes the disk larger. [MS-VHDX] v20180912 is what they go by.
 *
 * All functions that return an int without a sill_err return 0 or an errno.
 */
#ifndef BACKEND_BLOCK_VHDX_H
#define BACKEND_BLOCK_VHDX_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/block/format.h"
#include "backend/block/syncs.h"
#include "backend/block/vhdio.h"
#include "base/le.h"
#include "base/lock.h"

#define VHDX_MIB     (1024 * 1024ull)
#define VHDX_ID      "vhdxfile"
#define VHDX_HEADERS (192 * 1024ull) /* file identifier and headers: never in the log */

enum {
	VHDX_SECTOR = 4096, /* of the log, and of the structures that it protects */
	VHDX_HEADER_AT = 64 * 1024,
	VHDX_TABLE = 64 * 1024, /* of regions, and of metadata */
	VHDX_REGIONS_AT = 16,   /* in their table */
	VHDX_ITEMS_AT = 32,     /* likewise */
	VHDX_TABLE_ENTRY = 32,  /* of both */
	VHDX_MAX_TABLE = 2047,  /* entries */
	VHDX_FILE_KEEP_BLOCKS = 1,
	VHDX_FILE_HAS_PARENT = 2,
	VHDX_BAT_PER_SECTOR = VHDX_SECTOR / 8,
	/* The header and all descriptors of what we write fit in one sector: 64 + 32 each. */
	VHDX_LOG_BATCH = 126,
	VHDX_MAX_LOG = 64 * 1024 * 1024, /* read as a whole; 1 MiB is what is met */
	VHDX_MAX_BAT = 16 * 1024 * 1024, /* entries: 16 TiB in the smallest blocks */
};
#define VHDX_MAX_DISK (64ull << 40)
#define VHDX_MAX_FILE (80ull << 40)

/* The states of a block, in the three lowest bits of its entry. */
enum {
	VHDX_NOT_PRESENT = 0,
	VHDX_UNDEFINED = 1,
	VHDX_ZERO = 2,
	VHDX_UNMAPPED = 3,
	VHDX_UNMAPPED_095 = 5, /* of the specification before 1.0; QEMU wrote it */
	VHDX_PRESENT = 6,
	VHDX_PARTIAL = 7,
	VHDX_STATE = 7,
};
#define VHDX_OFFSET (~(VHDX_MIB - 1)) /* the rest of an entry is the place, in bytes even */

struct vhdx_guid {
	uint8_t b[16];
};

/* Items of metadata: flags, and those that are known, in the order in which a new file has them. */
enum { VHDX_USER = 1, VHDX_OF_DISK = 2, VHDX_REQUIRED = 4 };
enum {
	VHDX_ITEM_FILE,
	VHDX_ITEM_SIZE,
	VHDX_ITEM_ID,
	VHDX_ITEM_LOGICAL,
	VHDX_ITEM_PHYSICAL,
	VHDX_ITEM_PARENT,
	VHDX_ITEMS,
};

struct vhdx_item {
	struct vhdx_guid id;
	const char *name;
	uint32_t size; /* 0: any */
	bool needed;
	uint32_t flags;
};

struct vhdx_header {
	le32 signature;
	le32 checksum;
	le64 sequence;
	struct vhdx_guid file_write, data_write, log;
	le16 log_version;
	le16 version;
	le32 log_length;
	le64 log_offset;
	uint8_t reserved[4016];
};
WIRE_SIZE(struct vhdx_header, VHDX_SECTOR);
WIRE_AT(struct vhdx_header, log_offset, 72);

/* As after a crash while it was written, or damage: which of the two it is cannot be told. */
#define VHDX_DROPPED                                                                         \
	"the newest entry of its log is not whole and was dropped; what it was about is as " \
	"before it"

/* What a log holds, of an image that is salvaged. Bounded by the log. */
struct vhdx_patch {
	uint64_t off, n; /* in the file */
	uint8_t *data;   /* owned, n = VHDX_SECTOR; NULL: zeroes */
};
enum { VHDX_PATCHES = 64 }; /* room for so many more at a time */

struct vhdx {
	struct lock lock; /* RANK_BACKEND; held across the I/O of metadata */
	int fd;           /* borrowed */
	struct syncs syncs;

	/* Constant after open. */
	uint32_t block_size;
	unsigned chunk_shift; /* payload blocks between two sector bitmap blocks, as a power */
	uint64_t log_offset;
	uint32_t log_length;
	bool keep_blocks;         /* a fixed disk: its blocks are never given up */
	uint64_t size_at;         /* in the file: the disk's size */
	struct vhdx_patch *patch; /* owned; the later one counts */
	uint32_t patches;

	uint64_t *bat; /* in table; atomic; written under lock */
	bool began;    /* atomic: the headers say that somebody writes */
	bool is_dirty; /* atomic: the file's BAT is behind */

	/* under lock */
	struct vhdio_table table; /* grows, but does not move */
	uint32_t bat_entries, bat_sectors;
	uint64_t bat_offset;
	uint32_t bat_room;       /* entries that the region has room for */
	bool broken;             /* what the region tables say is not known any more */
	struct vhdx_header head; /* the current one */
	unsigned head_slot;
	bool log_dropped;    /* the newest entry of the log that was replayed was not whole */
	unsigned table_slot; /* the region table that the image was opened through */
	bool log_named;      /* the header says that the log counts */
	struct vhdx_guid log_id;
	uint8_t *entry;    /* owned: the log entry that is made up, or was last written */
	unsigned batch;    /* sectors of metadata an entry may hold */
	unsigned pending;  /* of them, those not written in place yet */
	unsigned log_slot; /* 0 or 1: where the next one goes */
	uint64_t log_sequence;
	uint8_t *dirty;                /* owned: per sector of the largest BAT there can be */
	uint8_t meta[2 * VHDX_SECTOR]; /* of the metadata: what goes to the file after the BAT */
	uint64_t meta_at;
	unsigned meta_sectors; /* 0: nothing */
	uint64_t *used;        /* owned: per MiB of the file as it was at open */
	uint64_t used_count;
	uint64_t grown_from; /* the file's size before its log asked for more; 0: it has not */
	uint64_t hint;       /* no free space before it */
	uint64_t end;        /* the file's size */
	uint64_t whole;      /* how large it has to be before it is written; 0: it is */
};

/* vhdx_look.c */
extern const struct vhdx_guid vhdx_region_bat, vhdx_region_meta;
extern const struct vhdx_item vhdx_items[VHDX_ITEMS];
bool vhdx_is_guid(const void *p, const struct vhdx_guid *g);
bool vhdx_is_null(const struct vhdx_guid *g);
/* Is it one of the two headers? */
bool vhdx_is_header(const struct vhdx_header *h);
/* The current header and which it is; EINVAL: both are damaged. */
int vhdx_find_header(int fd, struct vhdx_header *ret, unsigned *ret_slot) MUST_CHECK;
/* One of the two region tables, VHDX_TABLE bytes; EINVAL when it is damaged. */
int vhdx_read_regions(int fd, unsigned which, uint8_t *table) MUST_CHECK;
/* Entries of a region table, of a table of metadata. */
uint8_t *vhdx_region(uint8_t *table, uint32_t i);
const uint8_t *vhdx_item(const uint8_t *table, uint32_t i);
/* Which of the items the entry @p is; VHDX_ITEMS: none that is known. */
unsigned vhdx_which_item(const uint8_t *p);
unsigned vhdx_is(const struct blk_look *l);
int vhdx_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e);

/* vhdx_log.c */
int vhdx_sync(struct vhdx *x) MUST_CHECK;
/* Find the current header. */
int vhdx_read_headers(struct blk *b, struct sill_err *e);
/* Write back what the log holds, or keep it in x->patch; without one that counts, nothing. */
int vhdx_replay(struct blk *b, struct sill_err *e);
/* A table, as the log has it. Returns 0 or an errno. */
int vhdx_read_patched(const struct vhdx *x, void *buf, uint64_t n, uint64_t off) MUST_CHECK;
void vhdx_free_patches(struct vhdx *x);
/* Before the first change of a session: new identifiers. */
int vhdx_begin_locked(struct vhdx *x) REQUIRES(x->lock);
/* Both headers are good again; what is on the disk is as it was, which children of it go by. */
int vhdx_renew_headers_locked(struct vhdx *x) REQUIRES(x->lock);
/* All that was written is on the medium; the BAT's changes through the log. */
int vhdx_commit_locked(struct vhdx *x) REQUIRES(x->lock);
/* After the last commit: the log does not count any more. */
int vhdx_finish_locked(struct vhdx *x) REQUIRES(x->lock);

/* Sector @s of the BAT as it is to be in the file. */
void vhdx_bat_sector(const struct vhdx *x, uint32_t s, uint64_t out[VHDX_BAT_PER_SECTOR]);

/* vhdx.c */
int vhdx_open(struct blk *b, struct sill_err *e);
void vhdx_submit(struct blk *b, struct blk_req *r);
int vhdx_close(struct blk *b);
/* Space for a block at the end of the file. */
int vhdx_append_locked(struct vhdx *x, uint64_t length, uint64_t *ret_off)
	REQUIRES(x->lock) MUST_CHECK;
void vhdx_set_locked(struct vhdx *x, uint32_t n, uint64_t v) REQUIRES(x->lock);
/* Where the entry of payload block @n is: those of sector bitmaps lie in between. */
static inline uint64_t *vhdx_slot(struct vhdx *x, uint32_t n)
{
	return &x->bat[n + (n >> x->chunk_shift)];
}

/* The entry, without the lock. */
static inline uint64_t vhdx_entry(struct vhdx *x, uint32_t n)
{
	return __atomic_load_n(vhdx_slot(x, n), __ATOMIC_ACQUIRE);
}

static inline bool vhdx_is_present(uint64_t entry)
{
	return (entry & VHDX_STATE) == VHDX_PRESENT;
}

/* vhdx_status.c */
int vhdx_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret);

/* vhdx_grow.c */
int vhdx_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e);

/* vhdx_create.c */
int vhdx_options(struct sill_image_options *o, struct sill_err *e);
int vhdx_create(int fd, const struct sill_image_options *o, struct sill_err *e);

/* vhdx_check.c */
int vhdx_check(struct blk_check *c, struct sill_err *e);

/* vhdx_open.c */
/* How many entries a BAT for a disk of @size has. */
uint64_t vhdx_bat_entries(const struct vhdx *x, uint64_t size);
/* Everything behind the headers; the log has been replayed. */
int vhdx_read_tables(struct blk *b, struct sill_err *e);

#endif
