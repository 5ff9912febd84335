/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dev.c - any device, through everything a guest can reach it by.
 *
 * The first byte of the input picks an entry of dev_table (the one whose type
 * has it as checksum, so that seeds stay good when devices are added, or any
 * other); the device is put into a fresh machine (maps, PCI bus, 64 KiB of memory, a clock that stands),
 * its BARs are placed as firmware would, and the rest of the input is done to
 * it, 16 bytes a step:
 *
 *	u8 op   u8 sel   u8 size   u8 count   u32 off   u64 val      (little-endian)
 *
 *	op   0 1  read, write at @off of region @sel (fixed ones, then BARs)
 *	     2 3  read, write anywhere in ports
 *	     4 5  read, write anywhere in memory-mapped I/O
 *	     6 7  read, write configuration space
 *	     8    @count times @val into guest memory at @off
 *	     9    the next @count steps, raw, into guest memory at @off
 *	     10   machine reset
 *	     11   save and load; saving again must give the same bytes
 *	     12   save, change a byte, load
 *	     13   the clock goes on by @val ns; the main loop runs
 *	     14   pause, the main loop runs, resume
 *	     15   what the outside world does to this type (see rows[])
 *
 * Bit 7 of @size makes @val an address in guest memory (so that rings are
 * found); bits 2:0 are the size, 3 and 5 to 7 too.
 *
 * A new device needs nothing here when it is a PCI device without a config;
 * others get a row.
 *
 * What must hold: no crash; interrupt lines and messages are given back; a
 * device says it is drained within seconds; a machine can be taken down in any
 * state.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "backend/block/block.h"
#include "backend/net/net.h"
#include "backend/serial/chr.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/le.h"
#include "bus/pci.h"
#include "devices/acpi/cpuhp.h"
#include "devices/acpi/memhp.h"
#include "devices/acpi/pcihp.h"
#include "devices/acpi/pm.h"
#include "devices/acpi/pvpanic.h"
#include "devices/acpi/watchdog.h"
#include "devices/dev.h"
#if __has_include("devices/legacy/flash.h")
#include "devices/legacy/flash.h"
#endif
#include "core/ram.h"
#include "devices/legacy/fwcfg.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ports.h"
#include "devices/legacy/rtc.h"
#include "devices/legacy/uart.h"
#include "devices/pci/mch.h"
#include "devices/table.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mem.h"
#include "devices/virtio/net.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/vsock.h"
#include "firmware/acpi.h"
#include "require.h"
#include "sill/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLASH_AT = 0xffc0000, FLASH_AT_SIZE = 0x10000 };
enum { RAM = 0x10000, RAM_SIZE = 0x10000, MAX_REGIONS = 16, DRAIN_MS = 5000 };

enum space { NO_SPACE, PIO, MMIO };

struct region {
	enum space space;
	uint64_t base, size;
	unsigned region;
	unsigned bar_reg; /* its register in configuration space; 0: fixed at base */
};

struct machine {
	struct gmem *gmem;
	struct irqs irqs;
	struct loop *loop;
	struct vmclock clock;
	struct map *pio, *mmio;
	struct map_reader pio_reader, mmio_reader;
	struct pci_bus *pci;
	struct dev_env env;
	struct dev *dev;
	const struct row *row;
	unsigned requests;
	bool line[MAX_GSI];
	unsigned messages; /* open */
	struct region region[MAX_REGIONS];
	unsigned region_count, slot;
	/* the type's own */
	struct chr *chr; /* owned unless the device takes it */
	struct dev *pm;  /* owned; NULL: it needs none */
	int far;         /* a descriptor the device does not close; -1: none */
};

struct step {
	uint8_t op, sel, size, count;
	uint32_t off;
	uint64_t val;
};

struct row {
	const char *type;
	unsigned gsi;
	struct region region[4];
	/* Create the device with a small config of its own. */
	struct dev *(*create)(struct machine *m, const struct row *r, struct sill_err *e);
	void (*outside)(struct machine *m, const struct step *s);
	bool threads; /* it does its work elsewhere: give it a moment when the clock goes on */
};

static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));

