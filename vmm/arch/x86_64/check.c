/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - the public questions of sill/check.h. */
#include "sill/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arch/x86_64/boot.h"
#include "arch/x86_64/chips.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "base/fd.h"

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

int sill_check_memory(const struct sill_check_cpu *cpu, uint64_t size, unsigned max_phys_bits,
		      struct sill_err *e)
{
	unsigned bits;

	return cpuid_phys_bits(cpu->phys_bits, cpu->amd, max_phys_bits, layout_ram_end(size), &bits,
			       e);
}

/* A descriptor of our own, which boot_open() may take. 0, or -1 when there is none to be had. */
static int copy_fd(int fd, int *ret, struct sill_err *e)
{
	*ret = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd >= 0 && *ret < 0 ? sill_err_sys(e, errno, "look at it") : 0;
}

int sill_check_boot(const struct sill_boot_config *c, uint64_t memory,
		    enum sill_boot_part *ret_part, struct sill_err *e)
{
	struct sill_boot_config own = { .code_fd = -1, .vars_fd = -1, .cmdline = c->cmdline };
	struct boot b;
	uint64_t size;
	int ret;

	*ret_part = SILL_BOOT_IMAGE;
	own.kernel_fd = own.initramfs_fd = -1;
	if (copy_fd(c->code_fd, &own.code_fd, e) < 0 ||
	    copy_fd(c->kernel_fd, &own.kernel_fd, e) < 0 ||
	    copy_fd(c->initramfs_fd, &own.initramfs_fd, e) < 0) {
		fd_close(&own.code_fd);
		fd_close(&own.kernel_fd);
		return -1;
	}
	ret = boot_open(&b, &own, layout_low_ram(memory), ret_part, e);
	if (ret == 0 && c->vars_fd >= 0) {
		*ret_part = SILL_BOOT_VARS;
		ret = boot_check_vars(&b, c->vars_fd, &size, e);
	}
	if (ret == 0)
		boot_close(&b);
	return ret;
}

int sill_check_features(bool *ret, size_t count, struct sill_err *e)
{
	auto_fd fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct cpuid *host;
	int done;

	if (fd < 0)
		return sill_err_sys(e, errno, "open /dev/kvm");
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		return sill_err_sys(e, ENOMEM, "CPUID");
	done = cpuid_supported(fd, host, e);
	for (size_t i = 0; done == 0 && i < count; i++)
		ret[i] = sill_cpu_feature_name(i) != NULL &&
			 cpuid_feature_get(host, sill_cpu_feature_name(i));
	free(host);
	return done;
}
