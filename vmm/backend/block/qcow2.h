/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2.h - what the files of the qcow2 backend share.
 *
 *	qcow2_entry.c     all of it as a disk format; from here down, each uses those below it:
 *	qcow2.c           open, close, requests: the way in
 *	qcow2_grow.c      a larger disk, also while it is in use
 *	qcow2_fast.c      reads and writes that are one transfer, without blocking
 *	qcow2_data.c      reads, writes, zeroes
 *	qcow2_packed.c    compressed clusters, read
 *	qcow2_pack.c      compressed clusters, written into a new image
 *	qcow2_table.c     caches of L2 tables and refcount blocks, what maps where, the commit
 *	qcow2_refcount.c  who uses a host cluster; finding free ones. It and the tables need each
 *	                  other: a table takes clusters, and refcounts are in tables
 *	qcow2_header.c    the header of an image that is open
 *	qcow2_io.c        one file: vectors, alignment for O_DIRECT, the seam for tests
 *	qcow2_look.c      the header as it stands in the file (qcow2_format.h)
 *
 * Beside that, on files that need not open: qcow2_create.c, qcow2_backing.c, and the check
 * (qcow2_audit.h), with which qcow2_repair.c counts anew after a crash of a lazy writer.
 *
 * Words: a cluster is a cluster of the disk or of the file (host cluster); a
 * granule is what an L2 entry can say something about: a subcluster when the
 * image has them, else a cluster.
 *
 * What makes the image good after a crash at any instant is the commit; see
 * qcow2_table.c. In one line: data and refcounts, barrier, L2, barrier, L1,
 * barrier, and only then are clusters free that nothing points to any more.
 *
 * One lock for all metadata, held while tables are read and written, never
 * while data are. Ranges of clusters serialise requests (range.h), under
 * a lock of their own; which thread may wait for which of them is in
 * qcow2_fast.c.
 */
#ifndef BACKEND_BLOCK_QCOW2_H
#define BACKEND_BLOCK_QCOW2_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "backend/block/align.h"
#include "backend/block/format.h"
#include "backend/block/qcow2_format.h"
#include "backend/block/range.h"
#include "backend/block/syncs.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/lock.h"

enum {
	QCOW2_MAX_DEPTH = 64,           /* images in a chain */
	QCOW2_MAX_L1 = 4 * 1024 * 1024, /* entries: 32 MiB, what the other implementation takes */
	QCOW2_MAX_RT = 8 * 1024 * 1024, /* bytes of refcount table, likewise */
	QCOW2_MAX_PENDING = 4096,       /* runs of clusters that wait to be free */
	QCOW2_HEADER = 512, /* what we keep of the header: all fields we change are in it */
};

#define QCOW2_LOST 1ull /* L1, in memory, of an image that is salvaged: nobody knows */

/* Every system call that touches an image. Tests put their own in between. */
struct qcow2_io {
	ssize_t (*readv)(int fd, const struct iovec *iov, int count, off_t off);
	ssize_t (*writev)(int fd, const struct iovec *iov, int count, off_t off);
	int (*sync)(int fd);
	int (*resize)(int fd, off_t size);
	int (*punch)(int fd, off_t off, off_t length);
};
extern const struct qcow2_io qcow2_io_real;
/* For tests, while no image is open: NULL is the real one. Images keep what was set at open. */
void qcow2_io_set(const struct qcow2_io *io);

struct qcow2_file {
	const struct qcow2_io *io;
	int fd; /* borrowed from a struct blk */
	bool direct;
	struct align align; /* with direct; else zeroed. Its ranges are not used: q->ranges are */
	struct aio_pace pace;
	struct syncs syncs;
};

/* Cluster-sized tables, read and kept: all L2 tables, or all refcount blocks. */
struct qcow2_slot {
	uint32_t index;  /* in the L1 or refcount table */
	uint32_t lo, hi; /* bytes that are not in the file yet; lo == hi: none */
	bool used;
	bool hot;
};

struct qcow2_cache {
	uint8_t *mem; /* owned: count clusters, mapped */
	size_t mem_size;
	struct qcow2_slot *slot; /* owned */
	uint32_t *where;         /* owned: index -> slot + 1 */
	uint32_t where_count;
	uint32_t count, hand, dirty;
};

struct qcow2_run {
	uint64_t first, count; /* host clusters */
};

