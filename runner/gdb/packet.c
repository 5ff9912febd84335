/* SPDX-License-Identifier: Apache-2.0 */
/* packet.c - see packet.h. */
#include "runner/gdb/packet.h"

static const char digits[] = "0123456789abcdef";

int gdb_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void keep(struct gdb_packet *p, uint8_t byte)
{
	if (p->n < GDB_PACKET)
		p->data[p->n] = (char)byte;
	if (p->n <= GDB_PACKET)
		p->n++;
}

static enum gdb_byte outside(struct gdb_packet *p, uint8_t byte)
{
	switch (byte) {
	case '$':
		p->state = GDB_DATA;
		p->n = p->sum = 0;
		return GDB_MORE;
	case '-':
		return GDB_AGAIN;
	case 3:
		return GDB_STOP;
	default: /* +, and noise */
		return GDB_MORE;
	}
}

static enum gdb_byte inside(struct gdb_packet *p, uint8_t byte)
{
	if (byte == '#') {
		p->state = GDB_SUM1;
		return GDB_MORE;
	}
	if (byte == '$') /* the one before was cut off */
		return outside(p, byte);
	p->sum = (uint8_t)(p->sum + byte);
	if (p->state == GDB_ESCAPED) {
		keep(p, byte ^ 0x20);
		p->state = GDB_DATA;
	} else if (byte == '}') {
		p->state = GDB_ESCAPED;
	} else {
		keep(p, byte);
	}
	return GDB_MORE;
}

enum gdb_byte gdb_packet_take(struct gdb_packet *p, uint8_t byte)
{
	const int digit = gdb_digit((char)byte);

	switch (p->state) {
	case GDB_OUTSIDE:
		return outside(p, byte);
	case GDB_DATA:
	case GDB_ESCAPED:
		return inside(p, byte);
	case GDB_SUM1:
		p->digit = (uint8_t)(digit < 0 ? 0 : digit);
		p->state = digit < 0 ? GDB_OUTSIDE : GDB_SUM2;
		return digit < 0 ? GDB_BROKEN : GDB_MORE;
	case GDB_SUM2:
		p->state = GDB_OUTSIDE;
		if (digit < 0 || p->digit * 16 + digit != p->sum || p->n > GDB_PACKET)
			return GDB_BROKEN;
		p->data[p->n] = '\0';
		return GDB_PACKET_IN;
	}
	return GDB_MORE;
}

/* '*' would be a repetition. */
static int needs_escape(char c)
{
	return c == '#' || c == '$' || c == '}' || c == '*';
}

size_t gdb_packet_make(const char *data, size_t n, char ret[GDB_WIRE])
{
	uint8_t sum = 0;
	size_t at = 0;

	ret[at++] = '$';
	for (size_t i = 0; i < n && i < GDB_PACKET; i++) {
		char c = data[i];

		if (needs_escape(c)) {
			ret[at++] = '}';
			sum = (uint8_t)(sum + '}');
			c ^= 0x20;
		}
		ret[at++] = c;
		sum = (uint8_t)(sum + (uint8_t)c);
	}
	ret[at++] = '#';
	ret[at++] = digits[sum >> 4];
	ret[at++] = digits[sum & 15];
	return at;
}
