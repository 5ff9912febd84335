/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flash.h - the flash chip that keeps the firmware's variables, just below the
 * firmware's code (command set: Intel 28F-series, JEDEC JESD68 CFI; how OVMF
 * drives it: OvmfPkg/QemuFlashFvbServicesRuntimeDxe).
 *
 * Bytes only. The last command decides what reads give:
 *
 *   0xff        array                          0x50   array (clears the status)
 *   0x70        status, always exactly 0x00: ready, no error
 *   0x90        manufacturer and device        0x98   CFI query table
 *   0x10, 0x40  the next byte written is programmed where it is written; it
 *               overwrites (bits may also rise), what reads give is unchanged
 *   0x20, 0xd0  the 4 KiB block written to becomes 0xff; likewise
 *   others      array
 *
 * The board maps flash_memory() into the guest read-only, so that reads in
 * array mode never reach the device and writes always do. Around the few reads
 * of something else it is taken away: see show_array below.
 *
 * What survives what
 * ------------------
 * The guest reads a private copy in RAM. A *run* is what the firmware programs
 * and erases up to its next 0xff (or any other command that reads); one run is
 * one step of the firmware's own protocol, which survives any single torn step
 * but relies on the steps' order. At the end of a run the sectors it changed
 * are written to the file (pwrite), before the guest executes another
 * instruction:
 *
 *   kill -9      What was written is in the host's page cache. Runs are in the
 *                file in order, all but the one under way; that one is missing
 *                or torn at a page. The last completed variable is there.
 *   power cut    Sectors in the page cache reach the disk in any order. So no
 *                run is written before earlier ones are on the disk (fdatasync)
 *                unless both are the same single sector, which a disk writes
 *                as a whole. The store is always valid; a thread syncs 10 ms
 *                after a run, and what it had not synced yet can be lost.
 *   full disk    Space is allocated when the device is made: a sparse file
 *                fails there, with a message. There is no shared mapping, so
 *                nothing here can die of SIGBUS. If a write fails later (copy-
 *                on-write file systems, I/O errors), the guest goes on with the
 *                copy in RAM, every sector not known to be on the disk is
 *                written again, four times a second until it works, and once
 *                more when the device ends. An error line says so once, an info
 *                line when all is well again. Order within what had piled up
 *                is then lost, should the power fail during that very write.
 *                The host tells a failed write-back once, to whichever sync
 *                asks first: so after any failure everything is written again
 *                that was not on the disk, whoever has heard of it.
 *
 * Why not a shared mapping: it gives kill -9 for nothing, but no order at a
 * power cut short of a sync per run, and death on a full disk. Why no journal
 * beside the file: it would make the sync's wait unnecessary (that is below),
 * but the variables would be in two files, of which people copy, restore and
 * hand to other tools one. The file has the distribution's layout and size at
 * every moment.
 *
 * The cost is that a vCPU, inside the firmware's SetVariable, waits for a sync
 * now and then, as it would wait for a chip; only here is a device's lock held
 * while its thread blocks. A first boot programs 16 KB in some 200 runs and
 * waits about 100 times: 12 ms in all on a virtual disk, about a second on a
 * spinning one; later boots hardly. Nothing is done per byte.
 */
#ifndef DEVICES_LEGACY_FLASH_H
#define DEVICES_LEGACY_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct dev;
struct dev_ops;

enum {
	FLASH_BLOCK = 4096,               /* erase unit; the size is a multiple */
	FLASH_SIZE_MAX = 16 * 1024 * 1024 /* the hole below 4 GiB that firmware leaves for it */
};

/* How the file is written; for tests. NULL in the config: pwrite and fdatasync. */
struct flash_file_ops {
	int (*write)(void *ctx, int fd, const void *p, size_t n, off_t off); /* -1: errno */
	int (*sync)(void *ctx, int fd);                                      /* -1: errno */
};

struct flash_config {
	int fd;        /* borrowed while the device lives, read-write; -1: forgets at the end */
	uint64_t size; /* the file's; bytes past the end of a shorter file are an error */
	uint8_t *
		mem; /* flash_read() of both, borrowed while the device lives; NULL: it does so itself */
	/*
	 * The guest is to read the array directly (true; the state at creation,
	 * which the board sets up itself) or must exit to the device (false).
	 *
	 * Called from vCPU threads in the middle of a write access, with the
	 * device's lock held: change only KVM's slot (KVM_SET_USER_MEMORY_REGION
	 * with size 0, and back), in a slot number of this device's own, under no
	 * lock or one that ranks above RANK_DEV; other vCPUs keep running. Leave
	 * gmem alone: its add and remove belong to the main loop, and devices go
	 * on reading the array there. It must be done when the call returns. -1
	 * (logged by the callee): nothing has changed. May be NULL.
	 */
	int (*show_array)(void *ctx, bool array);
	void *ctx;                             /* of show_array; borrowed */
	const struct flash_file_ops *file_ops; /* borrowed */
	void *file_ctx;
};

/*
 * A private mapping of @size bytes (a multiple of 4 KiB) with what the file has, 0xff without one (-1);
 * munmap() ends it. From any thread, before there is a device; NULL and @e on failure.
 */
uint8_t *flash_read(int fd, uint64_t size, struct sill_err *e) MUST_CHECK;

/* type "flash"; config: struct flash_config; one MMIO region of @size bytes. */
extern const struct dev_ops flash_ops;

/* The array, page-aligned; borrowed until the device is destroyed. The guest may only read it. */
uint8_t *flash_memory(struct dev *d);

#endif
