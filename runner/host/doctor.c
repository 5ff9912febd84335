/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - look at KVM, firmware, devices and pages of this host.
 *
 * How a hollow KVM is told: the CPU has neither svm nor vmx (CPUID, not
 * /proc/cpuinfo, so that no mount is needed), or a loop in real mode takes
 * longer than any processor would: emulation does one or two million
 * instructions a second, hardware and even a nested KVM a hundred times that.
 */
#include "runner/host/doctor.h"

#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "runner/host/facts.h"
#include "runner/host/proc.h"
#include "runner/host/vars.h"
#include "runner/host/vhost.h"
#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "sill/check.h"

enum {
	PROBE_LOOPS = 1000000, /* two instructions each */
	PROBE_LIMIT_MS = 500,
	PROBE_MEMORY = 64 << 10,
	PROBE_START = 0x1000,
	PROBE_PORT = 0xf1,
	PROBE_VALUE = 0x42,
};

static const char DEV_KVM[] = "/dev/kvm";

const char *kvm_cpu_flag(void)
{
	unsigned a, b, c, d;

	/* SDM 2A CPUID 1, ECX bit 5; APM 3 CPUID 80000001h, ECX bit 2. */
	if (__get_cpuid(1, &a, &b, &c, &d) != 0 && (c & 1u << 5) != 0)
		return "vmx";
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & 1u << 2) != 0)
		return "svm";
	return NULL;
}

static bool is_amd(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0, &a, &b, &c, &d) != 0 && (b == signature_AMD_ebx);
}

static void explain_absent(struct sill_err *e, int err)
{
	struct group grp;
	struct group *found = NULL;
	struct stat st;
	char buf[1024];

	(void)sill_err_sys(e, err, "cannot open %s", DEV_KVM);
	if (err == EACCES || err == EPERM) {
		if (stat(DEV_KVM, &st) == 0)
			(void)getgrgid_r(st.st_gid, &grp, buf, sizeof(buf), &found);
		(void)sill_err_hint(e, "sudo usermod -aG %s $USER, then log in again",
				    found != NULL ? found->gr_name : "kvm");
	} else if (kvm_cpu_flag() == NULL) {
		(void)sill_err_hint(e,
				    "the CPU shows no virtualization: switch it on in the firmware "
				    "setup, or nested virtualization in the hypervisor below");
	} else {
		(void)sill_err_hint(e, "sudo modprobe %s; in a container, pass the device in",
				    is_amd() ? "kvm_amd" : "kvm_intel");
	}
}

static void look(struct kvm_look *k, int fd)
{
	struct sill_check_kvm can;

	if (sill_check_kvm(fd, &can, &k->e) < 0)
		return;
	k->hyperv = can.hyperv;
	k->state = KVM_GOOD;
	if (kvm_cpu_flag() != NULL)
		return;
	k->state = KVM_HOLLOW;
	(void)sill_err_set(&k->e, SILL_ERR_HOST,
			   "%s is hollow: it opens, but the CPU has neither svm nor vmx%s", DEV_KVM,
			   k->hyperv ? "" : ", and it lacks Hyper-V");
	(void)sill_err_hint(&k->e, "use a machine with hardware virtualization, or switch nested "
				   "virtualization on in the hypervisor below");
}

