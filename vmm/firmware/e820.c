/* SPDX-License-Identifier: Apache-2.0 */
/* e820.c - see e820.h. */
#include "firmware/e820.h"

#include <string.h>

int e820_add(struct e820_map *m, uint64_t base, uint64_t len, enum e820_type type,
	     struct sill_err *e)
{
	uint64_t end;
	unsigned at = 0;

	if (len == 0 || __builtin_add_overflow(base, len, &end))
		return sill_err_set(e, SILL_ERR_INTERNAL, "memory map: bad range 0x%llx + 0x%llx",
				    (unsigned long long)base, (unsigned long long)len);
	if (m->count == E820_MAX)
		return sill_err_set(e, SILL_ERR_INTERNAL, "memory map: more than %u ranges",
				    E820_MAX);

	while (at < m->count && m->entry[at].base < base)
		at++;
	if ((at < m->count && m->entry[at].base < end) ||
	    (at > 0 && m->entry[at - 1].base + m->entry[at - 1].len > base))
		return sill_err_set(e, SILL_ERR_INTERNAL,
				    "memory map: 0x%llx + 0x%llx overlaps another range",
				    (unsigned long long)base, (unsigned long long)len);

	memmove(&m->entry[at + 1], &m->entry[at], (m->count - at) * sizeof(m->entry[0]));
	m->entry[at] = (struct e820_entry){ .base = base, .len = len, .type = type };
	m->count++;
	return 0;
}

int e820_add_ram(struct e820_map *m, uint64_t low_end, uint64_t high_size, struct sill_err *e)
{
	if (m->count != 0 || low_end < 2 * E820_HIGH_RAM || low_end >= E820_4G)
		return sill_err_set(e, SILL_ERR_INTERNAL, "memory map: low RAM ends at 0x%llx",
				    (unsigned long long)low_end);
	if (e820_add(m, 0, E820_LOW_RAM_END, E820_RAM, e) < 0 ||
	    e820_add(m, E820_HIGH_RAM, low_end - E820_HIGH_RAM, E820_RAM, e) < 0)
		return -1;
	return high_size == 0 ? 0 : e820_add(m, E820_4G, high_size, E820_RAM, e);
}

void e820_write_fw_cfg(const struct e820_map *m, struct buf *out)
{
	for (unsigned i = 0; i < m->count; i++) {
		(void)buf_add64(out, m->entry[i].base);
		(void)buf_add64(out, m->entry[i].len);
		(void)buf_add32(out, m->entry[i].type);
	}
}

void e820_write_pvh(const struct e820_map *m, struct buf *out)
{
	for (unsigned i = 0; i < m->count; i++) {
		(void)buf_add64(out, m->entry[i].base);
		(void)buf_add64(out, m->entry[i].len);
		(void)buf_add32(out, m->entry[i].type);
		(void)buf_add32(out, 0);
	}
}
