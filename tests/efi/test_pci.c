/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pci.c - PCI as Windows' PnP manager handles it: identity, capabilities,
 * BARs that are sized and moved while the device lives, and the configuration
 * access window.
 */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "lib.h"
#include "pci.h"
#include "report.h"
#include "tests.h"
#include "virtio.h"

enum { SLOTS = 32, BARS_MAX = 64, VERSION_1 = 1 };

static struct {
	unsigned slot;
	struct bar bar;
} bars[BARS_MAX];
static unsigned bar_count;

/* --- what is there ------------------------------------------------------------ */

static void find_bars(void)
{
	bar_count = 0;
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (!pci_present(slot) || (pci_read8(slot, PCI_HEADER_TYPE) & 0x7f) != 0)
			continue;
		for (unsigned i = 0; i < 6 && bar_count < BARS_MAX; i++) {
			if (!pci_bar(slot, i, &bars[bar_count].bar))
				continue;
			bars[bar_count].slot = slot;
			i += bars[bar_count++].bar.is_64bit ? 1 : 0;
		}
	}
}

static void identity(void)
{
	unsigned seen = 0;

	rule_begin("pci.virtio-identity");
	for (unsigned slot = 1; slot < SLOTS; slot++) {
		uint32_t id = pci_read32(slot, PCI_VENDOR),
			 sub = pci_read32(slot, PCI_SUBSYS_VENDOR);

		if ((id & 0xffff) != VIRTIO_VENDOR)
			continue;
		seen++;
		if (id >> 16 < 0x1040 || id >> 16 > 0x107f || sub != 0x11001af4 ||
		    pci_read8(slot, PCI_REVISION) != 1)
			rule_bad("slot %u: device %x, subsystem %x, revision %u; 1040 and up, "
				 "11001af4, 1 are right",
				 slot, id >> 16, sub, pci_read8(slot, PCI_REVISION));
	}
	if (seen == 0)
		rule_bad("no virtio device");
	(void)rule_end();
}

/* What Windows' library asks of the capabilities. */
static void capabilities(void)
{
	rule_begin("pci.virtio-capabilities");
	for (unsigned slot = 1; slot < SLOTS; slot++) {
		struct virtio v;

		if (pci_read16(slot, PCI_VENDOR) != VIRTIO_VENDOR)
			continue;
		if (!virtio_find(&v, slot)) {
			rule_bad("slot %u: common, notify or ISR is missing", slot);
			continue;
		}
		if (v.length[CAP_COMMON] < 56 || (v.offset[CAP_COMMON] & 3) != 0)
			rule_bad("slot %u: common at %x, %u bytes", slot, v.offset[CAP_COMMON],
				 v.length[CAP_COMMON]);
		if (pci_read8(slot, v.at[CAP_NOTIFY] + 2) != 20 || v.at[CAP_PCI_CFG] == 0 ||
		    pci_read8(slot, v.at[CAP_PCI_CFG] + 2) != 20)
			rule_bad("slot %u: notify or PCI_CFG does not have 20 bytes", slot);
		if (pci_cap(slot, 0x11, 0) == 0)
			rule_bad("slot %u: no MSI-X", slot);
		for (unsigned type = CAP_COMMON; type <= CAP_DEVICE; type++)
			if ((uint64_t)v.offset[type] + v.length[type] > v.bar.size)
				rule_bad("slot %u: capability %u ends behind the BAR", slot, type);
	}
	(void)rule_end();
}

