/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msix.c - see msix.h.
 *
 * Why nothing is lost: msix_raise() sets `pending` and then looks at `live`
 * again; unmasking sets `live` and then looks at `pending`. Both orders are
 * sequentially consistent, so one of the two sees the other, and whoever takes
 * the pending bit away (an exchange) delivers it.
 *
 * Why nothing comes after masking: a sender counts itself in `sending` and
 * looks at `live` once more before it writes the eventfd; masking clears
 * `live` and then waits until the count is zero. Senders that come later do
 * not count themselves, so the wait is as long as the writes under way.
 */
#include "bus/msix.h"

#include <assert.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/le.h"

enum {
	CAP_MSIX = 0x11,
	CAP_SIZE = 12,
	/* Capability registers; message control. */
	CAP_CONTROL = 2,
	CAP_TABLE = 4,
	CAP_PBA = 8,
	CONTROL_MASKED = 1 << 14,
	CONTROL_ENABLE = 1 << 15,

	ENTRY_SIZE = 16,
	REG_ADDR_LO = 0,
	REG_ADDR_HI = 4,
	REG_DATA = 8,
	REG_CONTROL = 12,
	ENTRY_MASKED = 1 << 0, /* the only bit of an entry's control */
};

#define WAITED (1u << 31) /* in sending: somebody waits for zero */

