/* SPDX-License-Identifier: Apache-2.0 */
/* count.c - what the devices of a machine have counted; see plug.h. */
#include "devices/dev.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/net.h"
#include "machine/machine.h"
#include "machine/plug.h"

struct counting {
	sill_counter_fn fn;
	void *ctx;
};

static void put(const struct counting *c, struct sill_counter n)
{
	n.of = SILL_COUNTER_DEVICE;
	c->fn(c->ctx, &n);
}

static void tell(const struct counting *c, const char *id, const char *name, uint64_t value)
{
	put(c, (struct sill_counter){ .id = id, .name = name, .value = value });
}

static void tell_disk(const struct counting *c, const struct dev *d)
{
	struct virtio_blk_counters n;

	virtio_blk_counters(d, &n);
	tell(c, d->id, "read_bytes", n.read_bytes);
	tell(c, d->id, "read_ops", n.read_ops);
	tell(c, d->id, "write_bytes", n.write_bytes);
	tell(c, d->id, "write_ops", n.write_ops);
	tell(c, d->id, "flush_ops", n.flush_ops);
	tell(c, d->id, "discard_ops", n.discard_ops);
	tell(c, d->id, "errors", n.errors);
}

static void tell_card(const struct counting *c, const struct dev *d)
{
	struct virtio_net_counters n;

	if (virtio_net_has_vhost(d))
		return;
	virtio_net_counters(d, &n);
	tell(c, d->id, "rx_bytes", n.rx_bytes);
	tell(c, d->id, "rx_frames", n.rx_frames);
	tell(c, d->id, "rx_dropped", n.rx_dropped);
	tell(c, d->id, "tx_bytes", n.tx_bytes);
	tell(c, d->id, "tx_frames", n.tx_frames);
	tell(c, d->id, "tx_dropped", n.tx_dropped);
}

/* How it stands now. */
static void tell_gauge(const struct counting *c, const char *id, const char *name, uint64_t value)
{
	put(c, (struct sill_counter){ .id = id, .name = name, .value = value, .gauge = true });
}

static void tell_balloon(const struct counting *c, const struct dev *d)
{
	static const struct {
		const char *name;
		bool gauge;
	} stat[BALLOON_STATS] = {
		[BALLOON_SWAP_IN] = { "swap_in", false },
		[BALLOON_SWAP_OUT] = { "swap_out", false },
		[BALLOON_MAJOR_FAULTS] = { "major_faults", false },
		[BALLOON_MINOR_FAULTS] = { "minor_faults", false },
		[BALLOON_FREE] = { "free_memory", true },
		[BALLOON_TOTAL] = { "total_memory", true },
		[BALLOON_AVAILABLE] = { "available_memory", true },
		[BALLOON_CACHES] = { "disk_caches", true },
		[BALLOON_HUGE_ALLOCATED] = { "hugetlb_allocations", false },
		[BALLOON_HUGE_FAILED] = { "hugetlb_failures", false },
	};
	struct virtio_balloon_state s;

	virtio_balloon_look(d, &s);
	tell_gauge(c, d->id, "size_bytes", s.size);
	tell_gauge(c, d->id, "actual_bytes", s.actual);
	tell(c, d->id, "inflated_bytes", s.inflated);
	tell(c, d->id, "deflated_bytes", s.deflated);
	tell(c, d->id, "reported_bytes", s.reported);
	tell(c, d->id, "returned_bytes", s.returned);
	tell(c, d->id, "refused_pages", s.refused);
	for (unsigned i = 0; i < BALLOON_STATS; i++) {
		if ((s.known >> i & 1) == 0)
			continue;
		(stat[i].gauge ? tell_gauge : tell)(c, d->id, stat[i].name, s.stat[i]);
	}
}

static void tell_device(void *ctx, enum sill_device_kind kind, const struct dev *d)
{
	if (kind == SILL_DEVICE_DISK)
		tell_disk(ctx, d);
	else if (kind == SILL_DEVICE_NET)
		tell_card(ctx, d);
	else if (kind == SILL_DEVICE_BALLOON)
		tell_balloon(ctx, d);
}

void machine_counters(struct machine *m, sill_counter_fn fn, void *ctx)
{
	struct counting c = { fn, ctx };

	machine_each(m, tell_device, &c);
}
