/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - ask the CPU and sysfs. */
#include "runner/host/facts.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "runner/host/proc.h"

static unsigned cpu_phys_bits(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0x80000008, &a, &b, &c, &d) == 0)
		return 0;
	return a & 0xff; /* SDM 2A CPUID 80000008H, EAX bits 7:0 */
}

void host_facts_get(struct host_facts *f)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	const char *name;
	uint64_t kib;

	*f = (struct host_facts){ 0 };
	f->phys_bits = cpu_phys_bits();
	f->cpus = cpus > 0 ? (unsigned)cpus : 0;
	f->hugepage_default = proc_meminfo("Hugepagesize");
	if (dir == NULL)
		return;
	while (f->hugepage_count < HOST_HUGEPAGE_SIZES && (name = dir_next(dir)) != NULL) {
		if (number_after(name, "hugepages-", &kib))
			f->hugepage_sizes[f->hugepage_count++] = kib << 10;
	}
	(void)closedir(dir);
}

bool host_has_virtual_apic(void)
{
	return proc_flag("/sys/module/kvm_intel/parameters/enable_apicv") ||
	       proc_flag("/sys/module/kvm_amd/parameters/avic");
}

uint64_t host_hugepages_free(uint64_t size, uint64_t *ret_total)
{
	char path[128];

	(void)snprintf(path, sizeof(path),
		       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages", size >> 10);
	*ret_total = proc_number(path);
	(void)snprintf(path, sizeof(path),
		       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
		       size >> 10);
	return proc_number(path);
}