static struct dev *create(struct machine *m, const struct row *r, const void *config,
			  struct sill_err *e)
{
	return dev_create(dev_ops_find(r->type), r->type, config, r->gsi, &m->env, e);
}

/* --- rows: what a type needs to live, and what is done to it from outside ------- */

static struct dev *create_plain(struct machine *m, const struct row *r, struct sill_err *e)
{
	return create(m, r, NULL, e);
}

static void pcihp_outside(struct machine *m, const struct step *s)
{
	const unsigned slot = 1 + s->count % 30;

	if (s->sel % 4 == 0)
		pcihp_added(m->dev, slot);
	else if (s->sel % 4 == 1)
		pcihp_ask(m->dev, slot);
	else if (s->sel % 4 == 2)
		pcihp_gone(m->dev, slot);
	else
		require((pcihp_take_ejected(m->dev) & ~PCIHP_SLOTS) == 0);
	require((pcihp_asked(m->dev) & ~PCIHP_SLOTS) == 0);
}

static struct dev *create_pm(struct machine *m, struct sill_err *e)
{
	m->pm = dev_create(dev_ops_find("pm"), "pm", NULL, IRQ_SCI, &m->env, e);
	require(m->pm != NULL);
	return m->pm;
}

enum { CPUS = 4 };

static struct dev *create_cpuhp(struct machine *m, const struct row *r, struct sill_err *e)
{
	static const uint32_t ids[CPUS] = { 0, 1, 4, 5 };
	const struct cpuhp_config c = {
		.pm = create_pm(m, e), .apic_ids = ids, .count = CPUS, .present = 2
	};

	return create(m, r, &c, e);
}

static void cpuhp_outside(struct machine *m, const struct step *s)
{
	const unsigned cpu = 1 + s->count % (CPUS - 1);

	if (!cpuhp_is_present(m->dev, cpu))
		cpuhp_add(m->dev, cpu);
	else if ((s->sel & 1) != 0)
		cpuhp_ask(m->dev, cpu);
	else
		cpuhp_keep(m->dev, cpu);
	require(cpuhp_is_present(m->dev, 0) && cpuhp_answer(m->dev, 0) == CPUHP_NOT_ASKED);
}

static struct dev *create_memhp(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct memhp_config c = { .pm = create_pm(m, e) };

	return create(m, r, &c, e);
}

static void memhp_outside(struct machine *m, const struct step *s)
{
	const unsigned slot = s->count % MEMHP_SLOTS;
	struct memhp_module is;

	memhp_module(m->dev, slot, &is);
	if (is.state == MEMHP_EMPTY)
		memhp_add(m->dev, slot, 0x100000000 + ((uint64_t)slot << 27), 1 << 27);
	else if ((s->sel & 1) != 0)
		memhp_ask(m->dev, slot);
	else
		memhp_keep(m->dev, slot);
}

static void pm_outside(struct machine *m, const struct step *s)
{
	if ((s->sel & 1) != 0)
		(void)pm_power_button(m->dev);
	else
		pm_raise_gpe(m->dev, s->count % PM_GPE_COUNT);
}

static void ports_outside(struct machine *m, const struct step *s)
{
	uint8_t codes[PORTS_POST_KEPT];

	require(ports_post_codes(m->dev, codes) <= PORTS_POST_KEPT);
	ports_reset_control_write(m->dev, s->sel);
}

#if __has_include("devices/legacy/flash.h")
static struct dev *create_flash(struct machine *m, const struct row *r, struct sill_err *e)
{
	struct flash_config c = { .fd = memfd_create("vars", MFD_CLOEXEC), .size = FLASH_AT_SIZE };

	require(c.fd >= 0 && ftruncate(c.fd, FLASH_AT_SIZE) == 0);
	m->far = c.fd;
	return create(m, r, &c, e);
}
#endif

static void fwcfg_fill(void *ctx, uint8_t *data, size_t size)
{
	(void)ctx;
	memset(data, 0x5a, size);
}

