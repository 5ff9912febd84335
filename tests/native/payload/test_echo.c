/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_echo.c - a guest that says '<' on COM2 when it starts, and then sends back what comes there. It does not end.
 */
#include "irq.h"
#include "lib.h"
#include "test.h"

/* 16550: offsets and bits as in its data sheet. */
enum {
	COM2 = 0x2f8,
	FIFO_CONTROL = 2,
	LINE_STATUS = 5,
	DATA_READY = 0x01,
	TX_EMPTY = 0x20,
	FIFOS_ON = 1
};

static void await(uint8_t bit)
{
	while ((inb(COM2 + LINE_STATUS) & bit) == 0)
		;
}

static void send(uint8_t byte)
{
	await(TX_EMPTY);
	outb(COM2, byte);
}

static void echo_port__sends_back_what_comes(void)
{
	outb(COM2 + FIFO_CONTROL, FIFOS_ON);
	send('<');
	for (;;) {
		await(DATA_READY);
		send(inb(COM2));
	}
}

const struct test echo_tests[] = {
	{ "echo_port__sends_back_what_comes", echo_port__sends_back_what_comes },
	{ NULL, NULL },
};
