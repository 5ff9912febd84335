/* SPDX-License-Identifier: Apache-2.0 */
/* i8042.c - see i8042.h. */
#include "devices/legacy/i8042.h"

#include "devices/dev.h"

enum {
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_PULSE = 0xf0,
	CMD_PULSE_MASK = 0xf0,
	OUTPUT_NO_RESET = 1 << 0, /* the line is active low */
	STATUS_INPUT_FULL = 1 << 1,
};

struct i8042 {
	bool output_next; /* the next data byte goes to the output port */
};

static enum io_result i8042_io(struct dev *d, unsigned region, struct io *io)
{
	struct i8042 *s = d->state;
	bool reset = false;

	if (io->size != 1)
		return IO_BAD_SIZE;
	if (!io->write) {
		/*
		 * Nobody here, but ready for a command: systems poll the input
		 * buffer bit 65,536 times before they reset through 0xfe. Time-out
		 * and parity error together tell firmware that no keyboard is there.
		 */
		io->val = region == I8042_REGION_COMMAND ? 0xffu & ~STATUS_INPUT_FULL : 0xffu;
		return IO_DONE;
	}
	if (region == I8042_REGION_COMMAND) {
		s->output_next = io->val == CMD_WRITE_OUTPUT;
		reset = (io->val & CMD_PULSE_MASK) == CMD_PULSE && (io->val & OUTPUT_NO_RESET) == 0;
	} else if (s->output_next) {
		s->output_next = false;
		reset = (io->val & OUTPUT_NO_RESET) == 0;
	}
	if (reset)
		d->env->request(d->env->ctx, MACHINE_RESET, d->id);
	return IO_DONE;
}

static int i8042_init(struct dev *d, struct sill_err *e)
{
	(void)d;
	(void)e;
	return 0;
}

static void i8042_reset(struct dev *d)
{
	*(struct i8042 *)d->state = (struct i8042){ 0 };
}

static int i8042_save(struct dev *d, struct saver *out)
{
	const struct i8042 *s = d->state;

	save_begin(out, SAVE_TAG('8', '0', '4', '2'), 1);
	save_u8(out, s->output_next);
	save_end(out);
	return 0;
}

static int i8042_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct i8042 *s = d->state;
	bool output_next;

	(void)load_begin(l, SAVE_TAG('8', '0', '4', '2'), 1);
	output_next = load_bool(l);
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->output_next = output_next;
	return 0;
}

const struct dev_ops i8042_ops = {
	.type = "i8042",
	.state_size = sizeof(struct i8042),
	.init = i8042_init,
	.io = i8042_io,
	.reset = i8042_reset,
	.save = i8042_save,
	.load = i8042_load,
};
