/* SPDX-License-Identifier: Apache-2.0 */
/* vmconfig.c - copy a manifest into struct sill_config. */
#include "runner/host/vmconfig.h"

#include <string.h>

#include "runner/host/genid.h"
#include "runner/host/overlay.h"
#include "runner/manifest/scalar.h"
#include "sill/hyperv.h"

static void make_boot(struct sill_boot_config *b, const struct manifest *m)
{
	*b = (struct sill_boot_config){
		.code_path = m->firmware.code,
		.vars_path = m->firmware.vars,
		.kernel_path = m->kernel,
		.initramfs_path = m->initramfs,
		.cmdline = m->cmdline,
	};
}

/* The switches that differ from the default set. */
static void make_hyperv(struct sill_cpus_config *c, const struct mf_cpus *m)
{
	if (!m->kvm_hyperv)
		return;
#define SILL_HV(name, on, needs, doc)              \
	if (m->hyperv.name && !(on))               \
		c->hyperv_on |= SILL_HV_BIT(name); \
	if (!m->hyperv.name && (on))               \
		c->hyperv_off |= SILL_HV_BIT(name);
#include "sill/hyperv.def"
#undef SILL_HV
	c->hyperv_enforce = m->hyperv.enforce;
	c->hyperv_kvm = m->hyperv.kvm_leaves;
	c->spin_retries = m->hyperv.spin_retries;
}

static void make_cpus(struct vmconfig *v, const struct mf_cpus *m)
{
	for (unsigned i = 0; i < m->affinity_count; i++)
		v->affinity[i] = (struct sill_affinity){
			.vcpu = m->affinity[i].vcpu,
			.host_cpus = m->affinity[i].host_cpus,
			.host_cpu_count = m->affinity[i].host_cpus_count,
		};
	v->config.cpus = (struct sill_cpus_config){
		.boot = m->boot,
		.max = m->max,
		.topology = { .threads_per_core = m->topology.threads_per_core,
			      .cores_per_die = m->topology.cores_per_die,
			      .dies_per_package = m->topology.dies_per_package,
			      .packages = m->topology.packages },
		.affinity = v->affinity,
		.affinity_count = m->affinity_count,
		.kvm_hyperv = m->kvm_hyperv,
		.nested = m->nested,
		.unknown_msrs =
			m->unknown_msrs == MF_MSRS_IGNORE ? SILL_MSRS_IGNORE : SILL_MSRS_FAULT,
		.features_off = (const char *const *)m->features.remove,
		.features_off_count = m->features.remove_count,
		.features_on = (const char *const *)m->features.add,
		.features_on_count = m->features.add_count,
		.max_phys_bits = m->max_phys_bits,
	};
	make_hyperv(&v->config.cpus, m);
}

static void make_disk(struct sill_disk_config *d, struct sill_disk_layer *layers,
		      const struct mf_disk *m, const struct chain *c)
{
	for (size_t i = 1; i < c->count; i++)
		layers[i - 1] = (struct sill_disk_layer){
			.path = c->layer[i].path,
			.data_path = c->layer[i].data_path,
			.format = c->layer[i].format,
		};
	*d = (struct sill_disk_config){
		.path = c->layer[0].path,
		.data_path = c->layer[0].data_path,
		.id = m->id,
		.format = c->layer[0].format,
		.backing = layers,
		.backing_count = c->count > 0 ? c->count - 1 : 0,
		.readonly = m->readonly,
		.serial = m->serial,
		.slot = m->slot != 0 ? m->slot : -1,
		.queues = m->queues,
		.queue_size = m->queue_size,
		.host_cpus = m->affinity,
		.host_cpu_count = m->affinity_count,
		.cache = (enum sill_disk_cache)m->cache,
		.io = (enum sill_disk_io)m->io,
		.keep_space = m->discard == MF_DISCARD_IGNORE,
		.logical_size = m->logical_sector_size,
		.physical_size = m->physical_sector_size,
		.max_file_bytes = overlay_limit(m),
		.on_error = (enum sill_on_error)m->on_error,
		.rate = { .bandwidth = m->rate_limit.bandwidth,
			  .ops = m->rate_limit.ops,
			  .bandwidth_burst = m->rate_limit.bandwidth_burst,
			  .ops_burst = m->rate_limit.ops_burst,
			  .group = m->rate_limit.group },
	};
}

static void make_disks(struct vmconfig *v, const struct manifest *m, const struct vmfiles *f)
{
	for (unsigned i = 0; i < m->disk_count; i++)
		make_disk(&v->disks[i], v->layers[i], &m->disk[i], &f->disks[i]);
	v->config.disks = v->disks;
	v->config.disk_count = m->disk_count;
}

static void make_platform(struct sill_platform_config *p, const struct manifest *m,
			  const struct vmfiles *f)
{
	int fds[SILL_MAX_DISKS];

	for (unsigned i = 0; i < m->disk_count; i++)
		fds[i] = f->disks[i].layer[0].fd;
	/* The checker has read both. */
	if (m->platform.uuid != NULL)
		(void)scalar_uuid(m->platform.uuid, p->uuid);
	if (m->platform.vmgenid != NULL && strcmp(m->platform.vmgenid, "auto") == 0)
		genid_make(m, fds, p->vmgenid);
	else if (m->platform.vmgenid != NULL)
		(void)scalar_uuid(m->platform.vmgenid, p->vmgenid); /* "off" leaves it zero */
	p->serial_number = m->platform.serial_number;
	p->oem_strings = (const char *const *)m->platform.oem_strings;
	p->oem_string_count = m->platform.oem_strings_count;
	p->rtc_local = m->platform.rtc == MF_RTC_LOCALTIME;
}

static struct sill_char_config make_char(const struct mf_char *m)
{
	return (struct sill_char_config){ .mode = (enum sill_char_mode)m->mode,
					  .max_bytes = m->limit };
}

void vmconfig_make(struct vmconfig *v, const struct manifest *m, const struct vmfiles *f)
{
	*v = (struct vmconfig){ 0 };
	v->config.name = m->name;
	v->config.windows = m->guest == MF_GUEST_WINDOWS;
	make_boot(&v->config.boot, m);
	make_cpus(v, &m->cpus);
	v->config.memory = (struct sill_memory_config){
		.size = m->memory.size,
		.shared = m->memory.shared,
		.hugepages = m->memory.hugepages,
		.hugepage_size = m->memory.hugepage_size,
		.prefault = m->memory.prefault,
		.thp = m->memory.thp,
	};
	make_disks(v, m, f);
	v->config.serial = make_char(&m->serial);
	v->config.console = make_char(&m->console);
	v->config.rng = f->rng >= 0;
	make_platform(&v->config.platform, m, f);
}
