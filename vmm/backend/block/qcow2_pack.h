/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_pack.h - compressed clusters, written into a new image. */
#ifndef BACKEND_BLOCK_QCOW2_PACK_H
#define BACKEND_BLOCK_QCOW2_PACK_H

#include "backend/block/qcow2.h"

/* What one thread compresses with; NULL: no memory. The image has its data itself. */
struct qcow2_packer;
struct qcow2_packer *qcow2_packer_create(const struct qcow2 *q);
void qcow2_packer_destroy(struct qcow2_packer *p);

/*
 * The cluster at @off, all of it, also what is behind the end of the disk. The image has nothing there,
 * nobody reads or writes it meanwhile. 0 or an errno; *@ret_packed false: it does not become smaller,
 * and nothing was done.
 */
int qcow2_pack(struct qcow2 *q, struct qcow2_packer *p, const uint8_t *plain, uint64_t off,
	       bool *ret_packed) MUST_CHECK;
/* No more of them: the file ends with a cluster. */
int qcow2_pack_end(struct qcow2 *q) MUST_CHECK;

#endif
