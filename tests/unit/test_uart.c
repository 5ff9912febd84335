/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_uart.c - the 16550A through its registers, a socket pair as far end.
 *
 * The main loop is run by hand: run_until() turns it until a condition holds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/serial/chr.h"
#include "base/buf.h"
#include "devices/dev.h"
#include "devices/legacy/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
enum { FCR = IIR };
enum { GSI = 4 };

struct rig {
	struct loop *loop;
	struct irqs irqs;
	struct dev_env env;
	struct chr *chr;
	struct dev *dev;
	int far; /* our end of the socket pair */
	bool line;
	unsigned edges; /* rises of the line */
};

static void record_line(void *ctx, unsigned gsi, bool level)
{
	struct rig *r = ctx;

	assert_int_equal(gsi, GSI);
	assert_true(level != r->line);
	r->line = level;
	r->edges += level;
}

static const struct irq_ops irq_recorder = { .line = record_line };

struct wait {
	struct rig *rig;
	bool (*done)(struct rig *r);
	struct loop_timer tick;
	unsigned left;
	bool held;
};

static void wait_tick(void *ctx)
{
	struct wait *w = ctx;

	w->held = w->done(w->rig);
	if (w->held || --w->left == 0)
		loop_stop(w->rig->loop);
	else
		loop_timer_set(w->rig->loop, &w->tick, host_now() + 100000);
}

/* Run the loop until @done holds; false after five seconds without. */
static bool run_until(struct rig *r, bool (*done)(struct rig *r))
{
	struct wait w = { .rig = r, .done = done, .left = 50000 };
	struct sill_err e = { 0 };

	w.tick = (struct loop_timer){ .fn = wait_tick, .ctx = &w };
	loop_timer_set(r->loop, &w.tick, 0);
	assert_int_equal(loop_run(r->loop, &e), 0);
	return w.held;
}

static unsigned ticks_left;

static bool ticks_over(struct rig *r)
{
	(void)r;
	return ticks_left-- == 0;
}

/* Let the loop do what it can do now. */
static void run_some(struct rig *r)
{
	ticks_left = 20;
	assert_true(run_until(r, ticks_over));
}

static enum io_result guest_io(struct rig *r, struct io *io)
{
	return dev_io(r->dev, 0, io);
}

static uint8_t rd(struct rig *r, unsigned reg)
{
	struct io io = { .off = reg, .size = 1 };

	assert_int_equal(guest_io(r, &io), IO_DONE);
	return (uint8_t)io.val;
}

static void wr(struct rig *r, unsigned reg, uint8_t v)
{
	struct io io = { .off = reg, .size = 1, .val = v, .write = true };

	assert_int_equal(guest_io(r, &io), IO_DONE);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct sill_err e = { 0 };
	struct uart_config config;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->far = pair[1];
	r->loop = loop_create(&e);
	irqs_init(&r->irqs, &irq_recorder, r);
	r->env = (struct dev_env){ .irqs = &r->irqs, .loop = r->loop };
	r->chr = chr_create("serial0",
			    &(struct chr_config){ .mode = SILL_CHAR_TTY,
						  .in_fd = pair[0],
						  .out_fd = pair[0],
						  .listen_fd = -1 },
			    r->loop, &e);
	assert_non_null(r->chr);
	config.chr = r->chr;
	r->dev = dev_create(&uart_ops, "uart0", &config, GSI, &r->env, &e);
	assert_non_null(r->dev);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	dev_stop(r->dev);
	dev_destroy(r->dev);
	chr_destroy(r->chr);
	irqs_fini(&r->irqs);
	loop_destroy(r->loop);
	assert_false(r->line);
	(void)close(r->far);
	free(r);
	return 0;
}

static void far_sends(struct rig *r, const char *text)
{
	assert_int_equal(write(r->far, text, strlen(text)), strlen(text));
}

static bool has_data(struct rig *r)
{
	return (rd(r, LSR) & 0x01) != 0;
}

static bool line_high(struct rig *r)
{
	return r->line;
}