static struct dev *create_fwcfg(struct machine *m, const struct row *r, struct sill_err *e)
{
	static const struct fwcfg_file files[] = {
		{ .name = "etc/a", .data = "0123456789", .size = 10 },
		{ .name = "etc/b", .size = 5000, .select = fwcfg_fill },
		{ .name = "etc/c", .size = 8, .writable = true },
	};
	const struct fwcfg_config c = { .files = files, .file_count = 3, .boot_cpus = 2 };

	return create(m, r, &c, e);
}

static struct rtc_time rtc_wall(void *ctx)
{
	uint64_t ns = vmclock_now(ctx);

	return (struct rtc_time){ .s = 1700000000 + (int64_t)(ns / 1000000000),
				  .ns = (uint32_t)(ns % 1000000000) };
}

static struct dev *create_rtc(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct rtc_config c = { .low_ram_end = 1 << 30,
				      .high_ram = 1ull << 32,
				      .wall = rtc_wall,
				      .wall_ctx = &m->clock };

	return create(m, r, &c, e);
}

static struct dev *create_mch(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct mch_config c = { .device = MCH_Q35, .ecam = 0xb0000000 };

	return create(m, r, &c, e);
}

static struct chr *open_chr(struct machine *m)
{
	struct chr_config c = { .mode = SILL_CHAR_TTY, .listen_fd = -1 };
	struct sill_err e = { 0 };
	struct chr *chr;
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	m->far = pair[1];
	c.in_fd = c.out_fd = pair[0];
	chr = chr_create("far", &c, m->loop, &e);
	require(chr != NULL);
	return chr;
}

static struct dev *create_uart(struct machine *m, const struct row *r, struct sill_err *e)
{
	struct uart_config c;

	m->chr = c.chr = open_chr(m);
	return create(m, r, &c, e);
}

/* Somebody types, sends a break, or takes what was printed. */
static void chr_outside(struct machine *m, const struct step *s)
{
	char sink[4096];

	if ((s->sel & 3) == 0)
		(void)read(m->far, sink, sizeof(sink));
	else if ((s->sel & 3) == 1 && m->chr != NULL)
		chr_inject_break(m->chr);
	else
		(void)write(m->far, ram, s->count);
}

static void console_outside(struct machine *m, const struct step *s)
{
	if ((s->sel & 3) == 1)
		virtio_console_resize(m->dev, s->count, (uint16_t)s->off);
	else
		chr_outside(m, s);
}

static struct dev *create_console(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct virtio_console_config c = {
		.chr = open_chr(m), .cols = 80, .rows = 25, .slot = -1
	};

	return create(m, r, &c, e);
}

static struct dev *create_blk(struct machine *m, const struct row *r, struct sill_err *e)
{
	struct blk_config b = { .fd = memfd_create("disk", MFD_CLOEXEC), .path = "disk" };
	static char serial[] = "sill";
	struct virtio_blk_config c = { .disk.serial = serial };

	require(b.fd >= 0 && ftruncate(b.fd, 65536) == 0);
	c.blk = blk_open(&blk_raw_ops, &b, e);
	require(c.blk != NULL);
	return create(m, r, &c, e);
}

static struct dev *create_net(struct machine *m, const struct row *r, struct sill_err *e)
{
	struct virtio_net_config c = { .mac = { 2 }, .slot = -1 };
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	c.net = net_socket_open(pair[0], e);
	require(c.net != NULL);
	m->far = pair[1];
	return create(m, r, &c, e);
}

static void net_outside(struct machine *m, const struct step *s)
{
	if ((s->sel & 3) == 1)
		virtio_net_set_link(m->dev, s->count & 1);
	else
		(void)send(m->far, ram, 1 + s->count * 8, MSG_NOSIGNAL);
}

static struct dev *create_rng(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct virtio_rng_config c = { .fd = open("/dev/zero", O_RDONLY | O_CLOEXEC),
					     .slot = -1 };

	return create(m, r, &c, e);
}

static struct dev *create_balloon(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct virtio_balloon_config c = { .size = 1 << 20,
						 .deflate_on_oom = true,
						 .free_page_reporting = true,
						 .poll_ns = 1000000,
						 .slot = -1 };

	return create(m, r, &c, e);
}