static void config_space(void)
{
	uint64_t ecam = acpi_ecam(NULL);
	unsigned absent = 0;

	rule_begin("pci.config-space");
	for (unsigned slot = 1; slot < SLOTS; slot++) {
		if (pci_present(slot))
			continue;
		absent = slot;
		if (pci_read32(slot, 0) != ~0u || pci_read8(slot, 0x40) != 0xff)
			rule_bad("slot %u is empty and reads %x", slot, pci_read32(slot, 0));
	}
	for (unsigned slot = 0; slot < SLOTS && ecam != 0; slot++)
		for (unsigned off = 0; off < 64 && pci_present(slot); off += 4)
			if (mmio_read32(ecam + ((uint64_t)slot << 15) + off) !=
			    pci_read32(slot, off))
				rule_bad("slot %u, %x: the ECAM has %x, the ports %x", slot, off,
					 mmio_read32(ecam + ((uint64_t)slot << 15) + off),
					 pci_read32(slot, off));
	if (ecam != 0 && absent != 0 && mmio_read32(ecam + ((uint64_t)absent << 15)) != ~0u)
		rule_bad("slot %u is empty, the ECAM has %x", absent,
			 mmio_read32(ecam + ((uint64_t)absent << 15)));
	(void)rule_end();
}

static void placement(void)
{
	uint64_t end = 1ull << phys_bits();

	rule_begin("pci.bars-in-reach");
	for (unsigned i = 0; i < bar_count; i++) {
		const struct bar *b = &bars[i].bar;

		if (b->is_io || b->base == 0)
			continue;
		if (b->base + b->size > end)
			rule_bad("slot %u: BAR %u at %lx, beyond %u address bits", bars[i].slot,
				 b->index, b->base, phys_bits());
		for (unsigned k = 0; k < i; k++)
			if (!bars[k].bar.is_io && bars[k].bar.base < b->base + b->size &&
			    b->base < bars[k].bar.base + bars[k].bar.size)
				rule_bad("BARs of slots %u and %u overlap at %lx", bars[i].slot,
					 bars[k].slot, b->base);
	}
	(void)rule_end();

	rule_begin("cpuid.phys-bits");
	if (bits(cpuid(0x80000008, 0).eax, 23, 16) != phys_bits())
		rule_bad("80000008.EAX is %x: both fields must agree", cpuid(0x80000008, 0).eax);
	(void)rule_end();
}

/* --- moving the BAR of a device that works ----------------------------------------- */

static struct virtio rng;
static uint64_t home; /* where the firmware put it */

/* It answers at @base, by its registers and by a request. */
static void works_at(uint64_t base, const char *when)
{
	if (pci_bar_base(rng.slot, &rng.bar) != base)
		rule_bad("%s: the register reads %lx, not %lx", when,
			 pci_bar_base(rng.slot, &rng.bar), base);
	if ((virtio_features_at(&rng, base) & VERSION_1) == 0 ||
	    virtio_features_at(&rng, base) == ~0u)
		rule_bad("%s: features read %x at %lx", when, virtio_features_at(&rng, base), base);
	else if (!virtio_rng_ask(&rng, false))
		rule_bad("%s: a request is not answered at %lx", when, base);
}

static void silent_at(uint64_t base, const char *when)
{
	uint32_t v = mmio_read32(base + rng.offset[CAP_COMMON]);

	if (v != ~0u)
		rule_bad("%s: %lx still answers, %x", when, base, v);
}

static void set_half(bool high, uint64_t base)
{
	pci_write32(rng.slot, PCI_BAR0 + 4 * rng.bar.index + (high ? 4 : 0),
		    (uint32_t)(high ? base >> 32 : base));
}

/* As PnP does it: decoding off, low, high, decoding on. */
static void move(uint64_t to, bool high_first)
{
	pci_decode(rng.slot, false);
	set_half(high_first, to);
	set_half(!high_first, to);
	pci_decode(rng.slot, true);
}

static void moves(const uint64_t *places, unsigned n)
{
	uint64_t at = home;

	rule_begin("bar.move");
	for (unsigned i = 0; i < n; i++) {
		move(places[i], false);
		works_at(places[i], "moved");
		silent_at(at, "moved away");
		at = places[i];
	}
	move(home, false);
	works_at(home, "back home");
	(void)rule_end();

	rule_begin("bar.move-high-half-first");
	move(places[0], true);
	works_at(places[0], "moved");
	silent_at(home, "moved away");
	move(home, true);
	works_at(home, "back home");
	(void)rule_end();

	/* Half an address is tentative: nothing moves to it. */
	rule_begin("bar.move-while-decoding");
	set_half(false, places[0]);
	if ((home ^ places[0]) >> 32 != 0 && (virtio_features_at(&rng, home) & VERSION_1) == 0)
		rule_bad("after the low half it does not answer at %lx", home);
	set_half(true, places[0]);
	works_at(places[0], "both halves written");
	set_half(true, home);
	set_half(false, home);
	works_at(home, "back home");
	(void)rule_end();
}