/* Buffers for one request that needs some; kept for the next. */
struct qcow2_scratch {
	struct qcow2_scratch *next;
	uint8_t *mem;         /* owned: five clusters, mapped */
	uint8_t *cow;         /* two clusters: head and tail */
	uint8_t *packed;      /* two clusters */
	uint8_t *plain;       /* one cluster */
	uint64_t plain_entry; /* what plain holds; 0: nothing */
	void *inflater;       /* owned: z_stream or ZSTD_DCtx */
};

struct qcow2 {
	struct blk *b; /* borrowed: owns us */
	struct qcow2_file file, data;
	struct qcow2_file *data_file; /* &file or &data */
	struct qcow2_file backing_file;
	struct qcow2 *backing; /* borrowed; NULL when there is none or it is raw */
	struct blk *base;      /* borrowed: b->backing */

	/* Never change after open. */
	unsigned version;
	unsigned cluster_bits;
	uint32_t cluster_size;
	unsigned granule_bits;
	uint32_t granules; /* in a cluster: 1 or 32 */
	unsigned l2_bits;  /* log2 of entries in an L2 table */
	unsigned entry_size;
	unsigned ref_order;
	unsigned rb_bits; /* log2 of entries in a refcount block */
	bool zstd;
	bool has_bitmaps;
	bool data_raw; /* the data file is to be a raw image of its own */
	bool is_device;

	struct lock lock; /* RANK_BACKEND: all below */
	pthread_cond_t wake;
	unsigned sleepers;
	uint8_t header[QCOW2_HEADER];
	uint64_t incompat, autoclear;
	uint64_t size;    /* of the disk in the tables' eyes; atomic; grows before b->capacity */
	uint32_t l1_size; /* entries */
	uint32_t
		l1_known; /* that the header has: of a salvaged image fewer than it needs, perhaps */
	uint64_t l1_offset;
	uint64_t *l1;          /* owned, host byte order */
	uint32_t l1_lo, l1_hi; /* entries that are not in the file yet */
	uint64_t *rt;          /* owned */
	uint8_t *rt_full;      /* owned: nothing is free in this block */
	uint32_t rt_size;      /* entries */
	uint32_t rt_lo, rt_hi;
	uint64_t rt_offset;
	uint64_t file_end;          /* bytes */
	uint64_t old_end;           /* clusters that the file had when it was opened; 0: a device */
	uint64_t free_hint;         /* no host cluster below this is free */
	uint64_t pack_at, pack_end; /* room for compressed clusters, of a cluster that has some */
	struct qcow2_cache l2, rb;
	uint64_t *meta; /* owned: hash set of host clusters that are L2 tables or refcount blocks */
	uint64_t meta_size, meta_used;
	struct qcow2_run *pending; /* owned */
	unsigned pending_count;
	struct qcow2_scratch *scratch; /* owned: idle ones */
	bool committing;               /* no L2 entry may change */
	bool written;                  /* the autoclear bits are dealt with */
	bool broken; /* a barrier failed: what is on the medium is not known any more */
	bool corrupt;

	/*
	 * Requests at work, by clusters of the disk. Those that change the mapping are exclusive,
	 * so a host cluster can be given away knowing that nobody reads or writes it. So are, with
	 * O_DIRECT, writes in place of parts of blocks.
	 */
	struct ranges ranges;
};

/* What a run of the disk is. */
enum qcow2_kind { QCOW2_UNALLOCATED, QCOW2_ZEROES, QCOW2_DATA, QCOW2_PACKED };

struct qcow2_map {
	enum qcow2_kind kind;
	bool in_place;   /* DATA that may be written where it is */
	uint64_t length; /* bytes */
	uint64_t host;   /* DATA: where the first byte is */
	uint64_t entry;  /* PACKED */
};

static inline uint64_t qcow2_size(const struct qcow2 *q)
{
	return __atomic_load_n(&q->size, __ATOMIC_ACQUIRE);
}

/* All functions that return int: 0 or an errno, unless they take a struct sill_err. */

/* qcow2_io.c */
int qcow2_file_init(struct qcow2_file *f, int fd, bool direct);
void qcow2_file_fini(struct qcow2_file *f);
/* @n bytes from byte @skip of the vectors. Beyond the end of the file there are zeroes. */
int qcow2_readv(struct qcow2_file *f, const struct iovec *iov, int count, size_t skip, size_t n,
		uint64_t off) MUST_CHECK;
int qcow2_writev(struct qcow2_file *f, const struct iovec *iov, int count, size_t skip, size_t n,
		 uint64_t off) MUST_CHECK;
