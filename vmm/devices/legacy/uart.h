/* SPDX-License-Identifier: Apache-2.0 */
/* uart.h - a 16550A serial port; type "uart", one region of eight bytes. */
#ifndef DEVICES_LEGACY_UART_H
#define DEVICES_LEGACY_UART_H

struct chr;

struct uart_config {
	struct chr *chr; /* borrowed, outlives the device; NULL: nothing at the far end */
};

#endif