static void far_receives(struct rig *r, const char *text)
{
	char got[256] = { 0 };

	chr_drain(r->chr, 1000);
	assert_int_equal(recv(r->far, got, sizeof(got) - 1, MSG_DONTWAIT), strlen(text));
	assert_string_equal(got, text);
}

/* --- registers ------------------------------------------------------------ */

static void uart_reset__leaves_the_values_firmware_expects(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rd(r, IER), 0);
	assert_int_equal(rd(r, IIR), 0x01);
	assert_int_equal(rd(r, LCR), 0);
	assert_int_equal(rd(r, MCR), 0);
	assert_int_equal(rd(r, LSR), 0x60);
	assert_int_equal(rd(r, MSR), 0xb0);
	assert_int_equal(rd(r, SCR), 0);
}

static void uart_io__scratch_register_keeps_a_byte(void **state)
{
	struct rig *r = *state;

	wr(r, SCR, 0xaa);
	assert_int_equal(rd(r, SCR), 0xaa);
	wr(r, SCR, 0x55);
	assert_int_equal(rd(r, SCR), 0x55);
}

static void uart_io__divisor_hides_behind_dlab(void **state)
{
	struct rig *r = *state;

	wr(r, IER, 0x05);
	wr(r, LCR, 0x83);
	assert_int_equal(rd(r, DATA), 12);
	wr(r, DATA, 0x01);
	wr(r, IER, 0x02);
	assert_int_equal(rd(r, DATA), 0x01);
	assert_int_equal(rd(r, IER), 0x02);
	wr(r, LCR, 0x03);
	assert_int_equal(rd(r, IER), 0x05);
	assert_int_equal(rd(r, LCR), 0x03);
}

static void uart_io__unused_bits_read_zero(void **state)
{
	struct rig *r = *state;

	wr(r, IER, 0xff);
	assert_int_equal(rd(r, IER), 0x0f);
	wr(r, MCR, 0xef);
	assert_int_equal(rd(r, MCR), 0x0f);
}

static void uart_io__status_registers_are_read_only(void **state)
{
	struct rig *r = *state;
	struct io io = { .off = LSR, .size = 1, .val = 0xff, .write = true };

	assert_int_equal(guest_io(r, &io), IO_READ_ONLY);
	io.off = MSR;
	assert_int_equal(guest_io(r, &io), IO_READ_ONLY);
	assert_int_equal(rd(r, LSR), 0x60);
	assert_int_equal(rd(r, MSR), 0xb0);
}

static void uart_io__a_wide_access_is_byte_cycles(void **state)
{
	struct rig *r = *state;
	struct io io = { .off = DATA, .size = 2, .val = 0x0541, .write = true };

	assert_int_equal(guest_io(r, &io), IO_DONE);
	assert_int_equal(rd(r, IER), 0x05);
	far_receives(r, "A");

	wr(r, LCR, 0x03);
	wr(r, MCR, 0x08);
	io = (struct io){ .off = LCR, .size = 4 };
	assert_int_equal(guest_io(r, &io), IO_DONE);
	assert_int_equal(io.val, 0xb0600803);

	io = (struct io){ .off = MSR, .size = 4, .val = 0 };
	assert_int_equal(guest_io(r, &io), IO_NO_REGISTER);
}

static void uart_io__fcr_shows_in_iir(void **state)
{
	struct rig *r = *state;

	assert_int_equal(rd(r, IIR) & 0xc0, 0);
	wr(r, FCR, 0x01);
	assert_int_equal(rd(r, IIR), 0xc1);
	wr(r, FCR, 0xc0); /* without the enable bit nothing else counts */
	assert_int_equal(rd(r, IIR), 0x01);
}

/* --- sending -------------------------------------------------------------- */

static void uart_send__bytes_arrive_in_order(void **state)
{
	struct rig *r = *state;

	for (const char *p = "hello\r\n"; *p != '\0'; p++) {
		assert_int_equal(rd(r, LSR) & 0x60, 0x60);
		wr(r, DATA, (uint8_t)*p);
	}
	far_receives(r, "hello\r\n");
}

