/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varstore.h - the firmware's variable store as an OVMF_VARS image holds it,
 * and a model of the firmware that writes it.
 *
 * Layout: a firmware volume header (PI 1.7, vol. 3, 3.2.1) and a variable store
 * header, authenticated variables (UEFI's EFI_TIME and attributes) one after
 * the other, an event log, the work block and the spare blocks of the fault-
 * tolerant write protocol. Facts: the headers of edk2's MdeModulePkg
 * (VariableFormat.h, WorkingBlockHeader.h, FaultTolerantWrite.h) and what its
 * drivers were seen to write, as of edk2-stable202211.
 *
 * A variable's state only ever loses bits: 0xff written, 0x7f its header is
 * whole, 0x3f it counts, 0x3e about to be replaced, 0x3d and 0x3c deleted.
 */
#ifndef TESTS_UNIT_VARSTORE_H
#define TESTS_UNIT_VARSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct varstore_layout {
	size_t size;
	size_t live;  /* headers and variables: [0, live) */
	size_t work;  /* one block */
	size_t spare; /* to the end */
};

/* By the image's size: the 2M and 4M builds of OVMF. False for others. */
bool varstore_layout(size_t size, struct varstore_layout *ret);

/* An image as a distribution ships it: headers and erased flash. */
void varstore_format(uint8_t *img, const struct varstore_layout *l);

/* What firmware does first: finish or abandon an interrupted fault-tolerant write. */
void varstore_recover(uint8_t *img, const struct varstore_layout *l);

/*
 * After that: is every structure whole, and no variable there twice? NULL, or
 * what is wrong. Torn bytes after the last variable are not: the firmware
 * compacts the store then.
 */
const char *varstore_check(const uint8_t *img, const struct varstore_layout *l);

/* The data of the variable @name (ASCII) that counts; NULL when there is none. */
const uint8_t *varstore_find(const uint8_t *img, const struct varstore_layout *l, const char *name,
			     size_t *ret_size);
unsigned varstore_count(const uint8_t *img, const struct varstore_layout *l);

/* The firmware: what it reads directly, and how it writes a byte to the chip. */
struct varwriter {
	struct varstore_layout l;
	const uint8_t *mem;
	void (*write)(void *ctx, size_t off, uint8_t v);
	void *ctx;
	/* How much it did. */
	unsigned long programmed, erased, runs, reclaims, work_reclaims;
};

/* What varstore_recover() does, through the chip: the firmware starts. */
void varwriter_boot(struct varwriter *w);
/* Set, and NULL data: delete. False when the store is full. */
bool varwriter_set(struct varwriter *w, const char *name, const void *data, size_t n);

#endif
