/* SPDX-License-Identifier: Apache-2.0 */
/* kvm.c - see kvm.h. */
#include "core/kvm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/thread.h"

static const struct kvm_need needed[] = {
	{ KVM_CAP_IRQCHIP, "irqchip" },
	{ KVM_CAP_IRQ_ROUTING, "irq routing" },
	{ KVM_CAP_IRQFD, "irqfd" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd" },
	{ KVM_CAP_READONLY_MEM, "read-only memory" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit" },
	{ KVM_CAP_MP_STATE, "vCPU state" },
	{ KVM_CAP_VCPU_EVENTS, "vCPU events" },
};

int kvm_has(int fd, const struct kvm_need *need, size_t count, struct sill_err *e)
{
	for (size_t i = 0; i < count; i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, need[i].cap) > 0)
			continue;
		(void)sill_err_set(e, SILL_ERR_HOST, "this kernel's KVM has no %s", need[i].name);
		return sill_err_hint(e, "Linux 5.15 or newer has it");
	}
	return 0;
}

int kvm_suffices(int fd, struct sill_err *e)
{
	const int version = ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION) {
		(void)sill_err_set(e, SILL_ERR_HOST,
				   "the device speaks version %d of KVM's interface, not %d",
				   version, KVM_API_VERSION);
		return sill_err_hint(e, "is it the kernel's /dev/kvm?");
	}
	return kvm_has(fd, needed, ARRAY_LEN(needed), e);
}

/* --- the VM ------------------------------------------------------------- */

struct kvm_maker {
	int fd;    /* /dev/kvm, borrowed */
	int vm_fd; /* -1: make_errno says why */
	int make_errno;
	bool running; /* thread is to be joined */
	pthread_t thread;
};

static void *make_vm(void *ctx)
{
	struct kvm_maker *m = ctx;

	do
		m->vm_fd = ioctl(m->fd, KVM_CREATE_VM, 0);
	while (m->vm_fd < 0 && errno == EINTR);
	m->make_errno = errno;
	return NULL;
}

/*
 * With one processor a new thread has its turn when its creator has used up its own, 3 ms, and so does the
 * kernel's thread that KVM waits for: its wait for others (RCU, two ticks of the clock) would begin when
 * there is nothing left to be done meanwhile. With several nobody waits here.
 */
static void give_way(void)
{
	const struct timespec until_it_sleeps = { .tv_nsec = 400 * 1000 };
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1)
		(void)nanosleep(&until_it_sleeps, NULL);
}

struct kvm_maker *kvm_begin(int fd)
{
	struct kvm_maker *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->fd = fd;
	m->vm_fd = -1;
	/* Without a thread it is made here. */
	m->running = thread_create(&m->thread, make_vm, m) == 0;
	if (m->running)
		give_way();
	else
		(void)make_vm(m);
	return m;
}

/* The VM's descriptor, or -1 with errno. */
static int finish(struct kvm_maker *take_m)
{
	int fd, err;

	if (take_m->running)
		(void)pthread_join(take_m->thread, NULL);
	fd = take_m->vm_fd;
	err = take_m->make_errno;
	free(take_m);
	errno = err;
	return fd;
}

void kvm_give_up(struct kvm_maker *take_m)
{
	int fd;

	if (take_m == NULL)
		return;
	fd = finish(take_m);
	fd_close(&fd);
}

int kvm_wait(struct kvm *k, struct sill_err *e)
{
	int size;

	k->vm_fd = finish(k->maker);
	k->maker = NULL;
	if (k->vm_fd < 0)
		return sill_err_sys(e, errno, "create a KVM virtual machine");
	if (fcntl(k->vm_fd, F_SETFD, FD_CLOEXEC) < 0)
		return sill_err_sys(e, errno, "KVM virtual machine");
	size = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return sill_err_sys(e, errno, "size of a vCPU's page");
	k->run_size = (size_t)size;
	return 0;
}