static void uart_send__a_far_end_that_does_not_read_stops_nobody(void **state)
{
	struct rig *r = *state;

	for (unsigned i = 0; i < 1000 * 1000; i++) {
		wr(r, DATA, (uint8_t)i);
		if (i % 4096 == 0)
			chr_drain(r->chr, 0);
	}
	assert_int_equal(rd(r, LSR) & 0x60, 0x60);
	assert_true(chr_dropped(r->chr) > 0);
}

static void uart_send__thr_interrupt_follows_each_byte(void **state)
{
	struct rig *r = *state;

	wr(r, MCR, 0x08);
	wr(r, IER, 0x02);
	assert_true(r->line); /* enabled while empty */
	assert_int_equal(rd(r, IIR), 0x02);
	assert_false(r->line); /* reading IIR clears it */
	assert_int_equal(rd(r, IIR), 0x01);
	wr(r, DATA, 'x');
	assert_true(r->line);
	assert_int_equal(rd(r, IIR), 0x02);
	assert_false(r->line);
}

static void uart_send__enabling_again_raises_the_thr_interrupt_again(void **state)
{
	struct rig *r = *state;

	/* Linux tells a good UART from a bad one by this (UART_BUG_THRE). */
	wr(r, IER, 0x02);
	assert_int_equal(rd(r, IIR), 0x02);
	wr(r, IER, 0x00);
	assert_int_equal(rd(r, IIR), 0x01);
	wr(r, IER, 0x02);
	assert_int_equal(rd(r, IIR), 0x02);
	wr(r, IER, 0x02);
	assert_int_equal(rd(r, IIR), 0x01); /* no change, no interrupt */
}

static void uart_send__a_higher_source_leaves_the_thr_interrupt_pending(void **state)
{
	struct rig *r = *state;

	wr(r, MCR, 0x18);
	wr(r, IER, 0x03);
	wr(r, DATA, 'x'); /* loops back: data and THR empty at once */
	assert_int_equal(rd(r, IIR), 0x04);
	assert_int_equal(rd(r, IIR), 0x04);
	assert_int_equal(rd(r, DATA), 'x');
	assert_int_equal(rd(r, IIR), 0x02);
	assert_int_equal(rd(r, IIR), 0x01);
}

/* --- receiving ------------------------------------------------------------ */

static void uart_receive__one_byte_without_fifos(void **state)
{
	struct rig *r = *state;

	wr(r, MCR, 0x08);
	wr(r, IER, 0x01);
	far_sends(r, "ab");
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, IIR), 0x04);
	assert_int_equal(rd(r, LSR), 0x61);
	assert_int_equal(rd(r, DATA), 'a');
	assert_false(r->line); /* falls, so that the next byte makes an edge */
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, DATA), 'b');
	run_some(r);
	assert_int_equal(rd(r, LSR), 0x60);
	assert_int_equal(r->edges, 2);
}

static void uart_receive__one_fifo_at_a_time_and_nothing_is_lost(void **state)
{
	struct rig *r = *state;
	const char *text = "0123456789abcdefghijklmnopqrstuvwxyzABC";
	char got[64] = { 0 };
	size_t n = 0;

	wr(r, FCR, 0xc1);
	wr(r, MCR, 0x08);
	wr(r, IER, 0x01);
	far_sends(r, text);
	while (n < strlen(text)) {
		unsigned burst = 0;

		assert_true(run_until(r, line_high));
		while (has_data(r)) {
			got[n++] = (char)rd(r, DATA);
			burst++;
		}
		assert_true(burst <= 16);
		assert_false(r->line);
	}
	assert_string_equal(got, text);
	assert_int_equal(r->edges, 3);
	assert_int_equal(rd(r, LSR), 0x60);
}

static void uart_receive__trigger_level_decides_between_data_and_timeout(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x81); /* 8 */
	wr(r, MCR, 0x08);
	wr(r, IER, 0x01);
	far_sends(r, "12345678");
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, IIR), 0xc4);
	assert_int_equal(rd(r, DATA), '1');
	assert_false(r->line); /* seven are below the trigger */
	assert_int_equal(rd(r, IIR), 0xc1);
	assert_true(run_until(r, line_high)); /* but are not forgotten */
	assert_int_equal(rd(r, IIR), 0xcc);
	assert_int_equal(rd(r, DATA), '2');
	assert_false(r->line);
	assert_true(run_until(r, line_high));
	assert_int_equal(r->edges, 3);
}

