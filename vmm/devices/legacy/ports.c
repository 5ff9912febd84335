/* SPDX-License-Identifier: Apache-2.0 */
/* ports.c - see ports.h. */
#include "devices/legacy/ports.h"

#include <assert.h>
#include <string.h>

#include "devices/dev.h"

enum {
	A_FAST_RESET = 1 << 0,
	A_A20 = 1 << 1,
	A_STORED = A_FAST_RESET | A_A20,

	B_TIMER2_GATE = 1 << 0,
	B_STORED = 0x0f,
	B_REFRESH = 1 << 4,
	B_TIMER2_OUT = 1 << 5,
	REFRESH_NS = 15085, /* timer 1 at its usual count of 18 */

	DEBUG_ID = 0xe9, /* "there is a debug console here" */
	DEBUG_LINE = 200,
	DEBUG_BURST = 20000,
	DEBUG_PER_S = 100,

	RESET_CPU = 1 << 2,
	RESET_STORED = 0x0e, /* RST_CPU, SYS_RST, FULL_RST */
};

struct ports {
	uint8_t system_a, system_b;
	uint8_t reset_control;
	uint8_t post[PORTS_POST_KEPT]; /* a ring */
	uint32_t post_count;           /* how many were ever put into it */
	/* The debug console; none of it is guest state. */
	char line[DEBUG_LINE];
	uint32_t line_used;
	uint32_t lines_left, lines_dropped;
	uint64_t refilled_ns;
};

static void request_reset(struct dev *d)
{
	d->env->request(d->env->ctx, MACHINE_RESET, d->id);
}

static bool line_allowed(struct ports *s)
{
	const uint64_t now = host_now(), step = 1000000000 / DEBUG_PER_S;
	const uint64_t due = (now - s->refilled_ns) / step;

	if (due >= DEBUG_BURST - s->lines_left) {
		s->lines_left = DEBUG_BURST;
		s->refilled_ns = now;
	} else {
		s->lines_left += (uint32_t)due;
		s->refilled_ns += due * step;
	}
	if (s->lines_left == 0)
		return false;
	s->lines_left--;
	return true;
}

static void debug_flush(struct dev *d)
{
	struct ports *s = d->state;
	char text[4 * DEBUG_LINE + 1]; /* each byte may become \xNN */

	if (s->line_used > 0 && log_wants(LOG_DEBUG)) {
		if (!line_allowed(s)) {
			s->lines_dropped++;
		} else {
			if (s->lines_dropped > 0)
				log_line(LOG_DEBUG, "%s: firmware: %u lines were not logged", d->id,
					 s->lines_dropped);
			s->lines_dropped = 0;
			log_line(LOG_DEBUG, "%s: firmware: %s", d->id,
				 log_escape(text, sizeof(text), s->line, s->line_used));
		}
	}
	s->line_used = 0;
}

static void debug_put(struct dev *d, uint8_t c)
{
	struct ports *s = d->state;

	if (c == '\r')
		return;
	if (c == '\n') {
		debug_flush(d);
		return;
	}
	s->line[s->line_used++] = (char)c;
	if (s->line_used == DEBUG_LINE)
		debug_flush(d);
}

static void post_put(struct ports *s, uint8_t code)
{
	if (s->post_count > 0 && s->post[(s->post_count - 1) % PORTS_POST_KEPT] == code)
		return;
	s->post[s->post_count % PORTS_POST_KEPT] = code;
	s->post_count++;
	if (s->post_count == 2u * PORTS_POST_KEPT)
		s->post_count = PORTS_POST_KEPT; /* the same places, and no overflow ever */
}

static void ports_write(struct dev *d, unsigned region, uint8_t v)
{
	struct ports *s = d->state;

	switch (region) {
	case PORTS_SYSTEM_A:
		if ((v & A_FAST_RESET) != 0 && (s->system_a & A_FAST_RESET) == 0)
			request_reset(d);
		s->system_a = v & A_STORED;
		break;
	case PORTS_SYSTEM_B:
		s->system_b = v & B_STORED;
		break;
	case PORTS_POST:
		post_put(s, v);
		break;
	default:
		debug_put(d, v);
		break;
	}
}

