/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpumap.c - where a guest's kernel has its memory, by a vCPU's page tables (SDM 3A 4.5).
 *
 * The tables are the guest's: they may lead in circles, as Windows' do on purpose, or by many ways to one, as Linux'
 * with its address sanitizer. Each is read once for each way to it, and so many are read, and no more.
 */
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "arch/arch.h"
#include "core/gmem.h"
#include "machine/machine.h"

enum { PAGE_SHIFT = 12, TABLE_BITS = 9, ENTRIES = 1 << TABLE_BITS };
enum { PRESENT = 1 << 0, LARGE = 1 << 7, LARGE_LEVEL = 3 };
enum { CR4_LA57 = 1 << 12, EFER_LMA = 1 << 10 };
/* One entry of the topmost table may lead to 64 GiB by the smallest pages; a kernel has most of its memory by larger ones. */
enum { TABLES_MAX = 1 << 17, TABLES_OF_ENTRY = 1 << 15 };
static const uint64_t FRAME =
	0x000ffffffffff000; /* SDM 3A table 4-20: the largest physical address */

struct walk {
	const struct gmem *gmem;
	struct arch_mapped *m;
	struct sill_mapped_range open; /* what the next page may belong to */
	unsigned tables;               /* that may still be read */
};

static void end_range(struct walk *w)
{
	struct arch_mapped *m = w->m;

	if (w->open.size == 0 || w->open.size < m->least)
		return;
	if (m->count < m->room)
		m->range[m->count] = w->open;
	m->count++;
}

static void add_page(struct walk *w, uint64_t address, uint64_t gpa, uint64_t size)
{
	struct sill_mapped_range *o = &w->open;

	if (o->size != 0 && o->address + o->size == address && o->gpa + o->size == gpa) {
		o->size += size;
		return;
	}
	end_range(w);
	*o = (struct sill_mapped_range){ address, gpa, size };
}

/* @address is where the table's first entry begins. */
static void walk(struct walk *w, unsigned level, uint64_t table, uint64_t address)
{
	const unsigned shift = PAGE_SHIFT + TABLE_BITS * (level - 1);
	const uint64_t size = 1ull << shift;
	uint64_t entry[ENTRIES];

	if (w->tables == 0 || gmem_read(w->gmem, table & FRAME, entry, sizeof(entry)) < 0)
		return;
	w->tables--;
	for (unsigned i = 0; i < ENTRIES; i++) {
		const uint64_t at = address + i * size;

		if ((entry[i] & PRESENT) == 0)
			continue;
		if (level == 1 || (level <= LARGE_LEVEL && (entry[i] & LARGE) != 0))
			add_page(w, at, entry[i] & FRAME & ~(size - 1), size);
		else
			walk(w, level - 1, entry[i], at);
	}
}

/* The upper half of the topmost table; its last entry, where Linux has itself, before all others. */
static void walk_top(struct walk *w, unsigned levels, uint64_t table)
{
	const unsigned shift = PAGE_SHIFT + TABLE_BITS * (levels - 1);
	unsigned left = TABLES_MAX;
	uint64_t entry[ENTRIES];

	if (gmem_read(w->gmem, table & FRAME, entry, sizeof(entry)) < 0)
		return;
	for (unsigned n = 0; n < ENTRIES / 2; n++) {
		const unsigned i = n == 0 ? ENTRIES - 1 : ENTRIES / 2 - 1 + n;
		const unsigned some = left < TABLES_OF_ENTRY ? left : TABLES_OF_ENTRY;

		if ((entry[i] & PRESENT) == 0)
			continue;
		w->tables = some;
		walk(w, levels - 1, entry[i],
		     (~0ull << (shift + TABLE_BITS)) | (uint64_t)i << shift);
		left -= some - w->tables;
	}
	end_range(w);
}

bool arch_cpu_mapped(const struct cpu *c, struct arch_mapped *m, bool any)
{
	struct walk w = { .gmem = c->machine->gmem, .m = m };
	struct kvm_sregs s;

	m->count = 0;
	if (ioctl(c->fd, KVM_GET_SREGS, &s) < 0 || (s.efer & EFER_LMA) == 0 ||
	    (s.ss.dpl != 0 && !any))
		return false;
	walk_top(&w, (s.cr4 & CR4_LA57) != 0 ? 5 : 4, s.cr3);
	return true;
}