static void uart_receive__a_single_byte_is_reported_at_once(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0xc1);
	wr(r, MCR, 0x08);
	wr(r, IER, 0x01);
	far_sends(r, "k");
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, IIR), 0xcc);
	assert_int_equal(rd(r, DATA), 'k');
	assert_false(r->line);
}

static void uart_receive__input_waits_for_a_guest_that_does_not_read(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	far_sends(r, "0123456789abcdefXYZ");
	assert_true(run_until(r, has_data));
	run_some(r);
	assert_int_equal(rd(r, LSR), 0x61); /* no overrun */
	for (unsigned i = 0; i < 16; i++)
		(void)rd(r, DATA);
	assert_false(has_data(r));
	assert_true(run_until(r, has_data));
	assert_int_equal(rd(r, DATA), 'X');
}

static void uart_receive__clearing_the_fifo_drops_it_and_takes_the_next(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	far_sends(r, "0123456789abcdefXYZ");
	assert_true(run_until(r, has_data));
	wr(r, FCR, 0x03);
	assert_int_equal(rd(r, LSR), 0x60);
	assert_true(run_until(r, has_data));
	assert_int_equal(rd(r, DATA), 'X');
}

static void uart_receive__toggling_the_fifos_clears_them(void **state)
{
	struct rig *r = *state;

	wr(r, MCR, 0x10);
	wr(r, FCR, 0x01);
	wr(r, DATA, 'x');
	assert_true(has_data(r));
	wr(r, FCR, 0x00);
	assert_false(has_data(r));
}

static void uart_receive__every_byte_value_passes(void **state)
{
	struct rig *r = *state;
	uint8_t all[256];

	for (unsigned i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	wr(r, FCR, 0x01);
	assert_int_equal(write(r->far, all, sizeof(all)), sizeof(all));
	for (unsigned i = 0; i < sizeof(all); i++) {
		assert_true(has_data(r) || run_until(r, has_data));
		assert_int_equal(rd(r, DATA), i);
		wr(r, DATA, (uint8_t)i);
	}
	chr_drain(r->chr, 1000);
	assert_int_equal(recv(r->far, all, sizeof(all), MSG_DONTWAIT), sizeof(all));
	for (unsigned i = 0; i < sizeof(all); i++)
		assert_int_equal(all[i], i);
}

/* --- errors, break -------------------------------------------------------- */

static void uart_break__comes_as_a_zero_byte_with_bi(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x08);
	wr(r, IER, 0x05);
	chr_inject_break(r->chr);
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, IIR), 0xc6);
	assert_int_equal(rd(r, LSR), 0xf1); /* BI, data, error in FIFO */
	assert_int_equal(rd(r, LSR), 0x61); /* reading has cleared them */
	assert_int_equal(rd(r, IIR), 0xc4);
	assert_int_equal(rd(r, DATA), 0);
	assert_false(r->line);
}

static void uart_break__shows_when_it_comes_to_the_top(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x10);
	wr(r, DATA, 'a');
	wr(r, LCR, 0x40);
	wr(r, LCR, 0x00);
	wr(r, DATA, 'b');
	assert_int_equal(rd(r, LSR), 0xe1); /* an error somewhere in the FIFO */
	assert_int_equal(rd(r, DATA), 'a');
	assert_int_equal(rd(r, LSR), 0xf1);
	assert_int_equal(rd(r, LSR), 0x61);
	assert_int_equal(rd(r, DATA), 0);
	assert_int_equal(rd(r, DATA), 'b');
}

static void uart_break__waits_for_room_in_the_fifo(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	far_sends(r, "0123456789abcdef");
	assert_true(run_until(r, has_data));
	chr_inject_break(r->chr);
	run_some(r);
	for (unsigned i = 0; i < 16; i++)
		(void)rd(r, DATA);
	assert_true(run_until(r, has_data));
	assert_int_equal(rd(r, DATA), 0);
}

