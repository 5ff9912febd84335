/* SPDX-License-Identifier: Apache-2.0 */
/* test_blk.c - virtio-blk: data, queues, every kind of request, reset, and drivers that lie. */
#include "../pattern.h"
#include "blk.h"
#include "boot.h"
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

enum { CHUNK = 16, BATCH = 16 }; /* sectors of a request; requests in flight in each queue */

static struct blk disk;
static uint8_t buf[BLK_QUEUES][BATCH][CHUNK * SECTOR_SIZE] __attribute__((aligned(4096)));
static struct blk_request req[BLK_QUEUES][BATCH];

static bool open_disk(const struct blk_setup *s)
{
	return blk_open(&disk, false, s) && disk.sectors >= DISK_SECTORS;
}

/* Reads of the host's pattern on all queues at once, a batch in each, @rounds times. */
static void read_everywhere(unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned q = 0; q < disk.queues; q++) {
			for (unsigned i = 0; i < BATCH; i++) {
				uint64_t sector = ((uint64_t)r * 7 + q * BATCH + i) * CHUNK % 1024;

				blk_submit(&disk.q[q], &req[q][i], BLK_IN, sector, buf[q][i],
					   sizeof(buf[q][i]));
				CHECK(req[q][i].head >= 0, "queue %u takes only %u", q, i);
			}
			vq_kick(&disk.q[q]);
		}
		for (unsigned q = 0; q < disk.queues; q++)
			for (unsigned i = 0; i < BATCH; i++) {
				struct blk_request *p = &req[q][i];

				CHECK(vq_wait(&disk.q[q], p->head, LONG_MS),
				      "queue %u, round %u: request %u does not end", q, r, i);
				CHECK(p->status == BLK_OK, "status %u", p->status);
				CHECK(disk.q[q].written[p->head] == CHUNK * SECTOR_SIZE + 1,
				      "%u bytes are said to be written",
				      disk.q[q].written[p->head]);
				CHECK(pattern_check(SALT_HOST, p->header.sector, CHUNK, buf[q][i]) <
					      0,
				      "sector %lu has wrong data", p->header.sector);
			}
	}
}

static void blk_read__brings_the_hosts_data(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk with the test pattern");
	read_everywhere(8);
}

static void blk_read__works_by_interrupts_on_all_queues(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ .queues = BLK_QUEUES, .interrupts = true }),
		"no virtio-blk");
	read_everywhere(16);
}

static void blk_read__works_without_event_index(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ .interrupts = true,
						.without = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) }),
		"no virtio-blk");
	read_everywhere(8);
}

static void blk_read__works_with_indirect_descriptors(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ .interrupts = true, .indirect = true }),
		"no virtio-blk");
	SKIP_IF(!disk.q[0].use_indirect, "no indirect descriptors offered");
	read_everywhere(8);
}

static void blk_write__is_read_back_and_stays(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ .queues = BLK_QUEUES, .interrupts = true }),
		"no virtio-blk");
	for (unsigned s = 0; s < GUEST_COUNT; s += CHUNK) {
		unsigned q = s / CHUNK % disk.queues;
		uint8_t status;

		pattern_fill(SALT_GUEST, GUEST_FIRST + s, CHUNK, buf[q][0]);
		status = blk_do(&disk, q, BLK_OUT, GUEST_FIRST + s, buf[q][0], sizeof(buf[q][0]));
		CHECK(status == BLK_OK, "write of sector %u: status %u", GUEST_FIRST + s, status);
	}
	CHECK(blk_do(&disk, 0, BLK_FLUSH, 0, NULL, 0) == BLK_OK, "flush");
	for (unsigned s = 0; s < GUEST_COUNT; s += CHUNK) {
		memset(buf[0][0], 0, sizeof(buf[0][0]));
		CHECK(blk_do(&disk, 0, BLK_IN, GUEST_FIRST + s, buf[0][0], sizeof(buf[0][0])) ==
			      BLK_OK,
		      "read of sector %u", GUEST_FIRST + s);
		CHECK(pattern_check(SALT_GUEST, GUEST_FIRST + s, CHUNK, buf[0][0]) < 0, "sector %u",
		      GUEST_FIRST + s);
	}
}

