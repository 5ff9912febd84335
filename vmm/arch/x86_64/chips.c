/* SPDX-License-Identifier: Apache-2.0 */
/* chips.c - see chips.h. */
#include "arch/x86_64/chips.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "arch/x86_64/layout.h"
#include "core/clock.h"

static const struct kvm_need needed[] = {
	{ KVM_CAP_PIT2, "PIT" },
	{ KVM_CAP_PIT_STATE2, "PIT state" },
	{ KVM_CAP_SET_TSS_ADDR, "TSS address" },
	{ KVM_CAP_XSAVE, "xsave" },
	{ KVM_CAP_XCRS, "extended control registers" },
	{ KVM_CAP_DEBUGREGS, "debug registers" },
};

int chips_check_kvm(int fd, struct sill_err *e)
{
	return kvm_suffices(fd, e) < 0 ? -1 : kvm_has(fd, needed, ARRAY_LEN(needed), e);
}

_Static_assert(16 + MAX_GSI - 1 <= MAX_CHIP_ROUTES, "a route for each pin");

/* What KVM_CREATE_IRQCHIP has set up: PIC 0..15, IOAPIC 0..23, the PIT's GSI 0 on pin 2. */
static void add_routes(struct kvm *k)
{
	for (unsigned gsi = 0; gsi < 16; gsi++)
		kvm_chip_route(k, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			       gsi % 8);
	for (unsigned gsi = 0; gsi < MAX_GSI; gsi++)
		if (gsi != 2)
			kvm_chip_route(k, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
}

int chips_create(struct kvm *k, struct sill_err *e)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	__u64 identity = LAYOUT_KVM;

	if (ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(k->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
		return sill_err_sys(e, errno, "place KVM's task state segment");
	if (ioctl(k->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return sill_err_sys(e, errno, "create the interrupt controllers");
	if (ioctl(k->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return sill_err_sys(e, errno, "create the PIT");
	add_routes(k);
	return 0;
}

struct chips_state {
	struct kvm_irqchip chip[3]; /* PIC master, PIC slave, IOAPIC */
	struct kvm_pit_state2 pit;
};

struct chips_state *chips_get(const struct kvm *k, struct sill_err *e)
{
	struct chips_state *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)sill_err_sys(e, ENOMEM, "interrupt controller state");
		return NULL;
	}
	for (unsigned i = 0; i < ARRAY_LEN(c->chip); i++) {
		c->chip[i].chip_id = i;
		if (ioctl(k->vm_fd, KVM_GET_IRQCHIP, &c->chip[i]) < 0)
			goto fail;
	}
	if (ioctl(k->vm_fd, KVM_GET_PIT2, &c->pit) < 0)
		goto fail;
	return c;

fail:
	(void)sill_err_sys(e, errno, "read the interrupt controllers");
	free(c);
	return NULL;
}

int chips_set(const struct kvm *k, const struct chips_state *c, struct sill_err *e)
{
	for (unsigned i = 0; i < ARRAY_LEN(c->chip); i++)
		if (ioctl(k->vm_fd, KVM_SET_IRQCHIP, &c->chip[i]) < 0)
			return sill_err_sys(e, errno, "set interrupt controller %u", i);
	if (ioctl(k->vm_fd, KVM_SET_PIT2, &c->pit) < 0)
		return sill_err_sys(e, errno, "set the PIT");
	return 0;
}

enum { TAG_CHIPS = SAVE_TAG('C', 'H', 'I', 'P'), VERSION = 1 };

/* When a counter was loaded is host time: it is saved as how long ago. */
void chips_save(const struct chips_state *c, struct saver *s)
{
	struct kvm_pit_state2 pit = c->pit;

	for (unsigned i = 0; i < ARRAY_LEN(pit.channels); i++)
		pit.channels[i].count_load_time -= (int64_t)host_now();
	save_begin(s, TAG_CHIPS, VERSION);
	for (unsigned i = 0; i < ARRAY_LEN(c->chip); i++)
		save_bytes(s, &c->chip[i].chip, sizeof(c->chip[i].chip));
	save_bytes(s, &pit, sizeof(pit));
	save_end(s);
}

struct chips_state *chips_load(struct loader *l, struct sill_err *e)
{
	struct chips_state *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		(void)sill_err_sys(e, ENOMEM, "interrupt controller state");
		return NULL;
	}
	(void)load_begin(l, TAG_CHIPS, VERSION);
	for (unsigned i = 0; i < ARRAY_LEN(c->chip); i++) {
		c->chip[i].chip_id = i;
		load_bytes(l, &c->chip[i].chip, sizeof(c->chip[i].chip));
	}
	load_bytes(l, &c->pit, sizeof(c->pit));
	for (unsigned i = 0; i < ARRAY_LEN(c->pit.channels); i++)
		(void)__builtin_add_overflow(c->pit.channels[i].count_load_time,
					     (int64_t)host_now(),
					     &c->pit.channels[i].count_load_time);
	if (load_end(l, "the interrupt controllers", e) == 0)
		return c;
	chips_free(c);
	return NULL;
}

void chips_free(struct chips_state *c)
{
	free(c);
}
