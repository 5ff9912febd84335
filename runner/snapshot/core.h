/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - a guest as an ELF core file, for debuggers: gdb, crash, volatility.
 *
 * ELF64, ET_CORE. One PT_NOTE with the registers of each vCPU (SILL_PICTURE_NOTES), then a PT_LOAD for each range of
 * memory: p_paddr and p_vaddr are the guest-physical address, so that a debugger without page tables reads that. If it is
 * asked for, then one for each piece of the same memory as the guest's kernel has it: p_vaddr is the linear address.
 */
#ifndef RUNNER_SNAPSHOT_CORE_H
#define RUNNER_SNAPSHOT_CORE_H

#include "runner/snapshot/sparse.h"
#include "sill/error.h"
#include "sill/vm.h"

/*
 * Of a VM that is paused, and stays so, into a new file of mode 0600, sparse, which has its name when it is whole.
 * 0, or -1 and @e: there is no file then.
 * SILL_ERR_STATE: it is not paused.
 */
int core_write(struct sill_vm *vm, const char *path, bool linear, const struct sparse_told *told,
	       struct sill_err *e);

#endif
