/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debug.h - a debugger at a VM: it stops the vCPUs, looks at them, changes them, and lets them go on or step.
 *
 *   attach -> { stop or a trap -> look, change, set points -> go }* -> detach
 *
 * A VM that its debugger has stopped is paused: devices rest, the clock stands, and only the debugger, a
 * reset or the end changes that; it can be saved and dumped. One debugger at a time. A vCPU is named by its index.
 *
 * Threads: all functions but sill_debug_registers() any thread but the main loop's, while sill_vm_run() blocks; they
 * wait for the main loop, also for a picture that is being written (sill_vm_freeze()). Those that can fail say
 * SILL_ERR_STATE when the VM does not run, no debugger is attached, or, but for attach, stop and detach, it is not stopped.
 */
#ifndef SILL_DEBUG_H
#define SILL_DEBUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"
#include "sill/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the guest may be stopped at. */
enum sill_debug_point {
	SILL_DEBUG_SOFT, /* an instruction, by a trap in its place */
	SILL_DEBUG_HARD, /* an instruction, by the processor's debug registers, and so the others: */
	SILL_DEBUG_WRITE,  /* memory that is written */
	SILL_DEBUG_READ,   /* memory that is read; x86 has none of this kind */
	SILL_DEBUG_ACCESS, /* memory that is read or written */
	SILL_DEBUG_POINTS
};

enum sill_debug_why {
	SILL_DEBUG_ASKED, /* sill_debug_stop(), or by attaching */
	SILL_DEBUG_POINT, /* of the kind @point */
	SILL_DEBUG_STEP,  /* one instruction is done */
};

/* Public struct: why it has stopped. */
struct sill_debug_stop {
	enum sill_debug_why why;
	enum sill_debug_point point;
	unsigned vcpu;    /* whose doing it was; ASKED: the first */
	uint64_t address; /* POINT: where it was set, or within it */
};

/* What a vCPU shall do next. */
enum sill_debug_act { SILL_DEBUG_STAY, SILL_DEBUG_GO, SILL_DEBUG_GO_STEP };

/*
 * From now on the guest's traps at the debugger's points are not the guest's; it is stopped. @fn is called on the
 * main loop whenever it has come to a stop, also when one that was stopped has been reset: sill_debug_stopped(). SILL_ERR_STATE also: there is one already;
 * SILL_ERR_HOST: this KVM cannot.
 */
int sill_debug_attach(struct sill_vm *vm, void (*fn)(void *ctx), void *ctx, struct sill_err *e);
/* All points go. When the debugger had stopped it, it runs on, unless somebody else has paused it before or meanwhile. */
int sill_debug_detach(struct sill_vm *vm, struct sill_err *e);
/* Asks for a stop, and does not wait for it; @fn tells. */
int sill_debug_stop(struct sill_vm *vm, struct sill_err *e);
/* Has it stopped? Then why. Does not wait. */
bool sill_debug_stopped(struct sill_vm *vm, struct sill_debug_stop *ret);
/* @act, of @count vCPUs from the first; the others stay. At least one goes, until there is another stop. */
int sill_debug_go(struct sill_vm *vm, const enum sill_debug_act *act, unsigned count,
		  struct sill_err *e);
/* Which of SILL_MAX_CPUS are there, stopped or not. How many those are, or -1. */
int sill_debug_vcpus(struct sill_vm *vm, bool ret[SILL_MAX_CPUS], struct sill_err *e);

/* Public struct: one register, as GDB's target descriptions call it (GDB manual, appendix G). */
struct sill_debug_register {
	const char *name;
	const char *type;    /* "int64", "code_ptr", "i387_ext" ... */
	const char *feature; /* the group that it belongs to: "org.gnu.gdb.i386.core" ... */
	uint8_t size;  /* bytes; little-endian in the block, one after the other in this order */
	bool constant; /* a new value is not taken */
};

/* All of them, in the order of their numbers; constant. */
const struct sill_debug_register *sill_debug_registers(unsigned *ret_count);
/* The name of the processor's kind in a target description, "i386:x86-64"; constant. */
const char *sill_debug_processor(void);
/* The block of all; @size is the sum of their sizes, or SILL_ERR_INTERNAL. */
int sill_debug_get(struct sill_vm *vm, unsigned vcpu, void *ret, size_t size, struct sill_err *e);
int sill_debug_set(struct sill_vm *vm, unsigned vcpu, const void *block, size_t size,
		   struct sill_err *e);

/* In the place of a vCPU: the address is guest-physical. */
enum { SILL_DEBUG_PHYSICAL = -1 };

/* Public struct: where in memory, as a vCPU's page tables have it now. */
struct sill_debug_place {
	int vcpu;
	uint64_t address; /* linear */
};

/*
 * What the guest has there, without the debugger's traps. Reads up to @n bytes; how many from the first on could
 * be read is returned, or -1 with SILL_ERR_LIMIT: not even one. Memory that cannot be written, a device's, is none.
 */
int sill_debug_read(struct sill_vm *vm, const struct sill_debug_place *at, void *ret, size_t n,
		    struct sill_err *e);
/* All of it, or nothing: SILL_ERR_LIMIT. */
int sill_debug_write(struct sill_vm *vm, const struct sill_debug_place *at, const void *p, size_t n,
		     struct sill_err *e);

enum {
	SILL_DEBUG_MAX_SOFT =
		1024, /* points of the guest's own memory; nobody has set so many by hand */
	SILL_DEBUG_MAX_BYTES = 1 << 16, /* one read or write */
};

/*
 * Set a point for all vCPUs, or take it away: one that is not there is not an error. @size in bytes: of what is
 * watched, 1 for an instruction. A soft one is a trap in the guest's memory, at the physical address that @at
 * has now, while the guest runs; a reset drops those, and keeps the others, which stop at linear addresses.
 * Fails with SILL_ERR_LIMIT: no room for one more, or nothing there that could be written (SOFT), or no such kind.
 */
int sill_debug_set_point(struct sill_vm *vm, enum sill_debug_point kind,
			 const struct sill_debug_place *at, size_t size, struct sill_err *e);
int sill_debug_clear_point(struct sill_vm *vm, enum sill_debug_point kind, uint64_t address,
			   size_t size, struct sill_err *e);

#ifdef __cplusplus
}
#endif
#endif
