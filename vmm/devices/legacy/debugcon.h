/* SPDX-License-Identifier: Apache-2.0 */
/* debugcon.h - a debug console: one port that takes bytes, as Bochs has it at 0xe9. */
#ifndef DEVICES_LEGACY_DEBUGCON_H
#define DEVICES_LEGACY_DEBUGCON_H

struct chr;
struct dev_ops;

struct debugcon_config {
	struct chr *chr; /* borrowed, outlives the device */
};

/* type "debugcon"; config: struct debugcon_config; one region of one port. */
extern const struct dev_ops debugcon_ops;

#endif
