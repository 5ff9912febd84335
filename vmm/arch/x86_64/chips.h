/* SPDX-License-Identifier: Apache-2.0 */
/* chips.h - the PC's chips that KVM emulates: two PICs, the IOAPIC, the PIT. Main thread. */
#ifndef ARCH_X86_64_CHIPS_H
#define ARCH_X86_64_CHIPS_H

#include "base/attr.h"
#include "base/err.h"
#include "base/save.h"
#include "core/kvm.h"

/* kvm_suffices(), and what a PC needs besides. */
int chips_check_kvm(int fd, struct sill_err *e) MUST_CHECK;

/* Into the VM that kvm_open() has made, before its first vCPU. */
int chips_create(struct kvm *k, struct sill_err *e) MUST_CHECK;

/* Their registers: remembered right after creation, put back at reset. */
struct chips_state;
struct chips_state *chips_get(const struct kvm *k, struct sill_err *e);
int chips_set(const struct kvm *k, const struct chips_state *c, struct sill_err *e) MUST_CHECK;
/* As bytes. chips_load() returns what chips_set() takes; NULL: @e. */
void chips_save(const struct chips_state *c, struct saver *s);
struct chips_state *chips_load(struct loader *l, struct sill_err *e);
void chips_free(struct chips_state *c); /* accepts NULL */

#endif