static void balloon_outside(struct machine *m, const struct step *s)
{
	struct virtio_balloon_state now;

	virtio_balloon_look(m->dev, &now);
	virtio_balloon_resize(m->dev, s->val % (8ull << 40) / BALLOON_PAGE * BALLOON_PAGE);
}

/* The region ends where nothing is: giving that back gives nothing. */
static struct dev *create_mem(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct virtio_mem_config c = { .base = 1ull << 32,
					     .size = 64 * VIRTIO_MEM_BLOCK,
					     .requested = 8 * VIRTIO_MEM_BLOCK,
					     .slot = -1 };

	return create(m, r, &c, e);
}

static void mem_outside(struct machine *m, const struct step *s)
{
	struct virtio_mem_state now;

	virtio_mem_look(m->dev, &now);
	virtio_mem_resize(m->dev, s->val % 65 * VIRTIO_MEM_BLOCK);
	require(now.plugged <= now.size && now.requested <= now.size);
}

/* Nobody connects; the guest's own connections lead to a socket that somebody talks at. */
static int vsock_connect(void *ctx, uint32_t port)
{
	struct machine *m = ctx;
	int fd[2];

	if (port % 4 == 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return -1;
	if (m->far >= 0)
		(void)close(m->far);
	m->far = fd[0];
	return fd[1];
}

static struct dev *create_vsock(struct machine *m, const struct row *r, struct sill_err *e)
{
	const struct virtio_vsock_config c = {
		.cid = 3,
		.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		.connect = vsock_connect,
		.connect_ctx = m,
		.slot = -1,
	};
	const struct sockaddr any = { .sa_family = AF_UNIX };

	require(bind(c.listen_fd, &any, sizeof(sa_family_t)) == 0 && listen(c.listen_fd, 1) == 0);
	return create(m, r, &c, e);
}

/* clang-format off */
static const struct row rows[] = {
	{ "cpuhp", NO_GSI, { { PIO, ACPI_PORT_CPU, CPUHP_PORT_COUNT, 0, 0 } }, create_cpuhp, cpuhp_outside, false },
	{ "debugcon", NO_GSI, { { PIO, 0xe9, 1, 0, 0 } }, create_uart, chr_outside, false },
#if __has_include("devices/legacy/flash.h")
	{ "flash", NO_GSI, { { MMIO, FLASH_AT, FLASH_AT_SIZE, 0, 0 } }, create_flash, NULL, true },
#endif
	{ "fw-cfg", NO_GSI, { { PIO, PORT_FW_CFG, FWCFG_PORT_COUNT, 0, 0 } }, create_fwcfg, NULL, false },
	{ "i8042", NO_GSI, { { PIO, PORT_I8042_DATA, 1, I8042_REGION_DATA, 0 },
			     { PIO, PORT_I8042_CMD, 1, I8042_REGION_COMMAND, 0 } }, create_plain, NULL, false },
	{ "mch", NO_GSI, { { MMIO, 0xb0000000, 0x10000, 0, 0 } }, create_mch, NULL, false },
	{ "memhp", NO_GSI, { { PIO, ACPI_PORT_MEMORY, MEMHP_PORT_COUNT, 0, 0 } }, create_memhp, memhp_outside, false },
	{ "pcihp", NO_GSI, { { PIO, ACPI_PORT_PCI, PCIHP_PORT_COUNT, 0, 0 } }, create_plain, pcihp_outside, false },
	{ "pm", IRQ_SCI, { { PIO, PORT_PM, PM_PORT_COUNT, 0, 0 } }, create_plain, pm_outside, false },
	{ "pvpanic", NO_GSI, { { PIO, PVPANIC_PORT, 1, 0, 0 } }, create_plain, NULL, false },
	{ "watchdog", NO_GSI, { { PIO, ACPI_PORT_WATCHDOG, WATCHDOG_PORT_COUNT, 0, 0 } }, create_plain, NULL, false },
	{ "ports", NO_GSI, { { PIO, PORT_A20, 1, PORTS_SYSTEM_A, 0 },
			     { PIO, PORT_SYSTEM_B, 1, PORTS_SYSTEM_B, 0 },
			     { PIO, PORT_POST, 1, PORTS_POST, 0 },
			     { PIO, PORT_DEBUGCON, 1, PORTS_DEBUG, 0 } }, create_plain, ports_outside, false },
	{ "rtc", IRQ_RTC, { { PIO, PORT_RTC, RTC_PORT_COUNT, 0, 0 } }, create_rtc, NULL, false },
	{ "uart", IRQ_COM1, { { PIO, PORT_COM1, UART_PORT_COUNT, 0, 0 } }, create_uart, chr_outside, false },
	{ "virtio-balloon", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_balloon, balloon_outside, true },
	{ "virtio-blk", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_blk, NULL, true },
	{ "virtio-console", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_console, console_outside, false },
	{ "virtio-mem", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_mem, mem_outside, true },
	{ "virtio-net", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_net, net_outside, true },
	{ "virtio-rng", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_rng, NULL, false },
	{ "virtio-vsock", NO_GSI, { { NO_SPACE, 0, 0, 0, 0 } }, create_vsock, NULL, true },
};
/* clang-format on */

/* --- the machine ------------------------------------------------------------------ */

static void record_line(void *ctx, unsigned gsi, bool level)
{
	struct machine *m = ctx;

	require(gsi < MAX_GSI && m->line[gsi] != level);
	m->line[gsi] = level;
}

static int open_message(void *ctx, struct irq_msi *v, struct sill_err *e)
{
	struct machine *m = ctx;

	(void)e;
	v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(v->fd >= 0);
	(void)__atomic_add_fetch(&m->messages, 1, __ATOMIC_RELAXED);
	return 0;
}

static int route_message(void *ctx, struct irq_msi *v, uint64_t addr, uint32_t data)
{
	(void)ctx;
	require(v->fd >= 0);
	return (addr & 0xf) == 0xf && data == 0xffffffff ? -1 : 0; /* a host that refuses */
}

static void close_message(void *ctx, struct irq_msi *v)
{
	struct machine *m = ctx;

	require(v->fd >= 0);
	fd_close(&v->fd);
	(void)__atomic_sub_fetch(&m->messages, 1, __ATOMIC_RELAXED);
}

static const struct irq_ops irq_ops = {
	.line = record_line,
	.msi_open = open_message,
	.msi_route = route_message,
	.msi_close = close_message,
};

static void requested(void *ctx, enum machine_request r, const char *who)
{
	struct machine *m = ctx;

	require((r == MACHINE_RESET || r == MACHINE_POWER_OFF) && who != NULL);
	(void)__atomic_add_fetch(&m->requests, 1, __ATOMIC_RELAXED);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void progressed(void *ctx)
{
	struct machine *m = ctx;

	loop_stop(m->loop); /* wait_drained() looks again */
}

/* Let the main loop do what is ready. */
static void turn(struct machine *m)
{
	struct loop_task now = { .fn = stop, .ctx = m->loop };
	struct loop_timer soon = { .fn = stop, .ctx = m->loop };
	struct sill_err e = { 0 };

	if (m->row->threads)
		loop_timer_set(m->loop, &soon, host_now() + 300000);
	else
		loop_post(m->loop, &now);
	require(loop_run(m->loop, &e) == 0);
	/* progressed() may have come first. */
	loop_unpost(m->loop, &now);
	loop_timer_cancel(m->loop, &soon);
}

static void wait_drained(struct machine *m)
{
	uint64_t end = host_now() + DRAIN_MS * 1000000ull;
	struct loop_timer tick = { .fn = stop, .ctx = m->loop };
	struct sill_err e = { 0 };

	while (!dev_drained(m->dev)) {
		require(host_now() < end);
		loop_timer_set(m->loop, &tick, host_now() + 1000000);
		require(loop_run(m->loop, &e) == 0);
	}
	loop_timer_cancel(m->loop, &tick);
}

static uint32_t config_get(struct machine *m, unsigned off)
{
	return pci_config_read(m->pci, 0, m->slot << 3, off, 4);
}

static void config_set(struct machine *m, unsigned off, uint32_t v)
{
	pci_config_write(m->pci, 0, m->slot << 3, off, 4, v);
}

/* Size the BARs and place them one after the other, as firmware would. */
static void place_bars(struct machine *m)
{
	uint64_t io = 0xc000, mem = 0xc0000000;

	for (unsigned reg = PCI_BAR0; reg < PCI_BAR0 + 24; reg += 4) {
		struct region *r = &m->region[m->region_count];
		uint32_t mask;

		config_set(m, reg, 0xffffffff);
		mask = config_get(m, reg);
		if (mask == 0 || m->region_count == MAX_REGIONS)
			continue;
		r->bar_reg = reg;
		if ((mask & 1) != 0) {
			r->space = PIO;
			r->size = (uint16_t) ~(mask & ~3u) + 1u;
			io = (io + r->size - 1) & ~(r->size - 1);
			config_set(m, reg, (uint32_t)io);
			io += r->size;
		} else {
			r->space = MMIO;
			r->size = ~(mask & ~0xfu) + 1u;
			mem = (mem + r->size - 1) & ~(r->size - 1);
			config_set(m, reg, (uint32_t)mem);
			mem += r->size;
			if ((mask & 6) == 4) {
				reg += 4;
				config_set(m, reg, 0);
			}
		}
		m->region_count++;
	}
	pci_config_write(m->pci, 0, m->slot << 3, PCI_COMMAND, 2,
			 PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER);
}

static const struct row *row_find(const char *type)
{
	static struct row plain = { .gsi = NO_GSI, .create = create_plain };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].type, type) == 0)
			return &rows[i];
	plain.type = type;
	return &plain;
}

