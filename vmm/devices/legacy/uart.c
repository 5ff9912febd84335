/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart.c - a serial port as in the PC16550D data sheet (National
 * Semiconductor, 1995), without the wire.
 *
 *   off  DLAB=0 read   DLAB=0 write   DLAB=1
 *   0    RBR           THR            DLL    divisor, kept but not used
 *   1    IER           IER            DLM
 *   2    IIR           FCR            same
 *   3    LCR  bit 7 is DLAB
 *   4    MCR  bit 3 (OUT2) lets the interrupt out, bit 4 loops back
 *   5    LSR  read only; reading clears the error bits
 *   6    MSR  read only; reading clears the delta bits
 *   7    SCR  keeps a byte; firmware knows the chip by it
 *
 * Registers are a byte wide. A wider access is what the ISA bus makes of it:
 * byte cycles at consecutive addresses, lowest first.
 *
 * Sending: there is no baud rate. The far end takes a byte at once and never
 * makes the guest wait, so LSR always says that the transmitter is empty, and
 * each byte written is followed by the THR-empty interrupt.
 *
 * Receiving: input waits at the far end (struct chr) and comes in one FIFO at
 * a time, from the main loop: once the guest has emptied the FIFO, the next
 * filling is posted, so that its interrupt handler sees the line idle and ends
 * as it would on a wire. So only the loop-back can overrun. The character
 * time-out is reported at once for bytes that arrive (nothing follows them),
 * and IDLE_NS after the last read for bytes that a handler has left behind.
 *
 * Modem inputs: DSR and CTS are always on, since output is always taken (and
 * Windows' EMS wants them before it speaks); DCD says whether somebody is
 * connected. Break conditions sent by the guest go nowhere but the loop-back.
 *
 * Threads: everything under the device's lock; posted work and the timer take
 * it themselves.
 */
#include "devices/legacy/uart.h"

#include "backend/serial/chr.h"
#include "devices/dev.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REG_COUNT };

enum {
	IER_RX = 1 << 0,
	IER_TX = 1 << 1,
	IER_LINE = 1 << 2,
	IER_MODEM = 1 << 3,
	IER_ALL = 0x0f,
};

/* The low four bits of IIR: the most urgent source. */
enum {
	IIR_MODEM = 0x00,
	IIR_NONE = 0x01,
	IIR_TX = 0x02,
	IIR_RX = 0x04,
	IIR_LINE = 0x06,
	IIR_RX_IDLE = 0x0c,
	IIR_FIFOS = 0xc0,
};

enum {
	FCR_ENABLE = 1 << 0,
	FCR_CLEAR_RX = 1 << 1,
	FCR_KEPT = 0xc9, /* enable, DMA mode, trigger level */
};

enum { LCR_BREAK = 1 << 6, LCR_DLAB = 1 << 7 };

enum {
	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT1 = 1 << 2,
	MCR_OUT2 = 1 << 3,
	MCR_LOOP = 1 << 4,
	MCR_ALL = 0x1f,
};

enum {
	LSR_DATA = 1 << 0,
	LSR_OVERRUN = 1 << 1,
	LSR_PARITY = 1 << 2,
	LSR_FRAMING = 1 << 3,
	LSR_BREAK = 1 << 4,
	LSR_TX_EMPTY = 1 << 5,
	LSR_TX_IDLE = 1 << 6,
	LSR_FIFO_ERROR = 1 << 7,
	LSR_CHAR_ERRORS = LSR_PARITY | LSR_FRAMING | LSR_BREAK,
	LSR_ERRORS = LSR_CHAR_ERRORS | LSR_OVERRUN,
};

enum {
	MSR_DCTS = 1 << 0,
	MSR_DDSR = 1 << 1,
	MSR_TERI = 1 << 2, /* ring indicator: only its end counts */
	MSR_DDCD = 1 << 3,
	MSR_CTS = 1 << 4,
	MSR_DSR = 1 << 5,
	MSR_RI = 1 << 6,
	MSR_DCD = 1 << 7,
	MSR_LINES = 0xf0,
	MSR_DELTAS = 0x0f,
};

enum { FIFO_SIZE = 16, DIVISOR_9600 = 12 };

/* Four characters of ten bits at 115200 baud, rounded up: how long a FIFO must be left alone. */
static const uint64_t IDLE_NS = 350000;

struct uart_char {
	uint8_t byte;
	uint8_t errors; /* LSR_CHAR_ERRORS that belong to it */
};

struct uart {
	struct dev *dev;  /* borrowed: whose state this is */
	struct chr *chr;  /* borrowed; NULL: none */
	bool paused;      /* nothing may change; also from stop() on */
	bool rx_more;     /* the far end may have more than fitted */
	bool rx_was_read; /* since the idle timer was set */
	bool idle_armed;
	struct loop_task rx_task;
	struct loop_timer idle;

	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t errors;  /* LSR_ERRORS seen and not yet read */
	uint8_t modem;   /* MSR */
	bool tx_pending; /* the THR-empty interrupt waits to be read from IIR */
	bool rx_idle;    /* the character time-out has come */
	struct uart_char rx[FIFO_SIZE];
	uint8_t rx_first, rx_count;
};

/* --- interrupts ---------------------------------------------------------- */

static bool fifos_on(const struct uart *s)
{
	return (s->fcr & FCR_ENABLE) != 0;
}

static unsigned rx_size(const struct uart *s)
{
	return fifos_on(s) ? FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct uart *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return fifos_on(s) ? level[s->fcr >> 6] : 1;
}

/* The most urgent enabled source, as IIR shows it. */
static uint8_t source(const struct uart *s)
{
	if ((s->ier & IER_LINE) != 0 && s->errors != 0)
		return IIR_LINE;
	if ((s->ier & IER_RX) != 0 && s->rx_count >= rx_trigger(s))
		return IIR_RX;
	if ((s->ier & IER_RX) != 0 && s->rx_idle)
		return IIR_RX_IDLE;
	if ((s->ier & IER_TX) != 0 && s->tx_pending)
		return IIR_TX;
	if ((s->ier & IER_MODEM) != 0 && (s->modem & MSR_DELTAS) != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct uart *s)
{
	irq_line_set(&s->dev->irq, (s->mcr & MCR_OUT2) != 0 && source(s) != IIR_NONE);
}

/* --- receiver ------------------------------------------------------------ */

/* A character has come to the top of the FIFO: its errors become visible. */
static void rx_reveal(struct uart *s)
{
	struct uart_char *top = &s->rx[s->rx_first];

	if (s->rx_count == 0)
		return;
	s->errors |= top->errors;
	top->errors = 0;
}

static void rx_push(struct uart *s, uint8_t byte, uint8_t errors)
{
	unsigned at = (s->rx_first + s->rx_count) % FIFO_SIZE;

	if (s->rx_count >= rx_size(s)) {
		s->errors |= LSR_OVERRUN;
		if (fifos_on(s))
			return;  /* what is in the FIFO stays */
		s->rx_count = 0; /* the holding register is overwritten */
		at = s->rx_first;
	}
	s->rx[at] = (struct uart_char){ .byte = byte, .errors = errors };
	s->rx_count++;
	if (s->rx_count == 1)
		rx_reveal(s);
}

static void rx_clear(struct uart *s)
{
	s->rx_first = 0;
	s->rx_count = 0;
	s->rx_idle = false;
}

/* Have uart_rx_run() called soon. */
static void rx_ask(struct uart *s)
{
	loop_post(s->dev->env->loop, &s->rx_task);
}

/* Bytes below the trigger level: report them once nobody has touched the FIFO for a while. */
static void rx_idle_later(struct uart *s)
{
	s->rx_was_read = true;
	if (s->idle_armed || s->rx_count == 0 || !fifos_on(s))
		return;
	s->idle_armed = true;
	s->rx_was_read = false;
	loop_timer_set(s->dev->env->loop, &s->idle, host_now() + IDLE_NS);
}

static void uart_idle(void *ctx)
{
	struct dev *d = ctx;
	struct uart *s = d->state;

	dev_take(d);
	s->idle_armed = false;
	if (!s->paused && s->rx_was_read)
		rx_idle_later(s);
	else if (!s->paused && fifos_on(s))
		s->rx_idle = s->rx_count > 0;
	update_irq(s);
	dev_drop(d);
}

static uint8_t rx_pop(struct uart *s)
{
	uint8_t byte = s->rx[s->rx_first].byte; /* an empty one repeats its last byte */

	if (s->rx_count == 0)
		return byte;
	s->rx_idle = false;
	s->rx_count--;
	if (s->rx_count > 0) {
		s->rx_first = (uint8_t)((s->rx_first + 1) % FIFO_SIZE);
		rx_reveal(s);
		rx_idle_later(s);
	} else if (s->rx_more) {
		rx_ask(s);
	}
	return byte;
}

static void modem_set(struct uart *s, uint8_t lines)
{
	uint8_t changed = (s->modem ^ lines) & MSR_LINES;

	/* The deltas are the lines' bits four places down; RI counts only when it ends. */
	s->modem = (uint8_t)(lines | (s->modem & MSR_DELTAS) |
			     (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4);
	if ((changed & MSR_RI) != 0 && (lines & MSR_RI) == 0)
		s->modem |= MSR_TERI;
}

static uint8_t modem_lines(const struct uart *s)
{
	uint8_t lines = 0;

	if ((s->mcr & MCR_LOOP) == 0)
		return MSR_CTS | MSR_DSR | (s->chr != NULL && chr_connected(s->chr) ? MSR_DCD : 0);
	if ((s->mcr & MCR_RTS) != 0)
		lines |= MSR_CTS;
	if ((s->mcr & MCR_DTR) != 0)
		lines |= MSR_DSR;
	if ((s->mcr & MCR_OUT1) != 0)
		lines |= MSR_RI;
	if ((s->mcr & MCR_OUT2) != 0)
		lines |= MSR_DCD;
	return lines;
}

/* Take in what the far end has, when it is our turn. */
static void rx_fill(struct uart *s)
{
	uint8_t bytes[FIFO_SIZE];
	size_t n;

	if (s->chr == NULL || (s->mcr & MCR_LOOP) != 0)
		return;
	if (s->rx_count < rx_size(s) && chr_take_break(s->chr))
		rx_push(s, 0, LSR_BREAK);
	n = chr_read(s->chr, bytes, rx_size(s) - s->rx_count);
	for (size_t i = 0; i < n; i++)
		rx_push(s, bytes[i], 0);
	s->rx_more = s->rx_count == rx_size(s);
	if (s->rx_count > 0 && fifos_on(s))
		s->rx_idle = true;
}

/* Main loop: the far end has something to say, or there is room again. */
static void uart_rx_run(void *ctx)
{
	struct dev *d = ctx;
	struct uart *s = d->state;

	dev_take(d);
	if (!s->paused) {
		modem_set(s, modem_lines(s));
		rx_fill(s);
		update_irq(s);
	}
	dev_drop(d);
}

/* --- registers ----------------------------------------------------------- */

static uint8_t lsr_read(struct uart *s)
{
	uint8_t v = LSR_TX_EMPTY | LSR_TX_IDLE | s->errors;
	uint8_t in_fifo = s->errors;

	if (s->rx_count > 0)
		v |= LSR_DATA;
	for (unsigned i = 0; i < s->rx_count; i++)
		in_fifo |= s->rx[(s->rx_first + i) % FIFO_SIZE].errors;
	if (fifos_on(s) && (in_fifo & LSR_CHAR_ERRORS) != 0)
		v |= LSR_FIFO_ERROR;
	s->errors = 0;
	return v;
}

static uint8_t iir_read(struct uart *s)
{
	uint8_t v = source(s);

	if (v == IIR_TX)
		s->tx_pending = false;
	return v | (fifos_on(s) ? IIR_FIFOS : 0);
}

static uint8_t msr_read(struct uart *s)
{
	uint8_t v = s->modem;

	s->modem &= MSR_LINES;
	return v;
}

static uint8_t reg_read(struct uart *s, uint64_t reg)
{
	bool dlab = (s->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case REG_DATA:
		return dlab ? s->dll : rx_pop(s);
	case REG_IER:
		return dlab ? s->dlm : s->ier;
	case REG_IIR_FCR:
		return iir_read(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return lsr_read(s);
	case REG_MSR:
		return msr_read(s);
	default:
		return s->scr;
	}
}

static void thr_write(struct uart *s, uint8_t v)
{
	s->tx_pending = true; /* empty again already */
	if ((s->mcr & MCR_LOOP) != 0) {
		rx_push(s, v, 0);
		rx_idle_later(s);
	} else if (s->chr != NULL) {
		chr_write(s->chr, &v, 1);
	}
}

static void ier_write(struct uart *s, uint8_t v)
{
	/* Enabled while the transmitter is empty: the interrupt comes at once. */
	if ((v & IER_TX) != 0 && (s->ier & IER_TX) == 0)
		s->tx_pending = true;
	s->ier = v & IER_ALL;
}

static void fcr_write(struct uart *s, uint8_t v)
{
	bool toggled = ((s->fcr ^ v) & FCR_ENABLE) != 0;

	/* The other bits take effect only together with the enable bit. */
	s->fcr = (v & FCR_ENABLE) != 0 ? v & FCR_KEPT : 0;
	if (toggled || ((v & FCR_ENABLE) != 0 && (v & FCR_CLEAR_RX) != 0)) {
		rx_clear(s);
		rx_ask(s);
	}
}

static void lcr_write(struct uart *s, uint8_t v)
{
	bool begins = (v & LCR_BREAK) != 0 && (s->lcr & LCR_BREAK) == 0;

	s->lcr = v;
	if (begins && (s->mcr & MCR_LOOP) != 0)
		rx_push(s, 0, LSR_BREAK);
}

static void mcr_write(struct uart *s, uint8_t v)
{
	bool looped = (s->mcr & MCR_LOOP) != 0;

	s->mcr = v & MCR_ALL;
	modem_set(s, modem_lines(s));
	if (looped && (s->mcr & MCR_LOOP) == 0)
		rx_ask(s); /* input has waited while we heard ourselves */
}

static enum io_result reg_write(struct uart *s, uint64_t reg, uint8_t v)
{
	bool dlab = (s->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			s->dll = v;
		else
			thr_write(s, v);
		return IO_DONE;
	case REG_IER:
		if (dlab)
			s->dlm = v;
		else
			ier_write(s, v);
		return IO_DONE;
	case REG_IIR_FCR:
		fcr_write(s, v);
		return IO_DONE;
	case REG_LCR:
		lcr_write(s, v);
		return IO_DONE;
	case REG_MCR:
		mcr_write(s, v);
		return IO_DONE;
	case REG_SCR:
		s->scr = v;
		return IO_DONE;
	default:
		return IO_READ_ONLY;
	}
}

static enum io_result uart_io(struct dev *d, unsigned region, struct io *io)
{
	struct uart *s = d->state;
	enum io_result worst = IO_DONE;
	uint64_t val = 0;

	(void)region;
	for (unsigned i = 0; i < io->size; i++) {
		uint64_t reg = io->off + i;
		enum io_result r = IO_DONE;

		if (reg >= REG_COUNT)
			r = IO_NO_REGISTER;
		else if (io->write)
			r = reg_write(s, reg, (uint8_t)(io->val >> 8 * i));
		else
			val |= (uint64_t)reg_read(s, reg) << 8 * i;
		if (r != IO_DONE)
			worst = r;
	}
	if (!io->write)
		io->val = val;
	update_irq(s);
	return worst;
}

/* --- life ---------------------------------------------------------------- */

static void uart_reset(struct dev *d)
{
	struct uart *s = d->state;

	s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
	s->dll = DIVISOR_9600;
	s->dlm = 0;
	s->errors = 0;
	s->tx_pending = false;
	s->modem = modem_lines(s);
	rx_clear(s);
	update_irq(s);
	if (s->chr != NULL)
		chr_guest_anew(s->chr);
	rx_ask(s); /* what was typed meanwhile */
}

static int uart_init(struct dev *d, struct sill_err *e)
{
	const struct uart_config *c = d->config;
	const struct chr_user user = { .readable = uart_rx_run, .ctx = d };
	struct uart *s = d->state;

	(void)e;
	s->dev = d;
	s->chr = c != NULL ? c->chr : NULL;
	s->rx_task = (struct loop_task){ .fn = uart_rx_run, .ctx = d };
	s->idle = (struct loop_timer){ .fn = uart_idle, .ctx = d };
	if (s->chr != NULL)
		chr_set_user(s->chr, &user);
	return 0;
}

static void uart_pause(struct dev *d)
{
	struct uart *s = d->state;

	s->paused = true;
}

static void uart_resume(struct dev *d)
{
	struct uart *s = d->state;

	s->paused = false;
	rx_ask(s);
	rx_idle_later(s);
}

static void uart_fini(struct dev *d)
{
	struct uart *s = d->state;

	if (s->chr != NULL)
		chr_set_user(s->chr, NULL);
	loop_unpost(d->env->loop, &s->rx_task);
	loop_timer_cancel(d->env->loop, &s->idle);
}

enum { SAVE_UART = SAVE_TAG('U', 'A', 'R', 'T'), SAVE_VERSION = 1 };

static int uart_save(struct dev *d, struct saver *sv)
{
	const struct uart *s = d->state;
	const uint8_t regs[] = { s->ier, s->fcr, s->lcr,    s->mcr,  s->scr,
				 s->dll, s->dlm, s->errors, s->modem };

	save_begin(sv, SAVE_UART, SAVE_VERSION);
	save_bytes(sv, regs, sizeof(regs));
	save_u8(sv, s->tx_pending);
	save_u8(sv, s->rx_idle);
	save_u8(sv, s->rx_count);
	for (unsigned i = 0; i < s->rx_count; i++) {
		save_u8(sv, s->rx[(s->rx_first + i) % FIFO_SIZE].byte);
		save_u8(sv, s->rx[(s->rx_first + i) % FIFO_SIZE].errors);
	}
	save_end(sv);
	return 0;
}

static int uart_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct uart *s = d->state;

	(void)load_begin(l, SAVE_UART, SAVE_VERSION);
	s->ier = load_u8(l) & IER_ALL;
	s->fcr = load_u8(l) & FCR_KEPT;
	s->lcr = load_u8(l);
	s->mcr = load_u8(l) & MCR_ALL;
	s->scr = load_u8(l);
	s->dll = load_u8(l);
	s->dlm = load_u8(l);
	s->errors = load_u8(l) & LSR_ERRORS;
	s->modem = load_u8(l);
	s->tx_pending = load_bool(l);
	s->rx_idle = load_bool(l);
	s->rx_first = 0;
	s->rx_count = load_u8(l);
	if ((!fifos_on(s) && s->fcr != 0) || s->rx_count > rx_size(s) ||
	    (s->rx_idle && (s->rx_count == 0 || !fifos_on(s)))) {
		load_fail(l);
		s->rx_count = 0;
	}
	for (unsigned i = 0; i < s->rx_count; i++) {
		s->rx[i].byte = load_u8(l);
		s->rx[i].errors = load_u8(l) & LSR_CHAR_ERRORS;
	}
	if (load_end(l, "uart", e) < 0) {
		uart_reset(d);
		return -1;
	}
	update_irq(s);
	rx_idle_later(s);
	rx_ask(s);
	return 0;
}

const struct dev_ops uart_ops = {
	.type = "uart",
	.state_size = sizeof(struct uart),
	.init = uart_init,
	.io = uart_io,
	.reset = uart_reset,
	.pause = uart_pause,
	.resume = uart_resume,
	.stop = uart_pause,
	.fini = uart_fini,
	.save = uart_save,
	.load = uart_load,
};
