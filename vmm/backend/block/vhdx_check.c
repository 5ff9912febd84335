/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_check.c - is a VHDX image sound? Both headers, both region tables, the
 * log, then what opening finds.
 *
 * Repair: the image is opened to write, which replays the log and then puts the region table that it
 * was opened through into the other's place, and both headers are made new. A copy is never replaced
 * before that: a checksum says that it was written, not that it leads anywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/vhdx.h"
#include "base/fd.h"

enum { TABLE_SIZE = VHDX_TABLE };

struct copies {
	struct vhdx_header head[2];
	uint8_t *table[2]; /* owned */
	bool good_head[2], good_table[2];
	bool has_log;
};

static int read_copies(struct blk_check *c, struct copies *x, struct sill_err *e)
{
	uint64_t newest = 0;

	for (unsigned i = 0; i < 2; i++) {
		const off_t at = (off_t)(VHDX_HEADERS + (uint64_t)i * TABLE_SIZE);

		x->table[i] = malloc(TABLE_SIZE);
		if (x->table[i] == NULL)
			return sill_err_sys(e, ENOMEM, "check of '%s'", c->path);
		if (fd_pread_full(c->fd, &x->head[i], sizeof(x->head[i]),
				  VHDX_HEADER_AT * (1 + (off_t)i)) < 0 ||
		    fd_pread_full(c->fd, x->table[i], TABLE_SIZE, at) < 0)
			return sill_err_sys(e, errno, "headers of '%s'", c->path);
		x->good_head[i] = vhdx_is_header(&x->head[i]);
		x->good_table[i] = vhdx_read_regions(c->fd, i, x->table[i]) == 0;
		if (x->good_head[i] && le64_get(x->head[i].sequence) >= newest) {
			newest = le64_get(x->head[i].sequence);
			x->has_log = !vhdx_is_null(&x->head[i].log);
		}
	}
	return 0;
}

/* Open it; to write, which replays the log and, if @headers, makes both headers new. */
static int open_it(struct blk_check *c, bool write, bool headers, struct sill_err *e)
{
	const struct blk_config config = {
		.fd = dup(c->fd), .path = c->path, .readonly = !write, .quiet = true
	};
	struct sill_err why = { 0 };
	struct vhdx *x;
	struct blk *b;
	int err = 0, closed;

	if (config.fd < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	b = blk_open(c->ops, &config, &why);
	if (b == NULL)
		return blk_check_refused(c, &why, e);
	x = b->state;
	if (x->log_dropped)
		blk_check_note(c, VHDX_DROPPED);
	if (write && headers) {
		lock_take(&x->lock);
		err = vhdx_renew_headers_locked(x);
		lock_drop(&x->lock);
	}
	closed = blk_close(b);
	if (err == 0)
		err = closed;
	return err != 0 ? sill_err_sys(e, err, "headers of '%s'", c->path) : 0;
}

/* A header may name a log that nothing is in yet: then the image opens as it is. */
static bool must_replay(const struct blk_check *c)
{
	const struct blk_config config = { .fd = dup(c->fd), .path = c->path, .readonly = true };
	struct sill_err why = { 0 };
	struct blk *b = config.fd >= 0 ? blk_open(c->ops, &config, &why) : NULL;

	blk_close(b);
	return b == NULL;
}

/* Both are written, and differ: which of them the image opens through counts. */
static void compare_tables(struct blk_check *c)
{
	const struct blk_config config = {
		.fd = dup(c->fd), .path = c->path, .readonly = true, .quiet = true
	};
	struct sill_err why = { 0 };
	struct blk *b = config.fd >= 0 ? blk_open(c->ops, &config, &why) : NULL;
	const unsigned good = b != NULL ? ((struct vhdx *)b->state)->table_slot : 0;

	blk_close(b);
	blk_check_error(c, "region table %u is another one", !good + 1);
}

static int check(struct blk_check *c, struct copies *x, struct sill_err *e)
{
	bool headers = false, tables = false;

	if (read_copies(c, x, e) < 0)
		return -1;
	if (x->good_table[0] && x->good_table[1] &&
	    memcmp(x->table[0], x->table[1], TABLE_SIZE) != 0) {
		compare_tables(c);
		tables = true;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (!x->good_table[i]) {
			blk_check_error(c, "region table %u is damaged", i + 1);
			tables = true;
		}
		if (!x->good_head[i]) {
			blk_check_error(c, "header %u is damaged", i + 1);
			headers = true;
		}
	}
	if (x->has_log && must_replay(c)) {
		blk_check_error(c, "the image was not closed: its log has to be replayed");
		if (!c->repair)
			return 0; /* what the log holds is needed to say more */
	}
	return open_it(c, c->repair && (x->has_log || headers || tables), headers, e);
}

int vhdx_check(struct blk_check *c, struct sill_err *e)
{
	struct copies x = { .table = { NULL, NULL } };
	struct stat st;
	int ret;

	if (fstat(c->fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", c->path);
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)VHDX_MIB)
		return sill_err_set(e, SILL_ERR_HOST, "'%s' is too short for a vhdx image",
				    c->path);
	c->found.end_offset = (uint64_t)st.st_size;
	ret = check(c, &x, e);
	free(x.table[0]);
	free(x.table[1]);
	return ret;
}