static void map_regions(struct machine *m)
{
	struct sill_err e = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(m->row->region); i++) {
		const struct region *r = &m->row->region[i];

		if (r->space == NO_SPACE)
			continue;
		m->region[m->region_count++] = *r;
		if (strcmp(m->row->type, "mch") != 0) /* its ECAM is the bus's */
			require(dev_map(m->dev, r->space == PIO ? m->pio : m->mmio, r->base,
					r->size, r->region, &e) == 0);
	}
}

static void machine_init(struct machine *m, const struct dev_ops *ops)
{
	static const struct pci_windows windows = { .io_base = 0xc000,
						    .io_end = 0xffff,
						    .mem32_base = 0xc0000000,
						    .mem32_end = 0xf7ffffff,
						    .mem64_base = 0x800000000,
						    .mem64_end = 0xfffffffff };
	const struct ram mapped = { .hva = ram, .size = RAM_SIZE, .fd = -1, .page = 4096 };
	struct sill_err e = { 0 };

	*m = (struct machine){ .far = -1 };
	memset(ram, 0, sizeof(ram));
	m->row = row_find(ops->type);
	m->loop = loop_create(&e);
	m->gmem = gmem_create(NULL, &e);
	m->pio = map_create(0x10000, NULL, &e);
	m->mmio = map_create(0, NULL, &e);
	require(m->loop != NULL && m->gmem != NULL && m->pio != NULL && m->mmio != NULL);
	require(gmem_add_ram(m->gmem, RAM, &mapped, 0, RAM_SIZE, &e) == 0);
	map_reader_add(m->pio, &m->pio_reader);
	map_reader_add(m->mmio, &m->mmio_reader);
	m->pci = pci_bus_create(m->pio, m->mmio, &windows, &e);
	require(m->pci != NULL);
	irqs_init(&m->irqs, &irq_ops, m);
	vmclock_init(&m->clock);
	vmclock_freeze(&m->clock);
	vmclock_set(&m->clock, 1000000000);
	m->env = (struct dev_env){ .gmem = m->gmem,
				   .irqs = &m->irqs,
				   .loop = m->loop,
				   .clock = &m->clock,
				   .pio = m->pio,
				   .mmio = m->mmio,
				   .pci = m->pci,
				   .request = requested,
				   .progress = progressed,
				   .ctx = m };
	m->dev = m->row->create(m, m->row, &e);
	require(m->dev != NULL);
	map_regions(m);
	for (unsigned slot = 0; slot < MAX_PCI_SLOTS; slot++)
		if (pci_bus_find(m->pci, slot) != NULL)
			m->slot = slot;
	if (pci_bus_find(m->pci, m->slot) != NULL)
		place_bars(m);
}

