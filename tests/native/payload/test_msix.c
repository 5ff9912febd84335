/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_msix.c - MSI-X by the interrupts of a disk: each request that ends is
 * one message of entry 0 (without event index: one for each used buffer at
 * most, exactly one when requests go one by one).
 */
#include "blk.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

enum { ROUNDS = 64, QUIET_MS = 20 };

static struct blk disk;
static uint8_t sector[512] __attribute__((aligned(4096)));

static bool open_disk(void)
{
	/* Without the event index every completion interrupts. */
	return blk_open(&disk, false,
			&(struct blk_setup){ .interrupts = true,
					     .without = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) });
}

/* Start a read and wait for its end without needing its interrupt. */
static bool read_polled(void)
{
	struct vq *q = &disk.q[0];
	unsigned vector = q->vector;
	uint8_t status;

	q->vector = NO_VECTOR;
	status = blk_do(&disk, 0, BLK_IN, 0, sector, sizeof(sector));
	q->vector = vector;
	return status == BLK_OK;
}

/*
 * Whatever reads before have sent is sent: the used index comes before the message, how long before is
 * the host's affair, but one thread does both, read by read. This one's own end sends nothing, nor that
 * of any read until the disk is opened again; that of the one before it may: the host may see the index
 * read before it looks at the flags.
 */
static bool settle(void)
{
	disk.q[0].avail->flags = AVAIL_NO_INTERRUPT;
	return read_polled();
}

static void msix_table__reads_back_what_was_written(void)
{
	const struct msix *m = &disk.v.msix;

	SKIP_IF(!open_disk(), "no virtio-blk");
	for (unsigned i = 0; i < m->count; i++) {
		uint64_t e = msix_entry(m, i);

		write32(e + 12, 1);
		write32(e, 0xfee01000 + 4 * i);
		write32(e + 4, 0x100 + i);
		write32(e + 8, 0x4000 + i);
		CHECK(read32(e) == 0xfee01000 + 4 * i && read32(e + 4) == 0x100 + i,
		      "address of entry %u", i);
		CHECK(read32(e + 8) == 0x4000 + i, "data of entry %u", i);
		CHECK(read64(e + 8) == ((uint64_t)1 << 32 | (0x4000 + i)), "8 bytes of entry %u",
		      i);
		write64(e, 0xfee00000);
		CHECK(read64(e) == 0xfee00000, "8 bytes written to entry %u", i);
	}
}

static void msix_vector__comes_once_for_each_request(void)
{
	uint32_t before;

	SKIP_IF(!open_disk(), "no virtio-blk");
	before = cpu0.count[VEC_MSI];
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK(read_polled(), "read %u", i);
		CHECK(wait_vector(VEC_MSI, before + i + 1, LONG_MS), "no interrupt for read %u", i);
	}
	CHECK(settle(), "read");
	sleep_ms(QUIET_MS);
	CHECK(cpu0.count[VEC_MSI] == before + ROUNDS, "%u interrupts for %d requests",
	      cpu0.count[VEC_MSI] - before, ROUNDS);
}

static void msix_mask__holds_the_message_until_unmasked(void)
{
	const struct msix *m = &disk.v.msix;
	uint32_t before;

	SKIP_IF(!open_disk(), "no virtio-blk");
	before = cpu0.count[VEC_MSI];
	msix_mask(m, 0, true);
	CHECK(!msix_pending(m, 0), "pending before anything happened");
	CHECK(read_polled() && read_polled() && settle(), "read");
	sleep_ms(QUIET_MS);
	CHECK(cpu0.count[VEC_MSI] == before, "a masked entry interrupts");
	CHECK(msix_pending(m, 0), "not pending");
	msix_mask(m, 0, false);
	CHECK(wait_vector(VEC_MSI, before + 1, LONG_MS), "nothing came after unmasking");
	sleep_ms(QUIET_MS);
	CHECK(cpu0.count[VEC_MSI] == before + 1, "two messages for one pending bit");
	CHECK(!msix_pending(m, 0), "still pending");
}