int qcow2_pread(struct qcow2_file *f, void *p, size_t n, uint64_t off) MUST_CHECK;
int qcow2_pwrite(struct qcow2_file *f, const void *p, size_t n, uint64_t off) MUST_CHECK;
int qcow2_sync(struct qcow2_file *f) MUST_CHECK;
/* Bytes of the vectors that are @n bytes from @skip on, as vectors; -1: more than @max. */
int qcow2_iov_slice(const struct iovec *iov, int count, size_t skip, size_t n, struct iovec *out,
		    int max);
/* Put @src there, or zeroes when it is NULL. */
void qcow2_iov_fill(const struct iovec *iov, int count, size_t skip, const uint8_t *src, size_t n);

/* qcow2_header.c */
int qcow2_header_read(struct qcow2 *q, struct sill_err *e);
/* Write q->header with the fields that change. */
int qcow2_header_write(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK;
/* Nobody may write any more; said in the header if there is room for it. Returns EIO. */
int qcow2_set_corrupt(struct qcow2 *q, const char *what, uint64_t where) REQUIRES(q->lock);

/* qcow2_table.c */
int qcow2_cache_init(struct qcow2_cache *c, struct qcow2 *q, uint32_t indices, size_t budget);
void qcow2_cache_fini(struct qcow2_cache *c);
int qcow2_cache_grow(struct qcow2_cache *c, uint32_t indices);
/* A slot whose contents nobody needs, for @index; NULL: all are dirty. Old contents stay in it. */
struct qcow2_slot *qcow2_cache_claim(struct qcow2_cache *c, uint32_t index);
void qcow2_cache_forget(struct qcow2_cache *c, struct qcow2_slot *s);
struct qcow2_slot *qcow2_cache_find(struct qcow2_cache *c, uint32_t index);
uint8_t *qcow2_cache_bytes(struct qcow2 *q, struct qcow2_cache *c, const struct qcow2_slot *s);
void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_slot *s, uint32_t lo, uint32_t hi);
int qcow2_cache_write(struct qcow2 *q, struct qcow2_cache *c, struct qcow2_slot *s,
		      uint64_t off) MUST_CHECK;

/* Is the table in memory that says what is at @off? */
bool qcow2_map_is_cached(struct qcow2 *q, uint64_t off) REQUIRES(q->lock);
/* What is at @off, and how far (at most @n bytes, n > 0, to the end of its L2 table). */
int qcow2_map(struct qcow2 *q, uint64_t off, uint64_t n, struct qcow2_map *ret_m)
	REQUIRES(q->lock) MUST_CHECK;
