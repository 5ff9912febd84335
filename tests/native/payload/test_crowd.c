/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_crowd.c - everything comes at once, while one processor writes and reads a disk and another asks the host over a
 * network card: processors, memory, disks, cards, a vsock. What came is used, and what Windows needs of tables and
 * registers is true with all of it there. After "crowd: begin" who is outside has it come; the host is 10.0.2.1, as for
 * test_arp.c. Options on the command line:
 *	crowd_cpus=4		processors there will be, and can be
 *	crowd_mib=128		of memory that comes
 *	crowd_disks=4 crowd_cards=3	of each, with those there are
 */
#include "../pattern.h"
#include "blk.h"
#include "boot.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "smp.h"
#include "test.h"

enum {
	VIRTIO_VENDOR = 0x1af4,
	VIRTIO_MODERN = 0x1040,
	VIRTIO_TYPE_NET = 1,
	VIRTIO_TYPE_VSOCK = 19
};
/* The register blocks of QEMU's public descriptions, where our AML has them. */
enum {
	CPUS = 0xcd8,
	CPUS_COMMAND = CPUS + 5,
	CPU_NEXT = 0,
	CPU_ID = 3,
	MEMORY = 0xa00,
	MEMORY_FLAGS = MEMORY + 0x14,
	MEMORY_SLOTS = 32
};
enum {
	GPE0_STS = 0x620,
	GPE_ALL = 1 << 1 | 1 << 2 | 1 << 3,
	PCI_UP = 0xcc0,
	PCI_REMOVABLE = 0xccc
};
enum {
	PIECE = 8,
	RX = 0,
	TX = 1,
	HEADER = 12,
	RING = 32,
	SLOT = 2048,
	FRAME = 60,
	MAX_CARDS = 4,
	MAX_DISKS = 4
};

static unsigned want_cpus, want_disks, want_cards;
static uint64_t want_memory;

/* ---- the load ---- */

static struct blk disk[MAX_DISKS];
static uint8_t wrote[PIECE * SECTOR_SIZE], read[PIECE * SECTOR_SIZE];
static volatile uint64_t disk_rounds, disk_wrong;
static volatile bool enough;

/* What is written is what is read; each round with other words. */
static bool disk_round(struct blk *b, uint64_t round)
{
	const uint64_t sector = SCRATCH_FIRST + round % 64 * PIECE;

	pattern_fill(round, sector, PIECE, wrote);
	memset(read, 0, sizeof(read));
	return blk_do(b, 0, BLK_OUT, sector, wrote, sizeof(wrote)) == BLK_OK &&
	       blk_do(b, 0, BLK_IN, sector, read, sizeof(read)) == BLK_OK &&
	       pattern_check(round, sector, PIECE, read) == -1;
}

static void work_disk(struct cpu *c)
{
	(void)c;
	while (!enough) {
		disk_wrong += !disk_round(&disk[0], disk_rounds);
		disk_rounds++;
	}
}

static struct virtio card;
static struct vq ring[2];
static uint8_t in[RING][SLOT], out[SLOT];
static int head_of[RING];
static uint64_t answers;

/* RFC 826: who has 10.0.2.1, asks 10.0.2.2. */
static const uint8_t question[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    0,    0,  1, 0x08, 0x06,
	0,    1,    0x08, 0,    6,    4,    0,    1,    0x52, 0x54, 0,  0, 0,    1,
	10,   0,    2,    2,    0,    0,    0,    0,    0,    0,    10, 0, 2,    1,
};

static bool open_card(struct virtio *v, struct vq q[2], unsigned n)
{
	return virtio_open(v, VIRTIO_TYPE_NET, n) && virtio_negotiate(v, 0) &&
	       virtio_queue(v, &q[RX], RX, RING, NO_VECTOR) &&
	       virtio_queue(v, &q[TX], TX, RING, NO_VECTOR);
}

static void give(unsigned i)
{
	head_of[i] = vq_add(&ring[RX], &(struct vq_seg){ in[i], SLOT, true }, 1);
}

