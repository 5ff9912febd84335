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

static int plug_opened(struct sill_vm *vm, enum sill_device_kind kind, struct vmfiles *f,
		       struct sill_err *e)
{
	struct sill_files files = { 0 };
	struct sill_config own;
	struct sill_device d = { .kind = kind };
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
		ret = sill_vm_plug(vm, &d, &files, e);
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
		.disk = (struct sill_disk_config *)(uintptr_t)d->disk,
		.disk_count = d->kind == SILL_DEVICE_DISK,
		.net = (struct sill_net_config *)(uintptr_t)d->net,
		.net_count = d->kind == SILL_DEVICE_NET,
	};

	if (d->kind == SILL_DEVICE_VSOCK)
		one.vsock = *d->vsock;
	return sill_config_copy(ret, &one, e);
}

const char *hot_net_stays(const struct sill_net_config *n)
{
	const struct {
		bool is;
		const char *key;
	} all[] = {
		{ n->nat, "nat" },
		{ n->isolate, "isolate" },
		{ n->antispoof == SILL_ANTISPOOF_ON, "antispoof" },
		{ n->forward_count > 0, "forward" },
		{ n->user, "user" },
		{ n->macvtap != NULL, "macvtap" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].is)
			return all[i].key;
	return NULL;
}

static int check_card(const struct sill_net_config *n, struct sill_err *e)
{
	const char *key = hot_net_stays(n);

	if (key == NULL)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE, "%s: a card with '%s' cannot come while the VM runs",
			   n->id, key);
	return sill_err_hint(e, "it is there when the VM is started anew");
}

struct hot *hot_plug(struct sill_vm *vm, const struct sill_device *d, const struct lent_tap *lent,
		     unsigned lent_count, struct sill_err *e)
{
	struct hot *h;

	if (d->kind == SILL_DEVICE_NET && check_card(d->net, e) < 0)
		return NULL;
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		(void)sill_err_sys(e, ENOMEM, "the device's files");
		return NULL;
	}
	vmfiles_init(&h->files, &h->one);
	h->files.lent = lent;
	h->files.lent_count = lent_count;
	h->files.passing = true;
	if (copy_one(vm, d, &h->one, e) == 0 && vmfiles_open(&h->files, e) == 0 &&
	    vmfiles_create(&h->files, e) == 0 && plug_opened(vm, d->kind, &h->files, e) == 0)
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

void hot_bdf(struct sill_vm *vm, const char *id, char ret[HOT_BDF])
{
	struct sill_device_info d;

	ret[0] = '\0';
	if (hot_find(vm, id, &d))
		(void)snprintf(ret, HOT_BDF, "0000:00:%02x.0", d.slot);
}