static void removal_done(void *ctx)
{
	*(bool *)ctx = true;
}

static void machine_fini(struct machine *m)
{
	struct sill_err e = { 0 };
	bool removed = false;

	dev_stop(m->dev);
	wait_drained(m);
	for (unsigned i = 0; i < m->region_count; i++)
		if (m->region[i].bar_reg == 0)
			(void)map_remove(m->region[i].space == PIO ? m->pio : m->mmio,
					 &m->dev->target, m->region[i].region);
	dev_destroy(m->dev);
	dev_destroy(m->pm);
	chr_destroy(m->chr);
	fd_close(&m->far);
	for (unsigned i = 0; i < MAX_GSI; i++)
		require(!m->line[i] && m->irqs.asserted[i] == 0);
	require(m->messages == 0);
	pci_bus_destroy(m->pci);
	map_reader_remove(m->pio, &m->pio_reader);
	map_reader_remove(m->mmio, &m->mmio_reader);
	map_destroy(m->pio);
	map_destroy(m->mmio);
	/* Done at once, unless a span was not ended. */
	require(gmem_remove(m->gmem, RAM, removal_done, &removed, &e) == 0 && removed);
	gmem_destroy(m->gmem);
	irqs_fini(&m->irqs);
	loop_destroy(m->loop);
}

