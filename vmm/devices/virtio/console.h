/* SPDX-License-Identifier: Apache-2.0 */
/* console.h - what the board tells a virtio-console device, and its size. */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include <stdint.h>

struct chr;
struct dev;

struct virtio_console_config {
	struct chr *chr; /* taken, also when init() fails; NULL: output is dropped, no input */
	uint16_t cols, rows;
	int slot; /* -1: the first free one */
};

/* Any thread: the terminal's size has changed. */
void virtio_console_resize(struct dev *d, uint16_t cols, uint16_t rows);

#endif
