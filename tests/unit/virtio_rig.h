/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_rig.h - a machine small enough for a unit test: guest memory, maps, a
 * PCI bus, interrupts that are recorded, a main loop with a thread of its own;
 * and the registers of one virtio device as a driver reaches them: through the
 * BAR and configuration space, never around them.
 */
#ifndef TESTS_UNIT_VIRTIO_RIG_H
#define TESTS_UNIT_VIRTIO_RIG_H

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/le.h"
#include "bus/pci.h"
#include "core/irq.h"
#include "devices/dev.h"
#include "guestring.h"

enum {
	RIG_BAR = 0xc0000000u,
	RIG_BAR_STRIDE = 1 << 20,
	RIG_MESSAGES = 128, /* data values of MSI messages */
};

struct rig_pc {
	struct gmem *mem;
	struct irqs irqs;
	struct iothread *main_thread;
	struct vmclock clock;
	struct map *pio, *mmio;
	struct pci_bus *pci;
	struct map_listener listener;
	struct map_reader reader; /* the test's thread */
	struct dev_env env;
	bool line[MAX_GSI];           /* atomic */
	int message_fd[RIG_MESSAGES]; /* atomic; by the message's data; 0: none */
	unsigned progress;            /* atomic */
	/* What KVM would be told; fd 0: none. */
	struct {
		uint64_t addr;
		int fd;
	} bell[MAX_DOORBELLS];
};

/* A thread that reaches registers has a reader of its own; the first is the test's. */
static _Thread_local struct map_reader *rig_reader;

static inline void rig_thread_begin(struct rig_pc *pc, struct map_reader *r)
{
	*r = (struct map_reader){ 0 };
	map_reader_add(pc->mmio, r);
	rig_reader = r;
}

static inline void rig_thread_end(struct rig_pc *pc)
{
	map_reader_remove(pc->mmio, rig_reader);
	rig_reader = NULL;
}

static inline void rig_line(void *ctx, unsigned gsi, bool level)
{
	struct rig_pc *pc = ctx;

	__atomic_store_n(&pc->line[gsi], level, __ATOMIC_SEQ_CST);
}

static inline int rig_msi_open(void *ctx, struct irq_msi *m, struct sill_err *e)
{
	(void)ctx;
	m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return m->fd >= 0 ? 0 : sill_err_set(e, SILL_ERR_HOST, "eventfd");
}

static inline int rig_msi_route(void *ctx, struct irq_msi *m, uint64_t addr, uint32_t data)
{
	struct rig_pc *pc = ctx;

	if (addr != 0xfee00000 || data >= RIG_MESSAGES)
		return -1; /* only a damaged state has others */
	__atomic_store_n(&pc->message_fd[data], m->fd, __ATOMIC_SEQ_CST);
	return 0;
}

static inline void rig_msi_close(void *ctx, struct irq_msi *m)
{
	struct rig_pc *pc = ctx;

	for (unsigned i = 0; i < RIG_MESSAGES; i++)
		if (pc->message_fd[i] == m->fd)
			pc->message_fd[i] = 0;
	close(m->fd);
	m->fd = -1;
}

static const struct irq_ops rig_irq_ops = {
	.line = rig_line,
	.msi_open = rig_msi_open,
	.msi_route = rig_msi_route,
	.msi_close = rig_msi_close,
};

static inline int rig_bell_add(void *ctx, uint64_t addr, const struct doorbell *b)
{
	struct rig_pc *pc = ctx;

	for (unsigned i = 0; i < MAX_DOORBELLS; i++)
		if (pc->bell[i].fd == 0) {
			pc->bell[i].addr = addr;
			pc->bell[i].fd = b->fd;
			return 0;
		}
	return -1;
}

static inline void rig_bell_remove(void *ctx, uint64_t addr, const struct doorbell *b)
{
	struct rig_pc *pc = ctx;

	for (unsigned i = 0; i < MAX_DOORBELLS; i++)
		if (pc->bell[i].addr == addr && pc->bell[i].fd == b->fd)
			pc->bell[i].fd = 0;
}