static bool load_flag(const bool *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void set_live(struct msix_entry *e, bool v)
{
	__atomic_store_n(&e->live, v, __ATOMIC_SEQ_CST);
}

static void set_pending(struct msix_entry *e, bool v)
{
	__atomic_store_n(&e->pending, v, __ATOMIC_SEQ_CST);
}

static bool take_pending(struct msix_entry *e)
{
	return __atomic_exchange_n(&e->pending, false, __ATOMIC_SEQ_CST);
}

/* Any thread. False when the vector is masked. */
static bool try_send(struct msix_entry *e)
{
	bool live;

	if (!load_flag(&e->live))
		return false;
	(void)__atomic_add_fetch(&e->sending, 1, __ATOMIC_SEQ_CST);
	live = load_flag(&e->live);
	if (live)
		irq_msi_raise(&e->msi);
	if (__atomic_sub_fetch(&e->sending, 1, __ATOMIC_SEQ_CST) == WAITED)
		(void)syscall(SYS_futex, &e->sending, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return live;
}

void msix_raise(struct msix *m, unsigned vector)
{
	struct msix_entry *e;

	if (vector >= m->count)
		return;
	e = &m->entry[vector];
	while (!try_send(e)) {
		set_pending(e, true);
		if (!load_flag(&e->live))
			return; /* whoever unmasks it sees the bit */
		if (!take_pending(e))
			return; /* has seen it */
	}
}

/* From the return on nobody writes the eventfd. */
static void quieten(struct msix_entry *e)
{
	uint32_t n;

	if (!load_flag(&e->live))
		return;
	set_live(e, false);
	n = __atomic_load_n(&e->sending, __ATOMIC_SEQ_CST);
	while ((n & ~WAITED) != 0) {
		if (__atomic_compare_exchange_n(&e->sending, &n, n | WAITED, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			(void)syscall(SYS_futex, &e->sending, FUTEX_WAIT_PRIVATE, n | WAITED, NULL,
				      NULL, 0);
		n = __atomic_load_n(&e->sending, __ATOMIC_SEQ_CST);
	}
	(void)__atomic_and_fetch(&e->sending, ~WAITED, __ATOMIC_SEQ_CST);
}

/* Make the message what the entry says. False when the host refuses. */
static bool route(struct msix *m, struct msix_entry *e)
{
	uint64_t addr = (uint64_t)e->addr_hi << 32 | e->addr_lo;
	struct sill_err why = { 0 };

	if (e->msi.fd < 0 && irq_msi_open(m->irqs, &e->msi, &why) < 0) {
		log_guest(&m->bucket, m->name, "no interrupt for vector %u: %s",
			  (unsigned)(e - m->entry), why.msg);
		return false;
	}
	if (e->routed && e->routed_addr == addr && e->routed_data == e->data)
		return true;
	e->routed = irq_msi_route(m->irqs, &e->msi, addr, e->data) == 0;
	e->routed_addr = addr;
	e->routed_data = e->data;
	return e->routed;
}

/* After any change: deliver from now on, or not. */
static void entry_update(struct msix *m, struct msix_entry *e)
{
	bool open = m->enabled && !m->function_masked && (e->control & ENTRY_MASKED) == 0;

	if (!open || !route(m, e)) {
		quieten(e);
		return;
	}
	set_live(e, true);
	if (take_pending(e))
		irq_msi_raise(&e->msi);
}

static void update_all(struct msix *m)
{
	for (unsigned i = 0; i < m->count; i++)
		entry_update(m, &m->entry[i]);
}

/* Field by field: a late sender may be counting itself in and out. */
static void entry_reset(struct msix_entry *e)
{
	quieten(e);
	e->addr_lo = e->addr_hi = e->data = 0;
	e->control = ENTRY_MASKED;
	set_pending(e, false);
}

void msix_init(struct msix *m, struct irqs *irqs, struct pci_func *f, unsigned count, unsigned bar,
	       uint32_t table_off, uint32_t pba_off)
{
	struct sill_err e = { 0 };

	assert(count >= 1 && count <= MAX_MSIX_VECTORS && bar < 6);
	assert((table_off & 7) == 0 && (pba_off & 7) == 0);
	*m = (struct msix){ .irqs = irqs, .name = f->name, .count = count };
	for (unsigned i = 0; i < count; i++) {
		m->entry[i].control = ENTRY_MASKED;
		m->entry[i].msi.fd = -1;
		/* Now, and not on a vCPU. Of those that cannot be had the guest may want none; see route(). */
		if (irq_msi_open(irqs, &m->entry[i].msi, &e) < 0)
			m->entry[i].msi.fd = -1;
	}
	m->cap = pci_cap_add(f, CAP_MSIX, CAP_SIZE);
	st16(f->cfg + m->cap + CAP_CONTROL, (uint16_t)(count - 1));
	st32(f->cfg + m->cap + CAP_TABLE, table_off | bar);
	st32(f->cfg + m->cap + CAP_PBA, pba_off | bar);
	st16(f->wmask + m->cap + CAP_CONTROL, CONTROL_ENABLE | CONTROL_MASKED);
}

void msix_fini(struct msix *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		entry_reset(&m->entry[i]);
		irq_msi_close(m->irqs, &m->entry[i].msi);
	}
	m->count = 0;
}

void msix_reset(struct msix *m)
{
	m->enabled = m->function_masked = false;
	for (unsigned i = 0; i < m->count; i++)
		entry_reset(&m->entry[i]);
}

void msix_config_written(struct msix *m, const struct pci_func *f, unsigned off, unsigned size)
{
	unsigned at = m->cap + CAP_CONTROL, control;
	bool enabled, masked;

	if (off >= at + 2 || off + size <= at)
		return;
	control = ld16(f->cfg + at);
	enabled = (control & CONTROL_ENABLE) != 0;
	masked = (control & CONTROL_MASKED) != 0;
	if (enabled == m->enabled && masked == m->function_masked)
		return;
	m->enabled = enabled;
	m->function_masked = masked;
	update_all(m);
}

static uint32_t entry_read(const struct msix_entry *e, unsigned reg)
{
	switch (reg) {
	case REG_ADDR_LO:
		return e->addr_lo;
	case REG_ADDR_HI:
		return e->addr_hi;
	case REG_DATA:
		return e->data;
	default:
		return e->control;
	}
}

static void entry_write(struct msix_entry *e, unsigned reg, uint32_t val)
{
	switch (reg) {
	case REG_ADDR_LO:
		e->addr_lo = val & ~3u; /* bits 1:0 are always zero (6.8.2.4) */
		break;
	case REG_ADDR_HI:
		e->addr_hi = val;
		break;
	case REG_DATA:
		e->data = val;
		break;
	default:
		e->control = val & ENTRY_MASKED;
		break;
	}
}

static bool is_table_size(const struct io *io)
{
	return (io->size == 4 || io->size == 8) && (io->off & (io->size - 1u)) == 0;
}

enum io_result msix_table_io(struct msix *m, struct io *io)
{
	unsigned reg = io->off % ENTRY_SIZE;
	struct msix_entry *e;

	if (!is_table_size(io))
		return IO_BAD_SIZE;
	if (io->off / ENTRY_SIZE >= m->count)
		return IO_NO_REGISTER;
	e = &m->entry[io->off / ENTRY_SIZE];
	if (io->write) {
		entry_write(e, reg, (uint32_t)io->val);
		if (io->size == 8)
			entry_write(e, reg + 4, (uint32_t)(io->val >> 32));
		entry_update(m, e);
		return IO_DONE;
	}
	io->val = entry_read(e, reg);
	if (io->size == 8)
		io->val |= (uint64_t)entry_read(e, reg + 4) << 32;
	return IO_DONE;
}

enum io_result msix_pba_io(struct msix *m, struct io *io)
{
	if (!is_table_size(io))
		return IO_BAD_SIZE;
	if (io->off / 8 >= (m->count + 63u) / 64)
		return IO_NO_REGISTER;
	if (io->write)
		return IO_READ_ONLY;
	io->val = 0;
	for (unsigned bit = 0; bit < io->size * 8u; bit++) {
		unsigned vector = (unsigned)io->off * 8 + bit;

		if (vector < m->count && load_flag(&m->entry[vector].pending))
			io->val |= 1ull << bit;
	}
	return IO_DONE;
}

int msix_live_fd(const struct msix *m, unsigned vector)
{
	return vector < m->count && load_flag(&m->entry[vector].live) ? m->entry[vector].msi.fd
								      : -1;
}

void msix_save(const struct msix *m, struct saver *s)
{
	save_u32(s, m->count);
	save_u8(s, m->enabled);
	save_u8(s, m->function_masked);
	for (unsigned i = 0; i < m->count; i++) {
		const struct msix_entry *e = &m->entry[i];

		for (unsigned reg = 0; reg < ENTRY_SIZE; reg += 4)
			save_u32(s, entry_read(e, reg));
		save_u8(s, load_flag(&e->pending));
	}
}

int msix_load(struct msix *m, struct loader *l, struct sill_err *e)
{
	msix_reset(m);
	if (load_u32(l) != m->count)
		load_fail(l);
	m->enabled = load_bool(l);
	m->function_masked = load_bool(l);
	for (unsigned i = 0; i < m->count && !l->failed; i++) {
		for (unsigned reg = 0; reg < ENTRY_SIZE; reg += 4)
			entry_write(&m->entry[i], reg, load_u32(l));
		set_pending(&m->entry[i], load_bool(l));
	}
	if (l->failed) {
		msix_reset(m);
		return sill_err_set(e, SILL_ERR_STATE,
				    "%s: the MSI-X table of the state is damaged", m->name);
	}
	update_all(m);
	return 0;
}
