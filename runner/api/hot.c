/* SPDX-License-Identifier: Apache-2.0 */
/* hot.c - see hot.h. A device's files are those of a VM that has nothing else. */
#include "runner/api/hot.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a device that runs asks of its files: the VM connects to the host's sockets by these. */
struct hot {
	struct sill_config one; /* owned */
	struct vmfiles files;
};

/* What the host does for a card begins before the card is there, and ends by the word that it has gone. */
static int begin_cable(struct cables *cs, struct vmfiles *f, const struct cable **ret,
		       struct sill_err *e)
{
	struct cable *c = cables_take(&f->cables, 0);

	*ret = c;
	return c == NULL ? 0 : cables_plug(cs, c, e);
}

static int plug_opened(const struct hot_vm *h, enum sill_device_kind kind, struct vmfiles *f,
		       struct sill_err *e)
{
	struct sill_files files = { 0 };
	struct sill_config own;
	struct sill_device d = { .kind = kind };
	const struct cable *cable = NULL;
	int ret;

	if (sill_config_copy(&own, f->m, e) < 0)
		return -1;
	ret = vmfiles_settle(f, &own, e);
	if (ret == 0)
		ret = vmfiles_give(f, &files, e);
	d.disk = own.disk;
	d.net = own.net;
	d.vsock = &own.vsock;
	if (ret == 0)
		ret = begin_cable(h->cables, f, &cable, e);
	if (ret == 0 && sill_vm_plug(h->vm, &d, &files, e) < 0) {
		sill_files_close(&files); /* before the rules go */
		if (cable != NULL) {
			cables_unplug(h->cables, cable);
			cables_settle(
				h->cables); /* what it had is free when the caller hears of it */
		}
		ret = -1;
	}
	sill_files_close(&files);
	sill_config_free(&own);
	return ret;
}

void hot_destroy(struct hot *h)
{
	if (h == NULL)
		return;
	vmfiles_fini(&h->files);
	sill_config_free(&h->one);
	free(h);
}

/* The device alone, as a VM's value. */
static int copy_one(struct sill_vm *vm, const struct sill_device *d, struct sill_config *ret,
		    struct sill_err *e)
{
	struct sill_config one = {
		.name = sill_vm_config(vm)->name,
		.guest = sill_vm_config(vm)->guest,
		.disk = (struct sill_disk_config *)(uintptr_t)d->disk,
		.disk_count = d->kind == SILL_DEVICE_DISK,
		.net = (struct sill_net_config *)(uintptr_t)d->net,
		.net_count = d->kind == SILL_DEVICE_NET,
	};

	if (d->kind == SILL_DEVICE_VSOCK)
		one.vsock = *d->vsock;
	return sill_config_copy(ret, &one, e);
}

struct hot *hot_plug(const struct hot_vm *to, const struct sill_device *d, struct sill_err *e)
{
	struct hot *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		(void)sill_err_sys(e, ENOMEM, "the device's files");
		return NULL;
	}
	vmfiles_init(&h->files, &h->one);
	h->files.lent = to->lent;
	h->files.lent_count = to->lent_count;
	/* Its ports may be those of one that goes. */
	if (d->kind == SILL_DEVICE_NET)
		cables_settle(to->cables);
	if (copy_one(to->vm, d, &h->one, e) == 0 && vmfiles_open(&h->files, e) == 0 &&
	    vmfiles_create(&h->files, e) == 0 && plug_opened(to, d->kind, &h->files, e) == 0)
		return h;
	hot_destroy(h);
	return NULL;
}

bool hot_find(struct sill_vm *vm, const char *id, struct sill_device_info *ret)
{
	struct sill_device_info list[HOT_DEVICES];
	size_t n = sill_vm_devices(vm, list, HOT_DEVICES);

	for (size_t i = 0; i < n && i < HOT_DEVICES; i++) {
		if (strcmp(list[i].id, id) != 0)
			continue;
		*ret = list[i];
		return true;
	}
	return false;
}

bool hot_has_vhost(struct sill_vm *vm, const struct sill_device_info *d)
{
	struct sill_net_status s;

	return d->kind == SILL_DEVICE_NET &&
	       sill_vm_net_status(vm, d->id, &s, &(struct sill_err){ 0 }) == 0 && s.vhost;
}

void hot_bdf_at(unsigned slot, char ret[HOT_BDF])
{
	(void)snprintf(ret, HOT_BDF, "0000:00:%02x.0", slot);
}

void hot_bdf(struct sill_vm *vm, const char *id, char ret[HOT_BDF])
{
	struct sill_device_info d;

	ret[0] = '\0';
	if (hot_find(vm, id, &d))
		hot_bdf_at(d.slot, ret);
}
