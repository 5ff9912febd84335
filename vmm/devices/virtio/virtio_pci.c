/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_pci.c - virtio over PCI, virtio 1.2, 4.1: capabilities, common
 * configuration, ISR, doorbells, the configuration access window.
 *
 * Identity: 1AF4:1040+type, subsystem 1AF4:1100, revision 1. One 64-bit memory
 * BAR of 32 KiB (layout in virtio.h): small, because dump-time drivers of
 * Windows map all of it. Interrupts: MSI-X with a vector per queue and one for
 * the configuration, or pin A.
 *
 * Common configuration (64 bytes; offset, size, access):
 *
 *	 0 4 RW device_feature_select      24 2 RW queue_size
 *	 4 4 R  device_feature             26 2 RW queue_msix_vector
 *	 8 4 RW driver_feature_select      28 2 RW queue_enable
 *	12 4 RW driver_feature             30 2 R  queue_notify_off
 *	16 2 RW config_msix_vector         32 8 RW queue_desc
 *	18 2 R  num_queues                 40 8 RW queue_driver
 *	20 1 RW device_status              48 8 RW queue_device
 *	21 1 R  config_generation          56 2 R  queue_notify_data (not offered: 0)
 *	22 2 RW queue_select               58 2 R  queue_reset (not offered: 0)
 *
 * Reads may have any size and place. Writes have the size of the field; the
 * 64-bit ones also come as two halves, in any order.
 */
#include "devices/virtio/virtio_pci.h"

#include <string.h>

#include "base/le.h"

enum {
	REG_DEVICE_FEATURE_SELECT = 0,
	REG_DEVICE_FEATURE = 4,
	REG_DRIVER_FEATURE_SELECT = 8,
	REG_DRIVER_FEATURE = 12,
	REG_CONFIG_VECTOR = 16,
	REG_NUM_QUEUES = 18,
	REG_STATUS = 20,
	REG_GENERATION = 21,
	REG_QUEUE_SELECT = 22,
	REG_QUEUE_SIZE = 24,
	REG_QUEUE_VECTOR = 26,
	REG_QUEUE_ENABLE = 28,
	REG_QUEUE_NOTIFY_OFF = 30,
	REG_QUEUE_DESC = 32,
	REG_QUEUE_DRIVER = 40,
	REG_QUEUE_DEVICE = 48,
};

/* Capability types, 4.1.4; a vendor capability of PCI. */
enum {
	CAP_VENDOR = 0x09,
	CAP_COMMON = 1,
	CAP_NOTIFY = 2,
	CAP_ISR = 3,
	CAP_DEVICE = 4,
	CAP_PCI_CFG = 5,
	/* struct virtio_pci_cap */
	CAP_AT_LEN = 2,
	CAP_AT_TYPE = 3,
	CAP_AT_BAR = 4,
	CAP_AT_OFFSET = 8,
	CAP_AT_LENGTH = 12,
	CAP_AT_MULTIPLIER = 16, /* notify only */
	CAP_AT_DATA = 16,       /* PCI_CFG only */
	CAP_SIZE = 16,
	CAP_SIZE_MORE = 20,
};

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

static void update_line(struct virtio *v)
{
	irq_line_set(&v->dev->irq, v->isr != 0 && !v->msix_on && !v->intx_off);
}

void virtio_pci_interrupt(struct virtio *v, uint8_t bit)
{
	/* 4.1.4.5.1: the configuration bit is always set, the queue bit only without MSI-X. */
	if (bit == ISR_CONFIG || !v->msix_on)
		v->isr |= bit;
	if (v->msix_on && bit == ISR_CONFIG)
		msix_raise(&v->msix, v->config_vector);
	update_line(v);
}

void virtio_pci_driver_reset(struct virtio *v)
{
	v->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned i = 0; i < v->queue_count; i++)
		__atomic_store_n(&v->queue[i].vector, VIRTIO_NO_VECTOR, __ATOMIC_RELEASE);
	v->isr = 0;
	update_line(v);
}

/* ---- common configuration ---- */

static struct virtio_queue *selected(struct virtio *v)
{
	return v->queue_select < v->queue_count ? &v->queue[v->queue_select] : NULL;
}

