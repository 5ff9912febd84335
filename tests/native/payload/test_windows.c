/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_windows.c - a guest that is, at its serial ports, a Windows: SAC on COM1, and on COM2 a kernel that waits for its
 * debugger. They are the peers that unit tests have in their process; here each byte goes through the UARTs. It does
 * not end.
 *
 * Options on the command line:
 *	flood=N		so many packets, each with its number, follow the answer to a question of FLOOD
 *	seed=N		of what SAC leaves to chance
 * Typed into a command prompt, "tell N TEXT" is TEXT and the exit status N.
 */
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

#include "fake_sac.h"
#include "kd_peer.h"

/* ---- what the peers need of a C library ---- */

void __assert_fail(const char *what, const char *file, unsigned line, const char *fn)
{
	print("not ok windows: %s:%u: %s: %s\n", file, line, fn, what);
	for (;;)
		;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	vformat(buf, size, fmt, ap);
	return (int)strlen(buf); /* no more than fits: nobody here asks how much it would be */
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++)
		if (*a != *b || *a == '\0')
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strstr(const char *in, const char *what)
{
	const size_t n = strlen(what);

	for (; *in != '\0'; in++)
		if (strncmp(in, what, n) == 0)
			return (char *)(uintptr_t)in;
	return NULL;
}

unsigned long strtoul(const char *s, char **ret_end, int base)
{
	unsigned long v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * (unsigned)base + (unsigned)(*s - '0');
	if (ret_end != NULL)
		*ret_end = (char *)(uintptr_t)s;
	return v;
}

long strtol(const char *s, char **ret_end, int base)
{
	return (long)strtoul(s, ret_end, base);
}

/* ---- the ports ---- */

enum {
	COM1 = 0x3f8,
	COM2 = 0x2f8,
	UART_FIFOS = 2,
	UART_LINE = 5,
	LINE_DATA = 0x01,
	LINE_EMPTY = 0x20
};
enum {
	FIFO = 16,
	PIECE = 64,
	POST = 0x80,
	RESET_CONTROL = 0xcf9,
	RESET_ALL = 0x06,
	DEBUG_IO = 3,
	FLOOD = 0xf0
};

static struct fake_sac windows;
static struct kd_peer kd;
static unsigned breaks, questions;

/* An empty transmitter takes a FIFO of bytes. */
static void put(uint16_t port, const void *what, size_t n)
{
	const uint8_t *p = what;

	while (n > 0) {
		while ((inb(port + UART_LINE) & LINE_EMPTY) == 0)
			;
		for (unsigned room = FIFO; room > 0 && n > 0; room--, n--)
			outb(port, *p++);
	}
}

static size_t get(uint16_t port, uint8_t ret[PIECE])
{
	size_t n = 0;

	while (n < PIECE && (inb(port + UART_LINE) & LINE_DATA) != 0)
		ret[n++] = inb(port);
	return n;
}

static bool tell(struct fake_sac *f, const char *command)
{
	char *text;

	if (strncmp(command, "tell ", 5) != 0)
		return false;
	f->status = (int)strtoul(command + 5, &text, 10);
	fake_file(f, text);
	fake_file(f, "\r\n");
	return true;
}

/* Whole packets: who comes in the middle of one understands the next. */
static void flood(void)
{
	const uint32_t count = (uint32_t)opt_number("flood", 16);
	uint8_t data[KD_ANSWER], packet[KD_HEAD + KD_ANSWER + 1];

	for (uint32_t i = 0; i < count; i++) {
		memset(data, (int)i, sizeof(data));
		st32(data, i);
		put(COM2, packet, kd_packet(packet, DEBUG_IO, KD_FIRST_ID, data, sizeof(data)));
	}
}

static bool serve_sac(void)
{
	uint8_t keys[PIECE];
	const char *said;
	size_t n = get(COM1, keys), out;

	windows.now = tsc() / tsc_per_ms();
	fake_hear(&windows, keys, n);
	if (windows.boots > 1)
		outb(RESET_CONTROL, RESET_ALL);
	while ((out = fake_pass(&windows, windows.now, &said)) > 0) {
		put(COM1, said, out);
		n += out;
	}
	return n > 0;
}

static bool serve_kd(void)
{
	uint8_t in[PIECE];
	const size_t n = get(COM2, in), out = kd.out_n;

	kd_peer_take(&kd, in, n);
	if (kd.breaks != breaks) { /* it stops, and tells so */
		breaks = kd.breaks;
		kd_peer_send(&kd, KD_STATE_CHANGE, 0x22, KD_ANSWER);
	}
	put(COM2, kd.out, kd.out_n);
	kd.out_n = 0;
	if (kd.questions != questions && kd.asked == FLOOD)
		flood();
	questions = kd.questions;
	return n > 0 || out > 0;
}

static void windows__is_at_both_serial_ports(void)
{
	for (unsigned i = 0; i < 4; i++)
		outb(POST, (uint8_t)(0x4f + i / 2)); /* as firmware does on its way */
	windows.random = opt_number("seed", 1);
	windows.nuls = true;
	windows.paints = opt_number("seed", 1) % 2 == 0;
	windows.command = tell;
	outb(COM1 + UART_FIFOS, 1);
	outb(COM2 + UART_FIFOS, 1);
	fake_boot(&windows);
	kd_peer_begin(&kd, true);
	for (;;) {
		const bool moved = serve_sac();

		if (!serve_kd() && !moved)
			sleep_ms(1);
	}
}

const struct test windows_tests[] = {
	{ "windows__is_at_both_serial_ports", windows__is_at_both_serial_ports },
	{ 0 },
};
