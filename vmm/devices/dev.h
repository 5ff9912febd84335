/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev.h - what every emulated device provides.
 *
 * To add a device: write vmm/devices/<kind>/<name>.c ending in <name>_ops, and
 * add one line to devices.def.
 *
 * Locking: the framework holds the device's lock (RANK_DEV) around every
 * callback but init(), fini() and acpi(), so a device is written as if single-threaded. A callback must not
 * block and must not call back into the bus that called it. Callbacks that a
 * device registers elsewhere (loop descriptors and timers, PCI hooks) take the
 * lock themselves: dev_take(d) ... dev_drop(d).
 *
 * Lifetime:  init -> reset -> { pause -> resume | reset | save | load }* -> stop -> fini
 *   From the end of init() on, the guest may reach the device.
 *   pause(), reset() and stop() ask, and return at once: work may still be under
 *   way. drained() says whether it has come to rest; who made it so says
 *   dev_progress(), and the machine asks again (docs/LOCKING.md, "Quiesce").
 *   Until then the machine is not paused, a reset does not end, fini() does not come.
 *   Paused and drained, a device's state stands still and it touches no guest
 *   memory. save() and load() come only then; load() comes to a device that has
 *   been reset, and resume() may follow. What has to go on after a pause (a
 *   request that the host failed) is part of what is saved.
 *   fini() comes only after every request the device started has ended, without
 *   its lock: it waits for threads that take it.
 */
#ifndef DEVICES_DEV_H
#define DEVICES_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/save.h"
#include "bus/io.h"
#include "bus/map.h"
#include "core/clock.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/loop.h"

struct aml;
struct dev;
struct pci_bus;
struct sill_crash;

/* What a device may ask of the machine as a whole. */
enum machine_request { MACHINE_RESET, MACHINE_POWER_OFF };

/* What the machine gives to each of its devices. All borrowed, all outlive the device. */
struct dev_env {
	struct gmem *gmem;
	struct irqs *irqs;
	struct loop *loop; /* the main loop */
	struct vmclock *clock;
	struct map *pio;
	struct map *mmio;
	struct pci_bus *pci;
	/* Any thread, any lock may be held: the request is noted and carried out on the main loop. */
	void (*request)(void *ctx, enum machine_request r, const char *who);
	/*
	 * Any thread, any lock: the host failed a device's request (@what, errno @err), which the
	 * device keeps. The machine pauses; the device tries again in resume(). May be NULL.
	 */
	void (*stall)(void *ctx, const char *id, const char *what, int err);
	/* Any thread, any lock: the guest says that it has crashed, and whether it writes a dump now. May be NULL. */
	void (*crashed)(void *ctx, bool dumps);
	/* Any vCPU's thread: the guest has written its bug check to the crash registers. May be NULL. */
	void (*bug_check)(void *ctx, const struct sill_crash *said);
	/*
	 * Any vCPU's thread, any lock: the same on a serial port, as far as it is known; @whole: no more is waited
	 * for. May be NULL.
	 */
	void (*bug_text)(void *ctx, const struct sill_crash *said, bool whole);
	/* Any thread, any lock: a device's drained() may have changed. May be NULL. */
	void (*progress)(void *ctx);
	/*
	 * Any thread, any lock: the guest has answered something that a device of hotplug asked of it;
	 * the machine looks what. May be NULL where there is no such device.
	 */
	void (*answered)(void *ctx);
	/*
	 * Any thread, any lock: the guest's system has begun to listen to events of hotplug: what it was told before
	 * may not have been heard. May be NULL.
	 */
	void (*listens)(void *ctx);
	void *ctx;
};

struct dev_ops {
	const char *type;  /* "uart", "virtio-blk" ... */
	size_t state_size; /* zeroed and owned by the framework */

	/*
	 * Mandatory. On failure init() sets @e, returns -1; fini() is then not called. Without the
	 * lock, like fini(): nobody else knows the device yet, until its last step puts it on a bus.
	 */
	int (*init)(struct dev *d, struct sill_err *e);
	enum io_result (*io)(struct dev *d, unsigned region, struct io *io);
	void (*reset)(struct dev *d);

	/* Optional. */
	void (*pause)(struct dev *d);
	void (*resume)(struct dev *d);
	void (*stop)(struct dev *d);
	bool (*drained)(struct dev *d); /* since pause(), reset() or stop(); absent: always */
	void (*fini)(struct dev *d);
	void (*acpi)(struct dev *d, struct aml *scope); /* append its own objects; constants only */
	int (*save)(struct dev *d, struct saver *s);
	int (*load)(struct dev *d, struct loader *l,
		    struct sill_err *e); /* input from a stranger */
};

struct dev {
	const struct dev_ops *ops;
	bool made;          /* init() succeeded: fini() is owed */
	const char *id;     /* owned copy; "uart0", "disk0" */
	const void *config; /* borrowed during init(): the type's own struct, see its header */
	const struct dev_env *env; /* borrowed */
	void *state;               /* owned */
	struct lock lock;          /* RANK_DEV */
	struct io_target target;   /* io_target for the maps: takes the lock, calls ops->io */
	struct irq_line irq;       /* the board's choice; NO_GSI when none */
	struct log_bucket bucket;
	struct dev *next; /* in the machine's list, in board order */
};

/* @gsi: NO_GSI or the line the device drives. Returns a device that has been reset once. */
struct dev *dev_create(const struct dev_ops *ops, const char *id, const void *config, unsigned gsi,
		       const struct dev_env *env, struct sill_err *e);
/* Accepts NULL and half-built. The caller has called dev_stop() and waited for dev_drained(). */
void dev_destroy(struct dev *d);

void dev_take(struct dev *d) ACQUIRES(d->lock);
void dev_drop(struct dev *d) RELEASES(d->lock);

/* The callbacks under the lock. */
void dev_reset(struct dev *d);
void dev_pause(struct dev *d);
void dev_resume(struct dev *d);
void dev_stop(struct dev *d);
bool dev_drained(struct dev *d);
int dev_save(struct dev *d, struct saver *s);
int dev_load(struct dev *d, struct loader *l, struct sill_err *e) MUST_CHECK;
enum io_result dev_io(struct dev *d, unsigned region, struct io *io);

/* Put a fixed region of the device into a map. */
int dev_map(struct dev *d, struct map *m, uint64_t base, uint64_t size, unsigned region,
	    struct sill_err *e) MUST_CHECK;

/* Tell the framework that drained() may have changed; any thread. */
void dev_progress(struct dev *d);
/* Tell the machine that the guest has answered; any thread. */
void dev_answered(struct dev *d);
/* Tell the machine that the guest has begun to listen; any thread. */
void dev_listens(struct dev *d);

#endif