/* The eventfd behind an address; 0: none. */
static inline int rig_bell(const struct rig_pc *pc, uint64_t addr)
{
	for (unsigned i = 0; i < MAX_DOORBELLS; i++)
		if (pc->bell[i].fd != 0 && pc->bell[i].addr == addr)
			return pc->bell[i].fd;
	return 0;
}

static inline void rig_progress(void *ctx)
{
	struct rig_pc *pc = ctx;

	__atomic_add_fetch(&pc->progress, 1, __ATOMIC_SEQ_CST);
}

static inline struct rig_pc *rig_pc_create(void)
{
	const struct pci_windows w = { .io_base = 0xc000,
				       .io_end = 0xffff,
				       .mem32_base = RIG_BAR,
				       .mem32_end = 0xf7ffffff,
				       .mem64_base = 1ull << 38,
				       .mem64_end = (1ull << 39) - 1 };
	struct rig_pc *pc = calloc(1, sizeof(*pc));
	struct sill_err e = { 0 };

	pc->mem = guest_ram();
	irqs_init(&pc->irqs, &rig_irq_ops, pc);
	pc->main_thread = iothread_create("main", 0, &e);
	vmclock_init(&pc->clock);
	pc->pio = map_create(0x10000, NULL, &e);
	pc->listener = (struct map_listener){ rig_bell_add, rig_bell_remove, pc };
	pc->mmio = map_create(0, &pc->listener, &e);
	assert(pc->main_thread != NULL && pc->pio != NULL && pc->mmio != NULL);
	pc->pci = pci_bus_create(pc->pio, pc->mmio, &w, &e);
	assert(pc->pci != NULL);
	rig_thread_begin(pc, &pc->reader);
	pc->env = (struct dev_env){
		.gmem = pc->mem,
		.irqs = &pc->irqs,
		.loop = iothread_loop(pc->main_thread),
		.clock = &pc->clock,
		.pio = pc->pio,
		.mmio = pc->mmio,
		.pci = pc->pci,
		.progress = rig_progress,
		.ctx = pc,
	};
	return pc;
}

static inline void rig_pc_destroy(struct rig_pc *pc)
{
	rig_thread_end(pc);
	pci_bus_destroy(pc->pci);
	iothread_destroy(pc->main_thread);
	map_destroy(pc->mmio);
	map_destroy(pc->pio);
	irqs_fini(&pc->irqs);
	guest_ram_free(pc->mem);
	free(pc);
}

static inline void rig_destroy_now(void *ctx)
{
	dev_destroy(ctx);
}

/* As the machine does it: stop, wait, destroy; the last on the main loop. */
static inline void rig_dev_destroy(struct rig_pc *pc, struct dev *d)
{
	dev_stop(d);
	while (!dev_drained(d))
		sched_yield();
	loop_call(pc->env.loop, rig_destroy_now, d);
}

/* What a driver finds in configuration space. Caller-allocated. */
struct rig_virtio {
	struct rig_pc *pc;
	unsigned slot;
	uint64_t bar;
	/* Places in the BAR; 0 length: no such capability. */
	struct {
		uint32_t off, length;
		uint8_t at; /* the capability */
	} common, isr, device, notify, window;
	uint32_t multiplier;
	uint8_t msix_at;
	uint16_t msix_count;
	uint32_t msix_table;
	bool by_window; /* registers are reached through configuration space alone */
};

static inline uint32_t rig_cfg(const struct rig_virtio *r, unsigned off, unsigned size)
{
	return pci_config_read(r->pc->pci, 0, r->slot << 3, off, size);
}

static inline void rig_set_cfg(const struct rig_virtio *r, unsigned off, unsigned size,
			       uint32_t val)
{
	pci_config_write(r->pc->pci, 0, r->slot << 3, off, size, val);
}

