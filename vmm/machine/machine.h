/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - a machine of any kind: KVM, memory, buses, and the list of devices.
 *
 * Who puts one together is a board (arch/): it opens the machine, gives it memory
 * and buses, and adds the soldered devices. The others are plugged (plug.h), at
 * the start and later alike. What runs it is vm/: vCPUs, pause, the order of a reset.
 *
 * Threads: the main loop's, unless a comment says otherwise. Only that thread
 * changes the list of devices; the walks below are its.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "bus/map.h"
#include "bus/pci.h"
#include "core/clock.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/kvm.h"
#include "core/loop.h"
#include "core/ram.h"
#include "devices/dev.h"
#include "machine/wish.h"
#include "sill/device.h"
#include "sill/files.h"

struct limits;  /* see limits.h */
struct plugged; /* see plug.h */

/* What became of a plugged device; main loop. */
enum machine_word {
	MACHINE_ADDED,      /* it is on the bus, and the guest has been told */
	MACHINE_REMOVED,    /* it is no more, @why: a literal */
	MACHINE_UNANSWERED, /* the guest has read twice that it is asked for it, and keeps it */
	MACHINE_CUT_OFF,    /* a network card's far end is gone, and its link down */
	MACHINE_CONNECTED,  /* it has one again */
};
struct machine_ear {
	/* May be NULL. */
	void (*fn)(void *ctx, enum machine_word w, const struct sill_device_info *d,
		   const char *why);
	void *ctx;
};

/* Caller-allocated, zeroed. */
struct machine {
	char *name;        /* owned */
	struct loop *loop; /* borrowed */

	struct kvm kvm;
	struct gmem_listener gmem_listener;
	struct map_listener pio_listener, mmio_listener;
	struct ram_zones ram;
	struct gmem *gmem;
	struct irqs irqs;
	bool irqs_ready;
	struct vmclock clock;
	struct map *pio, *mmio;
	struct pci_bus *pci;

	struct dev_env env;  /* for its devices */
	struct dev *devices; /* owned list: soldered ones in the board's order, then plugged ones */
	struct dev **devices_end;
	bool paused, stopped;   /* what a device that comes now has to be told */
	struct machine_ear ear; /* who hears of devices that come and go */

	pthread_mutex_t mutex;   /* a leaf: the list below, which other threads look at */
	struct plugged *plugged; /* owned list, in the order they came */
	uint64_t tickets;        /* how often one has been taken out */
	uint64_t gone_written;   /* atomic: bytes that went to consoles that are no more */
	struct dev *pcihp;       /* borrowed: where the guest hears of them; NULL: nowhere */
	struct wishes wishes;    /* what the guest shall hear */
	bool ejects;             /* machine_next_ejected() has some to tell */
	struct limits *limits;   /* owned list; main loop only */
};

/* In this order; what one of them makes is the next one's. @hooks: request, stall, progress, ctx. */
int machine_init(struct machine *m, const char *name, const struct dev_env *hooks,
		 struct loop *loop, struct sill_err *e) MUST_CHECK;
/* For sill_vm_begin(). */
void machine_begin(struct sill_files *files);
/* Takes /dev/kvm from @files, with what was begun, and has KVM begin to make the VM; see kvm_open(). */
int machine_open(struct machine *m, struct sill_files *files, struct sill_err *e) MUST_CHECK;
/* The VM in KVM is there, without chips, and its memory, empty yet. */
int machine_opened(struct machine *m, struct sill_err *e) MUST_CHECK;
/* Ports, memory-mapped I/O, the PCI bus. From here on devices can be added. */
int machine_add_buses(struct machine *m, const struct pci_windows *w,
		      struct sill_err *e) MUST_CHECK;

/* The devices go, the last one first: later ones may use earlier ones. */
void machine_remove_devices(struct machine *m);
/* After that; accepts a half-built one that machine_init() has seen. */
void machine_fini(struct machine *m);

/* A device behind those there are. NULL: @e. */
struct dev *machine_add_device(struct machine *m, const char *type, const char *id,
			       const void *config, unsigned gsi, struct sill_err *e);
/* It is drained, and no vCPU is inside. */
void machine_remove_device(struct machine *m, struct dev *d);

/* First half of a reset: PCI registers, then every device. Work may still be in flight. */
void machine_reset(struct machine *m);
/* Ask every device not to begin new work (power-off). */
void machine_stop(struct machine *m);
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* The id of a device whose work is still in flight; NULL: nothing is. */
const char *machine_waits_for(struct machine *m);

/*
 * The guest's time, the PCI bus, and every device by its id (devices/saved.h): of a machine
 * that is paused and drained; into one that has just been put together, which is paused
 * by this. After a failure only machine_fini(). Guest memory is the caller's.
 */
int machine_save(struct machine *m, struct saver *s, struct sill_err *e) MUST_CHECK;
int machine_load(struct machine *m, struct loader *l, struct sill_err *e) MUST_CHECK;

#endif
