/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugcon.c - the debug console. A byte read is 0xe9, by which guests find it (the port's number
 * where Bochs has it, and the same at any other); a byte written goes to the far end.
 */
#include "devices/legacy/debugcon.h"

#include "backend/serial/chr.h"
#include "devices/dev.h"

enum { DEBUGCON_ID = 0xe9 };

struct debugcon {
	struct chr *chr;
};

static int debugcon_init(struct dev *d, struct sill_err *e)
{
	const struct debugcon_config *c = d->config;
	struct debugcon *s = d->state;

	(void)e;
	s->chr = c->chr;
	return 0;
}

static enum io_result debugcon_io(struct dev *d, unsigned region, struct io *io)
{
	struct debugcon *s = d->state;
	const uint8_t byte = (uint8_t)io->val;

	(void)region;
	if (io->size != 1)
		return IO_BAD_SIZE;
	if (io->write)
		chr_write(s->chr, &byte, 1);
	else
		io->val = DEBUGCON_ID;
	return IO_DONE;
}

static void debugcon_reset(struct dev *d)
{
	struct debugcon *s = d->state;

	if (s->chr != NULL)
		chr_guest_anew(s->chr);
}

const struct dev_ops debugcon_ops = {
	.type = "debugcon",
	.state_size = sizeof(struct debugcon),
	.init = debugcon_init,
	.io = debugcon_io,
	.reset = debugcon_reset,
};
