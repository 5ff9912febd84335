/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the PC put together: memory, buses, chips, PCI devices, tables.
 *
 * What the machine is, without who runs it: vCPU threads, pause and the order
 * of a reset are vm/'s. Everything here runs on the main thread; reset and
 * load only while no vCPU runs.
 */
#ifndef ARCH_X86_64_MACHINE_H
#define ARCH_X86_64_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86_64/boot.h"
#include "arch/x86_64/chips.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/topology.h"
#include "backend/serial/chr.h"
#include "base/limits.h"
#include "bus/map.h"
#include "bus/pci.h"
#include "core/clock.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/kvm.h"
#include "core/loop.h"
#include "core/ram.h"
#include "devices/dev.h"
#include "sill/config.h"
#include "sill/files.h"

struct disk_limits; /* rate limits, by group */
struct tables;      /* ACPI, SMBIOS, e820: see tables.h */

/* Caller-allocated, zeroed. */
struct machine {
	char *name; /* owned */
	bool windows, hyperv;
	unsigned boot_cpus, max_cpus;
	struct topology topology;
	unsigned phys_bits;
	uint64_t low_end, high_size; /* RAM below and above 4 GiB */
	uint64_t mem64_base;         /* of the 64-bit BARs' window */

	struct kvm kvm;
	struct gmem_listener gmem_listener;
	struct map_listener pio_listener, mmio_listener;
	struct ram ram;
	struct gmem *gmem;
	struct irqs irqs;
	bool irqs_ready;
	struct vmclock clock;
	struct loop *loop; /* borrowed */
	struct map *pio, *mmio;
	struct pci_bus *pci;
	struct chips_state *chips_at_reset;
	bool has_vmgenid;
	uint8_t vmgenid[16]; /* in the byte order guests expect: a Microsoft GUID's */
	struct msr_policy msrs;
	bool apic_emulated; /* the local APICs are KVM's: no APICv, no AVIC */

	struct chr *serial, *console; /* owned; NULL: off */
	struct dev_env env;
	struct dev *devices; /* owned list, board order */
	struct dev **devices_end;
	struct dev *pm, *uart, *virtio_console; /* borrowed from the list; may be NULL */
	struct disk_limits *limits;             /* owned list; outlives the disks */
	struct boot boot;
	uint64_t vars_gpa; /* door A: where the variable store is */
	int vars_fd;       /* owned; -1: none */
	struct log_bucket vars_bucket;
	struct tables *tables; /* owned */
};

/*
 * Build everything but the vCPUs. Takes what it needs of @files; when it fails, what it took is closed.
 */
int machine_init(struct machine *m, const struct sill_config *c, struct sill_files *files,
		 const struct dev_env *hooks, struct loop *loop, struct sill_err *e) MUST_CHECK;
void machine_fini(struct machine *m); /* of one that machine_init() has made */

/* First half of a reset: PCI registers, then every device. Work may still be in flight. */
void machine_reset(struct machine *m);
/* Ask every device not to begin new work (power-off). */
void machine_stop(struct machine *m);
/* The id of a device whose work is still in flight; NULL: nothing is. */
const char *machine_waits_for(struct machine *m);
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/*
 * Second half, and the start: interrupt controllers, the low 64 KiB, and for
 * door B the image and tables again. Nothing is in flight.
 */
int machine_load(struct machine *m, struct sill_err *e) MUST_CHECK;

/* Another generation id, in RFC 4122 order, and the event that says so. While no vCPU runs. */
void machine_new_generation(struct machine *m, const uint8_t id[16]);

/* For who puts the machine together: a device behind those there are. NULL: @e. */
struct dev *machine_add_device(struct machine *m, const char *type, const char *id,
			       const void *config, unsigned gsi, struct sill_err *e);
/* Make a disk larger; see sill_vm_disk_resize(). Any thread, no lock held. */
int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes,
			struct sill_err *e) MUST_CHECK;

#endif
