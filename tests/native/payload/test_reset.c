/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reset.c - what a reset in place keeps and what it clears.
 *
 * The last test of a boot that ends by a reset leaves marks in RAM and soils
 * the chips; the next boot looks. Both need exit=reset-... or exit=triple.
 */
#include "boot.h"
#include "cpu.h"
#include "exit.h"
#include "irq.h"
#include "lib.h"
#include "test.h"
#include "virtio.h"

/* RAM that neither the loader nor the payload uses. */
enum { KEPT_MARK = 0x180000, LOST_MARK = 0xfff0 };
enum { PM1_EN = 0x602, GPE0_EN = 0x628, UART_IER = 0x3f9, UART_SCRATCH = 0x3ff };

#define MARK 0x73696c6c6d61726bu /* "sillmark" */

static void reset_ram__is_kept_above_64k(void)
{
	SKIP_IF(exit_boot_count() < 2, "the first boot");
	CHECK(read64(KEPT_MARK) == MARK, "0x%lx", read64(KEPT_MARK));
	CHECK(read64(KEPT_MARK + 8) == exit_boot_count() - 1, "left by boot %lu",
	      read64(KEPT_MARK + 8));
}

static void reset_low_ram__is_cleared(void)
{
	SKIP_IF(exit_boot_count() < 2, "the first boot");
	SKIP_IF(!vmm_is_sill(), "only Sill promises it");
	CHECK(read64(LOST_MARK) != MARK, "the mark is still there");
}

static void reset_chips__are_as_new(void)
{
	struct virtio v;

	SKIP_IF(exit_boot_count() < 2, "the first boot");
	CHECK(inw(PM1_EN) == 0, "PM1_EN %x", inw(PM1_EN));
	CHECK(inb(GPE0_EN) == 0, "GPE0_EN %x", inb(GPE0_EN));
	CHECK(inb(UART_IER) == 0, "UART IER %x", inb(UART_IER));
	CHECK(ioapic_read(0x10 + 2 * 4) & 1 << 16, "IOAPIC pin 4 is not masked");
	SKIP_IF(!virtio_open(&v, VIRTIO_TYPE_BLK, 0), "no virtio-blk");
	SKIP_IF(!vmm_is_sill(), "the firmware has used the disk");
	CHECK(virtio_status(&v) == 0, "virtio status %x", virtio_status(&v));
	CHECK(read16(virtio_reg(&v, VC_CONFIG_VECTOR)) == 0xffff, "config vector %x",
	      read16(virtio_reg(&v, VC_CONFIG_VECTOR)));
	CHECK(read32(msix_entry(&v.msix, 0) + 12) == 1, "MSI-X entry 0 is not masked");
}

static void reset_soil__leaves_marks_for_the_next_boot(void)
{
	struct virtio v;
	static struct vq q;

	SKIP_IF(!exit_will_reset(), "the last boot");
	write64(KEPT_MARK, MARK);
	write64(KEPT_MARK + 8, exit_boot_count());
	write64(LOST_MARK, MARK);
	outw(PM1_EN, 0x0120);
	outb(GPE0_EN, 0x02);
	outb(UART_IER, 0x0f);
	ioapic_route(4);
	if (!virtio_open(&v, VIRTIO_TYPE_BLK, 0) || !virtio_negotiate(&v, 0))
		return;
	CHECK(virtio_queue(&v, &q, 0, 64, 0), "queue");
	write16(virtio_reg(&v, VC_CONFIG_VECTOR), 1);
	virtio_driver_ok(&v);
	/* Reads that are on their way when the reset comes. */
	for (unsigned i = 0; i < 16; i++) {
		static struct {
			uint32_t type, priority;
			uint64_t sector;
		} header;
		static uint8_t data[4096] __attribute__((aligned(4096))), status;
		struct vq_seg s[] = { { &header, 16, false },
				      { data, sizeof(data), true },
				      { &status, 1, true } };

		CHECK(vq_add(&q, s, 3) >= 0, "no room in the queue");
	}
	vq_kick_always(&q);
}

const struct test reset_tests[] = {
	{ "reset_ram__is_kept_above_64k", reset_ram__is_kept_above_64k },
	{ "reset_low_ram__is_cleared", reset_low_ram__is_cleared },
	{ "reset_chips__are_as_new", reset_chips__are_as_new },
	{ "reset_soil__leaves_marks_for_the_next_boot",
	  reset_soil__leaves_marks_for_the_next_boot },
	{ 0 },
};
