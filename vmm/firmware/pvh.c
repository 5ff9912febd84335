/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvh.c - see pvh.h.
 *
 *	+0x00  hvm_start_info, 56 bytes:
 *	         u32 magic, version, flags, nr_modules
 *	         u64 modlist, cmdline, rsdp, memmap
 *	         u32 memmap_entries, reserved
 *	+0x38  modules, 32 bytes each: u64 address, size, cmdline, reserved
 *	 ....  memory map, 24 bytes each
 */
#include "firmware/pvh.h"

#define START_INFO_SIZE 56u
#define MODULE_SIZE     32u
#define VERSION         1u /* the first with a memory map */

int pvh_build(const struct pvh_facts *f, struct buf *out, struct sill_err *e)
{
	uint64_t modules = f->gpa + START_INFO_SIZE;
	uint64_t memmap = modules + MODULE_SIZE * (uint64_t)f->module_count;

	if (f->gpa % 8 != 0 || f->module_count > PVH_MAX_MODULES || out->size != 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "PVH: bad facts");

	(void)buf_add32(out, PVH_START_MAGIC);
	(void)buf_add32(out, VERSION);
	(void)buf_add32(out, 0);
	(void)buf_add32(out, f->module_count);
	(void)buf_add64(out, f->module_count != 0 ? modules : 0);
	(void)buf_add64(out, f->cmdline_gpa);
	(void)buf_add64(out, f->rsdp_gpa);
	(void)buf_add64(out, memmap);
	(void)buf_add32(out, f->map->count);
	(void)buf_add32(out, 0);

	for (unsigned i = 0; i < f->module_count; i++) {
		(void)buf_add64(out, f->modules[i].gpa);
		(void)buf_add64(out, f->modules[i].size);
		(void)buf_add64(out, f->modules[i].cmdline_gpa);
		(void)buf_add64(out, 0);
	}
	e820_write_pvh(f->map, out);
	if (out->failed)
		return sill_err_set(e, SILL_ERR_INTERNAL, "PVH: no room");
	return 0;
}
