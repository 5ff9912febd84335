/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - the public questions of sill/check.h. */
#include "sill/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/boot.h"
#include "arch/x86_64/chips.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "base/attr.h"
#include "sill/device.h"

int sill_check_kvm(int kvm, struct sill_check_kvm *ret, struct sill_err *e)
{
	const int cpus = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	*ret = (struct sill_check_kvm){ .max_vcpus = cpus > 0 ? (unsigned)cpus : 0,
					.hyperv = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_HYPERV) >
						  0 };
	return chips_check_kvm(kvm, e);
}

void sill_check_cpu(struct sill_check_cpu *ret)
{
	*ret = (struct sill_check_cpu){ .phys_bits = cpuid_host_phys_bits(),
					.amd = cpuid_host_is_amd() };
}

uint64_t sill_memory_block(uint64_t size)
{
	return layout_hot_block(size);
}

int sill_check_memory(const struct sill_check_cpu *cpu, uint64_t size, uint64_t hotplug_size,
		      unsigned max_phys_bits, struct sill_err *e)
{
	const uint64_t end = layout_memory_end(size, hotplug_size);
	struct sill_err unused = { 0 };
	unsigned bits;

	if (cpu == NULL &&
	    cpuid_phys_bits(max_phys_bits, false, max_phys_bits, end, &bits, &unused) == 0)
		return 0;
	if (cpu == NULL)
		return cpuid_phys_bits(max_phys_bits, true, max_phys_bits, end, &bits, e);
	return cpuid_phys_bits(cpu->phys_bits, cpu->amd, max_phys_bits, end, &bits, e);
}

static unsigned virtio_mem_devices(const struct sill_memory_config *m)
{
	unsigned count = 0;

	if (m->hotplug_method != SILL_HOTPLUG_VIRTIO_MEM || m->hotplug_size == 0)
		return 0;
	for (unsigned i = 0; i < m->zones_count; i++)
		count += m->zones[i].hotplug_size > 0;
	return m->zones_count > 0 ? count : 1;
}

static int count_device(void *ctx, const struct sill_device *d)
{
	(void)d;
	++*(unsigned *)ctx;
	return 0;
}

unsigned sill_check_slots(const struct sill_config *c)
{
	unsigned count = virtio_mem_devices(&c->memory);

	(void)sill_device_each(c, count_device, &count);
	return count;
}

bool sill_check_flash(uint64_t size)
{
	return size % 4096 == 0 && size >= 0x10000 && size <= LAYOUT_FLASH_MAX;
}

const char *sill_check_port(uint16_t port)
{
	return board_port_owner(port);
}

/* Descriptors of our own of the same files, which boot_open() may take. */
static int copy_files(struct sill_files *to, const struct sill_files *from, struct sill_err *e)
{
	static const enum sill_file_role roles[] = { SILL_FILE_CODE, SILL_FILE_KERNEL,
						     SILL_FILE_INITRAMFS };

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		const struct sill_file *f = sill_files_find(from, roles[i], NULL, 0);
		struct sill_file copy = { .role = roles[i] };

		if (f == NULL)
			continue;
		copy.fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
		if (copy.fd < 0)
			return sill_err_sys(e, errno, "look at it");
		if (sill_files_add(to, &copy, e) < 0)
			return -1;
	}
	return 0;
}

int sill_check_boot(const struct sill_files *f, const char *cmdline, uint64_t memory,
		    enum sill_boot_part *ret_part, struct sill_err *e)
{
	const struct sill_file *vars = sill_files_find(f, SILL_FILE_VARS, NULL, 0);
	const struct sill_config c = { .cmdline = (char *)(uintptr_t)cmdline };
	struct sill_files own = { 0 };
	struct boot b;
	uint64_t size;
	int ret;

	*ret_part = SILL_BOOT_IMAGE;
	ret = copy_files(&own, f, e);
	if (ret == 0)
		ret = boot_open(&b, &c, &own, layout_low_ram(memory), ret_part, e);
	sill_files_close(&own);
	if (ret < 0)
		return -1;
	if (vars != NULL) {
		*ret_part = SILL_BOOT_VARS;
		ret = boot_check_vars(&b, vars->fd, &size, e);
	}
	boot_close(&b);
	return ret;
}

int sill_check_features(int kvm, bool *ret, size_t count, struct sill_err *e)
{
	struct cpuid *host = calloc(1, sizeof(*host));
	int done;

	if (host == NULL)
		return sill_err_sys(e, ENOMEM, "CPUID");
	done = cpuid_supported(kvm, host, e);
	for (size_t i = 0; done == 0 && i < count; i++)
		ret[i] = cpuid_feature_at(host, i);
	free(host);
	return done;
}
