/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - ask the CPU and sysfs. */
#include "runner/host/facts.h"

#include <cpuid.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static unsigned cpu_phys_bits(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(0x80000008, &a, &b, &c, &d) == 0)
		return 0;
	return a & 0xff; /* SDM 2A CPUID 80000008H, EAX bits 7:0 */
}

static uint64_t default_hugepage(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t kib = 0;

	if (f == NULL)
		return 0;
	while (kib == 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "Hugepagesize: %" SCNu64, &kib);
	(void)fclose(f);
	return kib << 10;
}

void host_facts_get(struct host_facts *f)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	const struct dirent *e;
	uint64_t kib;

	*f = (struct host_facts){ 0 };
	f->phys_bits = cpu_phys_bits();
	f->cpus = cpus > 0 ? (unsigned)cpus : 0;
	f->hugepage_default = default_hugepage();
	if (dir == NULL)
		return;
	while (f->hugepage_count < HOST_HUGEPAGE_SIZES && (e = readdir(dir)) != NULL) {
		if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1)
			f->hugepage_sizes[f->hugepage_count++] = kib << 10;
	}
	(void)closedir(dir);
}

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t v = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64, &v) != 1)
		v = 0;
	(void)fclose(file);
	return v;
}

uint64_t host_hugepages_free(uint64_t size, uint64_t *ret_total)
{
	char path[128];

	(void)snprintf(path, sizeof(path),
		       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages", size >> 10);
	*ret_total = read_number(path);
	(void)snprintf(path, sizeof(path),
		       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
		       size >> 10);
	return read_number(path);
}