static void machine_reset(struct machine *m)
{
	pci_bus_reset(m->pci);
	dev_reset(m->dev);
	wait_drained(m);
}

static void machine_save(struct machine *m, struct buf *b)
{
	struct saver s;

	buf_init(b, 1 << 22);
	save_init(&s, b);
	pci_bus_save(m->pci, &s);
	require(dev_save(m->dev, &s) == 0);
	require(!b->failed);
}

static int machine_load(struct machine *m, const struct buf *b, struct sill_err *e)
{
	struct loader l;

	load_init(&l, b->data, b->size);
	if (pci_bus_load(m->pci, &l, e) < 0 || dev_load(m->dev, &l, e) < 0) {
		require(e->code != SILL_ERR_NONE && e->msg[0] != '\0');
		return -1;
	}
	return 0;
}

/* --- steps --------------------------------------------------------------------------- */

static void access_at(struct machine *m, enum space space, bool write, uint64_t addr,
		      const struct step *s)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8, 4, 3, 2, 7 };
	size_t n = sizes[s->size & 7];
	uint8_t bytes[8];

	st64(bytes, s->val);
	if (space == PIO && write)
		(void)map_write(m->pio, &m->pio_reader, addr, bytes, n);
	else if (space == PIO)
		(void)map_read(m->pio, &m->pio_reader, addr, bytes, n);
	else if (write)
		(void)map_write(m->mmio, &m->mmio_reader, addr, bytes, n);
	else
		(void)map_read(m->mmio, &m->mmio_reader, addr, bytes, n);
}

static void access_region(struct machine *m, bool write, const struct step *s)
{
	const struct region *r;
	uint64_t base;

	if (m->region_count == 0)
		return;
	r = &m->region[s->sel % m->region_count];
	base = r->bar_reg == 0   ? r->base
	       : r->space == PIO ? config_get(m, r->bar_reg) & ~3u
				 : config_get(m, r->bar_reg) & ~0xfu;
	access_at(m, r->space, write, base + s->off % r->size, s);
}

static void require_same(struct machine *m, const struct buf *a, const struct buf *b)
{
	size_t at = 0;

	while (at < a->size && at < b->size && a->data[at] == b->data[at])
		at++;
	if (at == a->size && at == b->size)
		return;
	fprintf(stderr, "%s: loaded state differs at byte %zu of %zu, %zu\n", m->row->type, at,
		a->size, b->size);
	abort();
}

static void access_config(struct machine *m, bool write, const struct step *s)
{
	unsigned size = 1u << s->size % 3;
	unsigned off = s->off & 0xfff & ~(size - 1);
	unsigned devfn = ((m->slot << 3) + (s->sel & 0xf8)) & 0xff;

	if (write)
		pci_config_write(m->pci, 0, devfn, off, size, (uint32_t)s->val);
	else
		(void)pci_config_read(m->pci, 0, devfn, off, size);
}

