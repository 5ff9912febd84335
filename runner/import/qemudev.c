/* SPDX-License-Identifier: Apache-2.0 */
/* qemudev.c - QEMU's other devices: what Sill has a key for, what it needs none for, what it has not. */
#include "runner/import/qemu.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char disks[] = " virtio-blk virtio-blk-pci virtio-blk-device virtio-blk-pci-non-transitional "
	"virtio-blk-pci-transitional ide-hd ide-cd ide-drive scsi-hd scsi-cd scsi-disk scsi-block nvme nvme-ns "
	"usb-storage sd-card ";
static const char nets[] = " virtio-net virtio-net-pci virtio-net-device virtio-net-pci-non-transitional "
	"virtio-net-pci-transitional e1000 e1000e e1000-82540em rtl8139 vmxnet3 ne2k_pci pcnet i82551 i82557b i82559er "
	"igb usb-net tulip ";
/* Buses and such, which Sill has as it needs them. */
static const char quiet[] = " virtio-scsi-pci virtio-scsi virtio-scsi-device ahci ich9-ahci piix3-ide piix4-ide "
	"pcie-root-port pcie-pci-bridge ioh3420 pci-bridge pxb-pcie pxb x3130-upstream xio3130-downstream "
	"virtio-serial virtio-serial-pci virtio-serial-device virtio-serial-pci-non-transitional lsi53c895a megasas "
	"mptsas1068 pvscsi i82801b11-bridge vmcoreinfo kvm-pit kvmvapic isa-serial-null ";

static const struct {
	const char *names; /* beginnings, " a b " */
	const char *why;
} absent[] = {
	{ " VGA cirrus-vga qxl virtio-vga virtio-gpu bochs-display ramfb vmware-svga secondary-vga vhost-user-gpu ",
	  "Sill has no display yet; the guest's output is on serial and console" },
	{ " usb- qemu-xhci nec-usb-xhci ich9-usb piix3-usb piix4-usb virtio-keyboard virtio-mouse virtio-tablet "
	  "virtio-input virtio-multitouch pci-ohci vt82c686b-usb ccid i8042 ", "Sill has no USB and input devices yet" },
	{ " intel-hda ich9-intel-hda hda- AC97 ES1370 virtio-sound sb16 ", "Sill has no sound devices yet" },
	{ " vfio- ", "Sill has no devices of the host for the guest yet" },
	{ " tpm- ", "Sill has no TPM yet" },
	{ " virtio-9p vhost-user-fs ", "Sill has no shared directories yet" },
	{ " intel-iommu virtio-iommu amd-iommu ", "Sill has no IOMMU yet" },
	{ " ivshmem nvdimm virtio-pmem ", "Sill has no such memory devices yet" },
	{ " pc-dimm virtio-mem ", "'memory: {hotplug_size: SIZE}' has room for memory that comes" },
	{ " vhost-user ", "Sill has no vhost-user devices yet" },
	{ " virtserialport ", "Sill has no channels for agents in the guest yet" },
	{ " virtio-crypto isa-parallel floppy edu ", "Sill has no such device" },
};
/* clang-format on */

static const char *why_absent(const char *driver)
{
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		for (const char *p = absent[i].names; *p != '\0'; p += strcspn(p, " ")) {
			size_t n;

			p += strspn(p, " ");
			n = strcspn(p, " ");
			if (n > 0 && strncmp(driver, p, n) == 0)
				return absent[i].why;
		}
	return "Sill has no such device";
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void take_rng(struct qemu *q, const json_t *dev)
{
	const char *id = qemu_opt(dev, "rng");
	const char *file =
		id != NULL ? qemu_opt(json_object_get(q->objects, id), "filename") : NULL;

	import_text(import_map(q->m, "rng"), "src", file != NULL ? file : "/dev/urandom");
}

static void take_balloon(struct qemu *q, const json_t *dev)
{
	json_t *o = import_map(q->m, "balloon");

	import_text(o, "size", "off");
	if (qemu_is_on(dev, "deflate-on-oom"))
		(void)json_object_set_new(o, "deflate_on_oom", json_true());
	if (qemu_is_on(dev, "free-page-reporting"))
		(void)json_object_set_new(o, "free_page_reporting", json_true());
}

static void take_vsock(struct qemu *q, const json_t *dev)
{
	json_t *o = import_map(q->m, "vsock");
	const char *name = json_string_value(json_object_get(q->m, "name"));
	const char *cid = qemu_opt(dev, "guest-cid");
	unsigned n = 0;

	(void)sscanf(cid != NULL ? cid : "", "%9u", &n);
	(void)json_object_set_new(o, "cid", json_integer(n));
	(void)json_object_set_new(o, "socket", json_sprintf("%s.vsock", name));
	import_note(q->im, "vsock", "programs of the host reach it at '%s.vsock', not by AF_VSOCK",
		    name);
}

static void take_debugcon(struct qemu *q, const json_t *dev)
{
	const char *base = qemu_opt(dev, "iobase");
	unsigned port = 0xe9;

	qemu_port(q, "debug_console", qemu_opt(dev, "chardev"));
	(void)sscanf(base != NULL ? base : "", "%8i", (int *)&port);
	(void)json_object_set_new(import_map(q->m, "debug_console"), "port", json_integer(port));
}

static void take_serial(struct qemu *q, const json_t *dev)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "chardev:%.100s", qemu_opt(dev, "chardev"));
	qemu_serial(q, text);
}

/* Those that Sill has. False: it is none of them. */
static bool take(struct qemu *q, const char *driver, const json_t *dev)
{
	if (begins(driver, "virtio-rng"))
		take_rng(q, dev);
	else if (begins(driver, "virtio-balloon"))
		take_balloon(q, dev);
	else if (begins(driver, "vhost-vsock"))
		take_vsock(q, dev);
	else if (qemu_one_of(" isa-serial pci-serial ", driver) && qemu_opt(dev, "chardev") != NULL)
		take_serial(q, dev);
	else if (import_is(driver, "virtconsole"))
		qemu_port(q, "console", qemu_opt(dev, "chardev"));
	else if (import_is(driver, "isa-debugcon"))
		take_debugcon(q, dev);
	else if (begins(driver, "pvpanic"))
		(void)json_object_set_new(q->m, "pvpanic", json_true());
	else if (qemu_one_of(" i6300esb ib700 ", driver))
		(void)json_object_set_new(q->m, "watchdog", json_true());
	else if (import_is(driver, "vmgenid"))
		import_text(import_map(q->m, "platform"), "vmgenid", qemu_opt(dev, "guid"));
	else
		return false;
	return true;
}

void qemu_device(struct qemu *q, const json_t *dev)
{
	const char *driver = qemu_opt(dev, "driver");
	char what[96];

	if (driver == NULL || take(q, driver, dev) || qemu_one_of(quiet, driver))
		return;
	if (qemu_one_of(disks, driver)) {
		qemu_disk_device(q, dev);
	} else if (qemu_one_of(nets, driver)) {
		qemu_net_device(q, dev);
	} else {
		(void)snprintf(what, sizeof(what), "-device %.80s", driver);
		import_lost(q->im, what, "%s", why_absent(driver));
	}
}
