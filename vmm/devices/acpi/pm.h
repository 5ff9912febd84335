/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pm.h - ACPI fixed hardware: PM1a events and control, the PM timer, GPE0, and
 * the level of the system control interrupt (ACPI 6.5, 4.8).
 *
 *   off        port          register
 *   0x00  W2   0x600  PM1a_STS   status, write 1 to clear       4.8.3.1.1
 *   0x02  W2   0x602  PM1a_EN    enables                        4.8.3.1.2
 *   0x04  W2   0x604  PM1a_CNT   SCI_EN, SLP_TYP, SLP_EN        4.8.3.2.1
 *   0x08  R4   0x608  PM_TMR     24 bits at 3,579,545 Hz        4.8.3.3
 *   0x20  B8   0x620  GPE0_STS   GPE 0..63, write 1 to clear    4.8.4.1.1
 *   0x28  B8   0x628  GPE0_EN    enables                        4.8.4.1.2
 *
 * FADT to match: PM1a_EVT_BLK 0x600 length 4, PM1a_CNT_BLK 0x604 length 2,
 * PM_TMR_BLK 0x608 length 4, GPE0_BLK 0x620 length 16, TMR_VAL_EXT clear,
 * SMI_CMD 0 (so SCI_EN reads 1 from reset on), PWR_BUTTON clear.
 *
 * Accesses are composed byte by byte: PM1 is used in words, GPE in bytes, and
 * a double word at 0x600 covers status and enable. Bytes between the registers
 * read 0 beside a register and all ones alone.
 *
 * Power off: SLP_EN written together with SLP_TYP 0 or 5 (what \_S5 may name),
 * or the single byte 0x34 at 0x600, which is how CLOUDHV.fd does it.
 *
 * Threads: pm_power_button() and pm_raise_gpe() may be called from any thread,
 * with another device's lock held: the event state has its own lock, RANK_PM.
 */
#ifndef DEVICES_ACPI_PM_H
#define DEVICES_ACPI_PM_H

#include <stdbool.h>

struct dev;
struct dev_ops;

enum { PM_PORT_COUNT = 0x30 };

/* Numbers of GPE0, the ones shipping firmware and guests have always seen. */
enum { PM_GPE_PCI = 1, PM_GPE_CPU = 2, PM_GPE_MEMORY = 3, PM_GPE_VMGENID = 5, PM_GPE_COUNT = 64 };

/* type "pm"; no config; one region of PM_PORT_COUNT ports. */
extern const struct dev_ops pm_ops;

/* Press and release it. -1 when the guest does not listen (PWRBTN_EN clear): nothing happens then. */
int pm_power_button(struct dev *d);

/* Latch event @gpe; only the guest clears it. Set the event's own registers before. */
void pm_raise_gpe(struct dev *d, unsigned gpe);

/*
 * Has the guest enabled event @gpe since its last reset? Then its ACPI is up: dev_listens() comes with the first time
 * of each. Any thread.
 */
bool pm_hears(struct dev *d, unsigned gpe);
/*
 * Has it begun to listen to any less than ten seconds ago, in its time? Then its drivers may not be there yet: Linux
 * answers requests that come by then with a failure. Any thread, any lock below RANK_PM may be held.
 */
bool pm_is_new(struct dev *d);

#endif
