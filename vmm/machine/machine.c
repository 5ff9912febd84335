/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h. */
#include "machine/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/saved.h"
#include "devices/table.h"
#include "machine/plug.h"

/* --- memory and buses --------------------------------------------------- */

int machine_init(struct machine *m, const char *name, const struct dev_env *hooks,
		 struct loop *loop, struct sill_err *e)
{
	*m = (struct machine){ .loop = loop, .name = strdup(name), .env = *hooks };
	m->devices_end = &m->devices;
	m->kvm.fd = m->kvm.vm_fd = -1;
	m->env.loop = loop;
	wishes_init(&m->wishes, loop, &m->clock);
	(void)pthread_mutex_init(&m->mutex, NULL);
	return m->name != NULL ? 0 : sill_err_sys(e, ENOMEM, "virtual machine");
}

static void give_up(void *begun)
{
	kvm_give_up(begun);
}

void machine_begin(struct sill_files *files)
{
	const struct sill_file *kvm = sill_files_find(files, SILL_FILE_KVM, NULL, 0);

	if (kvm == NULL || files->begun != NULL)
		return;
	files->begun = kvm_begin(kvm->fd);
	files->give_up = give_up;
}

int machine_open(struct machine *m, struct sill_files *files, struct sill_err *e)
{
	const int fd = sill_files_take(files, SILL_FILE_KVM, NULL, 0);
	struct kvm_maker *maker = files->begun;

	files->begun = NULL;
	if (fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "no /dev/kvm among the files");
	return kvm_open(&m->kvm, fd, maker, e);
}

int machine_opened(struct machine *m, struct sill_err *e)
{
	if (kvm_wait(&m->kvm, e) < 0)
		return -1;
	kvm_gmem_listener(&m->kvm, &m->gmem_listener);
	irqs_init(&m->irqs, &kvm_irq_ops, &m->kvm);
	m->irqs_ready = true;
	vmclock_init(&m->clock);
	m->gmem = gmem_create(&m->gmem_listener, e);
	if (m->gmem != NULL && m->env.progress != NULL)
		gmem_set_wake(m->gmem, m->env.progress, m->env.ctx);
	m->env.gmem = m->gmem;
	m->env.irqs = &m->irqs;
	m->env.clock = &m->clock;
	return m->gmem != NULL ? 0 : -1;
}

static int pio_bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	return kvm_ioeventfd(ctx, true, addr, b->size, b->fd, true);
}

static void pio_bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	(void)kvm_ioeventfd(ctx, true, addr, b->size, b->fd, false);
}

static int mmio_bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	return kvm_ioeventfd(ctx, false, addr, b->size, b->fd, true);
}

static void mmio_bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	(void)kvm_ioeventfd(ctx, false, addr, b->size, b->fd, false);
}

int machine_add_buses(struct machine *m, const struct pci_windows *w, struct sill_err *e)
{
	m->pio_listener = (struct map_listener){ pio_bell_add, pio_bell_remove, &m->kvm };
	m->mmio_listener = (struct map_listener){ mmio_bell_add, mmio_bell_remove, &m->kvm };
	m->pio = map_create(0x10000, &m->pio_listener, e);
	m->mmio = m->pio != NULL ? map_create(0, &m->mmio_listener, e) : NULL;
	m->pci = m->mmio != NULL ? pci_bus_create(m->pio, m->mmio, w, e) : NULL;
	m->env.pio = m->pio;
	m->env.mmio = m->mmio;
	m->env.pci = m->pci;
	return m->pci == NULL ? -1 : 0;
}

void machine_fini(struct machine *m)
{
	wishes_fini(&m->wishes);
	pci_bus_destroy(m->pci);
	map_destroy(m->mmio);
	map_destroy(m->pio);
	gmem_destroy(m->gmem);
	if (m->irqs_ready)
		irqs_fini(&m->irqs);
	kvm_close(&m->kvm);
	ram_zones_unmap(&m->ram);
	(void)pthread_mutex_destroy(&m->mutex);
	free(m->name);
	*m = (struct machine){ .kvm = { .fd = -1, .vm_fd = -1 } };
}

/* --- devices ------------------------------------------------------------ */

struct dev *machine_add_device(struct machine *m, const char *type, const char *id,
			       const void *config, unsigned gsi, struct sill_err *e)
{
	const struct dev_ops *ops = dev_ops_find(type);
	struct dev *d;

	if (ops == NULL) {
		(void)sill_err_set(e, SILL_ERR_INTERNAL, "there is no device '%s'", type);
		return NULL;
	}
	d = dev_create(ops, id, config, gsi, &m->env, e);
	if (d == NULL)
		return NULL;
	*m->devices_end = d;
	m->devices_end = &d->next;
	return d;
}

void machine_remove_device(struct machine *m, struct dev *d)
{
	struct dev **at = &m->devices;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (m->devices_end == &d->next)
		m->devices_end = at;
	dev_destroy(d);
}

void machine_remove_devices(struct machine *m)
{
	while (m->devices != NULL) {
		struct dev **last = &m->devices;

		while ((*last)->next != NULL)
			last = &(*last)->next;
		dev_destroy(*last);
		*last = NULL;
	}
	m->devices_end = &m->devices;
	m->pcihp = NULL;
	machine_forget_plugged(m);
}

void machine_reset(struct machine *m)
{
	pci_bus_reset(m->pci);
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_reset(d);
}

void machine_stop(struct machine *m)
{
	m->stopped = true;
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_stop(d);
}

const char *machine_waits_for(struct machine *m)
{
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		if (!dev_drained(d))
			return d->id;
	return NULL;
}

void machine_pause(struct machine *m)
{
	m->paused = true;
	wishes_stand(&m->wishes, true);
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_pause(d);
}

void machine_resume(struct machine *m)
{
	m->paused = false;
	for (struct dev *d = m->devices; d != NULL; d = d->next)
		dev_resume(d);
	wishes_stand(&m->wishes, false);
}

/* --- saved state -------------------------------------------------------- */

enum { TAG_MACHINE = SAVE_TAG('M', 'A', 'C', 'H'), SAVE_VERSION = 1 };

int machine_save(struct machine *m, struct saver *s, struct sill_err *e)
{
	if (machine_is_leaving(m, 0))
		return sill_err_set(e, SILL_ERR_STATE, "a device is being taken out");
	if (machine_disks_sync(m, e) < 0)
		return -1;
	save_begin(s, TAG_MACHINE, SAVE_VERSION);
	save_u64(s, vmclock_now(&m->clock));
	save_end(s);
	return devices_save(m->devices, m->pci, s, e);
}

int machine_load(struct machine *m, struct loader *l, struct sill_err *e)
{
	uint64_t ns;

	(void)load_begin(l, TAG_MACHINE, SAVE_VERSION);
	ns = load_u64(l);
	if (load_end(l, "the machine", e) < 0)
		return -1;
	/* Before the devices: some look at the clock. */
	vmclock_freeze(&m->clock);
	vmclock_set(&m->clock, ns);
	machine_pause(m);
	if (devices_load(m->devices, m->pci, l, e) < 0)
		return -1;
	machine_loaded(m);
	return 0;
}
