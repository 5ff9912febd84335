/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_echo.c - a guest that says '<' on COM2 when it starts, and then sends back what comes there. It does not end.
 *
 * After a '+' it sends the numbers from 0 on, of 32 bits, as fast as the port takes them.
 *
 * Options on the command line:
 *	pour=KIB	so much of numbers (16)
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
enum { FIFO = 16, PLUS = '+' };

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

/* A FIFO of bytes at a time, by one instruction. */
static void pour(void)
{
	const uint32_t count = (uint32_t)opt_number("pour", 16) * 1024 / sizeof(uint32_t);
	uint32_t numbers[FIFO / sizeof(uint32_t)];

	for (uint32_t i = 0; i < count;) {
		for (unsigned k = 0; k < ARRAY_LEN(numbers); k++)
			numbers[k] = i++;
		await(TX_EMPTY);
		outsb(COM2, numbers, sizeof(numbers));
	}
}

static void echo_port__sends_back_what_comes(void)
{
	outb(COM2 + FIFO_CONTROL, FIFOS_ON);
	send('<');
	for (;;) {
		uint8_t byte;

		await(DATA_READY);
		byte = inb(COM2);
		send(byte);
		if (byte == PLUS)
			pour();
	}
}

const struct test echo_tests[] = {
	{ "echo_port__sends_back_what_comes", echo_port__sends_back_what_comes },
	{ NULL, NULL },
};
