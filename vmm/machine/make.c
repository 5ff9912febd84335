/* SPDX-License-Identifier: Apache-2.0 */
/* make.c - see make.h. A kind of device is a function here and its line in the table below. */
#include "machine/make.h"

#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/vsock.h"
#include "machine/char.h"
#include "machine/disk.h"
#include "machine/limits.h"
#include "machine/machine.h"
#include "machine/net.h"

static struct dev *add(struct machine *m, const struct sill_device *d, const void *config,
		       struct sill_err *e)
{
	return machine_add_device(m, device_type(d->kind), sill_device_id(d), config, NO_GSI, e);
}

static struct dev *make_disk(struct machine *m, const struct sill_device *d,
			     struct sill_files *files, struct made *ret, struct sill_err *e)
{
	struct disk disk;
	struct dev *dev;

	if (disk_open(m, d->disk, files, &disk, e) < 0)
		return NULL;
	dev = add(m, d, &disk.config, e);
	if (dev == NULL)
		limits_put(m, disk.limits);
	ret->limits[0] = disk.limits;
	return dev;
}

static struct dev *make_net(struct machine *m, const struct sill_device *d,
			    struct sill_files *files, struct made *ret, struct sill_err *e)
{
	struct card card;
	struct dev *dev = NULL;

	if (limits_get(m, LIMITS_NET, &d->net->rx_limit, &ret->limits[0], e) == 0 &&
	    limits_get(m, LIMITS_NET, &d->net->tx_limit, &ret->limits[1], e) == 0 &&
	    card_open(m->name, d->net, files, &card, e) == 0) {
		card.config.rx_throttle = limits_throttle(ret->limits[0]);
		card.config.tx_throttle = limits_throttle(ret->limits[1]);
		dev = add(m, d, &card.config, e);
	}
	if (dev == NULL) {
		limits_put(m, ret->limits[0]);
		limits_put(m, ret->limits[1]);
	}
	return dev;
}

static struct dev *make_rng(struct machine *m, const struct sill_device *d,
			    struct sill_files *files, struct made *ret, struct sill_err *e)
{
	const struct virtio_rng_config c = { .fd = sill_files_take(files, SILL_FILE_RNG, NULL, 0),
					     .slot = -1 };

	(void)ret;
	return add(m, d, &c, e);
}

static struct dev *make_console(struct machine *m, const struct sill_device *d,
				struct sill_files *files, struct made *ret, struct sill_err *e)
{
	struct virtio_console_config c = { .slot = -1 };

	if (char_open("console", d->console, m->loop, files, &c.chr, e) < 0)
		return NULL;
	ret->chr = c.chr;
	return add(m, d, &c, e);
}

static struct dev *make_vsock(struct machine *m, const struct sill_device *d,
			      struct sill_files *files, struct made *ret, struct sill_err *e)
{
	const struct sill_file *file = sill_files_find(files, SILL_FILE_VSOCK, NULL, 0);
	struct virtio_vsock_config c = { .cid = d->vsock->cid, .slot = -1 };

	(void)ret;
	if (c.cid < SILL_CID_MIN || c.cid > SILL_CID_MAX || file == NULL) {
		(void)sill_err_set(e, SILL_ERR_STATE, "a vsock device needs a CID and a socket");
		return NULL;
	}
	c.connect = file->connect;
	c.connect_ctx = file->ctx;
	c.listen_fd = sill_files_take(files, SILL_FILE_VSOCK, NULL, 0);
	return add(m, d, &c, e);
}

/* How old what a guest says of its memory is at most; asking wakes it. */
static const uint64_t STATISTICS_NS = 10000000000ull;

static struct dev *make_balloon(struct machine *m, const struct sill_device *d,
				struct sill_files *files, struct made *ret, struct sill_err *e)
{
	const struct virtio_balloon_config c = {
		.size = d->balloon->size,
		.deflate_on_oom = d->balloon->deflate_on_oom,
		.free_page_reporting = d->balloon->free_page_reporting,
		.poll_ns = STATISTICS_NS,
		.slot = -1,
	};

	(void)files;
	(void)ret;
	return add(m, d, &c, e);
}

static const struct {
	const char *type; /* of devices.def */
	struct dev *(*make)(struct machine *m, const struct sill_device *d,
			    struct sill_files *files, struct made *ret, struct sill_err *e);
} kinds[SILL_DEVICE_KINDS] = {
	[SILL_DEVICE_DISK] = { "virtio-blk", make_disk },
	[SILL_DEVICE_NET] = { "virtio-net", make_net },
	[SILL_DEVICE_RNG] = { "virtio-rng", make_rng },
	[SILL_DEVICE_CONSOLE] = { "virtio-console", make_console },
	[SILL_DEVICE_VSOCK] = { "virtio-vsock", make_vsock },
	[SILL_DEVICE_BALLOON] = { "virtio-balloon", make_balloon },
};

const char *device_type(enum sill_device_kind kind)
{
	return kinds[kind].type;
}

int make_device(struct machine *m, const struct sill_device *d, struct sill_files *files,
		struct made *ret, struct sill_err *e)
{
	*ret = (struct made){ 0 };
	ret->dev = kinds[d->kind].make(m, d, files, ret, e);
	return ret->dev != NULL ? 0 : -1;
}