int kvm_device(struct sill_err *e)
{
	const int fd = open(DEV_KVM, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		explain_absent(e, errno);
	return fd;
}

void kvm_look(struct kvm_look *k, int fd)
{
	const bool own = fd < 0;

	*k = (struct kvm_look){ .state = KVM_ABSENT };
	if (own)
		fd = kvm_device(&k->e);
	if (fd < 0)
		return;
	look(k, fd);
	if (own)
		(void)close(fd);
}

/* A VM with one vCPU and a page of code. */
struct probe {
	int kvm, vm, vcpu;
	unsigned char *memory;
	struct kvm_run *run;
	size_t run_size;
};

static struct kvm_run *probe_running; /* for the timer's handler; one probe at a time */

static void on_alarm(int sig)
{
	(void)sig;
	probe_running->immediate_exit = 1;
}

static void probe_fini(struct probe *p)
{
	if (p->run != NULL)
		(void)munmap(p->run, p->run_size);
	if (p->vcpu >= 0)
		(void)close(p->vcpu);
	if (p->vm >= 0)
		(void)close(p->vm);
	if (p->kvm >= 0)
		(void)close(p->kvm);
	if (p->memory != NULL)
		(void)munmap(p->memory, PROBE_MEMORY);
}

static int probe_memory(struct probe *p, struct sill_err *e)
{
	static const unsigned char code[] = {
		0x66,
		0xb9,
		PROBE_LOOPS & 0xff,
		PROBE_LOOPS >> 8 & 0xff,
		PROBE_LOOPS >> 16 & 0xff,
		0,
		0x66,
		0x49, /* loop: dec ecx */
		0x75,
		0xfc, /* jnz loop */
		0xb0,
		PROBE_VALUE, /* mov al, value */
		0xe6,
		PROBE_PORT, /* out port, al */
		0xf4,       /* hlt */
	};
	struct kvm_userspace_memory_region slot = { .memory_size = PROBE_MEMORY };
	void *m = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (m == MAP_FAILED)
		return sill_err_sys(e, errno, "memory for the probe guest");
	p->memory = m;
	memcpy(p->memory + PROBE_START, code, sizeof(code));
	slot.userspace_addr = (uintptr_t)m;
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return sill_err_sys(e, errno, "give memory to the probe guest");
	return 0;
}

static int probe_vcpu(struct probe *p, struct sill_err *e)
{
	struct kvm_regs regs = { .rip = PROBE_START, .rflags = 2 };
	struct kvm_sregs sregs;
	int size = ioctl(p->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (p->vcpu < 0)
		return sill_err_sys(e, errno, "create a vCPU");
	if (size < (int)sizeof(*p->run))
		return sill_err_set(e, SILL_ERR_HOST, "KVM's run area has %d bytes", size);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (run == MAP_FAILED)
		return sill_err_sys(e, errno, "map the vCPU");
	p->run = run;
	p->run_size = (size_t)size;
	if (ioctl(p->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return sill_err_sys(e, errno, "read the vCPU's registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(p->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(p->vcpu, KVM_SET_REGS, &regs) < 0)
		return sill_err_sys(e, errno, "set the vCPU's registers");
	return 0;
}

static int probe_init(struct probe *p, struct sill_err *e)
{
	*p = (struct probe){ .kvm = -1, .vm = -1, .vcpu = -1 };
	p->kvm = open(DEV_KVM, O_RDWR | O_CLOEXEC);
	if (p->kvm < 0)
		return sill_err_sys(e, errno, "cannot open %s", DEV_KVM);
	p->vm = ioctl(p->kvm, KVM_CREATE_VM, 0);
	if (p->vm < 0) {
		(void)sill_err_sys(e, errno, "cannot create a VM");
		if (e->sys == EBUSY)
			(void)sill_err_hint(
				e, "another hypervisor (VirtualBox, VMware) holds the CPU's "
				   "virtualization: stop its VMs");
		return -1;
	}
	/* Below the top of 4 GiB, where Intel's real mode needs three pages; AMD refuses nothing. */
	(void)ioctl(p->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
	if (probe_memory(p, e) < 0)
		return -1;
	return probe_vcpu(p, e);
}

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Run until the guest says it is done. 0, or -1. */
static int probe_go(const struct probe *p, struct sill_err *e)
{
	const struct kvm_run *run = p->run;

	if (ioctl(p->vcpu, KVM_RUN, 0) < 0) {
		if (errno != EINTR)
			return sill_err_sys(e, errno, "the probe guest does not run");
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "the probe guest needed more than %d ms for %d loops: "
				   "this KVM is hollow, it emulates",
				   PROBE_LIMIT_MS, PROBE_LOOPS);
		return sill_err_hint(e,
				     "use a machine with hardware virtualization, or switch nested "
				     "virtualization on in the hypervisor below");
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == PROBE_PORT &&
	    run->io.direction == KVM_EXIT_IO_OUT &&
	    ((const unsigned char *)run)[run->io.data_offset] == PROBE_VALUE)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "the probe guest went astray: exit reason %u",
			    run->exit_reason);
}

int kvm_probe(double *ret_ms, struct sill_err *e)
{
	const struct itimerval limit = { .it_value = { .tv_usec = 1000L * PROBE_LIMIT_MS } };
	const struct itimerval off = { 0 };
	struct sigaction act = { .sa_handler = on_alarm }, old;
	struct probe p;
	int ret = -1;

	if (probe_init(&p, e) == 0) {
		double start = now_ms();

		probe_running = p.run;
		(void)sigaction(SIGALRM, &act, &old);
		(void)setitimer(ITIMER_REAL, &limit, NULL);
		ret = probe_go(&p, e);
		(void)setitimer(ITIMER_REAL, &off, NULL);
		(void)sigaction(SIGALRM, &old, NULL);
		*ret_ms = now_ms() - start;
	}
	probe_fini(&p);
	return ret;
}

/* The findings so far. */
struct findings {
	struct finding *list;
	size_t count;
};

static struct finding *add(struct findings *f, enum finding_level level, const char *topic,
			   const char *fmt, ...) SILL_PRINTF(4, 5);

static struct finding *add(struct findings *f, enum finding_level level, const char *topic,
			   const char *fmt, ...)
{
	struct finding *g = &f->list[f->count < FINDINGS_MAX ? f->count++ : FINDINGS_MAX - 1];
	va_list ap;

	*g = (struct finding){ .level = level, .topic = topic };
	va_start(ap, fmt);
	(void)vsnprintf(g->text, sizeof(g->text), fmt, ap);
	text_cleanse(g->text, sizeof(g->text));
	va_end(ap);
	return g;
}

static void fix(struct finding *g, const char *text)
{
	(void)snprintf(g->fix, sizeof(g->fix), "%s", text);
	text_cleanse(g->fix, sizeof(g->fix));
}

static void examine_kernel(struct findings *f)
{
	uint64_t major = 0, minor = 0;
	const char *dot;
	struct utsname u;

	if (uname(&u) < 0)
		return;
	dot = strchr(u.release, '.');
	if (dot != NULL && number_after(u.release, "", &major) && number_after(dot, ".", &minor) &&
	    (major < 5 || (major == 5 && minor < 15)))
		fix(add(f, FINDING_BAD, "kernel", "Linux %s is too old", u.release),
		    "Linux 5.15 or newer is needed");
	else
		(void)add(f, FINDING_OK, "kernel", "Linux %s", u.release);
}

static void examine_cpu(struct findings *f)
{
	struct host_facts facts;

	host_facts_get(&facts, -1);
	(void)add(f, FINDING_OK, "cpu", "%u CPUs, %s, %u physical address bits", facts.cpus,
		  kvm_cpu_flag() != NULL ? kvm_cpu_flag() : "neither svm nor vmx", facts.phys_bits);
}

static void examine_kvm(struct findings *f)
{
	struct sill_err e = { 0 };
	struct kvm_look k;
	double ms = 0;

	kvm_look(&k, -1);
	if (k.state != KVM_GOOD)
		fix(add(f, FINDING_BAD, "kvm", "%s", k.e.msg), k.e.hint);
	else
		(void)add(f, FINDING_OK, "kvm", "%s opens and has all that is needed", DEV_KVM);
	if (k.state == KVM_ABSENT)
		return;
	if (kvm_probe(&ms, &e) < 0)
		fix(add(f, FINDING_BAD, "probe", "%s", e.msg), e.hint);
	else
		(void)add(f, FINDING_OK, "probe", "a scratch guest ran %d loops in %.1f ms",
			  PROBE_LOOPS, ms);
	if (!k.hyperv)
		fix(add(f, FINDING_NOTE, "hyperv",
			"this KVM has no Hyper-V enlightenments; Windows needs "
			"them"),
		    "a kernel with CONFIG_KVM_HYPERV=y");
	else
		(void)add(f, FINDING_OK, "hyperv", "Hyper-V enlightenments are there");
}

static int is_code(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 3 && strcmp(e->d_name + len - 3, ".fd") == 0 &&
	       (strstr(e->d_name, "CODE") != NULL || strstr(e->d_name, "-code") != NULL);
}

/* The firmware in one directory. Returns how many have variables. */
static unsigned examine_firmware_in(struct findings *f, const char *dir)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_code, alphasort);
	unsigned pairs = 0;

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX], vars[PATH_MAX];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		free(list[i]);
		if (access(path, R_OK) == 0 && !vars_needs_smm(path) &&
		    vars_template(path, vars, sizeof(vars))) {
			pairs++;
			(void)add(f, FINDING_OK, "firmware", "%s with %s", path,
				  strrchr(vars, '/') + 1);
		}
	}
	free(list);
	return pairs;
}