static bool start_card(void)
{
	if (!open_card(&card, ring, 0))
		return false;
	memcpy(out + HEADER, question, sizeof(question));
	for (unsigned i = 0; i < RING; i++)
		give(i);
	virtio_driver_ok(&card);
	vq_kick(&ring[RX]);
	return true;
}

/* Answers that have come are counted, and a new question follows. */
static void work_card(void)
{
	if (vq_collect(&ring[RX]) > 0) {
		for (unsigned i = 0; i < RING; i++) {
			if (!ring[RX].done[head_of[i]])
				continue;
			answers += in[i][HEADER + 12] == 0x08 && in[i][HEADER + 13] == 0x06 &&
				   in[i][HEADER + 21] == 2;
			give(i);
		}
		vq_kick(&ring[RX]);
	}
	(void)vq_collect(&ring[TX]);
	if (vq_add(&ring[TX], &(struct vq_seg){ out, HEADER + FRAME, false }, 1) >= 0)
		vq_kick(&ring[TX]);
}

/* ---- what there is ---- */

static unsigned count_type(unsigned type)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		n += pci_read(slot, PCI_ID, 4) == ((VIRTIO_MODERN + type) << 16 | VIRTIO_VENDOR);
	return n;
}

/* As firmware counts: the end is where the selected one reads as the first. */
static unsigned count_cpus(unsigned *ret_enabled)
{
	unsigned n = 0;

	for (*ret_enabled = 0; n < MAX_CPUS; n++) {
		outl(CPUS, n);
		if (n != 0 && inl(CPUS + 8) == 0)
			break;
		*ret_enabled += inb(CPUS + 4) & 1;
	}
	return n;
}

static uint64_t slot_word(unsigned slot, unsigned off)
{
	outl(MEMORY, slot);
	return inl((uint16_t)(MEMORY + off)) | (uint64_t)inl((uint16_t)(MEMORY + off + 4)) << 32;
}

static uint64_t memory_that_came(void)
{
	uint64_t sum = 0;

	for (unsigned slot = 0; slot < MEMORY_SLOTS; slot++)
		sum += slot_word(slot, 8);
	return sum;
}

static bool all_are_there(void *ctx)
{
	unsigned cpus;

	(void)ctx;
	work_card();
	(void)count_cpus(&cpus);
	return cpus == want_cpus && memory_that_came() == want_memory &&
	       count_type(VIRTIO_TYPE_BLK) == want_disks &&
	       count_type(VIRTIO_TYPE_NET) == want_cards && count_type(VIRTIO_TYPE_VSOCK) == 1 &&
	       (inb(GPE0_STS) & GPE_ALL) == GPE_ALL;
}

static bool answers_come(void *ctx)
{
	work_card();
	return answers > *(const uint64_t *)ctx;
}

static bool disk_works_on(void *ctx)
{
	return disk_rounds > *(const uint64_t *)ctx;
}

/* Both kinds of load get on, and nothing was wrong. */
static void check_load(const char *when)
{
	uint64_t was[2] = { answers, disk_rounds };

	CHECK(poll_for(answers_come, &was[0], LONG_MS), "%s: the host answers no more", when);
	CHECK(poll_for(disk_works_on, &was[1], LONG_MS), "%s: the disk stands still", when);
	CHECK(disk_wrong == 0, "%s: %lu of %lu rounds of the disk were wrong", when, disk_wrong,
	      disk_rounds);
	CHECK(!ring[RX].broken && !ring[TX].broken, "%s: a ring of the card is broken", when);
}

/* ---- what came is used ---- */

