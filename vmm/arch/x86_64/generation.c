/* SPDX-License-Identifier: Apache-2.0 */
/* generation.c - the VM generation id: 16 bytes in memory, and the event that says that they are others. */
#include <string.h>

#include "arch/x86_64/board.h"
#include "arch/x86_64/layout.h"
#include "base/log.h"
#include "devices/acpi/pm.h"

/* RFC 4122 order to a GUID in memory: the first three fields are little-endian there. */
static void guid_in_memory(uint8_t ret[16], const uint8_t id[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		ret[i] = id[order[i]];
}

int generation_init(struct board *b, const char *text, struct sill_err *e)
{
	static const uint8_t none[16];
	uint8_t id[16] = { 0 };

	if (text != NULL && strcmp(text, "off") != 0 && sill_uuid_read(text, id) < 0)
		return sill_err_set(e, SILL_ERR_MANIFEST, "platform.vmgenid: '%.40s' is no id",
				    text);
	guid_in_memory(b->vmgenid, id);
	b->has_vmgenid = memcmp(id, none, sizeof(none)) != 0;
	return 0;
}

int generation_write(const struct board *b)
{
	if (!b->has_vmgenid)
		return 0;
	return gmem_write(b->machine->gmem, LAYOUT_VMGENID, b->vmgenid, sizeof(b->vmgenid));
}

bool arch_has_generation(const struct board *b)
{
	return b->has_vmgenid;
}

void arch_new_generation(struct board *b, const uint8_t id[16])
{
	uint8_t guid[16];

	guid_in_memory(guid, id);
	if (!b->has_vmgenid || memcmp(guid, b->vmgenid, sizeof(guid)) == 0)
		return;
	memcpy(b->vmgenid, guid, sizeof(guid));
	if (generation_write(b) < 0) /* its page is there: arch_board_start() has written to it */
		log_line(LOG_ERROR, "%s: no memory for the generation id", b->machine->name);
	pm_raise_gpe(b->pm, PM_GPE_VMGENID);
}
