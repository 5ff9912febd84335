/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sandbox.c - what a guest can make a vCPU's thread do once it runs: no memory is allocated, no
 * file opened, no thread or descriptor made. malloc() and its like are counted on this thread; the
 * rest is forbidden to a child by a seccomp filter. Accesses come as the guest's do, through the maps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "devices/legacy/rtc.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "winblk.c"

static int fake_ioctl(int fd, unsigned long request, ...);
#define ioctl fake_ioctl
#include "core/kvm.c"
#undef ioctl
#include "arch/x86_64/tables.c"

/* --- counting -------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
#endif

/* Volatile: compilers know what malloc() does, and that it changes no variable of ours. */
static _Thread_local volatile bool counting;
static _Thread_local volatile unsigned allocations;

#if COUNTS
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations = allocations + counting;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations = allocations + counting;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations = allocations + counting;
	return __libc_realloc(p, n);
}
#endif

static void count_on(void)
{
	allocations = 0;
	counting = true;
}

static void assert_no_allocation(void)
{
	counting = false;
	assert_int_equal(allocations, 0);
}

static void count__counts(void **state)
{
	void *volatile p;

	(void)state;
	if (!COUNTS)
		skip();
	count_on();
	p = malloc(1);
	p = realloc(p, 2);
	counting = false;
	free(p);
	assert_int_equal(allocations, 2);
}

/* --- forbidding ------------------------------------------------------------ */