static void uart_overrun__keeps_what_is_in_the_fifo(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x10);
	for (uint8_t i = 0; i < 20; i++)
		wr(r, DATA, i);
	assert_int_equal(rd(r, LSR), 0x63);
	assert_int_equal(rd(r, LSR), 0x61);
	for (uint8_t i = 0; i < 16; i++)
		assert_int_equal(rd(r, DATA), i);
	assert_false(has_data(r));
}

static void uart_overrun__replaces_the_holding_register_without_fifos(void **state)
{
	struct rig *r = *state;

	wr(r, MCR, 0x10);
	wr(r, DATA, 'a');
	wr(r, DATA, 'b');
	assert_int_equal(rd(r, LSR), 0x63);
	assert_int_equal(rd(r, DATA), 'b');
	assert_false(has_data(r));
}

/* --- loop-back, modem lines ------------------------------------------------ */

static void uart_loop__data_stays_inside(void **state)
{
	struct rig *r = *state;
	char c;

	wr(r, MCR, 0x10);
	far_sends(r, "z");
	wr(r, DATA, 'x');
	run_some(r);
	assert_int_equal(rd(r, DATA), 'x');
	assert_false(has_data(r));
	assert_int_equal(recv(r->far, &c, 1, MSG_DONTWAIT), -1);
	wr(r, MCR, 0x00);
	assert_true(run_until(r, has_data)); /* what came meanwhile has waited */
	assert_int_equal(rd(r, DATA), 'z');
}

static void uart_loop__fifo_is_sixteen_deep(void **state)
{
	struct rig *r = *state;
	unsigned count = 0;

	/* How Linux measures it (size_fifo): write 256, count what comes back. */
	wr(r, FCR, 0x07);
	wr(r, MCR, 0x10);
	for (unsigned i = 0; i < 256; i++)
		wr(r, DATA, (uint8_t)i);
	for (; has_data(r) && count < 256; count++)
		(void)rd(r, DATA);
	assert_int_equal(count, 16);
}

static void uart_loop__modem_outputs_are_inputs(void **state)
{
	struct rig *r = *state;

	/* Linux and serial.sys know a UART by this. */
	wr(r, MCR, 0x1a);
	assert_int_equal(rd(r, MSR) & 0xf0, 0x90);
	wr(r, MCR, 0x11);
	assert_int_equal(rd(r, MSR) & 0xf0, 0x20);
	wr(r, MCR, 0x14);
	assert_int_equal(rd(r, MSR) & 0xf0, 0x40);
	wr(r, MCR, 0x00);
	assert_int_equal(rd(r, MSR) & 0xf0, 0xb0);
}

static void uart_modem__deltas_interrupt_and_are_cleared_by_reading(void **state)
{
	struct rig *r = *state;

	wr(r, IER, 0x08);
	wr(r, MCR, 0x1f); /* all on, RI too */
	(void)rd(r, MSR);
	assert_false(r->line);
	wr(r, MCR, 0x18); /* DCD stays; CTS, DSR, RI go */
	assert_true(r->line);
	assert_int_equal(rd(r, IIR), 0x00);
	assert_int_equal(rd(r, MSR), 0x87);
	assert_false(r->line);
	assert_int_equal(rd(r, MSR), 0x80);
	wr(r, MCR, 0x1c);
	assert_int_equal(rd(r, MSR), 0xc0); /* the beginning of RI does not count */
}

static void uart_irq__out2_is_the_gate(void **state)
{
	struct rig *r = *state;

	wr(r, IER, 0x02);
	assert_false(r->line);
	wr(r, MCR, 0x08);
	assert_true(r->line);
	wr(r, MCR, 0x00);
	assert_false(r->line);
	assert_int_equal(rd(r, IIR), 0x02); /* pending all the same */
}