static uint8_t ports_read(struct dev *d, unsigned region)
{
	const struct ports *s = d->state;
	unsigned v;

	switch (region) {
	case PORTS_SYSTEM_A:
		return s->system_a;
	case PORTS_SYSTEM_B:
		v = s->system_b;
		if ((v & B_TIMER2_GATE) != 0)
			v |= B_TIMER2_OUT;
		if ((vmclock_now(d->env->clock) / REFRESH_NS & 1) != 0)
			v |= B_REFRESH;
		return (uint8_t)v;
	case PORTS_POST:
		return s->post_count > 0 ? s->post[(s->post_count - 1) % PORTS_POST_KEPT] : 0xff;
	default:
		return DEBUG_ID;
	}
}

static enum io_result ports_io(struct dev *d, unsigned region, struct io *io)
{
	if (io->size != 1)
		return IO_BAD_SIZE;
	if (io->write)
		ports_write(d, region, (uint8_t)io->val);
	else
		io->val = ports_read(d, region);
	return IO_DONE;
}

void ports_reset_control_write(void *ctx, uint8_t val)
{
	struct dev *d = ctx;
	struct ports *s = d->state;

	dev_take(d);
	if ((val & RESET_CPU) != 0 && (s->reset_control & RESET_CPU) == 0)
		request_reset(d);
	s->reset_control = val & RESET_STORED;
	dev_drop(d);
}

size_t ports_post_codes(struct dev *d, uint8_t ret[PORTS_POST_KEPT])
{
	const struct ports *s = d->state;
	size_t n;

	assert(d->ops == &ports_ops);
	dev_take(d);
	n = s->post_count < PORTS_POST_KEPT ? s->post_count : PORTS_POST_KEPT;
	for (size_t i = 0; i < n; i++)
		ret[i] = s->post[(s->post_count - n + i) % PORTS_POST_KEPT];
	dev_drop(d);
	return n;
}

static int ports_init(struct dev *d, struct sill_err *e)
{
	struct ports *s = d->state;

	(void)e;
	s->lines_left = DEBUG_BURST;
	s->refilled_ns = host_now();
	return 0;
}

static void ports_reset(struct dev *d)
{
	struct ports *s = d->state;

	debug_flush(d);
	s->system_a = A_A20;
	s->system_b = 0;
	s->reset_control = 0;
	s->post_count = 0;
}

static void ports_fini(struct dev *d)
{
	debug_flush(d);
}

static int ports_save(struct dev *d, struct saver *out)
{
	const struct ports *s = d->state;

	save_begin(out, SAVE_TAG('p', 'o', 'r', 't'), 1);
	save_u8(out, s->system_a);
	save_u8(out, s->system_b);
	save_u8(out, s->reset_control);
	save_bytes(out, s->post, sizeof(s->post));
	save_u32(out, s->post_count);
	save_end(out);
	return 0;
}

static int ports_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct ports *s = d->state;
	uint8_t system_a, system_b, reset_control, post[PORTS_POST_KEPT];
	uint32_t post_count;

	(void)load_begin(l, SAVE_TAG('p', 'o', 'r', 't'), 1);
	system_a = load_u8(l);
	system_b = load_u8(l);
	reset_control = load_u8(l);
	load_bytes(l, post, sizeof(post));
	post_count = load_u32(l);
	if ((system_a & ~A_STORED) != 0 || (system_b & ~B_STORED) != 0 ||
	    (reset_control & ~RESET_STORED) != 0 || post_count >= 2 * PORTS_POST_KEPT)
		load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;
	s->system_a = system_a;
	s->system_b = system_b;
	s->reset_control = reset_control;
	memcpy(s->post, post, sizeof(post));
	s->post_count = post_count;
	return 0;
}

const struct dev_ops ports_ops = {
	.type = "ports",
	.state_size = sizeof(struct ports),
	.init = ports_init,
	.io = ports_io,
	.reset = ports_reset,
	.fini = ports_fini,
	.save = ports_save,
	.load = ports_load,
};