/* The event of each is in its block; what was seen is acknowledged, as the AML does. */
static void take_events(void)
{
	uint32_t up;
	unsigned n = 0;

	outb(GPE0_STS, GPE_ALL);
	up = inl(PCI_UP);
	CHECK((up & inl(PCI_REMOVABLE)) == up, "slots %x are new, not all of them can be removed",
	      up);
	for (uint32_t left = up; left != 0; left &= left - 1)
		n++;
	CHECK(n == want_disks + want_cards - 1, "slots %x are new", up);
	for (n = 0; n < want_cpus; n++) {
		outl(CPUS, n);
		CHECK((inb(CPUS + 4) & 2) == (n < smp_count ? 0 : 2), "processor %u: flags %x", n,
		      inb(CPUS + 4));
		outb(CPUS + 4, 2);
	}
	for (unsigned slot = 0; slot < MEMORY_SLOTS && slot_word(slot, 8) != 0; slot++) {
		CHECK(inb(MEMORY_FLAGS) == 3, "memory slot %u: flags %x", slot, inb(MEMORY_FLAGS));
		outb(MEMORY_FLAGS, 2);
	}
	CHECK((inb(GPE0_STS) & GPE_ALL) == 0 && inl(PCI_UP) == 0, "an event stands");
}

static void use_memory(void)
{
	for (unsigned slot = 0; slot < MEMORY_SLOTS && slot_word(slot, 8) != 0; slot++) {
		const uint64_t base = slot_word(slot, 0), size = slot_word(slot, 8);

		map_high(base, size);
		for (uint64_t a = base; a < base + size; a += 1 << 16)
			write64(a, a);
		for (uint64_t a = base; a < base + size; a += 1 << 16)
			CHECK(read64(a) == a, "memory at %lx has %lx", a, read64(a));
	}
}

static void use_devices(void)
{
	static struct virtio v;
	static struct vq q[MAX_CARDS][2];
	struct vq_seg frame = { out, HEADER + FRAME, false };

	for (unsigned n = 1; n < want_disks; n++)
		CHECK(virtio_open(&disk[n].v, VIRTIO_TYPE_BLK, n) &&
			      blk_start(&disk[n], &(struct blk_setup){ 0 }),
		      "disk %u does not start", n);
	for (unsigned n = 1; n < want_cards; n++) {
		int head;

		CHECK(open_card(&v, q[n], n), "card %u does not start", n);
		virtio_driver_ok(&v);
		head = vq_add(&q[n][TX], &frame, 1);
		vq_kick(&q[n][TX]);
		CHECK(head >= 0 && vq_wait(&q[n][TX], head, LONG_MS), "card %u does not send", n);
		CHECK(virtio_reset(&v), "card %u does not reset", n);
	}
	CHECK(virtio_open(&v, VIRTIO_TYPE_VSOCK, 0) && virtio_negotiate(&v, 0),
	      "the vsock does not start");
	CHECK(read64(virtio_config(&v, 0)) == 3, "the vsock has CID %lu",
	      read64(virtio_config(&v, 0)));
}

/* ---- the rules ---- */

/* Processors that the MADT has, there or to come. */
static unsigned listed(void)
{
	const uint8_t *p = acpi_find("APIC"), *end;
	uint32_t size, flags;
	unsigned n = 0;

	if (p == NULL)
		return 0;
	memcpy(&size, p + 4, sizeof(size));
	for (end = p + size, p += 44; p + 2 <= end && p[1] >= 2; p += p[1]) {
		if (p[0] != 0 && p[0] != 9)
			continue;
		memcpy(&flags, p + (p[0] == 0 ? 4 : 8), sizeof(flags));
		n += (flags & 3) != 0;
	}
	return n;
}

static void rule_registers(void)
{
	unsigned enabled, n = count_cpus(&enabled);

	CHECK(n == listed() && enabled == want_cpus, "%u of %u processors, the MADT has %u",
	      enabled, n, listed());
	for (unsigned i = 0; i < n; i++) {
		outl(CPUS, i);
		CHECK(inb(CPUS + 4) == 1 && inl(CPUS) == 0, "processor %u: flags %x, data 2 %x", i,
		      inb(CPUS + 4), inl(CPUS));
	}
	for (unsigned slot = 0; slot <= MEMORY_SLOTS; slot++) {
		const uint64_t base = slot_word(slot, 0), size = slot_word(slot, 8);

		CHECK(inb(MEMORY_FLAGS) == (size != 0), "memory slot %u: flags %x", slot,
		      inb(MEMORY_FLAGS));
		CHECK(size == 0 ||
			      (base >= 1ull << 32 && base % (128 << 20) == 0 &&
			       size % (128 << 20) == 0 && base + size <= 1ull << boot.phys_bits),
		      "memory slot %u: %lx bytes at %lx", slot, size, base);
	}
}

