/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fwcfg.h - the fw_cfg device: named blobs for the firmware (QEMU's public
 * specification, docs/specs/fw_cfg, "QEMU Firmware Configuration Device").
 *
 *   off  port   access
 *   0x0  0x510  W2   selector: key in bits 13:0; bit 14 (write) is ignored, bit 15
 *                    (architecture's own) selects nothing, we have none
 *   0x1  0x511  R1   data: the next byte of the item, 0 past its end; writes ignored
 *   0x4  0x514  W4   DMA address, high half, big-endian; reads "QEMU"
 *   0x8  0x518  W4   DMA address, low half, big-endian; starts; reads " CFG"
 *
 *   DMA descriptor, big-endian: u32 control, u32 length, u64 address. Control:
 *   bit 0 error, 1 read, 2 skip, 3 select (key in bits 31:16), 4 write. The
 *   command is over when the register write is; control is then 0 or 1.
 *
 *   key   item
 *   0x00  "QEMU"
 *   0x01  u32 features: 3 (selector and data, DMA)
 *   0x05  u16 vCPUs that are started
 *   0x0e  u16 boot menu wanted
 *   0x19  directory: be32 count, then { be32 size, be16 key, u16 0, name[56] },
 *         sorted by name
 *   0x20  the first file, and so on
 *   All others read as zeroes (kernel and initrd, keys 0x08 to 0x18, too: size 0).
 *
 * A file's size never changes: the directory is read before the content. A
 * read past the end of an item gives zeroes, but a DMA command may not ask for
 * more than FWCFG_ZEROES_MAX of them: its work is bounded by that and the
 * item's size. Commands touch guest memory only through gmem.
 */
#ifndef DEVICES_LEGACY_FWCFG_H
#define DEVICES_LEGACY_FWCFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dev;
struct dev_ops;

enum { FWCFG_PORT_COUNT = 12 };
enum {
	FWCFG_NAME_SIZE = 56,              /* with the NUL */
	FWCFG_FILE_MAX = 16 * 1024 * 1024, /* far above tables and a splash picture */
	FWCFG_ZEROES_MAX = 1024 * 1024,
};

/*
 * Callbacks run under the device's lock on a vCPU thread: they must not block
 * and may take only locks that rank above RANK_DEV.
 */
struct fwcfg_file {
	const char *name; /* copied */
	const void *data; /* copied; NULL: zeroes */
	size_t size;      /* 1 .. FWCFG_FILE_MAX */
	/* The guest selects the file: bring its content up to date. May be NULL. */
	void (*select)(void *ctx, uint8_t *data, size_t size);
	/* The guest may write it (DMA only); back to the first content at reset. */
	bool writable;
	/* It has done so. May be NULL. */
	void (*written)(void *ctx, const uint8_t *data, size_t size);
	void *ctx; /* borrowed while the device lives */
};

struct fwcfg_config {
	const struct fwcfg_file *files;
	size_t file_count; /* at most MAX_FWCFG_FILES, names all different */
	uint16_t boot_cpus;
	bool boot_menu;
};

/* type "fw-cfg"; config: struct fwcfg_config; one region of FWCFG_PORT_COUNT ports. */
extern const struct dev_ops fwcfg_ops;

/* Item 0x05 from now on; between a reset and the guest's first instruction. */
void fwcfg_set_cpus(struct dev *d, uint16_t count);

#endif