/* Routes open when the guest turns a vector on: too late to say that there are too few. */
static_assert(MAX_PCI_SLOTS * MAX_MSIX_VECTORS <= MAX_MSI_ROUTES, "a route for every vector");
static_assert(MAX_CHIP_ROUTES + MAX_MSI_ROUTES <= 4096,
	      "KVM_MAX_IRQ_ROUTES of Linux 5.15 and later");

int kvm_open(struct kvm *k, int take_fd, struct kvm_maker *take_m, struct sill_err *e)
{
	*k = (struct kvm){ .fd = take_fd, .vm_fd = -1, .maker = take_m };
	lock_init(&k->lock, RANK_IRQ);
	k->routing = calloc(1, sizeof(*k->routing) + (MAX_CHIP_ROUTES + MAX_MSI_ROUTES) *
							     sizeof(k->routing->entries[0]));
	if (k->routing == NULL) {
		kvm_close(k);
		return sill_err_sys(e, ENOMEM, "interrupt routes");
	}
	if (kvm_suffices(k->fd, e) < 0) {
		kvm_close(k);
		return -1;
	}
	if (k->maker == NULL)
		k->maker = kvm_begin(k->fd);
	if (k->maker != NULL)
		return 0;
	kvm_close(k);
	return sill_err_sys(e, ENOMEM, "create a KVM virtual machine");
}

void kvm_close(struct kvm *k)
{
	if (k->fd < 0)
		return;
	kvm_give_up(k->maker);
	k->maker = NULL;
	free(k->routing);
	k->routing = NULL;
	fd_close(&k->vm_fd);
	fd_close(&k->fd);
	lock_fini(&k->lock);
	k->run_size = 0;
}

int kvm_cap(const struct kvm *k, unsigned cap)
{
	int n = ioctl(k->vm_fd, KVM_CHECK_EXTENSION, cap);

	return n < 0 ? 0 : n;
}

int kvm_enable(const struct kvm *k, unsigned cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	return ioctl(k->vm_fd, KVM_ENABLE_CAP, &c);
}

int kvm_vcpu_create(struct kvm *k, unsigned id, struct sill_err *e)
{
	int fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, (unsigned long)id);

	if (fd < 0)
		return sill_err_sys(e, errno, "create vCPU %u", id);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* --- guest memory ------------------------------------------------------- */

static int memory_map(void *ctx, unsigned slot, gpa_t gpa, size_t size, void *hva, bool read_only,
		      struct sill_err *e)
{
	const struct kvm *k = ctx;
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		return sill_err_sys(e, errno, "give KVM guest memory at 0x%llx",
				    (unsigned long long)gpa);
	return 0;
}

static void memory_unmap(void *ctx, unsigned slot)
{
	struct kvm *k = ctx;
	struct kvm_userspace_memory_region r = { .slot = slot };

	if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
		log_guest_at(&k->bucket, LOG_ERROR, "kvm", "cannot take memory slot %u away: %s",
			     slot, strerrordesc_np(errno));
}

void kvm_gmem_listener(struct kvm *k, struct gmem_listener *ret)
{
	*ret = (struct gmem_listener){ .map = memory_map, .unmap = memory_unmap, .ctx = k };
}

/* --- doorbells ---------------------------------------------------------- */