/* What an access of the window is about: virtio 1.2, 4.1.4.9. */
static inline void rig_aim(const struct rig_virtio *r, uint64_t off, unsigned size)
{
	assert(size <= 4);
	rig_set_cfg(r, r->window.at + 4u, 1, 0);
	rig_set_cfg(r, r->window.at + 8u, 4, (uint32_t)off);
	rig_set_cfg(r, r->window.at + 12u, 4, size);
}

static inline uint64_t rig_get(const struct rig_virtio *r, uint64_t off, unsigned size)
{
	uint64_t val = 0;

	if (r->by_window) {
		rig_aim(r, off, size);
		return rig_cfg(r, r->window.at + 16u, size);
	}
	(void)map_read(r->pc->mmio, rig_reader, r->bar + off, &val, size);
	return val;
}

static inline void rig_set(const struct rig_virtio *r, uint64_t off, unsigned size, uint64_t val)
{
	if (r->by_window) {
		rig_aim(r, off, size);
		rig_set_cfg(r, r->window.at + 16u, size, (uint32_t)val);
		return;
	}
	(void)map_write(r->pc->mmio, rig_reader, r->bar + off, &val, size);
}

/* The common configuration, by the specification's offsets. */
static inline uint64_t rig_common(const struct rig_virtio *r, unsigned off, unsigned size)
{
	return rig_get(r, r->common.off + off, size);
}

static inline void rig_set_common(const struct rig_virtio *r, unsigned off, unsigned size,
				  uint64_t val)
{
	rig_set(r, r->common.off + off, size, val);
}

/* VirtioLib's walk: at most 48 links, from 0x40 up, the last of a kind counts. */
static inline void rig_walk_caps(struct rig_virtio *r)
{
	unsigned at = rig_cfg(r, PCI_CAP_PTR, 1);

	for (int links = 0; at != 0; links++) {
		assert(links < 48 && at >= 0x40 && at % 4 == 0);
		if (rig_cfg(r, at, 1) == 0x11) {
			r->msix_at = (uint8_t)at;
			r->msix_count = (uint16_t)((rig_cfg(r, at + 2, 2) & 0x7ff) + 1);
			r->msix_table = rig_cfg(r, at + 4, 4) & ~7u;
			assert((rig_cfg(r, at + 4, 4) & 7) == 0);
		} else if (rig_cfg(r, at, 1) == 9) {
			const uint32_t off = rig_cfg(r, at + 8, 4), length = rig_cfg(r, at + 12, 4);

			switch (rig_cfg(r, at + 3, 1)) {
#define KEEP(member) (r->member.off = off, r->member.length = length, r->member.at = (uint8_t)at)
			case 1:
				KEEP(common);
				break;
			case 2:
				KEEP(notify);
				r->multiplier = rig_cfg(r, at + 16, 4);
				break;
			case 3:
				KEEP(isr);
				break;
			case 4:
				KEEP(device);
				break;
			case 5:
				KEEP(window);
				break;
			default:
				abort(); /* a capability nobody knows */
#undef KEEP
			}
		}
		at = rig_cfg(r, at + 1, 1);
	}
}

/* Place the BAR as an operating system does (decode off, low, high, on) and walk the capabilities. */
static inline void rig_plug(struct rig_virtio *r, struct rig_pc *pc, unsigned slot)
{
	*r = (struct rig_virtio){ .pc = pc, .slot = slot };
	assert(rig_cfg(r, 0, 2) == 0x1af4);
	r->bar = RIG_BAR + (uint64_t)slot * RIG_BAR_STRIDE;
	rig_set_cfg(r, PCI_COMMAND, 2, 0);
	rig_set_cfg(r, PCI_BAR0, 4, (uint32_t)r->bar);
	rig_set_cfg(r, PCI_BAR0 + 4, 4, (uint32_t)(r->bar >> 32));
	rig_set_cfg(r, PCI_COMMAND, 2, PCI_CMD_MEMORY | PCI_CMD_MASTER);
	rig_walk_caps(r);
}

/* MSI-X vector @i sends message @data from now on. */
static inline void rig_vector(const struct rig_virtio *r, unsigned i, uint32_t data)
{
	const uint64_t at = r->msix_table + 16ull * i;

	rig_set(r, at, 4, 0xfee00000);
	rig_set(r, at + 4, 4, 0);
	rig_set(r, at + 8, 4, data);
	rig_set(r, at + 12, 4, 0);
}