/* Data in many pieces, none of them a sector. */
static void blk_read__scatters_into_odd_pieces(void)
{
	static struct blk_header header = { .type = BLK_IN, .sector = 32 };
	static uint8_t status;
	struct vq_seg s[18];
	uint32_t off = 0;
	unsigned n = 0;
	int head;

	for (unsigned indirect = 0; indirect < 2; indirect++) {
		SKIP_IF(!open_disk(&(struct blk_setup){ .indirect = indirect }), "no virtio-blk");
		memset(buf, 0, sizeof(buf[0][0]));
		s[0] = (struct vq_seg){ &header, sizeof(header), false };
		off = 0;
		for (n = 1; n < 16; n++) {
			s[n] = (struct vq_seg){ buf[0][0] + off, 16 + 32 * n, true };
			off += s[n].len;
		}
		s[n] = (struct vq_seg){ buf[0][0] + off, CHUNK * SECTOR_SIZE - off, true };
		s[n + 1] = (struct vq_seg){ &status, 1, true };
		status = 0xff;
		head = vq_add(&disk.q[0], s, n + 2);
		vq_kick(&disk.q[0]);
		CHECK(head >= 0 && vq_wait(&disk.q[0], head, LONG_MS), "it does not end");
		CHECK(status == BLK_OK, "status %u", status);
		CHECK(pattern_check(SALT_HOST, 32, CHUNK, buf[0][0]) < 0, "wrong data");
	}
}

static void blk_flush__succeeds(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ .interrupts = true }), "no virtio-blk");
	SKIP_IF((disk.v.features & VIRTIO_BIT(BLK_F_FLUSH)) == 0, "no FLUSH offered");
	for (unsigned i = 0; i < 16; i++)
		CHECK(blk_do(&disk, 0, BLK_FLUSH, 0, NULL, 0) == BLK_OK, "flush %u", i);
}

static void blk_get_id__returns_the_serial_number(void)
{
	char id[21] = { 0 };

	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
	CHECK(blk_do(&disk, 0, BLK_GET_ID, 0, id, 20) == BLK_OK, "status");
	CHECK(memcmp(id, "native-test", 12) == 0, "serial number '%s'", id);
}

static void blk_write_zeroes__and_discard_do_what_they_say(void)
{
	struct {
		uint64_t sector;
		uint32_t count, flags;
	} range = { ZERO_FIRST, ZERO_COUNT, 0 };
	uint64_t need = VIRTIO_BIT(BLK_F_WRITE_ZEROES) | VIRTIO_BIT(BLK_F_DISCARD);

	SKIP_IF(!open_disk(&(struct blk_setup){ .interrupts = true }), "no virtio-blk");
	SKIP_IF((disk.v.features & need) != need, "not offered");
	for (unsigned s = 0; s < ZERO_COUNT; s += CHUNK) {
		pattern_fill(SALT_HOST, ZERO_FIRST + s, CHUNK, buf[0][0]);
		CHECK(blk_do(&disk, 0, BLK_OUT, ZERO_FIRST + s, buf[0][0], sizeof(buf[0][0])) ==
			      BLK_OK,
		      "write");
	}
	CHECK(blk_do(&disk, 0, BLK_ZEROES, 0, &range, sizeof(range)) == BLK_OK, "WRITE_ZEROES");
	for (unsigned s = 0; s < ZERO_COUNT; s += CHUNK) {
		CHECK(blk_do(&disk, 0, BLK_IN, ZERO_FIRST + s, buf[0][0], sizeof(buf[0][0])) ==
			      BLK_OK,
		      "read");
		for (unsigned i = 0; i < sizeof(buf[0][0]); i++)
			CHECK(buf[0][0][i] == 0, "sector %u is not zero", ZERO_FIRST + s);
	}
	range.sector = SCRATCH_FIRST;
	CHECK(blk_do(&disk, 0, BLK_DISCARD, 0, &range, sizeof(range)) == BLK_OK, "DISCARD");
	range.sector = disk.sectors - 1;
	CHECK(blk_do(&disk, 0, BLK_ZEROES, 0, &range, sizeof(range)) == BLK_IOERR,
	      "zeroes beyond the end");
	CHECK(blk_works(&disk), "no I/O afterwards");
}

