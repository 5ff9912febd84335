/* SPDX-License-Identifier: Apache-2.0 */
/* pvpanic.c - see pvpanic.h. */
#include "devices/acpi/pvpanic.h"

#include "devices/dev.h"
#include "firmware/aml.h"

enum { EVENTS = PVPANIC_PANICKED | PVPANIC_DUMPS, STA_WORKING = 0x0f };

struct pvpanic {
	uint8_t said; /* since the reset */
};

static enum io_result pvpanic_io(struct dev *d, unsigned region, struct io *io)
{
	struct pvpanic *s = d->state;
	uint8_t news;

	(void)region;
	if (!io->write) {
		io->val = EVENTS;
		return IO_DONE;
	}
	news = (uint8_t)(io->val & EVENTS & ~(unsigned)s->said);
	s->said |= news;
	if (news != 0 && d->env->crashed != NULL)
		d->env->crashed(d->env->ctx, (news & PVPANIC_DUMPS) != 0);
	return IO_DONE;
}

static int pvpanic_init(struct dev *d, struct sill_err *e)
{
	(void)d;
	(void)e;
	return 0;
}

static void pvpanic_reset(struct dev *d)
{
	struct pvpanic *s = d->state;

	s->said = 0;
}

static void pvpanic_acpi(struct dev *d, struct aml *scope)
{
	(void)d;
	aml_device(scope, "PEVT");
	aml_name_str(scope, "_HID", "QEMU0001");
	aml_name_int(scope, "_STA", STA_WORKING);
	aml_crs(scope);
	aml_io(scope, PVPANIC_PORT, 1);
	aml_close(scope);
	aml_close(scope);
}

static int pvpanic_save(struct dev *d, struct saver *out)
{
	const struct pvpanic *s = d->state;

	save_begin(out, SAVE_TAG('p', 'v', 'p', 'c'), 1);
	save_u8(out, s->said);
	save_end(out);
	return 0;
}

static int pvpanic_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct pvpanic *s = d->state;
	uint8_t said;

	(void)load_begin(l, SAVE_TAG('p', 'v', 'p', 'c'), 1);
	said = load_u8(l);
	if ((said & ~EVENTS) != 0)
		load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->said = said;
	return 0;
}

const struct dev_ops pvpanic_ops = {
	.type = "pvpanic",
	.state_size = sizeof(struct pvpanic),
	.init = pvpanic_init,
	.io = pvpanic_io,
	.reset = pvpanic_reset,
	.acpi = pvpanic_acpi,
	.save = pvpanic_save,
	.load = pvpanic_load,
};
