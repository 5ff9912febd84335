/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - ask the CPU, KVM, the kernel and sysfs. */
#include "runner/host/facts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/host/doctor.h"
#include "runner/host/proc.h"
#include "sill/check.h"

static const char *const hugepagesize = "Hugepagesize"; /* in /proc/meminfo */

static void ask_hugepages(struct host_facts *f)
{
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	const char *name;
	uint64_t kib;

	f->hugepage_count = 0;
	if (dir == NULL)
		return;
	while (f->hugepage_count < HOST_HUGEPAGE_SIZES && (name = dir_next(dir)) != NULL) {
		if (number_after(name, "hugepages-", &kib))
			f->hugepage_sizes[f->hugepage_count++] = kib << 10;
	}
	(void)closedir(dir);
}

void host_room_get(struct host_facts *f)
{
	const char *const names[] = { hugepagesize, "MemTotal", "SwapTotal", "MemAvailable",
				      "SwapFree" };
	uint64_t bytes[sizeof(names) / sizeof(names[0])];
	struct host_room *r = &f->room;
	struct rlimit limit;

	*r = (struct host_room){ 0 };
	ask_hugepages(f);
	for (size_t i = 0; i < f->hugepage_count; i++)
		r->hugepages_free[i] = host_hugepages_free(f->hugepage_sizes[i], &r->hugepages[i]);
	proc_meminfo(names, bytes, sizeof(names) / sizeof(names[0]));
	f->hugepage_default = bytes[0];
	r->all = bytes[1] + bytes[2];
	r->now = bytes[3] + bytes[4];
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		r->address_space = limit.rlim_cur;
	f->has_room = true;
}

/* What a process asks for is cut to what it may have; then it is as before. */
static void ask_usable(struct host_facts *f)
{
	cpu_set_t *before = CPU_ALLOC(HOST_CPUS), *set = CPU_ALLOC(HOST_CPUS);
	const size_t size = CPU_ALLOC_SIZE(HOST_CPUS);

	if (before != NULL && set != NULL && sched_getaffinity(0, size, before) == 0) {
		memset(set, 0xff, size);
		f->has_usable = sched_setaffinity(0, size, set) == 0 &&
				sched_getaffinity(0, size, set) == 0;
		(void)sched_setaffinity(0, size, before);
		for (size_t i = 0; f->has_usable && i < HOST_CPUS; i++)
			f->usable[i] = CPU_ISSET_S(i, size, set);
	}
	CPU_FREE(before);
	CPU_FREE(set);
}

/* "0-1,3", as the kernel lists nodes. */
static void ask_nodes(struct host_facts *f)
{
	FILE *file = fopen("/sys/devices/system/node/has_memory", "re");
	unsigned first, last;
	int n, sep = ',';

	while (file != NULL && sep == ',' && (n = fscanf(file, "%u-%u", &first, &last)) > 0) {
		if (n == 1)
			last = first;
		for (unsigned i = first; i <= last && i < SILL_MAX_NODES; i++)
			f->nodes[i] = f->has_nodes = true;
		sep = fgetc(file);
	}
	if (file != NULL)
		(void)fclose(file);
}

static void ask_uring(struct host_facts *f)
{
	struct io_uring_params p = { 0 };
	const int fd = (int)syscall(SYS_io_uring_setup, 1, &p);

	f->uring = fd >= 0 ? HOST_YES : HOST_NO;
	if (fd >= 0)
		(void)close(fd);
}

/* Whoever has the right in another user namespace than the network's is told at the start. */
static void ask_ports(struct host_facts *f)
{
	struct __user_cap_header_struct who = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct can[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &who, can) == 0 &&
	    (can[0].effective & 1u << CAP_NET_BIND_SERVICE) == 0)
		f->port_min =
			(unsigned)proc_number("/proc/sys/net/ipv4/ip_unprivileged_port_start");
}

static bool is_switched_off(const char *module)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", module);
	return access(path, R_OK) == 0 && !proc_flag(path);
}

static void refuse_nested(struct host_facts *f, const char *why, const char *hint)
{
	f->nested = HOST_NO;
	f->nested_why = why;
	f->nested_hint = hint;
}

/* KVM lists vmx and svm among what guests can have only when nested guests are switched on. */
static bool kvm_gives_virtualization(const struct host_facts *f)
{
	const char *name;

	for (size_t i = 0; i < HOST_FEATURES && (name = sill_cpu_feature_name(i)) != NULL; i++) {
		if (f->features[i] && (strcmp(name, "vmx") == 0 || strcmp(name, "svm") == 0))
			return true;
	}
	return false;
}

static void ask_nested(struct host_facts *f, const char *flag)
{
	const bool intel = flag != NULL && strcmp(flag, "vmx") == 0;

	if (flag == NULL)
		refuse_nested(f, "its CPU shows neither vmx nor svm", "");
	else if (is_switched_off(intel ? "kvm_intel" : "kvm_amd"))
		refuse_nested(
			f, "its KVM's parameter nested is off",
			intel ? "sudo modprobe -r kvm_intel && sudo modprobe kvm_intel nested=1, "
				"or "
			      : "sudo modprobe -r kvm_amd && sudo modprobe kvm_amd nested=1, or ");
	else if (f->has_features && !kvm_gives_virtualization(f))
		refuse_nested(f, "its KVM gives guests neither vmx nor svm", "");
	else if (f->has_features)
		f->nested = HOST_YES;
}

static void ask_kvm(struct host_facts *f, int kvm)
{
	const int fd = kvm >= 0 ? kvm : open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct sill_check_kvm can = { 0 };
	struct sill_err e = { 0 };

	if (fd >= 0) {
		/* What it lacks is said when a VM is started; here is asked what it has. */
		(void)sill_check_kvm(fd, &can, &e);
		f->max_cpus = can.max_vcpus;
		/* Of a hollow KVM there is more to be said than that. */
		if (kvm_cpu_flag() != NULL)
			f->hyperv = can.hyperv ? HOST_YES : HOST_NO;
		f->has_features = sill_check_features(fd, f->features, HOST_FEATURES, &e) == 0;
	}
	if (fd >= 0 && kvm < 0)
		(void)close(fd);
	ask_nested(f, kvm_cpu_flag());
}

void host_facts_get(struct host_facts *f, int kvm)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct sill_check_cpu cpu;

	*f = (struct host_facts){ 0 };
	sill_check_cpu(&cpu);
	f->phys_bits = cpu.phys_bits;
	f->amd = cpu.amd;
	f->cpus = cpus > 0 ? (unsigned)cpus : 0;
	ask_hugepages(f);
	proc_meminfo(&hugepagesize, &f->hugepage_default, 1);
	ask_usable(f);
	ask_nodes(f);
	ask_uring(f);
	ask_ports(f);
	ask_kvm(f, kvm);
}

static int open_apicv(void)
{
	const int fd = open("/sys/module/kvm_intel/parameters/enable_apicv", O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : open("/sys/module/kvm_amd/parameters/avic", O_RDONLY | O_CLOEXEC);
}

int host_give(struct sill_files *files, struct sill_err *e)
{
	struct sill_file kvm = { .role = SILL_FILE_KVM }, apicv = { .role = SILL_FILE_APICV };

	kvm.fd = kvm_device(e);
	if (kvm.fd < 0 || sill_files_add(files, &kvm, e) < 0)
		return -1;
	apicv.fd = open_apicv();
	return apicv.fd < 0 ? 0 : sill_files_add(files, &apicv, e);
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
