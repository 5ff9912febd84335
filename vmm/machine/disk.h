/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h - from the configuration to a disk: images and what is below them, sectors, rate limits. */
#ifndef MACHINE_DISK_H
#define MACHINE_DISK_H

#include "base/attr.h"
#include "base/err.h"
#include "devices/virtio/blk.h"
#include "sill/config.h"
#include "sill/files.h"

struct limits;
struct machine;

/* Caller-allocated. */
struct disk {
	struct virtio_blk_config config; /* for the device, which takes the image */
	struct limits *limits;           /* held for the life of the device; NULL: none */
};

/* Open the images. Takes what it needs of @files; nothing is held when it fails. */
int disk_open(struct machine *m, const struct sill_disk_config *d, struct sill_files *files,
	      struct disk *ret, struct sill_err *e) MUST_CHECK;

#endif
