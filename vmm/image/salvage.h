/* SPDX-License-Identifier: Apache-2.0 */
/*
 * salvage.h - what of an image could not be read, and reads as zeroes instead.
 *
 * An image that is opened to be salvaged never fails a read: what is lost is
 * zeroes and is noted here. Any number of threads.
 */
#ifndef IMAGE_SALVAGE_H
#define IMAGE_SALVAGE_H

#include <pthread.h>
#include <stdint.h>

struct salvage_run {
	uint64_t from, to; /* bytes of the disk */
};

struct salvage {
	pthread_mutex_t mutex;   /* a leaf; guards all below */
	struct salvage_run *run; /* owned; in rising order, none touches the next */
	uint32_t count, room;
	uint64_t more; /* bytes that there was no room to note the place of */
};

struct salvage *salvage_create(void);    /* NULL: no memory */
void salvage_destroy(struct salvage *s); /* accepts NULL */
/* [@from, @to) is lost; said twice, it is lost once. */
void salvage_add(struct salvage *s, uint64_t from, uint64_t to);

#endif
