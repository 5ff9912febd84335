/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm.h - one KVM virtual machine: descriptors, capabilities, memory slots,
 * interrupt routing, ioeventfds. (Linux Documentation/virt/kvm/api.rst.)
 * What only one kind of processor has is in arch/.
 *
 * Implements the listener of gmem.h and the ops of irq.h. Set-up runs on the
 * main thread; routing takes RANK_IRQ.
 */
#ifndef CORE_KVM_H
#define CORE_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "core/gmem.h"
#include "core/irq.h"

struct kvm_irq_routing;
struct kvm_maker;

/* Caller-allocated, zeroed. */
struct kvm {
	int fd;                  /* /dev/kvm, owned */
	int vm_fd;               /* owned */
	size_t run_size;         /* bytes of a vCPU's shared page(s) */
	struct kvm_maker *maker; /* owned; of vm_fd, until kvm_wait() */
	struct lock lock;        /* RANK_IRQ: routes */
	struct {
		uint64_t addr;
		uint32_t data;
		bool used, set;
	} route[MAX_MSI_ROUTES]; /* GSIs from MAX_GSI on */
	/* Owned; under lock: what KVM is told, with room for all routes. The chips' come first. */
	struct kvm_irq_routing *routing;
	unsigned chip_routes;     /* constant once the machine is made */
	unsigned routes_top;      /* entries of route[] below this may be used */
	struct log_bucket bucket; /* of what a guest can make fail */
};

/* A capability, KVM_CAP_..., and its name in a message. */
struct kvm_need {
	unsigned cap;
	const char *name;
};

/* Does the device behind @fd have each of them? 0, or -1 and @e names the first that it has not. */
int kvm_has(int fd, const struct kvm_need *need, size_t count, struct sill_err *e) MUST_CHECK;
/* And all that no VM on any processor can do without? */
int kvm_suffices(int fd, struct sill_err *e) MUST_CHECK;

/*
 * KVM sleeps for some milliseconds while it makes a VM. A maker has it do so on a thread, with the
 * open /dev/kvm @fd, which is borrowed until kvm_open() has taken both, or kvm_give_up() has waited for
 * the thread and closed the VM. NULL: no memory. Accepts NULL.
 */
struct kvm_maker *kvm_begin(int fd);
void kvm_give_up(struct kvm_maker *take_m);

/*
 * Make a VM, without any chip. Takes the open /dev/kvm @take_fd and what was begun with it, which may be
 * NULL, both also on failure. At the latest it is begun when kvm_open() returns, so that there is time for
 * what needs no VM; kvm_wait() waits for its end. Both, one after the other.
 */
int kvm_open(struct kvm *k, int take_fd, struct kvm_maker *take_m, struct sill_err *e) MUST_CHECK;
int kvm_wait(struct kvm *k, struct sill_err *e) MUST_CHECK;
void kvm_close(struct kvm *k); /* accepts a zeroed or closed one, and one that was not waited for */

/* KVM_CHECK_EXTENSION on the VM: 0 when absent. */
int kvm_cap(const struct kvm *k, unsigned cap);
/* KVM_ENABLE_CAP on the VM. 0, or -1 with errno. */
int kvm_enable(const struct kvm *k, unsigned cap, uint64_t arg);
/* A vCPU's descriptor, or -1 with @e set. @id: as KVM counts; on x86 the APIC id. */
int kvm_vcpu_create(struct kvm *k, unsigned id, struct sill_err *e);

void kvm_gmem_listener(struct kvm *k, struct gmem_listener *ret);
/*
 * Let writes of @size bytes (0: any) to a port or memory address only wake @fd,
 * or stop that. Any thread. 0, or -1 with errno.
 */
int kvm_ioeventfd(struct kvm *k, bool pio, uint64_t addr, uint8_t size, int fd, bool add);
extern const struct irq_ops kvm_irq_ops; /* ctx is the struct kvm */
/*
 * KVM replaces all routes when one changes, so it must be told of the chips'
 * too: @gsi drives @pin of @chip. Right after the chips were made.
 */
void kvm_chip_route(struct kvm *k, unsigned gsi, unsigned chip, unsigned pin);

#endif