static void rule_devices(void)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		const uint64_t at = pci_ecam() + ((uint64_t)slot << 15);
		const uint32_t id = pci_read(slot, PCI_ID, 4);

		for (unsigned off = 0; off < 64; off += 4)
			CHECK(read32(at + off) == pci_read(slot, off, 4) &&
				      (id != ~0u || read32(at + off) == ~0u),
			      "slot %u, %x: the ECAM has %x, the ports %x", slot, off,
			      read32(at + off), pci_read(slot, off, 4));
		CHECK((uint16_t)id != VIRTIO_VENDOR ||
			      (pci_read(slot, 0x2c, 4) == 0x11001af4 && pci_read(slot, 8, 1) == 1),
		      "slot %u: subsystem %x, revision %u", slot, pci_read(slot, 0x2c, 4),
		      pci_read(slot, 8, 1));
	}
}

static bool overlap(const struct pci_bar *a, const struct pci_bar *b)
{
	return a->addr < b->addr + b->size && b->addr < a->addr + a->size;
}

static void rule_places(void)
{
	for (unsigned i = 0; i < 6 * pci_dev_count; i++) {
		const struct pci_bar *a = &pci_devs[i / 6].bar[i % 6];

		if (!a->present || a->io)
			continue;
		CHECK(a->addr + a->size <= 1ull << boot.phys_bits, "a BAR at %lx is out of reach",
		      a->addr);
		CHECK(!boot_is_ram(a->addr, 1), "a BAR at %lx is in memory", a->addr);
		for (unsigned slot = 0; slot < MEMORY_SLOTS; slot++) {
			const struct pci_bar m = { .addr = slot_word(slot, 0),
						   .size = slot_word(slot, 8) };

			CHECK(m.size == 0 || !overlap(a, &m), "a BAR at %lx is in what came",
			      a->addr);
		}
		for (unsigned k = 0; k < i; k++) {
			const struct pci_bar *b = &pci_devs[k / 6].bar[k % 6];

			CHECK(!b->present || b->io || !overlap(a, b), "BARs overlap at %lx",
			      a->addr);
		}
	}
}

/* --- of each processor */

static const uint32_t leaves[] = { 0,          1,          7,          0xd,
				   0x40000000, 0x40000001, 0x40000003, 0x40000004,
				   0x40000005, 0x80000001, 0x80000007, 0x80000008 };

struct leaf {
	uint32_t r[4];
};

static struct leaf seen[ARRAY_LEN(leaves)];
static uint32_t seen_id;
static volatile uint64_t seen_tsc;

static struct leaf cpuid(uint32_t n, uint32_t sub)
{
	struct leaf l;

	__asm__ volatile("cpuid"
			 : "=a"(l.r[0]), "=b"(l.r[1]), "=c"(l.r[2]), "=d"(l.r[3])
			 : "a"(n), "c"(sub));
	return l;
}

/* Without what is each one's own: the APIC id, and what the operating system has turned on. */
static void look(struct cpu *c)
{
	(void)c;
	seen_tsc = tsc();
	seen_id = cpuid(0xb, 0).r[3];
	for (unsigned i = 0; i < ARRAY_LEN(leaves); i++) {
		seen[i] = cpuid(leaves[i], 0);
		if (leaves[i] == 1) {
			seen[i].r[1] &= 0x00ffffff;
			seen[i].r[2] &= ~(1u << 27);
		} else if (leaves[i] == 0xd) {
			seen[i].r[1] = 0;
		}
	}
}