static void msix_function_mask__holds_all_messages(void)
{
	const struct msix *m = &disk.v.msix;
	uint32_t before;

	SKIP_IF(!open_disk(), "no virtio-blk");
	before = cpu0.count[VEC_MSI];
	msix_enable(m, true, true);
	CHECK(read_polled() && read_polled() && settle(), "read");
	sleep_ms(QUIET_MS);
	CHECK(cpu0.count[VEC_MSI] == before, "a masked function interrupts");
	CHECK(msix_pending(m, 0), "not pending");
	msix_enable(m, true, false);
	CHECK(wait_vector(VEC_MSI, before + 1, LONG_MS), "nothing came after unmasking");
	CHECK(!msix_pending(m, 0), "still pending");
}

static void msix_entry__can_be_changed_while_masked(void)
{
	const struct msix *m = &disk.v.msix;
	uint32_t old_count, new_count;

	SKIP_IF(!open_disk(), "no virtio-blk");
	old_count = cpu0.count[VEC_MSI];
	new_count = cpu0.count[VEC_MSI + 9];
	msix_mask(m, 0, true);
	CHECK(read_polled(), "read");
	write32(msix_entry(m, 0) + 8, VEC_MSI + 9);
	msix_mask(m, 0, false);
	CHECK(wait_vector(VEC_MSI + 9, new_count + 1, LONG_MS), "the new vector does not come");
	CHECK(read_polled(), "read");
	CHECK(wait_vector(VEC_MSI + 9, new_count + 2, LONG_MS), "the new vector came only once");
	CHECK(cpu0.count[VEC_MSI] == old_count, "the old vector came");
}

static void msix_disabled__is_silent(void)
{
	uint32_t before;

	SKIP_IF(!open_disk(), "no virtio-blk");
	before = cpu0.count[VEC_MSI];
	msix_enable(&disk.v.msix, false, false);
	CHECK(read_polled() && read_polled(), "read"); /* the first is through, see settle() */
	sleep_ms(QUIET_MS);
	/* QEMU's shortcut through the kernel does not look at that bit. */
	CHECK(cpu0.count[VEC_MSI] == before || !vmm_is_sill(), "an interrupt with MSI-X off");
	msix_enable(&disk.v.msix, true, false);
	before = cpu0.count[VEC_MSI];
	CHECK(read_polled(), "read");
	CHECK(wait_vector(VEC_MSI, before + 1, LONG_MS), "no interrupt after it is on again");
}

static void msix_queue_vector__refuses_one_beyond_the_table(void)
{
	SKIP_IF(!open_disk(), "no virtio-blk");
	write16(virtio_reg(&disk.v, VC_CONFIG_VECTOR), (uint16_t)disk.v.msix.count);
	CHECK(read16(virtio_reg(&disk.v, VC_CONFIG_VECTOR)) == NO_VECTOR,
	      "the config vector reads %x", read16(virtio_reg(&disk.v, VC_CONFIG_VECTOR)));
	CHECK(read_polled(), "no I/O afterwards");
}

const struct test msix_tests[] = {
	{ "msix_table__reads_back_what_was_written", msix_table__reads_back_what_was_written },
	{ "msix_vector__comes_once_for_each_request", msix_vector__comes_once_for_each_request },
	{ "msix_mask__holds_the_message_until_unmasked",
	  msix_mask__holds_the_message_until_unmasked },
	{ "msix_function_mask__holds_all_messages", msix_function_mask__holds_all_messages },
	{ "msix_entry__can_be_changed_while_masked", msix_entry__can_be_changed_while_masked },
	{ "msix_disabled__is_silent", msix_disabled__is_silent },
	{ "msix_queue_vector__refuses_one_beyond_the_table",
	  msix_queue_vector__refuses_one_beyond_the_table },
	{ 0 },
};
