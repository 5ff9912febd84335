/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what sill_vm_create() would refuse, asked beforehand.
 *
 * The answers come from the code that creates a VM; nothing is created, and
 * no descriptor is taken. Any thread.
 */
#ifndef SILL_CHECK_H
#define SILL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"
#include "sill/files.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What KVM behind the open descriptor @kvm can do; @ret as far as the engine
 * asks. 0, or -1 when it lacks something that no VM can do without: @e names
 * it (SILL_ERR_HOST). The descriptor stays the caller's.
 */
struct sill_check_kvm {
	unsigned max_vcpus; /* 0: it does not say */
	bool hyperv;        /* it offers Hyper-V enlightenments */
};
int sill_check_kvm(int kvm, struct sill_check_kvm *ret, struct sill_err *e);

/* The processor as far as the guest's address space depends on it. */
struct sill_check_cpu {
	unsigned phys_bits;
	bool amd;
};
void sill_check_cpu(struct sill_check_cpu *ret);

/*
 * Does @size bytes of memory, and @hotplug_size more, leave room for devices? @max_phys_bits as in the config; 0: no bound.
 * @cpu NULL: on any processor that has so many bits.
 */
int sill_check_memory(const struct sill_check_cpu *cpu, uint64_t size, uint64_t hotplug_size,
		      unsigned max_phys_bits, struct sill_err *e);

/* What is wrong with a topology. An APIC id has a field of whole bits for each level. */
enum sill_topology_fault {
	SILL_TOPOLOGY_FITS,
	SILL_TOPOLOGY_PRODUCT, /* it is not cpus.max */
	SILL_TOPOLOGY_IDS,     /* the last APIC id is above SILL_MAX_CPUS */
};
struct sill_check_topology {
	uint64_t vcpus;        /* the product */
	uint64_t last_apic_id; /* of them */
};
/* @max: cpus.max. @ret is set in any case; all-zero @t: one package of @max cores. */
enum sill_topology_fault sill_check_topology(const struct sill_topology *t, unsigned max,
					     struct sill_check_topology *ret);

/* May flash firmware have @size bytes? Whole blocks of 4 KiB, 64 KiB to 16 MiB. */
bool sill_check_flash(uint64_t size);

/* Devices that a guest can have on the PCI bus: slots 1 to 30, between the host bridge and the ISA bridge. */
#define SILL_PCI_SLOTS 30u
/* How many of them @c has: disks, cards, entropy, console, vsock, balloon, what memory comes by. */
unsigned sill_check_slots(const struct sill_config *c);

/* Who answers I/O port @port, in words; NULL: nobody does, it is free for a debug console. */
const char *sill_check_port(uint16_t port);

/* What a failure of sill_check_boot() is about. */
enum sill_boot_part {
	SILL_BOOT_IMAGE, /* the firmware's code, or the kernel */
	SILL_BOOT_VARS,
	SILL_BOOT_INITRAMFS,
	SILL_BOOT_CMDLINE,
};

/*
 * Can a VM with @memory bytes start from these files? Paths are not looked at:
 * the message has no names. 0, or -1, @ret_part and @e.
 */
int sill_check_boot(const struct sill_files *f, const char *cmdline, uint64_t memory,
		    enum sill_boot_part *ret_part, struct sill_err *e);

/*
 * Which CPU features KVM behind the open descriptor @kvm can give a guest: ret[i] is
 * about sill_cpu_feature_name(i), i < count. 0, or -1 when it cannot be asked.
 */
int sill_check_features(int kvm, bool *ret, size_t count, struct sill_err *e);

#ifdef __cplusplus
}
#endif
#endif
