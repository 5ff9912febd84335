/* SPDX-License-Identifier: Apache-2.0 */
/* chips.c - see chips.h. */
#include "arch/x86_64/chips.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "arch/x86_64/layout.h"

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

void chips_free(struct chips_state *c)
{
	free(c);
}