int kvm_ioeventfd(struct kvm *k, bool pio, uint64_t addr, uint8_t size, int fd, bool add)
{
	struct kvm_ioeventfd io = {
		.addr = addr,
		.len = size,
		.fd = fd,
		.flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0u) |
			 (add ? 0u : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return ioctl(k->vm_fd, KVM_IOEVENTFD, &io);
}

/* --- interrupts --------------------------------------------------------- */

static void irq_set_line(void *ctx, unsigned gsi, bool level)
{
	struct kvm *k = ctx;
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	if (ioctl(k->vm_fd, KVM_IRQ_LINE, &l) < 0)
		log_guest_at(&k->bucket, LOG_ERROR, "kvm", "interrupt line %u: %s", gsi,
			     strerrordesc_np(errno));
}

void kvm_chip_route(struct kvm *k, unsigned gsi, unsigned chip, unsigned pin)
{
	assert(k->chip_routes < MAX_CHIP_ROUTES);
	k->routing->entries[k->chip_routes++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { chip, pin },
	};
}

/* KVM_SET_GSI_ROUTING replaces the whole table: the chips' pins, and every message in use. */
static int push_routes_locked(struct kvm *k)
{
	struct kvm_irq_routing *r = k->routing;
	size_t n = k->chip_routes;

	for (unsigned i = 0; i < k->routes_top; i++)
		if (k->route[i].set)
			r->entries[n++] = (struct kvm_irq_routing_entry){
				.gsi = MAX_GSI + i,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi = { .address_lo = (__u32)k->route[i].addr,
					   .address_hi = (__u32)(k->route[i].addr >> 32),
					   .data = k->route[i].data },
			};
	r->nr = (__u32)n;
	return ioctl(k->vm_fd, KVM_SET_GSI_ROUTING, r);
}

static int msi_open(void *ctx, struct irq_msi *m, struct sill_err *e)
{
	struct kvm *k = ctx;
	struct kvm_irqfd f = { 0 };
	unsigned i = 0;

	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0)
		return sill_err_sys(e, errno, "eventfd of an interrupt");
	lock_take(&k->lock);
	while (i < MAX_MSI_ROUTES && k->route[i].used)
		i++;
	if (i < MAX_MSI_ROUTES) {
		k->route[i].used = true;
		k->route[i].set = false;
		if (i >= k->routes_top)
			k->routes_top = i + 1;
	}
	lock_drop(&k->lock);
	if (i == MAX_MSI_ROUTES) {
		fd_close(&m->fd);
		return sill_err_set(e, SILL_ERR_LIMIT, "more than %d message interrupts",
				    MAX_MSI_ROUTES);
	}
	m->gsi = MAX_GSI + i;
	f.fd = (__u32)m->fd;
	f.gsi = m->gsi;
	if (ioctl(k->vm_fd, KVM_IRQFD, &f) < 0) {
		(void)sill_err_sys(e, errno, "irqfd");
		lock_take(&k->lock);
		k->route[i].used = false;
		lock_drop(&k->lock);
		fd_close(&m->fd);
		return -1;
	}
	return 0;
}

static int msi_route(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	struct kvm *k = ctx;
	unsigned i = m->gsi - MAX_GSI;
	int ret = 0;

	lock_take(&k->lock);
	if (!k->route[i].set || k->route[i].addr != addr || k->route[i].data != data) {
		k->route[i].addr = addr;
		k->route[i].data = data;
		k->route[i].set = true;
		ret = push_routes_locked(k);
		if (ret < 0) {
			log_guest_at(&k->bucket, LOG_ERROR, "kvm", "interrupt routing: %s",
				     strerrordesc_np(errno));
			k->route[i].set = false;
		}
	}
	lock_drop(&k->lock);
	return ret;
}

static void msi_close(void *ctx, struct irq_msi *m)
{
	struct kvm *k = ctx;
	struct kvm_irqfd f = { .fd = (__u32)m->fd,
			       .gsi = m->gsi,
			       .flags = KVM_IRQFD_FLAG_DEASSIGN };

	(void)ioctl(k->vm_fd, KVM_IRQFD, &f);
	lock_take(&k->lock);
	k->route[m->gsi - MAX_GSI].used = false;
	k->route[m->gsi - MAX_GSI].set = false;
	while (k->routes_top > 0 && !k->route[k->routes_top - 1].used)
		k->routes_top--;
	lock_drop(&k->lock);
	fd_close(&m->fd);
}

const struct irq_ops kvm_irq_ops = {
	.line = irq_set_line,
	.msi_open = msi_open,
	.msi_route = msi_route,
	.msi_close = msi_close,
};
