/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - one guest access and one device's answer.
 *
 * What the bus promises: the whole access lies in the region (not only its
 * first byte), the size is 1, 2, 4 or 8, val has no stray upper bytes.
 */
#ifndef BUS_IO_H
#define BUS_IO_H

#include <stdbool.h>
#include <stdint.h>

struct io {
	uint64_t off; /* from the start of the region */
	uint64_t val; /* in: value written; out: value read. Upper bytes are zero */
	uint8_t size; /* 1, 2, 4 or 8 */
	bool write;
};

/*
 * What a device says about an access. Everything but IO_DONE is the guest's
 * mistake: it is counted, and reads are answered with all ones.
 */
enum io_result { IO_DONE, IO_NO_REGISTER, IO_BAD_SIZE, IO_READ_ONLY };

typedef enum io_result (*io_fn)(void *ctx, unsigned region, struct io *io);

/* Somebody who answers accesses. Stays put while it is in a map. */
struct io_target {
	io_fn io;
	void *ctx;
	const char *name;      /* borrowed; for messages */
	uint64_t guest_errors; /* atomic; answers other than IO_DONE */
};

#endif