static void blk_bad_request__gets_a_status_and_harms_nobody(void)
{
	uint8_t status;

	SKIP_IF(!open_disk(&(struct blk_setup){ .interrupts = true }), "no virtio-blk");
	status = blk_do(&disk, 0, BLK_IN, disk.sectors, buf[0][0], SECTOR_SIZE);
	CHECK(status == BLK_IOERR, "beyond the end: status %u", status);
	status = blk_do(&disk, 0, BLK_IN, disk.sectors - 1, buf[0][0], 2 * SECTOR_SIZE);
	CHECK(status == BLK_IOERR, "over the end: status %u", status);
	status = blk_do(&disk, 0, BLK_OUT, ~(uint64_t)0, buf[0][0], SECTOR_SIZE);
	CHECK(status == BLK_IOERR, "the last sector there could be: status %u", status);
	status = blk_do(&disk, 0, BLK_IN, ((uint64_t)1 << 55) + 16, buf[0][0], SECTOR_SIZE);
	CHECK(status == BLK_IOERR, "a sector whose offset overflows: status %u", status);
	status = blk_do(&disk, 0, 0x77, 0, NULL, 0);
	CHECK(status == BLK_UNSUPPORTED, "unknown type: status %u", status);
	CHECK(blk_works(&disk), "no I/O afterwards");
}

static void blk_readonly__refuses_writes(void)
{
	static struct blk ro;
	uint8_t status;

	SKIP_IF(!blk_open(&ro, true, &(struct blk_setup){ 0 }), "no read-only disk");
	CHECK(blk_do(&ro, 0, BLK_IN, 0, buf[0][0], SECTOR_SIZE) == BLK_OK, "read");
	CHECK(pattern_check(SALT_HOST, 0, 1, buf[0][0]) < 0, "wrong data");
	memset(buf[0][1], 0x77, SECTOR_SIZE);
	status = blk_do(&ro, 0, BLK_OUT, 0, buf[0][1], SECTOR_SIZE);
	CHECK(status == BLK_IOERR, "write: status %u", status);
	CHECK(blk_do(&ro, 0, BLK_IN, 0, buf[0][0], SECTOR_SIZE) == BLK_OK, "read");
	CHECK(pattern_check(SALT_HOST, 0, 1, buf[0][0]) < 0, "it was written all the same");
}

static void blk_config_wce__can_be_switched(void)
{
	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
	SKIP_IF((disk.v.features & VIRTIO_BIT(BLK_F_CONFIG_WCE)) == 0, "not offered");
	for (unsigned i = 0; i < 4; i++) {
		write8(virtio_config(&disk.v, BLK_WCE), i & 1);
		CHECK(read8(virtio_config(&disk.v, BLK_WCE)) == (i & 1), "reads %x",
		      read8(virtio_config(&disk.v, BLK_WCE)));
		pattern_fill(SALT_GUEST, SCRATCH_FIRST, 1, buf[0][0]);
		CHECK(blk_do(&disk, 0, BLK_OUT, SCRATCH_FIRST, buf[0][0], SECTOR_SIZE) == BLK_OK,
		      "write");
	}
}