/* This thread may make nothing new from here on; SIGSYS otherwise. */
static void forbid(void)
{
	static const unsigned calls[] = { SYS_open,     SYS_openat,        SYS_creat,
					  SYS_clone,    SYS_fork,          SYS_clone3,
					  SYS_socket,   SYS_eventfd,       SYS_dup,
					  SYS_eventfd2, SYS_execve,        SYS_epoll_create1,
					  SYS_pipe2,    SYS_timerfd_create };
	enum { N = sizeof(calls) / sizeof(calls[0]) };
	struct sock_filter f[2 * N + 2] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						     offsetof(struct seccomp_data, nr)) };
	const struct sock_fprog prog = { .len = 2 * N + 2, .filter = f };

	for (unsigned i = 0; i < N; i++) {
		f[2 * i + 1] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		f[2 * i + 2] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	f[2 * N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

/* @fn in a process of its own: 0, or the signal that ended it. */
static int run_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void open_something(void)
{
	forbid();
	(void)open("/etc/localtime", O_RDONLY | O_CLOEXEC);
}

static void forbid__forbids(void **state)
{
	(void)state;
	assert_int_equal(run_child(open_something), SIGSYS);
}

/* --- a disk: its BAR, its vectors, its registers ---------------------------- */

static struct dev *add_disk(struct rig_pc *pc)
{
	struct virtio_blk_config c = { .disk.queues = 4, .disk.slot = 3 };
	struct blk_config bc = { .path = "disk", .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct sill_err e = { 0 };
	struct dev *d;

	assert_int_equal(ftruncate(bc.fd, 1 << 20), 0);
	c.blk = blk_open(&blk_raw_ops, &bc, &e);
	assert_non_null(c.blk);
	d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &pc->env, &e);
	assert_non_null(d);
	return d;
}

/* From the driver's first access to a request that is done; then BARs, vectors and resets in a row. */
static void drive_disk(struct rig_pc *pc)
{
	static struct winblk w;
	const struct virtq_seg seg = { WB_DATA, 4096 };
	const struct winblk_io io = { .type = 0, .in = true, .segments = 1, .seg = &seg };
	uint32_t used, bar;

	for (unsigned turn = 0; turn < 3; turn++) {
		winblk_start(&w, pc, 3, 0, 0);
		assert_int_equal(winblk_do(&w, 0, &io, &used), 0);
		bar = rig_cfg(&w.r, PCI_BAR0, 4) & ~15u;
		for (unsigned i = 1; i < 64; i++) /* a rebalance: decoding off, moved, on */
			for (unsigned on = 0; on < 2; on++) {
				rig_set_cfg(&w.r, PCI_COMMAND, 2, 0);
				rig_set_cfg(&w.r, PCI_BAR0, 4, bar + (i << 20));
				rig_set_cfg(&w.r, PCI_COMMAND, 2, 6);
			}
		rig_set_cfg(&w.r, PCI_BAR0, 4, bar); /* and while it decodes */
		for (unsigned i = 0; i < 64; i++) {
			rig_msix(&w.r, (i & 1) != 0);
			rig_vector(&w.r, i % 5, i);
		}
	}
}

static void drive_disk_alone(void)
{
	struct rig_pc *pc = rig_pc_create();

	(void)add_disk(pc);
	forbid();
	drive_disk(pc);
}

static void disk__is_driven_without_making_anything(void **state)
{
	struct rig_pc *pc = rig_pc_create();
	struct dev *d = add_disk(pc);

	(void)state;
	count_on();
	drive_disk(pc);
	assert_no_allocation();
	rig_dev_destroy(pc, d);
	rig_pc_destroy(pc);
	assert_int_equal(run_child(drive_disk_alone), 0);
}

enum { READERS = 8 };

struct nest {
	struct map *m;
	struct io_target target;
	struct map_reader reader[READERS];
	unsigned depth;
};

static uint64_t place(unsigned depth)
{
	return (depth + 1ull) << 20;
}

/* From inside an access it moves, and the next reader comes to where it is now: each has another table. */
static enum io_result nest_io(void *ctx, unsigned region, struct io *io)
{
	struct nest *n = ctx;
	struct sill_err e = { 0 };
	uint8_t byte;

	(void)region;
	io->val = 1;
	if (++n->depth == READERS)
		return IO_DONE;
	assert_int_equal(map_move(n->m, &n->target, 0, place(n->depth), &e), 0);
	assert_true(map_read(n->m, &n->reader[n->depth], place(n->depth), &byte, 1));
	return IO_DONE;
}

static void map_move__needs_no_memory_whoever_reads(void **state)
{
	struct sill_err e = { 0 };
	struct nest n = { .m = map_create(0, NULL, &e) };
	struct map_region region = { .base = place(0), .size = 4096, .target = &n.target };
	uint8_t byte;

	(void)state;
	assert_non_null(n.m);
	n.target = (struct io_target){ .io = nest_io, .ctx = &n, .name = "moving" };
	assert_int_equal(map_add(n.m, &region, &e), 0);
	for (unsigned i = 0; i < READERS; i++)
		map_reader_add(n.m, &n.reader[i]);
	count_on();
	for (unsigned turn = 0; turn < 3; turn++) {
		n.depth = 0;
		assert_true(map_read(n.m, &n.reader[0], place(0), &byte, 1));
		assert_int_equal(n.depth, READERS);
		assert_int_equal(map_move(n.m, &n.target, 0, place(0), &e), 0);
	}
	assert_no_allocation();
	for (unsigned i = 0; i < READERS; i++)
		map_reader_remove(n.m, &n.reader[i]);
	map_destroy(n.m);
}

/* --- KVM's routes ----------------------------------------------------------- */

static unsigned routings;

static int fake_ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	switch (request) {
	case KVM_GET_API_VERSION:
		return 12;
	case KVM_CREATE_VM:
		return dup(fd);
	case KVM_GET_VCPU_MMAP_SIZE:
		return 12288;
	case KVM_CHECK_EXTENSION:
		return 1;
	case KVM_SET_GSI_ROUTING:
		routings++;
		return 0;
	default:
		return 0;
	}
}

static void kvm_routes__need_no_memory(void **state)
{
	enum { N = 65 };
	struct irq_msi msi[N];
	struct sill_err e = { 0 };
	struct kvm k;

	(void)state;
	if (kvm_open(&k, open("/dev/null", O_RDWR | O_CLOEXEC), NULL, &e) < 0 ||
	    kvm_wait(&k, &e) < 0)
		fail_msg("%s", e.msg);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(kvm_irq_ops.msi_open(&k, &msi[i], &e), 0);
	count_on();
	for (unsigned turn = 0; turn < 2; turn++)
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(
				kvm_irq_ops.msi_route(&k, &msi[i], 0xfee00000, 32 + i + turn), 0);
	assert_no_allocation();
	assert_int_equal(routings, 2 * N);
	for (unsigned i = 0; i < N; i++)
		kvm_irq_ops.msi_close(&k, &msi[i]);
	kvm_close(&k);
}

/* --- firmware's files -------------------------------------------------------- */

static void tables__are_made_without_memory_when_firmware_selects_them(void **state)
{
	static uint8_t loader[ACPI_LOADER_SIZE], acpi[ACPI_TABLES_SIZE], rsdp[ACPI_RSDP_SIZE];
	static const struct sill_topology shape;
	static const struct pci_windows w = { 0x1000,     0xffff,     0x80000000,
					      0xf7ffffff, 1ull << 38, (1ull << 39) - 1 };
	static struct machine m;
	static struct board board;
	static struct tables t;
	struct sill_err e = { 0 };

	(void)state;
	board = (struct board){ .machine = &m,
				.boot_cpus = 64,
				.max_cpus = 64,
				.phys_bits = 40,
				.mem64_base = 1ull << 38 };
	assert_int_equal(topology_init(&board.topology, &shape, 64, &e), 0);
	m.pio = map_create(0x10000, NULL, &e);
	m.mmio = map_create(0, NULL, &e);
	m.pci = pci_bus_create(m.pio, m.mmio, &w, &e);
	t = (struct tables){ .board = &board };
	t.acpi = calloc(1, ACPI_TABLES_SIZE);
	t.loader = calloc(1, ACPI_LOADER_SIZE);
	assert_int_equal(acpi_tables_reserve(&t.built, &e), 0);
	count_on();
	for (unsigned i = 0; i < 3; i++) {
		tables_select_loader(&t, loader, sizeof(loader));
		tables_select_acpi(&t, acpi, sizeof(acpi));
		tables_select_rsdp(&t, rsdp, sizeof(rsdp));
	}
	assert_no_allocation();
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	acpi_tables_fini(&t.built);
	free(t.acpi);
	free(t.loader);
	pci_bus_destroy(m.pci);
	map_destroy(m.pio);
	map_destroy(m.mmio);
}

/* --- the clock ---------------------------------------------------------------- */

/* A fresh process: nobody has asked the C library for a date yet. */
static void read_and_set_clock(void)
{
	struct rtc_config c = { 0 };
	struct rig_pc *pc = rig_pc_create();
	struct sill_err e = { 0 };
	struct dev *d = dev_create(&rtc_ops, "rtc", &c, NO_GSI, &pc->env, &e);

	if (d == NULL)
		_exit(1);
	forbid();
	for (unsigned reg = 0; reg < 64; reg++)
		for (unsigned write = 0; write < 2; write++) {
			struct io index = { .off = 0, .size = 1, .write = true, .val = reg };
			struct io data = { .off = 1, .size = 1, .write = write == 1, .val = 1 };

			(void)dev_io(d, 0, &index);
			(void)dev_io(d, 0, &data);
		}
}

static void rtc__opens_no_time_zone(void **state)
{
	(void)state;
	assert_int_equal(run_child(read_and_set_clock), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtc__opens_no_time_zone), /* before anybody looks at a clock */
		cmocka_unit_test(count__counts),
		cmocka_unit_test(forbid__forbids),
		cmocka_unit_test(disk__is_driven_without_making_anything),
		cmocka_unit_test(map_move__needs_no_memory_whoever_reads),
		cmocka_unit_test(kvm_routes__need_no_memory),
		cmocka_unit_test(tables__are_made_without_memory_when_firmware_selects_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
