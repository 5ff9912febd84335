/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - every array that something outside can fill has its limit here, with the reason. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
	MAX_GSI = 24,               /* pins of the in-kernel IOAPIC */
	MAX_CHIP_ROUTES = 40,       /* of the interrupt chips in KVM: two PICs, an IOAPIC */
	MAX_MSI_ROUTES = 2080,      /* every slot with all its vectors; KVM takes 4096 in all */
	MAX_PCI_SLOTS = 32,         /* PCI 3.0 3.2.2.3.2: five device bits */
	MAX_MSIX_VECTORS = 65,      /* Windows' NVMe driver fails with 512; 64 queues + config */
	MAX_VIRTQ_SIZE = 1024,      /* the largest ring a shipping driver asks for (NetKVM) */
	MAX_VIRTQ_CHAIN = 1024,     /* a chain is never longer than its queue (virtio 1.2 2.7.4) */
	MAX_MAP_REGIONS = 512,      /* 32 slots x 6 BARs + board */
	MAX_DOORBELLS = 64,         /* one per virtqueue of a device */
	MAX_FWCFG_FILES = 64,       /* the directory OVMF scans is small; QEMU's default is 32 */
	MAX_GMEM_REGIONS = 64,      /* 3 pieces and 16 zones of boot RAM, flash, 32 hotplug slots */
	MAX_SAVED_STATE = 64 << 20, /* 254 vCPUs of 32 KiB, 28 disks of 64 queues, flash; no RAM */
	CHAR_BUFFER = 64 * 1024, /* output a slow reader may lag behind before bytes are dropped */
};

#endif
