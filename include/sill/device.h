/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - one device that can be put into a VM and taken out again; see vm.h. */
#ifndef SILL_DEVICE_H
#define SILL_DEVICE_H

#include "sill/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* SILL_DEVICE_DISK, SILL_DEVICE_RNG ... */
enum sill_device_kind {
#define SILL_MANY(KIND, member, type)       SILL_DEVICE_##KIND,
#define SILL_ONE(KIND, member, type, there) SILL_DEVICE_##KIND,
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	SILL_DEVICE_KINDS
};

/*
 * Public struct: which device, and what it shall be: the member of its kind, disk, net, rng and so on. Everything
 * is borrowed for the call, and nothing in it is `auto`.
 */
struct sill_device {
	enum sill_device_kind kind;
#define SILL_MANY(KIND, member, type)       const struct type *member;
#define SILL_ONE(KIND, member, type, there) const struct type *member;
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
};

/* Its id, which may be the configuration's: a disk's or a card's own, else "rng", "console" and so on. */
const char *sill_device_id(const struct sill_device *d);
/* The PCI slot that it asks for; 0: any. */
unsigned sill_device_slot(const struct sill_device *d);

/* Every device of @c, in the order of device_kinds.def. Not 0: @fn has ended it with that. */
typedef int (*sill_device_fn)(void *ctx, const struct sill_device *d);
int sill_device_each(const struct sill_config *c, sill_device_fn fn, void *ctx);

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