/* What a device saves, it loads; what it has loaded, it saves again byte for byte. */
static void save_and_load(struct machine *m)
{
	struct sill_err e = { 0 };
	struct buf a, b;

	dev_pause(m->dev);
	wait_drained(m);
	machine_save(m, &a);
	if (machine_load(m, &a, &e) < 0) {
		fprintf(stderr, "%s does not load what it saved: %s\n", m->row->type, e.msg);
		abort();
	}
	machine_save(m, &b);
	require_same(m, &a, &b);
	buf_fini(&b);
	buf_fini(&a);
	dev_resume(m->dev);
}

/*
 * A damaged state is one that the guest could have made, or it is refused:
 * false, and all that can be done then is to take the machine down.
 */
static bool save_and_load_changed(struct machine *m, const struct step *s)
{
	struct sill_err e = { 0 };
	struct buf b;
	bool loaded;

	dev_pause(m->dev);
	wait_drained(m);
	machine_save(m, &b);
	b.data[s->off % b.size] = (uint8_t)s->val;
	if ((s->size & 0x40) != 0)
		b.size = s->val % (b.size + 1);
	loaded = machine_load(m, &b, &e) == 0;
	buf_fini(&b);
	dev_resume(m->dev);
	return loaded;
}

static void fill_memory(struct machine *m, const struct step *s)
{
	for (unsigned i = 0; i < s->count; i++)
		(void)gmem_write(m->gmem, RAM + (s->off + 8ull * i) % RAM_SIZE, &s->val, 8);
}

/* False: the machine is of no use any more. */
static bool do_step(struct machine *m, const struct step *s)
{
	switch (s->op) {
	case 0:
	case 1:
		access_region(m, s->op == 1, s);
		break;
	case 2:
	case 3:
		access_at(m, PIO, s->op == 3, s->off, s);
		break;
	case 4:
	case 5:
		access_at(m, MMIO, s->op == 5, s->val, s);
		break;
	case 6:
	case 7:
		access_config(m, s->op == 7, s);
		break;
	case 8:
		fill_memory(m, s);
		break;
	case 10:
		machine_reset(m);
		break;
	case 11:
		save_and_load(m);
		break;
	case 12:
		return save_and_load_changed(m, s);
	case 13:
		vmclock_set(&m->clock, vmclock_now(&m->clock) + s->val % 86400000000000);
		turn(m);
		break;
	case 14:
		dev_pause(m->dev);
		wait_drained(m);
		turn(m);
		dev_resume(m->dev);
		break;
	default:
		if (m->row->outside != NULL)
			m->row->outside(m, s);
		break;
	}
	return true;
}

static const struct dev_ops *pick(uint8_t by)
{
	size_t n = 0;

	for (; dev_table[n] != NULL; n++) {
		uint8_t sum = 0;

		for (const char *p = dev_table[n]->type; *p != '\0'; p++)
			sum = (uint8_t)(3 * sum + (uint8_t)*p);
		if (sum == by)
			return dev_table[n];
	}
	require(n > 0);
	return dev_table[by % n];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	struct machine m;

	if (nowhere == NULL) {
		nowhere = fopen("/dev/null", "w");
		sill_log_to(nowhere, 3);
	}
	if (size == 0)
		return 0;
	machine_init(&m, pick(data[0]));
	for (size_t at = 1; size - at >= 16; at += 16) {
		const uint8_t *p = data + at;
		struct step s = { .op = p[0] & 15,
				  .sel = p[1],
				  .size = p[2],
				  .count = p[3],
				  .off = ld32(p + 4),
				  .val = ld64(p + 8) };

		if ((s.size & 0x80) != 0)
			s.val = RAM + (s.val & (RAM_SIZE - 16));
		if (s.op == 9) {
			size_t n = 16ull * (s.count & 15);

			if (n > size - at - 16)
				break;
			(void)gmem_write(m.gmem, RAM + s.off % (RAM_SIZE / 2), p + 16, n);
			at += n;
			continue;
		}
		if (!do_step(&m, &s))
			break;
	}
	machine_fini(&m);
	return 0;
}