/* Windows of 32 bits; there are two. */
static uint32_t feature_window(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static void common_read(struct virtio *v, struct io *io)
{
	const struct virtio_queue *q = selected(v);
	uint8_t r[VIRTIO_COMMON_SIZE + 8] = { 0 };

	st32(r + REG_DEVICE_FEATURE_SELECT, v->device_select);
	st32(r + REG_DEVICE_FEATURE, feature_window(v->offered, v->device_select));
	st32(r + REG_DRIVER_FEATURE_SELECT, v->driver_select);
	st32(r + REG_DRIVER_FEATURE, feature_window(v->driver_features, v->driver_select));
	st16(r + REG_CONFIG_VECTOR, v->config_vector);
	st16(r + REG_NUM_QUEUES, v->queue_count);
	r[REG_STATUS] = v->status;
	r[REG_GENERATION] = v->generation;
	st16(r + REG_QUEUE_SELECT, v->queue_select);
	st16(r + REG_QUEUE_VECTOR, VIRTIO_NO_VECTOR);
	if (q != NULL) {
		st16(r + REG_QUEUE_SIZE, q->size);
		st16(r + REG_QUEUE_VECTOR, q->vector);
		st16(r + REG_QUEUE_ENABLE, q->enabled);
		st16(r + REG_QUEUE_NOTIFY_OFF, q->index);
		st64(r + REG_QUEUE_DESC, q->desc);
		st64(r + REG_QUEUE_DRIVER, q->avail);
		st64(r + REG_QUEUE_DEVICE, q->used);
	}
	io->val = 0;
	memcpy(&io->val, r + io->off, io->size); /* little-endian: le.h asserts it */
}

static void write_driver_feature(struct virtio *v, uint32_t val)
{
	const unsigned shift = 32 * v->driver_select;

	if (v->driver_select < 2)
		v->driver_features =
			(v->driver_features & ~(0xffffffffull << shift)) | (uint64_t)val << shift;
}

/* What cannot be had reads back as "none". */
static uint16_t vector_or_none(const struct virtio *v, uint64_t val)
{
	return val < v->msix.count ? (uint16_t)val : VIRTIO_NO_VECTOR;
}

/* One half, or all, of a 64-bit ring address at @reg. */
static enum io_result write_address(gpa_t *addr, uint64_t reg, const struct io *io)
{
	const unsigned shift = 8 * (unsigned)(io->off - reg);

	if (io->size == 8 && shift == 0)
		*addr = io->val;
	else if (io->size == 4 && (shift == 0 || shift == 32))
		*addr = (*addr & ~(0xffffffffull << shift)) | io->val << shift;
	else
		return IO_BAD_SIZE;
	return IO_DONE;
}

/* The registers behind queue_select. */
static enum io_result queue_write(struct virtio *v, const struct io *io)
{
	struct virtio_queue *q = selected(v);
	const uint64_t val = io->val;

	if (q == NULL)
		return IO_NO_REGISTER;
	if (io->off == REG_QUEUE_VECTOR) { /* also while the queue runs */
		if (io->size != 2)
			return IO_BAD_SIZE;
		__atomic_store_n(&q->vector, vector_or_none(v, val), __ATOMIC_RELEASE);
		virtio_aim(v);
		return IO_DONE;
	}
	if (q->enabled) /* 4.1.4.3.2: then it is too late */
		return IO_READ_ONLY;
	if (io->off >= REG_QUEUE_DEVICE)
		return write_address(&q->used, REG_QUEUE_DEVICE, io);
	if (io->off >= REG_QUEUE_DRIVER)
		return write_address(&q->avail, REG_QUEUE_DRIVER, io);
	if (io->off >= REG_QUEUE_DESC)
		return write_address(&q->desc, REG_QUEUE_DESC, io);
	if (io->size != 2)
		return IO_BAD_SIZE;
	if (io->off == REG_QUEUE_SIZE) {
		if (val == 0 || val > v->queue_max || (val & (val - 1)) != 0)
			return IO_READ_ONLY;
		q->size = (uint16_t)val;
		return IO_DONE;
	}
	if (io->off == REG_QUEUE_ENABLE) {
		if (val != 1)
			return IO_READ_ONLY;
		q->enabled = true;
		virtio_sync_queues(v); /* some drivers say DRIVER_OK first */
		return IO_DONE;
	}
	return IO_READ_ONLY; /* queue_notify_off */
}

static enum io_result common_write(struct virtio *v, const struct io *io)
{
	const uint32_t val = (uint32_t)io->val;
	unsigned size = 4;

	if (io->off >= REG_QUEUE_SIZE && io->off < REG_QUEUE_DEVICE + 8)
		return queue_write(v, io);
	if (io->off == REG_STATUS)
		size = 1;
	else if (io->off == REG_CONFIG_VECTOR || io->off == REG_QUEUE_SELECT)
		size = 2;
	if (io->size != size)
		return IO_BAD_SIZE;
	switch (io->off) {
	case REG_DEVICE_FEATURE_SELECT:
		v->device_select = val;
		return IO_DONE;
	case REG_DRIVER_FEATURE_SELECT:
		v->driver_select = val;
		return IO_DONE;
	case REG_DRIVER_FEATURE:
		if ((v->status & VIRTIO_FEATURES_OK) != 0)
			return IO_READ_ONLY;
		write_driver_feature(v, val);
		return IO_DONE;
	case REG_CONFIG_VECTOR:
		v->config_vector = vector_or_none(v, val);
		return IO_DONE;
	case REG_STATUS:
		virtio_write_status(v, (uint8_t)val);
		return IO_DONE;
	case REG_QUEUE_SELECT:
		v->queue_select = (uint16_t)val;
		return IO_DONE;
	default:
		return IO_READ_ONLY;
	}
}

/* ---- the BAR ---- */

static enum io_result config_io(struct virtio *v, struct io *io, uint64_t off)
{
	struct io at = *io;
	size_t n;

	if (off >= v->config_size)
		return IO_NO_REGISTER;
	if (io->write) {
		at.off = off;
		return v->ops->config_write != NULL ? v->ops->config_write(v, &at) : IO_READ_ONLY;
	}
	n = v->config_size - (size_t)off;
	io->val = 0;
	memcpy(&io->val, v->config + off, n < io->size ? n : io->size);
	return IO_DONE;
}

static enum io_result notify_io(struct virtio *v, struct io *io, uint64_t off)
{
	const uint64_t index = off / VIRTIO_NOTIFY_STRIDE;

	if (index >= v->queue_count)
		return IO_NO_REGISTER;
	if (io->write)
		virtio_kick(&v->queue[index]);
	else
		io->val = 0;
	return IO_DONE;
}

/* Wait until a reset that was begun has ended. No lock but the device's is held. */
NO_LOCK_CHECK static void wait_settled(struct virtio *v)
{
	while (v->resetting)
		lock_wait(&v->dev->lock, &v->settled);
}

enum io_result virtio_pci_io(struct virtio *v, struct io *io, bool window)
{
	const uint64_t off = io->off;
	struct io table = *io;
	enum io_result r;

	if (io->write && v->resetting && off < VIRTIO_NOTIFY) {
		if (window)
			return IO_READ_ONLY; /* 3.1.1 tells the driver to wait for status 0 */
		/* Writing 0 again is waiting, too, but need not hold up the vCPU. */
		if (off != REG_STATUS || io->val != 0)
			wait_settled(v);
	}
	if (off < VIRTIO_COMMON_SIZE) {
		if (!io->write)
			common_read(v, io);
		return io->write ? common_write(v, io) : IO_DONE;
	}
	if (off == VIRTIO_ISR) {
		if (io->write)
			return IO_READ_ONLY;
		io->val = v->isr;
		v->isr = 0;
		update_line(v);
		return IO_DONE;
	}
	if (off >= VIRTIO_CONFIG && off < VIRTIO_NOTIFY)
		return config_io(v, io, off - VIRTIO_CONFIG);
	if (off >= VIRTIO_NOTIFY && off < VIRTIO_MSIX)
		return notify_io(v, io, off - VIRTIO_NOTIFY);
	if (off >= VIRTIO_MSIX && off < VIRTIO_PBA) {
		table.off = off - VIRTIO_MSIX;
		r = msix_table_io(&v->msix, &table);
		if (io->write)
			virtio_aim(v);
	} else if (off >= VIRTIO_PBA && off < VIRTIO_PBA + 0x1000) {
		table.off = off - VIRTIO_PBA;
		r = msix_pba_io(&v->msix, &table);
	} else {
		return IO_NO_REGISTER;
	}
	io->val = table.val;
	return r;
}

/* ---- configuration space: hooks, under the bus lock ---- */

static bool touches(unsigned off, unsigned size, unsigned at, unsigned n)
{
	return off < at + n && at < off + size;
}

/* The access that the PCI_CFG capability describes (4.1.4.9). False: it describes none. */
static bool window_access(struct virtio *v, bool write)
{
	uint8_t *cap = v->func.cfg + v->window;
	struct io io = { .off = ld32(cap + CAP_AT_OFFSET), .write = write };
	const uint32_t size = ld32(cap + CAP_AT_LENGTH);

	if (cap[CAP_AT_BAR] != VIRTIO_BAR || (size != 1 && size != 2 && size != 4) ||
	    io.off % size != 0 || io.off >= VIRTIO_BAR_SIZE)
		return false;
	io.size = (uint8_t)size;
	if (write)
		io.val = ld32(cap + CAP_AT_DATA) & (0xffffffffu >> (32 - 8 * size));
	if (virtio_pci_io(v, &io, true) != IO_DONE)
		return false;
	if (!write)
		st32(cap + CAP_AT_DATA, (uint32_t)io.val);
	return true;
}

static void on_config_read(void *ctx, unsigned off, unsigned size)
{
	struct virtio *v = ctx;

	if (touches(off, size, PCI_STATUS, 1)) {
		dev_take(v->dev);
		v->func.cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
		if (v->isr != 0 && !v->msix_on)
			v->func.cfg[PCI_STATUS] |= PCI_STATUS_INTX;
		dev_drop(v->dev);
	}
	if (touches(off, size, v->window + CAP_AT_DATA, 4)) {
		dev_take(v->dev);
		if (!window_access(v, false))
			st32(v->func.cfg + v->window + CAP_AT_DATA, 0xffffffff);
		dev_drop(v->dev);
	}
}

/* What configuration space says about interrupts and DMA, copied for the runners. */
static void take_over(struct virtio *v)
{
	v->master = pci_bus_master(&v->func);
	v->intx_off = (ld16(v->func.cfg + PCI_COMMAND) & PCI_CMD_INTX_OFF) != 0;
	__atomic_store_n(&v->msix_on, v->msix.enabled, __ATOMIC_RELEASE);
	update_line(v);
	virtio_aim(v);
	virtio_sync_queues(v);
}

static void on_config_written(void *ctx, unsigned off, unsigned size)
{
	struct virtio *v = ctx;

	dev_take(v->dev);
	msix_config_written(&v->msix, &v->func, off, size);
	if (touches(off, size, PCI_COMMAND, 2) || touches(off, size, v->msix.cap, 4))
		take_over(v);
	if (touches(off, size, v->window + CAP_AT_DATA, 4))
		(void)window_access(v, true);
	dev_drop(v->dev);
}

static const struct pci_func_ops func_ops = {
	.config_read = on_config_read,
	.config_written = on_config_written,
};

/* Registers were reset or loaded by the bus before us. */
void virtio_pci_machine_reset(struct virtio *v)
{
	msix_reset(&v->msix);
	take_over(v);
}

void virtio_pci_loaded(struct virtio *v)
{
	take_over(v);
}

static uint8_t add_cap(struct virtio *v, uint8_t type, uint32_t off, uint32_t length)
{
	const uint8_t size = type == CAP_NOTIFY || type == CAP_PCI_CFG ? CAP_SIZE_MORE : CAP_SIZE;
	const uint8_t at = pci_cap_add(&v->func, CAP_VENDOR, size);
	uint8_t *cap = v->func.cfg + at;

	cap[CAP_AT_LEN] = size;
	cap[CAP_AT_TYPE] = type;
	cap[CAP_AT_BAR] = VIRTIO_BAR;
	st32(cap + CAP_AT_OFFSET, off);
	st32(cap + CAP_AT_LENGTH, length);
	return at;
}

void virtio_pci_init(struct virtio *v, uint16_t type, uint32_t class_code)
{
	const struct pci_ids ids = {
		.vendor = 0x1af4,
		.device = (uint16_t)(0x1040 + type),
		.subsys_vendor = 0x1af4,
		.subsys = 0x1100,
		.class_code = class_code,
		.revision = 1,
	};
	uint8_t *wmask, at;

	pci_func_init(&v->func, &ids, &func_ops, v, v->dev->id);
	v->func.cfg[PCI_INT_PIN] = 1; /* A */
	v->func.bar[VIRTIO_BAR] = (struct pci_bar){
		.kind = PCI_BAR_MEM64,
		.size = VIRTIO_BAR_SIZE,
		.target = &v->dev->target,
		.bells = v->bells,
		.bell_count = v->queue_count,
	};
	(void)add_cap(v, CAP_COMMON, VIRTIO_COMMON, VIRTIO_COMMON_SIZE);
	(void)add_cap(v, CAP_ISR, VIRTIO_ISR, 1);
	if (v->config_size != 0)
		(void)add_cap(v, CAP_DEVICE, VIRTIO_CONFIG, v->config_size);
	at = add_cap(v, CAP_NOTIFY, VIRTIO_NOTIFY, (uint32_t)VIRTIO_NOTIFY_STRIDE * v->queue_count);
	st32(v->func.cfg + at + CAP_AT_MULTIPLIER, VIRTIO_NOTIFY_STRIDE);
	v->window = add_cap(v, CAP_PCI_CFG, 0, 0);
	wmask = v->func.wmask + v->window;
	wmask[CAP_AT_BAR] = 0xff;
	st32(wmask + CAP_AT_OFFSET, 0xffffffff);
	st32(wmask + CAP_AT_LENGTH, 0xffffffff);
	st32(wmask + CAP_AT_DATA, 0xffffffff);
	msix_init(&v->msix, v->dev->env->irqs, &v->func, v->queue_count + 1u, VIRTIO_BAR,
		  VIRTIO_MSIX, VIRTIO_PBA);
	virtio_pci_driver_reset(v);
}
