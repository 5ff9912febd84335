/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm.h - one KVM virtual machine: descriptors, capabilities, memory slots,
 * interrupt routing, ioeventfds. (Linux Documentation/virt/kvm/api.rst.)
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

/* Caller-allocated, zeroed. */
struct kvm {
	int fd;           /* /dev/kvm, owned */
	int vm_fd;        /* owned */
	size_t run_size;  /* bytes of a vCPU's shared page(s) */
	struct lock lock; /* RANK_IRQ: routes */
	struct {
		uint64_t addr;
		uint32_t data;
		bool used, set;
	} route[MAX_MSI_ROUTES]; /* GSIs from MAX_GSI on */
	struct kvm_irq_routing
		*routing;    /* owned; under lock: what KVM is told, with room for all routes */
	unsigned routes_top; /* entries below this may be used */
	struct log_bucket bucket; /* of what a guest can make fail */
};

/* Does the device behind @fd have all that no VM can do without? 0, or -1 and @e. */
int kvm_suffices(int fd, struct sill_err *e);

/* Open @path (normally /dev/kvm) and make a VM with irqchip and PIT. -1: nothing stays open. */
int kvm_open(struct kvm *k, const char *path, struct sill_err *e) MUST_CHECK;
void kvm_close(struct kvm *k); /* accepts a zeroed or closed one */

/* KVM_CHECK_EXTENSION on the VM: 0 when absent. */
int kvm_cap(const struct kvm *k, unsigned cap);
/* KVM_ENABLE_CAP on the VM. 0, or -1 with errno. */
int kvm_enable(const struct kvm *k, unsigned cap, uint64_t arg);
/* A vCPU's descriptor, or -1 with @e set. */
int kvm_vcpu_create(struct kvm *k, unsigned apic_id, struct sill_err *e);

void kvm_gmem_listener(struct kvm *k, struct gmem_listener *ret);
/*
 * Let writes of @size bytes (0: any) to a port or memory address only wake @fd,
 * or stop that. Any thread. 0, or -1 with errno.
 */
int kvm_ioeventfd(struct kvm *k, bool pio, uint64_t addr, uint8_t size, int fd, bool add);
extern const struct irq_ops kvm_irq_ops; /* ctx is the struct kvm */

/* PIC, IOAPIC and PIT: remembered right after creation, put back at reset. */
struct kvm_chips;
struct kvm_chips *kvm_chips_get(struct kvm *k, struct sill_err *e);
int kvm_chips_set(struct kvm *k, const struct kvm_chips *c, struct sill_err *e) MUST_CHECK;
void kvm_chips_free(struct kvm_chips *c); /* accepts NULL */

#endif
