/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb_kit.h - what is said by GDB's protocol, with a VM of this file: a few vCPUs that do nothing, 256 bytes of memory, the
 * registers of the real processor. The engine's functions have other names here, and talk.c is built with them.
 */
#ifndef TESTS_UNIT_GDB_KIT_H
#define TESTS_UNIT_GDB_KIT_H

#include <stdbool.h>
#include <string.h>

/* clang-format off */
#define sill_debug_clear_point kit_clear_point
#define sill_debug_get kit_get
#define sill_debug_go kit_go
#define sill_debug_read kit_read
#define sill_debug_set kit_set
#define sill_debug_set_point kit_set_point
#define sill_debug_vcpus kit_vcpus
#define sill_debug_write kit_write
#define sill_vm_reset kit_reset
#define gdb_talk_begin kit_talk_begin
#define gdb_talk_ended kit_talk_ended
#define gdb_talk_packet kit_talk_packet
#define gdb_talk_stopped kit_talk_stopped
#include "runner/gdb/talk.c"
/* clang-format on */

enum {
	KIT_CPUS = 3,
	KIT_MEMORY = 256,
	KIT_BLOCK = 16 * 8 + 8 + 4 + 6 * 4 + 80 + 32 + 256 + 4 + 12 * 8
};

static struct {
	unsigned vcpus, resets, points;
	bool runs, full;
	unsigned char memory[KIT_MEMORY], block[KIT_CPUS][KIT_BLOCK];
	/* As told last. */
	struct sill_debug_place at;
	enum sill_debug_point kind;
	size_t size;
	enum sill_debug_act act[SILL_MAX_CPUS];
} kit;

static int refuse(struct sill_err *e)
{
	e->code = SILL_ERR_STATE;
	return -1;
}

int kit_vcpus(struct sill_vm *vm, bool ret[SILL_MAX_CPUS], struct sill_err *e)
{
	(void)vm;
	(void)e;
	for (unsigned i = 0; i < SILL_MAX_CPUS; i++)
		ret[i] = i < kit.vcpus;
	return (int)kit.vcpus;
}

int kit_get(struct sill_vm *vm, unsigned vcpu, void *ret, size_t size, struct sill_err *e)
{
	(void)vm;
	if (kit.runs || vcpu >= kit.vcpus || size != KIT_BLOCK)
		return refuse(e);
	memcpy(ret, kit.block[vcpu], size);
	return 0;
}

int kit_set(struct sill_vm *vm, unsigned vcpu, const void *block, size_t size, struct sill_err *e)
{
	(void)vm;
	if (kit.runs || vcpu >= kit.vcpus || size != KIT_BLOCK)
		return refuse(e);
	memcpy(kit.block[vcpu], block, size);
	return 0;
}

int kit_read(struct sill_vm *vm, const struct sill_debug_place *at, void *ret, size_t n,
	     struct sill_err *e)
{
	(void)vm;
	kit.at = *at;
	if (kit.runs || at->address >= KIT_MEMORY)
		return refuse(e);
	if (n > KIT_MEMORY - at->address)
		n = KIT_MEMORY - at->address;
	memcpy(ret, kit.memory + at->address, n);
	return (int)n;
}

int kit_write(struct sill_vm *vm, const struct sill_debug_place *at, const void *p, size_t n,
	      struct sill_err *e)
{
	(void)vm;
	kit.at = *at;
	if (kit.runs || at->address >= KIT_MEMORY || n > KIT_MEMORY - at->address)
		return refuse(e);
	memcpy(kit.memory + at->address, p, n);
	return 0;
}

int kit_set_point(struct sill_vm *vm, enum sill_debug_point kind, const struct sill_debug_place *at,
		  size_t size, struct sill_err *e)
{
	(void)vm;
	if (kit.runs || kit.full)
		return refuse(e);
	kit.kind = kind;
	kit.at = *at;
	kit.size = size;
	kit.points++;
	return 0;
}

int kit_clear_point(struct sill_vm *vm, enum sill_debug_point kind, uint64_t address, size_t size,
		    struct sill_err *e)
{
	(void)vm;
	(void)address;
	(void)size;
	(void)kind;
	if (kit.runs)
		return refuse(e);
	kit.points -= kit.points > 0;
	return 0;
}

int kit_go(struct sill_vm *vm, const enum sill_debug_act *act, unsigned count, struct sill_err *e)
{
	bool any = false;

	(void)vm;
	for (unsigned i = 0; i < kit.vcpus; i++)
		any |= i < count && act[i] != SILL_DEBUG_STAY;
	if (kit.runs || !any)
		return refuse(e);
	memcpy(kit.act, act, count * sizeof(act[0]));
	kit.runs = true;
	return 0;
}

void kit_reset(struct sill_vm *vm)
{
	(void)vm;
	kit.resets++;
}

#endif