static void decode_off(void)
{
	rule_begin("bar.decode-off");
	pci_decode(rng.slot, false);
	silent_at(home, "decoding off");
	pci_decode(rng.slot, true);
	works_at(home, "decoding on");
	(void)rule_end();
}

/* All ones while decoding is on: the answer is the size, and nothing moves. */
static void sizing(void)
{
	unsigned at = PCI_BAR0 + 4 * rng.bar.index;
	uint32_t low, high, was_low = pci_read32(rng.slot, at),
			    was_high = pci_read32(rng.slot, at + 4);

	rule_begin("bar.sizing");
	pci_write32(rng.slot, at, ~0u);
	pci_write32(rng.slot, at + 4, ~0u);
	low = pci_read32(rng.slot, at);
	high = pci_read32(rng.slot, at + 4);
	if ((virtio_features_at(&rng, home) & VERSION_1) == 0)
		rule_bad("it does not answer while it is sized");
	pci_write32(rng.slot, at, was_low);
	pci_write32(rng.slot, at + 4, was_high);
	if (high != ~0u || (low & ~15u) != (uint32_t)-rng.bar.size || (low & 15) != (was_low & 15))
		rule_bad("reads %x %x, size %lx", low, high, rng.bar.size);
	works_at(home, "sized");
	pci_write32(rng.slot, PCI_ROM, ~0u);
	if (pci_read32(rng.slot, PCI_ROM) != 0)
		rule_bad("an expansion ROM that is not there reads %x",
			 pci_read32(rng.slot, PCI_ROM));
	(void)rule_end();
}

/* Where it cannot go: the register takes it, the old place goes on answering. */
static void refused(void)
{
	static const char marker[] = "RAM stays RAM";
	const uint64_t beyond = 1ull << phys_bits();
	char *ram = fw_pages((unsigned)(2 * rng.bar.size / 4096));
	uint64_t in_ram = ((uint64_t)ram + rng.bar.size - 1) & ~(rng.bar.size - 1);

	rule_begin("bar.move-refused");
	memcpy((void *)(in_ram + rng.offset[CAP_COMMON]), marker, sizeof(marker));
	move(in_ram, false);
	if (memcmp((const void *)(in_ram + rng.offset[CAP_COMMON]), marker, sizeof(marker)) != 0)
		rule_bad("it covers RAM at %lx", in_ram);
	if (pci_bar_base(rng.slot, &rng.bar) != in_ram)
		rule_bad("the register reads %lx", pci_bar_base(rng.slot, &rng.bar));
	if ((virtio_features_at(&rng, home) & VERSION_1) == 0)
		rule_bad("moved over RAM: nothing answers at the old place");
	move(beyond, false);
	if ((virtio_features_at(&rng, home) & VERSION_1) == 0)
		rule_bad("moved beyond the address bits: nothing answers at the old place");
	move(0, false);
	if (pci_bar_base(rng.slot, &rng.bar) != 0)
		rule_bad("0 is not accepted: %lx", pci_bar_base(rng.slot, &rng.bar));
	move(home, false);
	works_at(home, "back home");
	(void)rule_end();
}