static void uart_irq__priorities(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x18);
	(void)rd(r, MSR);
	wr(r, IER, 0x0f);
	wr(r, MCR, 0x1a); /* modem */
	assert_int_equal(rd(r, IIR), 0xc2);
	assert_int_equal(rd(r, IIR), 0xc0);
	wr(r, DATA, 'x'); /* data and THR */
	wr(r, LCR, 0x40); /* break in second place */
	assert_int_equal(rd(r, IIR), 0xc4);
	(void)rd(r, DATA);
	assert_int_equal(rd(r, IIR), 0xc6);
	(void)rd(r, LSR);
	assert_int_equal(rd(r, IIR), 0xc4);
	(void)rd(r, DATA);
	assert_int_equal(rd(r, IIR), 0xc2);
	assert_int_equal(rd(r, IIR), 0xc0);
	(void)rd(r, MSR);
	assert_int_equal(rd(r, IIR), 0xc1);
}

/* --- life ------------------------------------------------------------------ */

static void uart_pause__nothing_moves_until_resume(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x08);
	wr(r, IER, 0x01);
	dev_pause(r->dev);
	far_sends(r, "x");
	run_some(r);
	assert_false(r->line);
	assert_false(has_data(r));
	dev_resume(r->dev);
	assert_true(run_until(r, line_high));
	assert_int_equal(rd(r, DATA), 'x');
}

static void uart_reset__drops_the_line_and_the_fifo_but_not_the_far_end(void **state)
{
	struct rig *r = *state;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x08);
	wr(r, IER, 0x03);
	wr(r, DATA, 'o');
	far_sends(r, "0123456789abcdefX");
	assert_true(run_until(r, has_data));
	dev_reset(r->dev);
	assert_false(r->line);
	assert_false(has_data(r));
	assert_int_equal(rd(r, IER), 0);
	far_receives(r, "o");
	assert_true(run_until(r, has_data));
	assert_int_equal(rd(r, DATA), 'X');
}

static void save(struct rig *r, struct buf *b)
{
	struct saver s;

	buf_init(b, 4096);
	save_init(&s, b);
	assert_int_equal(dev_save(r->dev, &s), 0);
	assert_false(b->failed);
}

static int load(struct rig *r, const struct buf *b)
{
	struct sill_err e = { 0 };
	struct loader l;

	load_init(&l, b->data, b->size);
	return dev_load(r->dev, &l, &e);
}

static void uart_load__continues_where_save_was(void **state)
{
	struct rig *r = *state;
	struct buf b;

	wr(r, LCR, 0x80);
	wr(r, DATA, 1);
	wr(r, LCR, 0x00);
	wr(r, SCR, 0x42);
	wr(r, FCR, 0xc1);
	wr(r, MCR, 0x18);
	wr(r, IER, 0x07);
	wr(r, DATA, 'a');
	wr(r, LCR, 0x43);
	wr(r, DATA, 'b');
	assert_true(r->line);
	save(r, &b);
	dev_reset(r->dev);
	assert_false(r->line);
	assert_int_equal(load(r, &b), 0);
	assert_true(r->line);
	assert_int_equal(rd(r, SCR), 0x42);
	assert_int_equal(rd(r, LCR), 0x43);
	assert_int_equal(rd(r, IER), 0x07);
	assert_int_equal(rd(r, IIR), 0xc2);
	assert_int_equal(rd(r, DATA), 'a');
	assert_int_equal(rd(r, LSR), 0xf1);
	assert_int_equal(rd(r, DATA), 0);
	assert_int_equal(rd(r, DATA), 'b');
	assert_false(has_data(r));
	wr(r, LCR, 0x80);
	assert_int_equal(rd(r, DATA), 1);
	buf_fini(&b);
}

