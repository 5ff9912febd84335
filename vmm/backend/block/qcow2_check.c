/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2_check.c - is a qcow2 image sound? The audit counts, the mend sets right. */
#include "backend/block/qcow2_audit.h"

int qcow2_check(struct blk_check *c, struct sill_err *e)
{
	struct qcow2_audit a;
	int ret = qcow2_audit_run(&a, c, false, e);

	if (ret == 0 && (a.incompat & QCOW2_INCOMPAT_CORRUPT) != 0)
		blk_check_error(c, "the image is marked as corrupt");
	if (ret == 0 && (a.incompat & QCOW2_INCOMPAT_DIRTY) != 0 && c->found.errors == 0 &&
	    !c->repair)
		blk_check_leak(c, 0, "the image was not closed");
	if (ret == 0 && c->repair)
		ret = qcow2_mend(&a, e);
	qcow2_audit_fini(&a);
	return ret;
}