/* Two BARs in one place for a while, as when PnP swaps them. */
static void overlap(void)
{
	unsigned other = BARS_MAX;
	uint64_t theirs;
	uint32_t answer;

	for (unsigned i = 0; i < bar_count; i++)
		if (bars[i].slot != rng.slot && !bars[i].bar.is_io && bars[i].bar.base != 0 &&
		    pci_read16(bars[i].slot, PCI_VENDOR) == VIRTIO_VENDOR && bars[i].bar.is_64bit &&
		    bars[i].bar.size == rng.bar.size)
			other = i;
	if (other == BARS_MAX) {
		rule_skip("bar.overlap", "no second virtio device with such a BAR");
		return;
	}
	rule_begin("bar.overlap");
	theirs = bars[other].bar.base;
	answer = mmio_read32(theirs + 20); /* status, generation, queue select */
	move(theirs, false);
	if (mmio_read32(theirs + 20) != answer)
		rule_bad("the other one's registers read %x, %x before", mmio_read32(theirs + 20),
			 answer);
	if ((virtio_features_at(&rng, home) & VERSION_1) == 0)
		rule_bad("over another BAR: nothing answers at the old place");
	/* The other one leaves: ours is there without another write. */
	pci_decode(bars[other].slot, false);
	works_at(theirs, "the place is free");
	move(home, false);
	pci_decode(bars[other].slot, true);
	if (mmio_read32(theirs + 20) != answer)
		rule_bad("the other one's registers read %x after all, %x before",
			 mmio_read32(theirs + 20), answer);
	works_at(home, "back home");
	(void)rule_end();
}

/* --- the configuration access window ------------------------------------------------ */

static uint32_t window_read(uint32_t offset, uint32_t size)
{
	unsigned at = rng.at[CAP_PCI_CFG];

	pci_write8(rng.slot, at + 4, (uint8_t)rng.bar.index);
	pci_write32(rng.slot, at + 8, offset);
	pci_write32(rng.slot, at + 12, size);
	switch (size) {
	case 1:
		return pci_read8(rng.slot, at + 16);
	case 2:
		return pci_read16(rng.slot, at + 16);
	default:
		return pci_read32(rng.slot, at + 16);
	}
}

static void window(void)
{
	enum { NUM_QUEUES = 18, STATUS = 20 };
	uint32_t c = rng.offset[CAP_COMMON];

	rule_begin("pci.cfg-window");
	for (uint32_t off = 0; off < 56; off += 4)
		if (window_read(c + off, 4) != mmio_read32(home + c + off))
			rule_bad("offset %u: %x through the window, %x in the BAR", off,
				 window_read(c + off, 4), mmio_read32(home + c + off));
	if (window_read(c + STATUS, 1) != mmio_read8(home + c + STATUS) ||
	    window_read(c + NUM_QUEUES, 2) != mmio_read16(home + c + NUM_QUEUES))
		rule_bad("reads of one or two bytes differ");
	if (!virtio_rng_ask(&rng, true))
		rule_bad("a doorbell through the window is not heard");
	/* The BAR is not needed for it: a dump driver of Windows works like this. */
	pci_decode(rng.slot, false);
	if (!virtio_rng_ask(&rng, true))
		rule_bad("with decoding off, a doorbell through the window is not heard");
	pci_decode(rng.slot, true);
	(void)rule_end();
}

static void with_device(void)
{
	uint64_t top = (1ull << phys_bits()) - rng.bar.size,
		 window64 = top - (top >> 3) + (top >> 5);
	const uint64_t places[] = { window64 & ~(rng.bar.size - 1), 0xf0000000,
				    top & ~(rng.bar.size - 1), home + 0x2800000 };

	sizing();
	decode_off();
	moves(places, rng.bar.is_64bit ? ARRAY_LEN(places) : 0);
	refused();
	overlap();
	window();
	virtio_reset(&rng);
}

void test_pci(void)
{
	find_bars();
	identity();
	capabilities();
	config_space();
	placement();
	for (unsigned slot = 1; slot < SLOTS; slot++) {
		if (pci_read32(slot, PCI_VENDOR) != (VIRTIO_VENDOR | (uint32_t)VIRTIO_RNG << 16) ||
		    !virtio_find(&rng, slot))
			continue;
		fw_disconnect_pci(0, slot, 0);
		home = pci_bar_base(slot, &rng.bar);
		rule_begin("virtio.start");
		if (!virtio_rng_start(&rng))
			rule_bad("the entropy source does not start");
		else if (!virtio_rng_ask(&rng, false))
			rule_bad("it does not answer");
		if (rule_end())
			with_device();
		return;
	}
	rule_skip("virtio.start", "no virtio entropy source");
}