static inline void rig_msix(const struct rig_virtio *r, bool on)
{
	rig_set_cfg(r, r->msix_at + 2u, 2, on ? 0x8000 : 0);
}

/* Has message @data come? Waits up to @ms. Takes it. */
static inline bool rig_message(struct rig_pc *pc, uint32_t data, int ms)
{
	struct pollfd p = { .fd = __atomic_load_n(&pc->message_fd[data], __ATOMIC_SEQ_CST),
			    .events = POLLIN };
	uint64_t count;

	if (p.fd == 0 || poll(&p, 1, ms) != 1)
		return false;
	return read(p.fd, &count, sizeof(count)) == sizeof(count);
}

static inline uint64_t rig_now_ms(void)
{
	return host_now() / 1000000;
}

/* Write 0 and poll until the device says it is done; how long it took, in ms. */
static inline uint64_t rig_reset(const struct rig_virtio *r)
{
	const uint64_t t = rig_now_ms();

	rig_set_common(r, 20, 1, 0);
	while (rig_common(r, 20, 1) != 0)
		assert(rig_now_ms() - t < 60000);
	return rig_now_ms() - t;
}

static inline uint64_t rig_features(const struct rig_virtio *r)
{
	uint64_t f;

	rig_set_common(r, 0, 4, 0);
	f = rig_common(r, 4, 4);
	rig_set_common(r, 0, 4, 1);
	return f | rig_common(r, 4, 4) << 32;
}

/* Up to FEATURES_OK; true when the device took them. */
static inline bool rig_negotiate(const struct rig_virtio *r, uint64_t features)
{
	rig_set_common(r, 20, 1, 1);
	rig_set_common(r, 20, 1, rig_common(r, 20, 1) | 2);
	rig_set_common(r, 8, 4, 0);
	rig_set_common(r, 12, 4, (uint32_t)features);
	rig_set_common(r, 8, 4, 1);
	rig_set_common(r, 12, 4, features >> 32);
	rig_set_common(r, 20, 1, rig_common(r, 20, 1) | 8);
	return (rig_common(r, 20, 1) & 8) != 0;
}

/* Tell the device where the ring of queue @i is, in 32-bit halves, and enable it. */
static inline void rig_queue(const struct rig_virtio *r, unsigned i, const struct guestring *g)
{
	const gpa_t a[3] = { g->s.desc, g->s.avail, g->s.used };

	rig_set_common(r, 22, 2, i);
	rig_set_common(r, 24, 2, g->s.size);
	for (unsigned k = 0; k < 3; k++) {
		rig_set_common(r, 32 + 8 * k, 4, (uint32_t)a[k]);
		rig_set_common(r, 36 + 8 * k, 4, a[k] >> 32);
	}
	rig_set_common(r, 28, 2, 1);
}

static inline void rig_driver_ok(const struct rig_virtio *r)
{
	rig_set_common(r, 20, 1, rig_common(r, 20, 1) | 4);
}

/* The notify offset is the queue's index; virtio_common__... has asked. */
static inline void rig_kick(const struct rig_virtio *r, unsigned queue)
{
	rig_set(r, r->notify.off + (uint64_t)queue * r->multiplier, 2, queue);
}

/* Wait for the next finished chain of @g; asserts that it comes. */
static inline uint32_t rig_await(struct guestring *g, uint32_t *ret_len)
{
	const uint64_t t = rig_now_ms();
	uint32_t head;

	while (!guestring_get(g, &head, ret_len)) {
		assert(rig_now_ms() - t < 60000);
		sched_yield();
	}
	return head;
}

/* Let the main loop come around: everything posted before is over. */
static inline void rig_nothing(void *ctx)
{
	(void)ctx;
}

static inline void rig_turn(struct rig_pc *pc)
{
	loop_call(pc->env.loop, rig_nothing, NULL);
}

#endif