static void rule_processors(void)
{
	struct leaf first[ARRAY_LEN(leaves)];

	look(&cpu0);
	memcpy(first, seen, sizeof(first));
	for (unsigned i = 2; i < smp_count; i++) { /* [1] is at the disk */
		const uint64_t before = tsc();

		smp_run(smp_cpu[i], look);
		CHECK(smp_wait(smp_cpu[i], LONG_MS), "processor %u does not answer", i);
		CHECK(seen_id == smp_cpu[i]->apic_id && smp_cpu[i]->apic_id == (uint32_t)i,
		      "processor %u has id %u, %u", i, seen_id, smp_cpu[i]->apic_id);
		CHECK(before <= seen_tsc && seen_tsc <= tsc(), "the TSC of processor %u is another",
		      i);
		for (unsigned k = 0; k < ARRAY_LEN(leaves); k++)
			CHECK(memcmp(&first[k], &seen[k], sizeof(seen[k])) == 0,
			      "leaf %x of processor %u differs", leaves[k], i);
	}
}

/* The PM timer, 24 bits at 3.579545 MHz, and the TSC agree, to a thousandth and what a busy host takes between two reads. */
static void rule_clock(void)
{
	const uint64_t began = now_ns();
	const uint32_t first = pm_timer();
	uint64_t ns, by_timer;

	spin_ms(50);
	by_timer = (uint64_t)((pm_timer() - first) & 0xffffff) * 1000000 / 3579;
	ns = now_ns() - began;
	CHECK(by_timer >= 45000000 && by_timer <= ns + ns / 100,
	      "%lu ns by the timer, %lu by the TSC", by_timer, ns);
}

/* ---- */

static void start_late_ones(void)
{
	for (unsigned n = smp_count; n < want_cpus; n++) {
		outl(CPUS, n);
		outb(CPUS_COMMAND, CPU_ID);
		CHECK(smp_start_one(inl(CPUS + 8)), "processor %u does not start", n);
	}
	outb(CPUS_COMMAND, CPU_NEXT);
}

static bool unless_failed(void (*fn)(void))
{
	if (!test_has_failed())
		fn();
	work_card();
	return !test_has_failed();
}

static void crowd__comes_at_once_under_load_and_the_rules_hold(void)
{
	void (*const steps[])(void) = { take_events,     start_late_ones, pci_scan_new, use_memory,
					use_devices,     rule_registers,  rule_devices, rule_places,
					rule_processors, rule_clock };

	want_cpus = (unsigned)opt_number("crowd_cpus", 4);
	want_disks = (unsigned)opt_number("crowd_disks", MAX_DISKS);
	want_cards = (unsigned)opt_number("crowd_cards", MAX_CARDS - 1);
	want_memory = opt_number("crowd_mib", 128) << 20;
	CHECK(want_disks <= MAX_DISKS && want_cards <= MAX_CARDS, "bad options");
	outb(CPUS_COMMAND, CPU_NEXT); /* the data is the selector from here on */
	CHECK(smp_start() == 2, "not two processors");
	CHECK(blk_open(&disk[0], false, &(struct blk_setup){ 0 }) && start_card(),
	      "no disk, or no card");
	smp_run(smp_cpu[1], work_disk);
	check_load("at first");
	print("crowd: begin\n");
	CHECK(poll_for(all_are_there, NULL, LONG_MS), "not all of it comes");
	check_load("with everything there");
	for (unsigned i = 0; i < ARRAY_LEN(steps) && unless_failed(steps[i]); i++)
		;
	if (!test_has_failed())
		check_load("afterwards");
	enough = true;
	CHECK(smp_wait(smp_cpu[1], LONG_MS), "the disk's processor does not end");
	for (unsigned n = 1; n < want_disks; n++)
		CHECK(disk_round(&disk[n], n), "disk %u: what is read is not what was written", n);
	print("crowd: %lu rounds of the disk, %lu answers\n", disk_rounds, answers);
}

const struct test crowd_tests[] = {
	{ "crowd__comes_at_once_under_load_and_the_rules_hold",
	  crowd__comes_at_once_under_load_and_the_rules_hold },
	{ 0 },
};
