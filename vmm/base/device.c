/* SPDX-License-Identifier: Apache-2.0 */
/* device.c - which devices a configuration has: what sill/device_kinds.def says, as functions. */
#include "sill/device.h"

const char *sill_device_id(const struct sill_device *d)
{
	switch (d->kind) {
#define SILL_MANY(KIND, member, type) \
	case SILL_DEVICE_##KIND:      \
		return d->member->id;
#define SILL_ONE(KIND, member, type, there) \
	case SILL_DEVICE_##KIND:            \
		return #member;
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	case SILL_DEVICE_KINDS:
		break;
	}
	return "";
}

unsigned sill_device_slot(const struct sill_device *d)
{
	switch (d->kind) {
#define SILL_MANY(KIND, member, type) \
	case SILL_DEVICE_##KIND:      \
		return d->member->slot;
#define SILL_ONE(KIND, member, type, there)
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	default:
		return 0;
	}
}

int sill_device_each(const struct sill_config *c, sill_device_fn fn, void *ctx)
{
	struct sill_device d = { 0 };
	int ret = 0;

#define SILL_MANY(KIND, member, type)                                  \
	d = (struct sill_device){ .kind = SILL_DEVICE_##KIND };        \
	for (unsigned i = 0; ret == 0 && i < c->member##_count; i++) { \
		d.member = &c->member[i];                              \
		ret = fn(ctx, &d);                                     \
	}
#define SILL_ONE(KIND, member, type, there)                                           \
	d = (struct sill_device){ .kind = SILL_DEVICE_##KIND, .member = &c->member }; \
	if (ret == 0 && (there))                                                      \
		ret = fn(ctx, &d);
#include "sill/device_kinds.def"
#undef SILL_MANY
#undef SILL_ONE
	return ret;
}
