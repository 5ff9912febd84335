/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_uart.c - a guest that pokes the serial port while somebody types.
 *
 * Input: pairs of bytes { op, value }. Low three bits of op are the register;
 * bits 7:6 choose: 0 read, 1 write, 2 the far end types `value & 31` bytes,
 * 3 others (see below). After each step the promises of uart.c must hold.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/x86_64/layout.h"
#include "backend/serial/chr.h"
#include "base/buf.h"
#include "devices/dev.h"
#include "devices/legacy/uart.h"
#include "turn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool line;
static struct loop *loop;
static struct dev *dev;
static struct chr *chr;
static int far;

static void record_line(void *ctx, unsigned gsi, bool level)
{
	(void)ctx;
	require(gsi == IRQ_COM1 && level != line);
	line = level;
}

static uint8_t rd(unsigned reg)
{
	struct io io = { .off = reg, .size = 1 };

	require(dev_io(dev, 0, &io) == IO_DONE && io.val <= 0xff);
	return (uint8_t)io.val;
}

static void wr(unsigned reg, uint8_t v)
{
	struct io io = { .off = reg, .size = 1, .val = v, .write = true };

	require(dev_io(dev, 0, &io) == (reg == 5 || reg == 6 ? IO_READ_ONLY : IO_DONE));
}

static void set_up(void)
{
	static const struct irq_ops ops = { .line = record_line };
	static struct irqs irqs;
	static struct dev_env env;
	struct sill_err e = { 0 };
	struct uart_config config;
	int pair[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	far = pair[1];
	loop = loop_create(&e);
	irqs_init(&irqs, &ops, NULL);
	env = (struct dev_env){ .irqs = &irqs, .loop = loop };
	chr = chr_create("far",
			 &(struct chr_config){ .mode = SILL_CHAR_TTY,
					       .in_fd = pair[0],
					       .out_fd = pair[0],
					       .listen_fd = -1 },
			 loop, &e);
	config.chr = chr;
	dev = dev_create(&uart_ops, "uart0", &config, IRQ_COM1, &env, &e);
	require(dev != NULL);
}

static void check(void)
{
	uint8_t iir;

	require((rd(5) & 0x60) == 0x60);
	iir = rd(2);
	require((iir & 0x30) == 0 && ((iir & 0xc0) == 0 || (iir & 0xc0) == 0xc0));
	/* Reading IIR may have cleared what it told; the line is the truth of now. */
	require(!line || ((rd(4) & 0x08) != 0 && (iir & 0x0f) != 0x01));
	require((iir & 0x0f) != 0x04 || (rd(5) & 0x01) != 0);
}

static void save_and_load(void)
{
	struct sill_err e = { 0 };
	struct loader l;
	struct saver s;
	struct buf a, b;

	buf_init(&a, 4096);
	buf_init(&b, 4096);
	save_init(&s, &a);
	require(dev_save(dev, &s) == 0);
	load_init(&l, a.data, a.size);
	require(dev_load(dev, &l, &e) == 0);
	save_init(&s, &b);
	require(dev_save(dev, &s) == 0);
	require(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
	buf_fini(&a);
	buf_fini(&b);
}

static void other(unsigned op, uint8_t v)
{
	static char sink[65536];
	struct io io = { .off = v & 7, .size = 4, .val = v * 0x01010101u, .write = (v & 8) != 0 };

	switch (op) {
	case 0:
		turn(loop);
		break;
	case 1:
		chr_inject_break(chr);
		break;
	case 2:
		save_and_load();
		break;
	case 3:
		dev_reset(dev);
		break;
	case 4:
		if ((v & 1) != 0)
			dev_pause(dev);
		else
			dev_resume(dev);
		break;
	case 5:
		(void)dev_io(dev, 0, &io);
		break;
	default:
		(void)read(far, sink, sizeof(sink));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sink[4096];

	if (dev == NULL)
		set_up();
	for (size_t i = 0; i + 1 < size; i += 2) {
		uint8_t op = data[i], v = data[i + 1];

		switch (op >> 6) {
		case 0:
			(void)rd(op & 7);
			break;
		case 1:
			wr(op & 7, v);
			break;
		case 2:
			(void)write(far, data, (v & 31u) < size ? v & 31u : size);
			break;
		default:
			other(op & 7, v);
			break;
		}
		if ((op & 0x08) != 0)
			check();
	}

	/* Leave nothing behind for the next input. */
	dev_resume(dev);
	dev_reset(dev);
	turn(loop);
	while (read(far, sink, sizeof(sink)) > 0 || chr_read(chr, sink, sizeof(sink)) > 0)
		turn(loop);
	(void)chr_take_break(chr);
	dev_reset(dev);
	require(!line);
	return 0;
}
