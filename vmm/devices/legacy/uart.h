/* SPDX-License-Identifier: Apache-2.0 */
/* uart.h - a 16550A serial port. */
#ifndef DEVICES_LEGACY_UART_H
#define DEVICES_LEGACY_UART_H

struct chr;
struct dev_ops;

enum { UART_PORT_COUNT = 8 };

struct uart_config {
	struct chr *chr; /* borrowed, outlives the device; NULL: nothing at the far end */
};

/* type "uart"; config: struct uart_config; one region of UART_PORT_COUNT ports. */
extern const struct dev_ops uart_ops;

#endif
