/* SPDX-License-Identifier: Apache-2.0 */
/* mch.h - what the board decides about the host bridge. Where the ECAM is: pci_bus_ecam(). */
#ifndef DEVICES_PCI_MCH_H
#define DEVICES_PCI_MCH_H

#include <stdint.h>

/* Firmware tells platforms apart by the host bridge's device id. */
enum {
	MCH_Q35 = 0x29c0,     /* firmware from flash: it programs PCIEXBAR by itself */
	MCH_CLOUDHV = 0x0d57, /* firmware entered through PVH: it finds PCIEXBAR programmed */
};

struct mch_config {
	uint16_t device;
	uint64_t ecam; /* 256 MiB here after reset, 256 MiB aligned, below 64 GiB; 0: off */
};

#endif
