/* SPDX-License-Identifier: Apache-2.0 */
/* virtio.c - see virtio.h. */
#include "virtio.h"

#include <stddef.h>

#include "clock.h"
#include "cpu.h"
#include "fw.h"
#include "lib.h"

enum {
	DEVICE_FEATURE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	NUM_QUEUES = 18,
	STATUS = 20,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, DESC_WRITE = 2 };
enum { WANT = 32 };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* The three rings and the buffer, a page each. */
static struct desc *desc;
static volatile uint16_t *avail;
static volatile uint16_t *used;
static uint8_t *buffer;
static uint16_t asked, queue_size, notify_off;

bool virtio_find(struct virtio *v, unsigned slot)
{
	unsigned bar = 6;

	*v = (struct virtio){ .slot = slot };
	for (unsigned at = 0; (at = pci_cap(slot, 9, at)) != 0;) {
		unsigned type = pci_read8(slot, at + 3);

		if (type < CAP_COMMON || type > CAP_PCI_CFG)
			continue;
		v->at[type] = at;
		v->offset[type] = pci_read32(slot, at + 8);
		v->length[type] = pci_read32(slot, at + 12);
		if (type == CAP_COMMON)
			bar = pci_read8(slot, at + 4);
		if (type == CAP_NOTIFY)
			v->multiplier = pci_read32(slot, at + 16);
	}
	return bar < 6 && v->at[CAP_NOTIFY] != 0 && v->at[CAP_ISR] != 0 &&
	       pci_bar(slot, bar, &v->bar);
}

static uint64_t common(const struct virtio *v)
{
	return pci_bar_base(v->slot, &v->bar) + v->offset[CAP_COMMON];
}

uint32_t virtio_features_at(const struct virtio *v, uint64_t base)
{
	uint32_t got = 0;

	mmio_write32(base + v->offset[CAP_COMMON] + DEVICE_FEATURE_SELECT, 1);
	if (try_read32(base + v->offset[CAP_COMMON] + DEVICE_FEATURE, &got) != 0)
		return 0;
	return got;
}

static const struct virtio *resetting;

static bool is_reset(void)
{
	return mmio_read8(common(resetting) + STATUS) == 0;
}

void virtio_reset(struct virtio *v)
{
	mmio_write8(common(v) + STATUS, 0);
	resetting = v;
	(void)clock_wait(is_reset);
}

static void put_address(uint64_t at, const volatile void *p)
{
	mmio_write32(at, (uint32_t)(uint64_t)p);
	mmio_write32(at + 4, (uint32_t)((uint64_t)p >> 32));
}

bool virtio_rng_start(struct virtio *v)
{
	uint64_t c = common(v);

	if (desc == NULL) {
		desc = fw_pages(1);
		avail = fw_pages(1);
		used = fw_pages(1);
		buffer = fw_pages(1);
	}
	memset(desc, 0, 4096);
	memset((void *)(uint64_t)avail, 0, 4096);
	memset((void *)(uint64_t)used, 0, 4096);
	asked = 0;
	pci_write16(v->slot, PCI_COMMAND,
		    pci_read16(v->slot, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	virtio_reset(v);
	mmio_write8(c + STATUS, ACKNOWLEDGE);
	mmio_write8(c + STATUS, ACKNOWLEDGE | DRIVER);
	mmio_write32(c + DRIVER_FEATURE_SELECT, 0);
	mmio_write32(c + DRIVER_FEATURE, 0);
	mmio_write32(c + DRIVER_FEATURE_SELECT, 1);
	mmio_write32(c + DRIVER_FEATURE, 1); /* VERSION_1 */
	mmio_write8(c + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	if ((mmio_read8(c + STATUS) & FEATURES_OK) == 0)
		return false;
	mmio_write16(c + QUEUE_SELECT, 0);
	queue_size = mmio_read16(c + QUEUE_SIZE);
	notify_off = mmio_read16(c + QUEUE_NOTIFY_OFF);
	if (!is_pow2(queue_size) || queue_size > 256)
		return false;
	put_address(c + QUEUE_DESC, desc);
	put_address(c + QUEUE_DRIVER, avail);
	put_address(c + QUEUE_DEVICE, used);
	mmio_write16(c + QUEUE_ENABLE, 1);
	mmio_write8(c + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	return mmio_read8(c + STATUS) == (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static bool answered(void)
{
	return used[1] == asked;
}

/* Virtio 1.2, 4.1.4.9: BAR, offset and length of an access, then the data. */
static void window_write16(const struct virtio *v, uint32_t offset, uint16_t data)
{
	unsigned at = v->at[CAP_PCI_CFG];

	pci_write8(v->slot, at + 4, (uint8_t)v->bar.index);
	pci_write32(v->slot, at + 8, offset);
	pci_write32(v->slot, at + 12, 2);
	pci_write16(v->slot, at + 16, data);
}

bool virtio_rng_ask(struct virtio *v, bool through_window)
{
	uint32_t bell = v->offset[CAP_NOTIFY] + notify_off * v->multiplier;
	const volatile uint32_t *element;
	unsigned zeros = 0;

	memset(buffer, 0, WANT);
	desc[0] = (struct desc){ (uint64_t)buffer, WANT, DESC_WRITE, 0 };
	avail[2 + asked % queue_size] = 0;
	__asm__ volatile("" : : : "memory");
	avail[1] = ++asked;
	__asm__ volatile("mfence" : : : "memory");
	if (through_window)
		window_write16(v, bell, 0);
	else
		mmio_write16(pci_bar_base(v->slot, &v->bar) + bell, 0);
	if (!clock_wait(answered))
		return false;
	element = (const volatile uint32_t *)(used + 2) + 2 * ((asked - 1u) % queue_size);
	for (unsigned i = 0; i < WANT; i++)
		zeros += buffer[i] == 0 ? 1 : 0;
	return element[0] == 0 && element[1] == WANT && zeros < WANT / 2;
}
