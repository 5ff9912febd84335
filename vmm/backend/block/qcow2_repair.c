/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_repair.c - a writer opens what its last one did not close.
 *
 * A writer with lazy refcounts sets the dirty bit and lets them be wrong; it
 * clears the bit when it closes the image. When it did not come to that, the
 * L1 and L2 tables are right and the refcounts are what follows from them: what
 * the check counts and mends. So it is the check that does it, before anything
 * of the image is in memory, and nothing is ever put where that has not counted.
 *
 * Where the tables are not right either, nothing is written: a VM that goes on
 * with such an image makes it worse, and a person has to decide.
 */
#include <errno.h>

#include "backend/block/qcow2_audit.h"
#include "base/log.h"

static int refuse(const struct qcow2 *q, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_HOST,
			    "qcow2 image '%s' was not closed, and not only its refcounts are wrong",
			    q->b->path);
}

/* *@ret_again: what looks leaked may be known better now. */
static int once(struct qcow2 *q, uint64_t *ret_changed, bool *ret_again, struct sill_err *e)
{
	struct blk_check c = { .fd = q->b->fd, .path = q->b->path, .repair = true };
	struct qcow2_audit a;
	int ret = qcow2_audit_run(&a, &c, q->b->direct, e);

	/* A cluster that two call their own: the next write would be seen by both. */
	if (ret == 0 && (a.left || a.wrong_set != 0))
		ret = refuse(q, e);
	if (ret == 0) {
		*ret_changed = a.wrong_low + a.wrong_high;
		*ret_again = a.unsure || (a.is_device && a.bad_blocks != 0);
		ret = qcow2_mend(&a, e);
	}
	qcow2_audit_fini(&a);
	return ret;
}

int qcow2_repair(struct qcow2 *q, struct sill_err *e)
{
	uint64_t changed = 0, more;
	bool again = false;

	if (once(q, &changed, &again, e) < 0 || (again && once(q, &more, &again, e) < 0))
		return sill_err_hint(e,
				     "save a copy, then: sill image check -f qcow2 --repair '%s'",
				     q->b->path);
	log_line(LOG_INFO,
		 "%s: was not closed by its last user; refcounts of %llu clusters set right",
		 q->b->path, (unsigned long long)changed);
	return 0;
}
