/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - one device that can be put into a VM and taken out again; see vm.h. */
#ifndef SILL_DEVICE_H
#define SILL_DEVICE_H

#include "sill/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sill_device_kind {
	SILL_DEVICE_DISK,
	SILL_DEVICE_NET,
	SILL_DEVICE_RNG,
	SILL_DEVICE_CONSOLE,
	SILL_DEVICE_VSOCK,
	SILL_DEVICE_BALLOON,
	SILL_DEVICE_KINDS
};

/* Public struct: which device, and what it shall be. Everything is borrowed for the call. */
struct sill_device {
	enum sill_device_kind kind;
	const struct sill_disk_config *disk;       /* DISK: its id is the device's */
	const struct sill_net_config *net;         /* NET: likewise; nothing in it is `auto` */
	const struct sill_rng_config *rng;         /* RNG: the id is "rng" */
	const struct sill_char_config *console;    /* CONSOLE: the id is "console" */
	const struct sill_vsock_config *vsock;     /* VSOCK: the id is "vsock" */
	const struct sill_balloon_config *balloon; /* BALLOON: the id is "balloon" */
};

enum sill_device_stage {
	SILL_DEVICE_HERE,    /* it is in, and stays */
	SILL_DEVICE_ASKED,   /* the guest has been asked to give it up, and has not yet */
	SILL_DEVICE_LEAVING, /* it begins nothing more; what it has is given back soon */
};

/* Public struct: a device that is in a VM; see sill_vm_devices(). */
struct sill_device_info {
	enum sill_device_kind kind;
	enum sill_device_stage stage;
	char id[64];
	uint8_t slot;   /* device number on PCI bus 0, 1..30 */
	bool removable; /* the guest can be asked for it */
	bool heard;     /* the guest's system takes what happens to devices as it happens */
};

#ifdef __cplusplus
}
#endif
#endif