static void examine_firmware(struct findings *f)
{
	static const char *const dirs[] = { "/usr/share/OVMF", "/usr/share/edk2/ovmf",
					    "/usr/share/edk2/x64", "/usr/share/edk2-ovmf/x64" };
	unsigned pairs = 0;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		pairs += examine_firmware_in(f, dirs[i]);
	if (pairs == 0)
		fix(add(f, FINDING_NOTE, "firmware",
			"no OVMF found: only direct kernel boot will work"),
		    "sudo apt install ovmf");
}

static void examine_tun(struct findings *f)
{
	static const char path[] = "/dev/net/tun";
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		(void)close(fd);
		(void)add(f, FINDING_OK, "tun", "%s opens", path);
	} else {
		fix(add(f, FINDING_NOTE, "tun", "%s: %s; no networks", path,
			strerrordesc_np(errno)),
		    errno == ENOENT ? "sudo modprobe tun"
				    : "sudo chmod 0666 /dev/net/tun, the usual mode");
	}
}

static void examine_vhost(struct findings *f)
{
	struct sill_err e = { 0 };

	if (vhost_opens(&e))
		(void)add(f, FINDING_OK, "vhost", "/dev/vhost-net opens: the kernel passes frames");
	else
		fix(add(f, FINDING_NOTE, "vhost", "%s; frames pass through Sill", e.msg), e.hint);
}

static void examine_hugepages(struct findings *f)
{
	struct host_facts facts;
	uint64_t total = 0, all = 0;

	host_facts_get(&facts, -1);
	for (size_t i = 0; i < facts.hugepage_count; i++) {
		uint64_t unused = host_hugepages_free(facts.hugepage_sizes[i], &total);
		char text[32];

		all += total;
		if (total > 0)
			(void)add(f, FINDING_OK, "hugepages",
				  "%" PRIu64 " of %" PRIu64 " pages of %s are free", unused, total,
				  scalar_size_text(text, sizeof(text), facts.hugepage_sizes[i]));
	}
	if (all == 0)
		fix(add(f, FINDING_NOTE, "hugepages",
			"none are reserved; `hugepages: on` will not work"),
		    "sudo sysctl vm.nr_hugepages=2048 reserves 4 GiB of 2M pages");
}

size_t doctor_examine(struct finding ret[FINDINGS_MAX])
{
	struct findings f = { .list = ret };

	examine_kernel(&f);
	examine_cpu(&f);
	examine_kvm(&f);
	examine_firmware(&f);
	examine_tun(&f);
	examine_vhost(&f);
	examine_hugepages(&f);
	return f.count;
}
