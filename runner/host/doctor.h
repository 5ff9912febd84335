/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - can guests run on this machine, and if not, what is to be done?
 *
 * An open /dev/kvm is no proof: there are machines whose KVM creates VMs and
 * answers every question, with no hardware virtualization behind it. Such a
 * KVM is called hollow here; firmware and stock kernels get nowhere on it.
 */
#ifndef RUNNER_HOST_DOCTOR_H
#define RUNNER_HOST_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "sill/error.h"

enum kvm_state {
	KVM_ABSENT, /* cannot be opened or asked; e says why */
	KVM_HOLLOW, /* no svm or vmx: guests are emulated, if they run at all */
	KVM_GOOD,
};

/* Public struct. */
struct kvm_look {
	enum kvm_state state;
	bool hyperv;       /* it offers Hyper-V enlightenments */
	struct sill_err e; /* what is wrong and the fix, unless GOOD */
};

/* The CPU's virtualization: "vmx", "svm", or NULL. */
const char *kvm_cpu_flag(void);

/* An open /dev/kvm; or -1, @e and what to do. */
int kvm_device(struct sill_err *e);

/* Look, without running anything; before every run. @fd: an open /dev/kvm, borrowed; -1: it is opened. */
void kvm_look(struct kvm_look *k, int fd);

/*
 * Run a few thousand real-mode instructions in a scratch VM, at most for half
 * a second. 0 and the milliseconds it took; -1 and @e when it does not run, or
 * so slowly that it must be emulated.
 */
int kvm_probe(double *ret_ms, struct sill_err *e);

enum finding_level {
	FINDING_OK,
	FINDING_NOTE, /* some manifests will not work */
	FINDING_BAD,  /* no guest can run */
};

/* One thing that was looked at. */
struct finding {
	enum finding_level level;
	const char *topic;
	char text[256];
	char fix[256]; /* may be empty */
};

enum { FINDINGS_MAX = 32 };

/* Look at everything. Returns how many findings there are. */
size_t doctor_examine(struct finding ret[FINDINGS_MAX]);

#endif
