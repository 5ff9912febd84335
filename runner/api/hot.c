/* SPDX-License-Identifier: Apache-2.0 */
/* hot.c - see hot.h. A device's files are those of a VM that has nothing else. */
#include "runner/api/hot.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	if (ret == 0)
		ret = sill_vm_plug(vm, &d, &files, e);
	sill_files_close(&files);
	sill_config_free(&own);
	return ret;
}

int hot_plug(struct sill_vm *vm, const struct sill_device *d, const struct lent_tap *lent,
	     unsigned lent_count, struct sill_err *e)
{
	struct sill_config one = {
		.name = sill_vm_config(vm)->name,
		.disk = (struct sill_disk_config *)(uintptr_t)d->disk,
		.disk_count = d->kind == SILL_DEVICE_DISK,
		.net = (struct sill_net_config *)(uintptr_t)d->net,
		.net_count = d->kind == SILL_DEVICE_NET,
	};
	struct vmfiles *f = malloc(sizeof(*f));
	int ret;

	if (f == NULL)
		return sill_err_sys(e, ENOMEM, "the device's files");
	vmfiles_init(f, &one);
	f->lent = lent;
	f->lent_count = lent_count;
	ret = vmfiles_open(f, e);
	if (ret == 0)
		ret = vmfiles_create(f, e);
	if (ret == 0)
		ret = plug_opened(vm, d->kind, f, e);
	vmfiles_fini(f);
	free(f);
	return ret;
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
