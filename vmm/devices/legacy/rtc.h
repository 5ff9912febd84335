/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.h - MC146818A real-time clock with 128 bytes of CMOS RAM (Motorola
 * MC146818A data sheet, 1984; register C to IRQ 8 as in the PC/AT).
 *
 *   off 0  port 0x70  index in bits 6:0; bit 7 (NMI mask) is stored. Reads back,
 *                     which real hardware does not do and OVMF relies on
 *   off 1  port 0x71  the byte at the index
 *
 *   0x00 0x02 0x04        seconds, minutes, hours
 *   0x01 0x03 0x05        alarm; 0xc0..0xff match anything
 *   0x06 0x07 0x08 0x09   day of the week (1 = Sunday), day, month, year
 *   0x32                  century (FADT.CENTURY)
 *   0x0a A  UIP r/o, DV (running when 0..2), RS (periodic rate)
 *   0x0b B  SET PIE AIE UIE SQWE DM(binary) 24/12 DSE(stored only)
 *   0x0c C  IRQF PF AF UF; r/o, reading clears
 *   0x0d D  VRT = 1; r/o
 *   0x0f    shutdown status: plain storage
 *   0x14 0x15-0x18 0x30-0x31 0x34-0x35 0x5b-0x5d   equipment and memory sizes,
 *           0x2e-0x2f their checksum; put back at every reset
 *   the rest is RAM, kept over resets
 *
 * Time is the host's wall time plus an offset, which the guest changes by
 * setting the clock; it is kept over resets and pauses. Update and alarm follow
 * that time. The periodic interrupt follows the guest's clock (which stands
 * still in a pause and never jumps).
 *
 * Interrupt ticks that the guest was too slow for are made up for (old Windows
 * counts them), but never more than RTC_OWED_MAX of them.
 */
#ifndef DEVICES_LEGACY_RTC_H
#define DEVICES_LEGACY_RTC_H

#include <stdbool.h>
#include <stdint.h>

struct dev_ops;

enum { RTC_PORT_COUNT = 2 };
enum { RTC_OWED_MAX = 64 }; /* a second's worth at 64 Hz, the tick Windows programs */

/* Seconds and nanoseconds since 1970. */
struct rtc_time {
	int64_t s;
	uint32_t ns; /* below 1,000,000,000 */
};

struct rtc_config {
	uint64_t low_ram_end; /* bytes of RAM below 4 GiB, counted from address 0 */
	uint64_t high_ram;    /* bytes of RAM from 4 GiB up */
	bool local;           /* start with the host's local time instead of UTC */
	/* Wall time, for tests; NULL: the host's CLOCK_REALTIME. */
	struct rtc_time (*wall)(void *ctx);
	void *wall_ctx;
};

/* type "rtc"; config: struct rtc_config; one region of RTC_PORT_COUNT ports. */
extern const struct dev_ops rtc_ops;

#endif