static void uart_load__refuses_what_a_guest_could_not_have_made(void **state)
{
	enum { FCR_AT = 13, COUNT_AT = 12 + 11 };
	struct rig *r = *state;
	struct buf b;

	save(r, &b);
	b.data[COUNT_AT] = 2; /* more than a holding register holds */
	assert_int_equal(load(r, &b), -1);
	b.data[COUNT_AT] = 0;
	b.data[FCR_AT] = 0xc0; /* a trigger level without FIFOs */
	assert_int_equal(load(r, &b), -1);
	b.data[FCR_AT] = 0;
	b.data[COUNT_AT - 1] = 1; /* a time-out of nothing */
	assert_int_equal(load(r, &b), -1);
	b.data[COUNT_AT - 1] = 0;
	assert_int_equal(load(r, &b), 0);
	b.data[FCR_AT] = 0x01;
	b.data[COUNT_AT] = 17; /* one more than the FIFO holds, and all of them there */
	b.data[8] = (uint8_t)(b.data[8] + 2 * 17);
	for (unsigned i = 0; i < 17; i++)
		(void)buf_add16(&b, 0x1041);
	assert_int_equal(load(r, &b), -1);
	buf_fini(&b);

	save(r, &b);
	assert_int_equal(load(r, &b), 0);
	for (size_t n = 0; n < b.size; n++) {
		struct buf cut = b;

		cut.size = n;
		assert_int_equal(load(r, &cut), -1);
	}
	buf_fini(&b);
}

static void uart_create__lives_without_a_far_end(void **state)
{
	struct rig *r = *state;
	struct sill_err e = { 0 };
	struct dev *d = dev_create(&uart_ops, "uart1", NULL, NO_GSI, &r->env, &e);
	struct io io = { .off = DATA, .size = 1, .val = 'x', .write = true };

	assert_non_null(d);
	assert_int_equal(dev_io(d, 0, &io), IO_DONE);
	io = (struct io){ .off = MSR, .size = 1 };
	assert_int_equal(dev_io(d, 0, &io), IO_DONE);
	assert_int_equal(io.val, 0x30);
	dev_destroy(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(uart_reset__leaves_the_values_firmware_expects),
		TEST(uart_io__scratch_register_keeps_a_byte),
		TEST(uart_io__divisor_hides_behind_dlab),
		TEST(uart_io__unused_bits_read_zero),
		TEST(uart_io__status_registers_are_read_only),
		TEST(uart_io__a_wide_access_is_byte_cycles),
		TEST(uart_io__fcr_shows_in_iir),
		TEST(uart_send__bytes_arrive_in_order),
		TEST(uart_send__a_far_end_that_does_not_read_stops_nobody),
		TEST(uart_send__thr_interrupt_follows_each_byte),
		TEST(uart_send__enabling_again_raises_the_thr_interrupt_again),
		TEST(uart_send__a_higher_source_leaves_the_thr_interrupt_pending),
		TEST(uart_receive__one_byte_without_fifos),
		TEST(uart_receive__one_fifo_at_a_time_and_nothing_is_lost),
		TEST(uart_receive__trigger_level_decides_between_data_and_timeout),
		TEST(uart_receive__a_single_byte_is_reported_at_once),
		TEST(uart_receive__input_waits_for_a_guest_that_does_not_read),
		TEST(uart_receive__clearing_the_fifo_drops_it_and_takes_the_next),
		TEST(uart_receive__toggling_the_fifos_clears_them),
		TEST(uart_receive__every_byte_value_passes),
		TEST(uart_break__comes_as_a_zero_byte_with_bi),
		TEST(uart_break__shows_when_it_comes_to_the_top),
		TEST(uart_break__waits_for_room_in_the_fifo),
		TEST(uart_overrun__keeps_what_is_in_the_fifo),
		TEST(uart_overrun__replaces_the_holding_register_without_fifos),
		TEST(uart_loop__data_stays_inside),
		TEST(uart_loop__fifo_is_sixteen_deep),
		TEST(uart_loop__modem_outputs_are_inputs),
		TEST(uart_modem__deltas_interrupt_and_are_cleared_by_reading),
		TEST(uart_irq__out2_is_the_gate),
		TEST(uart_irq__priorities),
		TEST(uart_pause__nothing_moves_until_resume),
		TEST(uart_reset__drops_the_line_and_the_fifo_but_not_the_far_end),
		TEST(uart_load__continues_where_save_was),
		TEST(uart_load__refuses_what_a_guest_could_not_have_made),
		TEST(uart_create__lives_without_a_far_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
