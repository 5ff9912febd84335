/* SPDX-License-Identifier: Apache-2.0 */
/* char.c - see char.h. */
#include "machine/char.h"

#include "backend/serial/chr.h"

int char_open(const char *id, const struct sill_char_config *c, struct loop *loop,
	      struct sill_files *files, struct chr **ret, struct sill_err *e)
{
	const struct sill_file *out = sill_files_find(files, SILL_FILE_OUT, id, 0);
	const struct sill_file *dial = sill_files_find(files, SILL_FILE_DIAL, id, 0);
	struct chr_config far = { .mode = c->mode, .max_bytes = c->limit, .history = c->history };

	*ret = NULL;
	if (c->mode == SILL_CHAR_OFF)
		return 0;
	if (out != NULL) {
		far.next_file = out->next;
		far.ctx = out->ctx;
	}
	if (dial != NULL) {
		far.dial = dial->next;
		far.dial_ctx = dial->ctx;
	}
	far.in_fd = sill_files_take(files, SILL_FILE_IN, id, 0);
	far.out_fd =
		c->mode == SILL_CHAR_PTY ? far.in_fd : sill_files_take(files, SILL_FILE_OUT, id, 0);
	far.listen_fd = sill_files_take(files, SILL_FILE_LISTEN, id, 0);
	*ret = chr_create(id, &far, loop, e);
	return *ret == NULL ? -1 : 0;
}
