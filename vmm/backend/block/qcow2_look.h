/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_look.h - the header of a qcow2 image, read once and for all.
 *
 * Who opens an image, checks it, changes its names or only tells what it is reads the same bytes and
 * comes to the same result: facts, and what is wrong. Which of that matters is the caller's business.
 */
#ifndef BACKEND_BLOCK_QCOW2_LOOK_H
#define BACKEND_BLOCK_QCOW2_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/block/look.h"
#include "backend/block/qcow2_format.h"
#include "base/attr.h"
#include "base/err.h"

/* What may be wrong. Where there is more than one thing, the first of these is told. */
enum qcow2_fault {
	QCOW2_BAD_MAGIC = 1 << 0,
	QCOW2_BAD_VERSION = 1 << 1,
	QCOW2_BAD_CLUSTER = 1 << 2, /* its size; with these three nothing else is known */
	QCOW2_BAD_LENGTH = 1 << 3,
	QCOW2_ENCRYPTED = 1 << 4,
	QCOW2_BAD_NAME_PLACE = 1 << 5,
	QCOW2_BAD_NAME = 1 << 6, /* empty, too long, or with a NUL in it */
	QCOW2_BAD_EXTENSION = 1 << 7,
	QCOW2_BAD_FORMAT = 1 << 8, /* of the backing file */
	QCOW2_BAD_DATA_NAME = 1 << 9,
	QCOW2_BAD_FEATURE = 1 << 10,
	QCOW2_BAD_REF_ORDER = 1 << 11,
	QCOW2_BAD_SUBCLUSTERS = 1 << 12,
	QCOW2_BAD_COMPRESSION = 1 << 13,
	QCOW2_BAD_COMPRESSION_TYPE = 1 << 14,
	QCOW2_EMPTY = 1 << 15,     /* no disk in it */
	QCOW2_NO_SECTOR = 1 << 16, /* less than one */
	QCOW2_ABSURD = 1 << 17,
	QCOW2_BAD_L1 = 1 << 18,
	QCOW2_SNAPSHOTS = 1 << 19,
	QCOW2_IS_NONE = QCOW2_BAD_MAGIC | QCOW2_BAD_VERSION | QCOW2_BAD_CLUSTER,
};

struct qcow2_ext {
	uint32_t at, n; /* its data, from the beginning of the file; at 0: it is not there */
};

/* Public struct. Nothing of it is to be believed but where `faults` says nothing about it. */
struct qcow2_head {
	const uint8_t *bytes; /* borrowed */
	uint32_t faults;      /* enum qcow2_fault */
	unsigned version, cluster_bits, ref_order, compression, entry_size;
	uint32_t cluster; /* bytes */
	uint32_t length;  /* of the header: extensions begin there */
	uint32_t ext_end; /* behind what ends them; 0: that is not in what was looked at */
	uint64_t incompat, compat, autoclear; /* 0 with version 2 */
	uint64_t size;                        /* of the disk */
	uint64_t l1_at, rt_at;
	uint32_t l1_size, rt_clusters;
	struct qcow2_ext backing_format, data_file, features, bitmaps;
	bool ext_all;     /* of those that there are were looked at */
	bool ext_unknown; /* one that is not known, or one twice */
	uint64_t name_at; /* of the backing file; 0: none */
	uint32_t name_n;
	unsigned snapshots;
};

/* @n bytes of the file's beginning, at least QCOW2_V3_LENGTH of them; no more than the first cluster counts. */
void qcow2_parse(struct qcow2_head *ret, const uint8_t *bytes, size_t n);
/* -1 and @e: it has the first of the faults @which; 0: it has none. */
int qcow2_refuse(const struct qcow2_head *h, uint32_t which, const char *path, struct sill_err *e);

/* See format.h. */
unsigned qcow2_is(const struct blk_look *l);
int qcow2_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e);

#endif