static void blk_features__must_have_been_offered(void)
{
	SKIP_IF(!virtio_open(&disk.v, VIRTIO_TYPE_BLK, 0), "no virtio-blk");
	CHECK(virtio_reset(&disk.v), "reset");
	CHECK((virtio_offered(&disk.v) & VIRTIO_BIT(VIRTIO_F_VERSION_1)) != 0, "not VERSION_1");
	SKIP_IF(!vmm_is_sill(), "only Sill promises it");
	virtio_set_status(&disk.v, VS_ACKNOWLEDGE | VS_DRIVER);
	write32(virtio_reg(&disk.v, VC_DRIVER_FEATURE_SELECT), 1);
	write32(virtio_reg(&disk.v, VC_DRIVER_FEATURE), 0x80000001); /* 63 is not */
	virtio_set_status(&disk.v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	CHECK((virtio_status(&disk.v) & VS_FEATURES_OK) == 0, "FEATURES_OK for bit 63");
	CHECK(virtio_reset(&disk.v), "reset");
}

static void blk_pci_cfg__is_a_window_to_the_registers(void)
{
	unsigned slot, cap;

	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
	slot = disk.v.pci->slot;
	cap = disk.v.cfg_cap;
	CHECK(cap != 0, "no such capability");
	pci_write(slot, cap + 4, 1, disk.v.common.bar);
	pci_write(slot, cap + 8, 4, disk.v.common.off + VC_STATUS);
	pci_write(slot, cap + 12, 4, 1);
	CHECK(pci_read(slot, cap + 16, 1) == virtio_status(&disk.v), "status by the window is %x",
	      pci_read(slot, cap + 16, 1));
	pci_write(slot, cap + 16, 1, 0);
	CHECK(virtio_reset_ends(&disk.v), "a write by the window is lost");
	pci_write(slot, cap + 4, 1, 9); /* no such BAR, no such place */
	pci_write(slot, cap + 8, 4, 0xfffffffc);
	pci_write(slot, cap + 12, 4, 4);
	(void)pci_read(slot, cap + 16, 4);
	pci_write(slot, cap + 16, 4, 0xffffffff);
}

/* Reset with requests on their way: when it reads 0, the device writes no more. */
static void blk_reset__waits_for_requests_in_flight(void)
{
	for (unsigned round = 0; round < 20; round++) {
		SKIP_IF(!open_disk(&(struct blk_setup){ .queues = BLK_QUEUES, .interrupts = true }),
			"no virtio-blk");
		for (unsigned q = 0; q < disk.queues; q++) {
			for (unsigned i = 0; i < BATCH; i++)
				blk_submit(&disk.q[q], &req[q][i], BLK_IN, 0, buf[q][i],
					   sizeof(buf[q][i]));
			vq_kick(&disk.q[q]);
		}
		CHECK(virtio_reset(&disk.v), "the status does not become 0");
		for (unsigned q = 0; q < disk.queues; q++)
			for (unsigned i = 0; i < BATCH; i++) {
				memset(buf[q][i], 0x3c, sizeof(buf[q][i]));
				req[q][i].status = 0x3c;
			}
		spin_ms(3);
		for (unsigned q = 0; q < disk.queues; q++)
			for (unsigned i = 0; i < BATCH; i++)
				CHECK(req[q][i].status == 0x3c && buf[q][i][0] == 0x3c &&
					      buf[q][i][sizeof(buf[q][i]) - 1] == 0x3c,
				      "round %u: written after the reset", round);
	}
	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
	CHECK(blk_works(&disk), "no I/O afterwards");
}

/* ---- rings that break the rules: each makes one, the device must ask for a reset */

static void break_index(struct vq *q)
{
	vq_publish(q, (uint16_t)q->size);
}

static void break_avail_jump(struct vq *q)
{
	q->avail->idx = (uint16_t)(q->avail->idx + q->size + 1);
}

static void break_loop(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 16, DESC_NEXT, 1 };
	q->desc[1] = (struct vq_desc){ (uint64_t)buf, 16, DESC_NEXT, 0 };
	vq_publish(q, 0);
}

static void break_next(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 16, DESC_NEXT, (uint16_t)q->size };
	vq_publish(q, 0);
}

static void break_short_header(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 8, 0, 0 };
	vq_publish(q, 0);
}

static void break_no_status(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 16, 0, 0 };
	vq_publish(q, 0);
}

static void break_order(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 16, DESC_NEXT | DESC_WRITE, 1 };
	q->desc[1] = (struct vq_desc){ (uint64_t)buf, 16, 0, 0 };
	vq_publish(q, 0);
}

static void break_nested_indirect(struct vq *q)
{
	static struct vq_desc table[2];

	table[0] = (struct vq_desc){ (uint64_t)table, sizeof(table), DESC_INDIRECT, 0 };
	q->desc[0] = (struct vq_desc){ (uint64_t)table, sizeof(table), DESC_INDIRECT, 0 };
	vq_publish(q, 0);
}

static void break_indirect_size(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ (uint64_t)buf, 17, DESC_INDIRECT, 0 };
	vq_publish(q, 0);
}

static void break_address(struct vq *q)
{
	q->desc[0] = (struct vq_desc){ 0xfffffffffffff000, 16, DESC_NEXT, 1 };
	q->desc[1] = (struct vq_desc){ (uint64_t)buf, 1, DESC_WRITE, 0 };
	vq_publish(q, 0);
}

