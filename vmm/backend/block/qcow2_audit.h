/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_audit.h - what the check and the repair of qcow2 images share.
 *
 *	qcow2_audit.c    who uses which cluster of the file, compared with the refcounts
 *	qcow2_mend.c     refcounts and flags set right
 *	qcow2_check.c    both, for a person
 *	qcow2_repair.c   both, when a writer opens what was not closed
 */
#ifndef BACKEND_BLOCK_QCOW2_AUDIT_H
#define BACKEND_BLOCK_QCOW2_AUDIT_H

#include "backend/block/check.h"
#include "backend/block/qcow2.h"
#include "backend/block/qcow2_look.h"

struct qcow2_audit {
	struct blk_check *c; /* borrowed */
	struct qcow2_file file;
	bool is_device;       /* a block device: it ends where it ends */
	uint8_t header[4096]; /* where extensions are looked for: a few hundred bytes are usual */
	struct qcow2_head head;
	unsigned version, bits, ref_order, entry_size;
	uint32_t cluster;
	uint64_t incompat;
	uint64_t size, file_size;
	uint64_t n; /* clusters of the file, the last one may be cut */
	uint64_t l1_at, rt_at;
	uint32_t l1_size, rt_size; /* entries */
	uint64_t *l1, *rt;         /* owned; host byte order */
	uint16_t *count;           /* owned, mapped: uses of each cluster, as far as 65535 */
	uint8_t *meta;             /* owned, mapped: a bit per cluster: holds metadata */
	uint8_t *touched;          /* owned: a byte per so many clusters: one of them has a use */
	uint8_t *buf;              /* owned: one cluster */
	uint64_t data_from, data_to, hole_from,
		hole_to; /* bytes of the file that are known as such */

	/* What the repair needs to know. */
	uint64_t wrong_low, wrong_high; /* counts that are too low, too high */
	uint64_t
		wrong_behind; /* of clusters behind the end: no harm, but leaks when the file grows */
	uint64_t wrong_set, wrong_clear; /* flags that say "ours alone", or do not */
	uint64_t bad_blocks;             /* refcount blocks that cannot be used */
	bool unsure;        /* somebody may use clusters that we do not know of: nothing is freed */
	uint64_t wild_from; /* the lowest place behind the end that an entry leads to */
	bool left; /* L1 and L2 tables contradict themselves or each other: nobody can mend that */
};

/* The count and the comparison. qcow2_audit_fini() in any case. @direct: the descriptor has O_DIRECT. */
int qcow2_audit_run(struct qcow2_audit *a, struct blk_check *c, bool direct, struct sill_err *e);
void qcow2_audit_fini(struct qcow2_audit *a);
int qcow2_mend(struct qcow2_audit *a, struct sill_err *e);

/* A cluster of the file into a->buf. *@ret_hole: it is a hole, all zeroes, and nothing was read. */
int qcow2_audit_read(struct qcow2_audit *a, uint64_t off, bool *ret_hole);
/* The first cluster from @from on, below @end, that has a use; @end: none. */
uint64_t qcow2_audit_next(const struct qcow2_audit *a, uint64_t from, uint64_t end);

/* Is this an offset of a whole cluster in the file, or of the cut one at its end? */
bool qcow2_audit_is_place(const struct qcow2_audit *a, uint64_t off);
bool qcow2_audit_is_meta(const struct qcow2_audit *a, uint64_t cluster);
uint64_t qcow2_audit_ref_get(const struct qcow2_audit *a, const uint8_t *block, uint64_t i);
void qcow2_audit_ref_put(const struct qcow2_audit *a, uint8_t *block, uint64_t i, uint64_t v);

/* In an image with a data file: nobody shares a cluster there, and the entry of @index says otherwise. */
bool qcow2_audit_lacks_flag(const struct qcow2_audit *a, uint64_t entry, uint64_t index);

#endif
