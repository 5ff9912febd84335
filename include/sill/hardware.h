/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware.h - what a guest finds: processors' leaves, devices on the bus, tables, memory's map.
 *
 * Each as a name and a value, both text, so that two machines can be compared without knowing what
 * they are: of another version of the program, or on another host. What differs from one start to
 * the next without anybody's doing (addresses that firmware gives out, generation ids) is not in it.
 */
#ifndef SILL_HARDWARE_H
#define SILL_HARDWARE_H

#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sill_vm;

/*
 * @tell for each, in no order that means anything; the texts live for the call. Between sill_vm_create() and
 * sill_vm_run(), by the same thread. 0, or -1 and @e, SILL_ERR_INTERNAL or SILL_ERR_LIMIT.
 *
 *	cpuid.00000007.0    "eax=00000002 ebx=... ecx=... edx=...", of vCPU 0
 *	pci.03              "1af4:1042 class 018000 revision 01 subsystem 1af4:0040", of slot 3
 *	acpi.FACP           "276 bytes, 9f86d081884c7d65", a hash of what is in it; of each table
 *	                    but those that only list the others
 *	smbios              likewise
 *	memory.0000000000100000  "3220176896 bytes, ram"
 */
int sill_vm_hardware(struct sill_vm *vm,
		     void (*tell)(void *ctx, const char *what, const char *value), void *ctx,
		     struct sill_err *e);

#ifdef __cplusplus
}
#endif
#endif