/* The L2 table of L1 entry @index, which exists. May let go of the lock meanwhile. */
int qcow2_l2_get(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
	REQUIRES(q->lock) MUST_CHECK;
/* The same, to change it; made when it does not exist. No commit is going on then. */
int qcow2_l2_get_update(struct qcow2 *q, uint32_t index, struct qcow2_slot **ret_s)
	REQUIRES(q->lock) MUST_CHECK;
/* The entry and its bitmap (0 without subclusters), checked; EIO when it cannot be right. */
int qcow2_l2_entry(struct qcow2 *q, const uint8_t *table, uint64_t cluster, uint64_t *ret_entry,
		   uint64_t *ret_bitmap) REQUIRES(q->lock) MUST_CHECK;
void qcow2_l2_set(struct qcow2 *q, struct qcow2_slot *s, uint64_t cluster, uint64_t entry,
		  uint64_t bitmap) REQUIRES(q->lock);
/* Everything that requests have done is on the medium. Lets go of the lock meanwhile. */
int qcow2_commit(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK;
/* The same, by who does not hold the lock. */
int qcow2_flush(struct qcow2 *q) MUST_CHECK;
/* A commit would do nothing but one barrier. */
bool qcow2_is_clean(const struct qcow2 *q) REQUIRES(q->lock);
/* What is on the medium is not known any more. */
void qcow2_barrier_failed(struct qcow2 *q, int err);
/* fdatasync() with the lock held; from a failure on nothing is written any more. */
int qcow2_barrier(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK;
/* Entries [lo, hi) of @table, which lies at @off. */
int qcow2_table_write(struct qcow2 *q, const uint64_t *table, uint32_t lo, uint32_t hi,
		      uint64_t off) MUST_CHECK;
void qcow2_wait(struct qcow2 *q) REQUIRES(q->lock);
void qcow2_wake(struct qcow2 *q) REQUIRES(q->lock);

/* qcow2_refcount.c */
int qcow2_meta_add(struct qcow2 *q, uint64_t cluster) MUST_CHECK; /* EEXIST: is there */
bool qcow2_is_meta(const struct qcow2 *q, uint64_t cluster);
int qcow2_ref_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret_v) REQUIRES(q->lock) MUST_CHECK;
int qcow2_ref_set(struct qcow2 *q, uint64_t cluster, uint64_t v) REQUIRES(q->lock) MUST_CHECK;
/*
 * 1 to @want free host clusters in a row, refcount now one. @ret_fresh: they
 * are beyond what the file was, so they read as zeroes. Keeps the lock.
 */
int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *ret_host, uint64_t *ret_count,
		bool *ret_fresh) REQUIRES(q->lock) MUST_CHECK;
/* @n clusters in a row, for a table: *@ret_host is where. They hold anything. */
int qcow2_alloc_row(struct qcow2 *q, uint64_t n, uint64_t *ret_host) REQUIRES(q->lock) MUST_CHECK;
/* One reference less, at once: nothing in the file may point there. */
void qcow2_unref(struct qcow2 *q, uint64_t cluster, uint64_t count) REQUIRES(q->lock);
/* One reference less as soon as the L2 tables as they are now are on the medium. */
void qcow2_unref_later(struct qcow2 *q, uint64_t cluster, uint64_t count) REQUIRES(q->lock);
void qcow2_unref_pending(struct qcow2 *q) REQUIRES(q->lock);
int qcow2_refs_write(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK; /* blocks, not the table */
int qcow2_rt_write(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK;   /* with its barriers */

/* qcow2_fast.c */
/* On the thread of the request's aio, which is io_uring. False: it would block; nothing is done. */
bool qcow2_start(struct qcow2 *q, struct blk_req *r);

/* qcow2_status.c */
int qcow2_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret);

/* qcow2_grow.c */
int qcow2_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e);

/* qcow2_create.c */
int qcow2_options(struct sill_image_options *o, struct sill_err *e);
int qcow2_create(int fd, const struct sill_image_options *o, struct sill_err *e);
int qcow2_full_size(const struct sill_image_options *o, uint64_t *ret_full, uint64_t *ret_data,
		    struct sill_err *e);

/* qcow2_backing.c */
/*
 * Another name in the header for what is below; @name NULL: nothing any more.
 * The image is not open anywhere. 0, or -1 and @e.
 */
int qcow2_set_backing(int fd, const char *path, const char *name, const char *format,
		      struct sill_err *e) MUST_CHECK;

/* qcow2_check.c */
int qcow2_check(struct blk_check *c, struct sill_err *e);

/* qcow2_repair.c */
/* Of what was not closed; the header has to be read again afterwards. */
int qcow2_repair(struct qcow2 *q, struct sill_err *e);

/* qcow2_data.c */
int qcow2_read(struct qcow2 *q, const struct iovec *iov, int count, size_t skip, uint64_t off,
	       uint64_t n) MUST_CHECK;
int qcow2_write(struct qcow2 *q, const struct iovec *iov, int count, uint64_t off,
		uint64_t n) MUST_CHECK; /* iov NULL: zeroes */
int qcow2_zero(struct qcow2 *q, uint64_t off, uint64_t n, bool discard, bool unmap) MUST_CHECK;
/* Before the first change: what an image says that a writer must keep up, and we do not. */
int qcow2_before_writing(struct qcow2 *q) REQUIRES(q->lock) MUST_CHECK;
/* Nothing keeps a write in place from going ahead: the header has been dealt with. */
bool qcow2_writes_as_it_is(const struct qcow2 *q) REQUIRES(q->lock);
/* EIO when data would go to where tables are. */
int qcow2_check_overlap(struct qcow2 *q, const struct qcow2_map *m) REQUIRES(q->lock) MUST_CHECK;
struct qcow2_scratch *qcow2_scratch_get(struct qcow2 *q); /* NULL: no memory */
void qcow2_scratch_put(struct qcow2 *q, struct qcow2_scratch *s);

/* qcow2_packed.c */
/* Host bytes of a compressed cluster. */
void qcow2_packed_extent(const struct qcow2 *q, uint64_t entry, uint64_t *ret_off, uint64_t *ret_n);
int qcow2_packed_read(struct qcow2 *q, struct qcow2_scratch *s, uint64_t entry) MUST_CHECK;
void qcow2_packed_fini(struct qcow2 *q, struct qcow2_scratch *s);

#endif