static const struct breakage {
	const char *what;
	void (*make)(struct vq *q);
	bool only_sill; /* others do something else with it */
} breakages[] = {
	{ "a head beyond the queue", break_index, false },
	{ "an index that jumps too far", break_avail_jump, false },
	{ "a chain in a circle", break_loop, false },
	{ "a next beyond the queue", break_next, false },
	{ "a header of 8 bytes", break_short_header, false },
	{ "no place for the status", break_no_status, false },
	{ "a readable piece after a writable one", break_order, false },
	{ "indirect in indirect", break_nested_indirect, false },
	{ "an indirect table of 17 bytes", break_indirect_size, false },
	{ "an address that is no RAM", break_address, true },
};

static bool needs_reset(void *ctx)
{
	return (virtio_status(ctx) & VS_NEEDS_RESET) != 0;
}

static void blk_broken_ring__asks_for_a_reset_and_recovers(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(breakages); i++) {
		if (breakages[i].only_sill && !vmm_is_sill())
			continue;
		SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
		breakages[i].make(&disk.q[0]);
		vq_kick_always(&disk.q[0]);
		CHECK(poll_for(needs_reset, &disk.v, LONG_MS), "%s: status %x", breakages[i].what,
		      virtio_status(&disk.v));
		vq_kick_always(&disk.q[0]); /* to a device that is out of order */
		CHECK(blk_start(&disk, &(struct blk_setup){ .interrupts = true }) &&
			      blk_works(&disk),
		      "%s: no I/O after the reset", breakages[i].what);
	}
}

static void blk_broken_ring__tells_by_a_config_interrupt(void)
{
	uint32_t before;

	SKIP_IF(!open_disk(&(struct blk_setup){ 0 }), "no virtio-blk");
	write16(virtio_reg(&disk.v, VC_CONFIG_VECTOR), 1);
	msix_set(&disk.v.msix, 1, VEC_MSI + 1);
	before = cpu0.count[VEC_MSI + 1];
	break_index(&disk.q[0]);
	vq_kick_always(&disk.q[0]);
	CHECK(wait_vector(VEC_MSI + 1, before + 1, LONG_MS), "no interrupt");
	CHECK(virtio_reset(&disk.v), "reset");
}

const struct test blk_tests[] = {
	{ "blk_features__must_have_been_offered", blk_features__must_have_been_offered },
	{ "blk_read__brings_the_hosts_data", blk_read__brings_the_hosts_data },
	{ "blk_read__works_by_interrupts_on_all_queues",
	  blk_read__works_by_interrupts_on_all_queues },
	{ "blk_read__works_without_event_index", blk_read__works_without_event_index },
	{ "blk_read__works_with_indirect_descriptors", blk_read__works_with_indirect_descriptors },
	{ "blk_read__scatters_into_odd_pieces", blk_read__scatters_into_odd_pieces },
	{ "blk_write__is_read_back_and_stays", blk_write__is_read_back_and_stays },
	{ "blk_flush__succeeds", blk_flush__succeeds },
	{ "blk_get_id__returns_the_serial_number", blk_get_id__returns_the_serial_number },
	{ "blk_write_zeroes__and_discard_do_what_they_say",
	  blk_write_zeroes__and_discard_do_what_they_say },
	{ "blk_bad_request__gets_a_status_and_harms_nobody",
	  blk_bad_request__gets_a_status_and_harms_nobody },
	{ "blk_readonly__refuses_writes", blk_readonly__refuses_writes },
	{ "blk_config_wce__can_be_switched", blk_config_wce__can_be_switched },
	{ "blk_pci_cfg__is_a_window_to_the_registers", blk_pci_cfg__is_a_window_to_the_registers },
	{ "blk_reset__waits_for_requests_in_flight", blk_reset__waits_for_requests_in_flight },
	{ "blk_broken_ring__asks_for_a_reset_and_recovers",
	  blk_broken_ring__asks_for_a_reset_and_recovers },
	{ "blk_broken_ring__tells_by_a_config_interrupt",
	  blk_broken_ring__tells_by_a_config_interrupt },
	{ 0 },
};
