/* SPDX-License-Identifier: Apache-2.0 */
/* libvirtdev.c - the devices of a libvirt domain. */
#include "runner/import/libvirt.h"

#include <stdio.h>
#include <string.h>

static bool is(struct domain *d, const xmlNode *n, const char *attr, const char *value)
{
	return import_is(xml_attr(d->im, n, attr), value);
}

/* ---- disks ---- */

static const char *file_of(struct domain *d, const xmlNode *source)
{
	const char *file = xml_attr(d->im, source, "file");

	return file != NULL ? file : xml_attr(d->im, source, "dev");
}

static void set_format(json_t *to, const char *type)
{
	if (type != NULL)
		import_text(to, "format", strcmp(type, "vpc") == 0 ? "vhd" : type);
}

static void set_driver(struct domain *d, json_t *disk, const xmlNode *n)
{
	const char *cache = xml_attr(d->im, n, "cache"), *io = xml_attr(d->im, n, "io");
	const char *error = xml_attr(d->im, n, "error_policy");

	set_format(disk, xml_attr(d->im, n, "type"));
	if (domain_one_of(" none directsync ", cache))
		(void)json_object_set_new(disk, "direct", json_true());
	if (domain_one_of(" writethrough directsync ", cache))
		import_text(disk, "cache", "writethrough");
	else if (import_is(cache, "unsafe"))
		import_text(disk, "cache", "unsafe");
	if (io != NULL)
		import_text(disk, "io", strcmp(io, "threads") == 0 ? "threads" : "uring");
	if (is(d, n, "discard", "ignore"))
		import_text(disk, "discard", "ignore");
	if (domain_one_of(" stop report ", error))
		import_text(disk, "on_error", error);
	else if (import_is(error, "enospace"))
		import_text(disk, "on_error", "enospc-stop");
	domain_set_number(disk, "queues", xml_attr(d->im, n, "queues"));
	domain_set_number(disk, "queue_size", xml_attr(d->im, n, "queue_size"));
}

static void set_iotune(struct domain *d, json_t *disk, const xmlNode *n)
{
	static const char *const sizes[][2] = { { "total_bytes_sec", "bandwidth" },
						{ "total_bytes_sec_max", "bandwidth_burst" } };
	static const char *const numbers[][2] = { { "total_iops_sec", "ops" },
						  { "total_iops_sec_max", "ops_burst" } };

	for (size_t i = 0; n != NULL && i < 2; i++) {
		json_t *limit = import_map(disk, "rate_limit");

		domain_set_size(limit, sizes[i][1],
				domain_number(xml_text(d->im, xml_child(n, sizes[i][0]))));
		domain_set_number(limit, numbers[i][1],
				  xml_text(d->im, xml_child(n, numbers[i][0])));
	}
	if (json_object_size(json_object_get(disk, "rate_limit")) == 0)
		(void)json_object_del(disk, "rate_limit");
	if (n != NULL &&
	    (xml_child(n, "read_bytes_sec") != NULL || xml_child(n, "write_bytes_sec") != NULL ||
	     xml_child(n, "read_iops_sec") != NULL || xml_child(n, "write_iops_sec") != NULL))
		import_lost(d->im, "iotune", "a disk has one limit for reads and writes");
}

/* The images below, as far as they are written down. */
static void set_backing(struct domain *d, json_t *disk, const xmlNode *n)
{
	n = xml_child(n, "backingStore");
	for (int i = 0; i < 63 && n != NULL && file_of(d, xml_child(n, "source")) != NULL; i++) {
		json_t *o = import_entry(disk, "backing");

		import_text(o, "path", file_of(d, xml_child(n, "source")));
		import_text(o, "format", xml_attr(d->im, xml_child(n, "format"), "type"));
		n = xml_child(n, "backingStore");
	}
}

static void tell_bus(struct domain *d, const xmlNode *n, const char *file, bool cd)
{
	const char *bus = xml_attr(d->im, xml_child(n, "target"), "bus");

	if (cd)
		import_lost(
			d->im, file,
			"Sill has no CD-ROM drive: it becomes a disk that can only be read, from "
			"which Setup of Windows does not start");
	else if (!import_is(bus, "virtio"))
		import_note(d->im, file,
			    "the disk is a virtio one: the guest needs its driver (for Windows: "
			    "viostor)");
	if (xml_child(n, "shareable") != NULL)
		import_lost(d->im, file, "a disk that can be written belongs to one VM");
}

static bool is_encrypted(const xmlNode *n)
{
	return xml_child(n, "encryption") != NULL ||
	       xml_child(xml_child(n, "source"), "encryption") != NULL;
}

static void take_disk(struct domain *d, const xmlNode *n)
{
	const char *file = file_of(d, xml_child(n, "source"));
	const xmlNode *block = xml_child(n, "blockio");
	const bool cd = is(d, n, "device", "cdrom");
	json_t *disk;

	if (is(d, n, "device", "floppy") || (file == NULL && !cd)) {
		import_lost(d->im, "disk", "Sill has disks of files and block devices only");
		return;
	}
	if (file == NULL) /* an empty drive */
		return;
	if (is_encrypted(n)) {
		import_lost(d->im, file, "Sill does not read encrypted images");
		return;
	}
	disk = import_entry(d->m, "disk");
	import_text(disk, "path", file);
	if (cd)
		import_text(disk, "format", "raw");
	set_driver(d, disk, xml_child(n, "driver"));
	set_iotune(d, disk, xml_child(n, "iotune"));
	set_backing(d, disk, n);
	if (cd || xml_child(n, "readonly") != NULL)
		(void)json_object_set_new(disk, "readonly", json_true());
	if (xml_child(n, "transient") != NULL)
		import_text(disk, "ephemeral", "ram");
	import_text(disk, "serial", xml_text(d->im, xml_child(n, "serial")));
	domain_set_number(disk, "logical_sector_size",
			  xml_attr(d->im, block, "logical_block_size"));
	domain_set_number(disk, "physical_sector_size",
			  xml_attr(d->im, block, "physical_block_size"));
	tell_bus(d, n, file, cd);
}

/* ---- network cards ---- */

static void set_direct(struct domain *d, json_t *card, const xmlNode *source)
{
	const char *mode = xml_attr(d->im, source, "mode");

	import_text(card, "macvtap", xml_attr(d->im, source, "dev"));
	/* Without a word it is vepa there. */
	import_text(card, "macvtap_mode",
		    mode == NULL                       ? "vepa"
		    : strcmp(mode, "passthrough") == 0 ? "passthru"
						       : mode);
}

static void set_network(struct domain *d, json_t *card, const xmlNode *source)
{
	const char *name = xml_attr(d->im, source, "network");

	import_text(card, "tap", "");
	(void)json_object_set_new(card, "nat", json_true());
	if (import_is(name, "default"))
		import_note(d->im, "network 'default'",
			    "the card has a network of its own, with NAT and DHCP");
	else
		import_lost(d->im, name != NULL ? name : "network",
			    "what this network is, the domain does not say; the card has one of "
			    "its own, with NAT");
}

static void set_user(struct domain *d, json_t *card, const xmlNode *n)
{
	(void)json_object_set_new(card, "user", json_true());
	for (const xmlNode *f = xml_child(n, "portForward"); f != NULL; f = xml_next(f)) {
		const char *host = xml_attr(d->im, f, "address");

		if (!is(d, f, "proto", "tcp")) {
			import_lost(d->im, "portForward", "Sill forwards ports of TCP only");
			continue;
		}
		for (const xmlNode *r = xml_child(f, "range"); r != NULL; r = xml_next(r)) {
			const char *from = xml_attr(d->im, r, "start"),
				   *to = xml_attr(d->im, r, "to");

			if (from == NULL || xml_attr(d->im, r, "end") != NULL) {
				import_lost(d->im, "portForward/range",
					    "each port is forwarded by itself");
				continue;
			}
			if (json_object_get(card, "forward") == NULL)
				(void)json_object_set_new(card, "forward", json_array());
			(void)json_array_append_new(json_object_get(card, "forward"),
						    json_sprintf("%s:%s:%s",
								 host != NULL ? host : "0.0.0.0",
								 from, to != NULL ? to : from));
		}
	}
}

/* What the card is connected to. */
static void set_end(struct domain *d, json_t *card, const xmlNode *n)
{
	const xmlNode *source = xml_child(n, "source");
	const char *type = xml_attr(d->im, n, "type"),
		   *dev = xml_attr(d->im, xml_child(n, "target"), "dev");

	if (import_is(type, "bridge"))
		import_text(card, "bridge", xml_attr(d->im, source, "bridge"));
	else if (import_is(type, "direct"))
		set_direct(d, card, source);
	else if (import_is(type, "network"))
		set_network(d, card, source);
	else if (import_is(type, "user"))
		set_user(d, card, n);
	else if (import_is(type, "ethernet"))
		import_text(card, "tap", dev != NULL ? dev : "");
	else {
		(void)json_object_set_new(card, "none", json_true());
		if (!import_is(type, "null"))
			import_lost(d->im, type != NULL ? type : "interface",
				    "Sill has no such network; the card is connected to nothing");
	}
}

static void set_bandwidth(struct domain *d, json_t *card, const char *key, const xmlNode *n)
{
	const uint64_t rate = domain_number(xml_attr(d->im, n, "average"));
	const uint64_t burst = domain_number(xml_attr(d->im, n, "burst"));

	if (rate == 0 || rate > 1ull << 40 || burst > 1ull << 40)
		return;
	import_size(import_map(card, key), "bandwidth", rate << 10);
	domain_set_size(import_map(card, key), "bandwidth_burst", burst << 10);
}

static void take_interface(struct domain *d, const xmlNode *n)
{
	const xmlNode *driver = xml_child(n, "driver"), *band = xml_child(n, "bandwidth");
	const char *model = xml_attr(d->im, xml_child(n, "model"), "type");
	json_t *card = import_entry(d->m, "net");

	set_end(d, card, n);
	import_text(card, "mac", xml_attr(d->im, xml_child(n, "mac"), "address"));
	domain_set_number(card, "mtu", xml_attr(d->im, xml_child(n, "mtu"), "size"));
	domain_set_number(card, "queues", xml_attr(d->im, driver, "queues"));
	domain_set_number(card, "queue_size", xml_attr(d->im, driver, "rx_queue_size"));
	if (is(d, driver, "name", "qemu"))
		import_text(card, "vhost", "off");
	set_bandwidth(d, card, "rx_limit", xml_child(band, "inbound"));
	set_bandwidth(d, card, "tx_limit", xml_child(band, "outbound"));
	if (is(d, xml_child(n, "link"), "state", "down"))
		import_text(card, "link", "down");
	if (xml_child(n, "filterref") != NULL)
		import_lost(d->im, "filterref",
			    "'antispoof: on' in the card drops what has a wrong address");
	if (xml_child(n, "vlan") != NULL || xml_child(n, "virtualport") != NULL)
		import_lost(d->im, "vlan", "Sill sets no VLAN and no port profile");
	if (model != NULL && strncmp(model, "virtio", 6) != 0)
		import_note(d->im, model,
			    "the card is a virtio one: the guest needs its driver (for Windows: "
			    "NetKVM)");
}

/* ---- ports ---- */

static bool set_port(struct domain *d, json_t *p, const xmlNode *n)
{
	const xmlNode *s = xml_child(n, "source");
	const char *type = xml_attr(d->im, n, "type"), *host = xml_attr(d->im, s, "host");
	const bool bind = is(d, s, "mode", "bind");

	if (domain_one_of(" pty null ", type)) {
		import_text(p, "mode", type);
	} else if (import_is(type, "stdio")) {
		import_text(p, "mode", "tty");
	} else if (import_is(type, "file")) {
		import_text(p, "mode", "file");
		import_text(p, "path", xml_attr(d->im, s, "path"));
	} else if (import_is(type, "unix") && bind && xml_attr(d->im, s, "path") != NULL) {
		import_text(p, "mode", "socket");
		import_text(p, "path", xml_attr(d->im, s, "path"));
	} else if (import_is(type, "tcp") && xml_attr(d->im, s, "service") != NULL) {
		import_text(p, "mode", "tcp");
		(void)json_object_set_new(p, bind ? "listen" : "connect",
					  json_sprintf("%s:%s", host != NULL ? host : "127.0.0.1",
						       xml_attr(d->im, s, "service")));
	} else {
		import_text(p, "mode", "null");
		return false;
	}
	return true;
}

static void take_port(struct domain *d, const xmlNode *n, const char *port)
{
	json_t *p = import_map(d->m, port);

	(void)json_object_clear(p);
	if (!set_port(d, p, n))
		import_lost(d->im, port, "Sill has no such other end for a port");
	if (import_is(xml_attr(d->im, xml_child(n, "protocol"), "type"), "telnet"))
		import_lost(d->im, port, "the port speaks as it is, not telnet");
}

static void take_serial(struct domain *d, const xmlNode *n)
{
	const char *type = xml_attr(d->im, xml_child(n, "target"), "type");

	if (import_is(type, "isa-debug"))
		take_port(d, n, "debug_console");
	else if (d->serials >= 2)
		import_lost(d->im, "serial", "there are two serial ports");
	else
		take_port(d, n, d->serials++ == 0 ? "serial" : "serial2");
}

/* A console of type serial is the first port once more. */
static void take_console(struct domain *d, const xmlNode *n)
{
	const char *type = xml_attr(d->im, xml_child(n, "target"), "type");

	if (import_is(type, "virtio"))
		take_port(d, n, "console");
	else if (d->serials == 0)
		take_serial(d, n);
}

/* ---- others ---- */

static void take_rng(struct domain *d, const xmlNode *n)
{
	const char *file = xml_text(d->im, xml_child(n, "backend"));

	import_text(import_map(d->m, "rng"), "src", file != NULL ? file : "/dev/urandom");
	if (xml_child(n, "rate") != NULL)
		import_lost(d->im, "rng/rate", "Sill does not limit random bytes");
}

static void take_balloon(struct domain *d, const xmlNode *n)
{
	json_t *o;

	if (is(d, n, "model", "none")) {
		(void)json_object_del(d->m, "balloon");
		return;
	}
	o = import_map(d->m, "balloon");
	if (json_object_get(o, "size") == NULL)
		import_text(o, "size", "off");
	if (is(d, n, "autodeflate", "on"))
		(void)json_object_set_new(o, "deflate_on_oom", json_true());
	if (is(d, n, "freePageReporting", "on"))
		(void)json_object_set_new(o, "free_page_reporting", json_true());
}

static void take_watchdog(struct domain *d, const xmlNode *n)
{
	const char *action = xml_attr(d->im, n, "action");

	(void)json_object_set_new(d->m, "watchdog", json_true());
	if (action != NULL && strcmp(action, "reset") != 0)
		import_lost(d->im, "watchdog/action", "a guest that hangs is reset");
}

static void take_panic(struct domain *d, const xmlNode *n)
{
	if (is(d, n, "model", "hyperv"))
		(void)import_hyperv(d->m, "crash", true);
	else
		(void)json_object_set_new(d->m, "pvpanic", json_true());
}

static void take_vsock(struct domain *d, const xmlNode *n)
{
	const char *name = json_string_value(json_object_get(d->m, "name"));
	const uint64_t cid = domain_number(xml_attr(d->im, xml_child(n, "cid"), "address"));
	json_t *o = import_map(d->m, "vsock");

	(void)json_object_set_new(o, "cid", json_integer(cid > 0 ? (json_int_t)cid : 3));
	(void)json_object_set_new(o, "socket", json_sprintf("%s.vsock", name));
	import_note(d->im, "vsock", "programs of the host reach it at '%s.vsock', not by AF_VSOCK",
		    name);
}

/* The mouse and keyboard that every PC has there are no wish of anybody's. */
static void take_input(struct domain *d, const xmlNode *n)
{
	if (!is(d, n, "bus", "ps2"))
		import_lost(d->im, "input", "Sill has no USB and input devices yet");
}

static void take_video(struct domain *d, const xmlNode *n)
{
	if (!is(d, xml_child(n, "model"), "type", "none"))
		import_lost(d->im, "video",
			    "Sill has no display yet; the guest's output is on serial and console");
}

static void take_audio(struct domain *d, const xmlNode *n)
{
	if (!is(d, n, "type", "none"))
		import_lost(d->im, (const char *)n->name, "Sill has no sound devices yet");
}

void domain_devices(struct domain *d, const xmlNode *n)
{
	static const struct element rows[] = {
		{ " emulator controller hub lease ", NULL, NULL },
		{ " disk ", take_disk, NULL },
		{ " interface ", take_interface, NULL },
		{ " serial ", take_serial, NULL },
		{ " console ", take_console, NULL },
		{ " rng ", take_rng, NULL },
		{ " memballoon ", take_balloon, NULL },
		{ " watchdog ", take_watchdog, NULL },
		{ " panic ", take_panic, NULL },
		{ " vsock ", take_vsock, NULL },
		{ " input ", take_input, NULL },
		{ " video ", take_video, NULL },
		{ " sound audio ", take_audio, NULL },
		{ " graphics ", NULL,
		  "Sill has no display yet; the guest's output is on serial and console" },
		{ " channel ", NULL, "Sill has no channels for agents in the guest yet" },
		{ " tpm ", NULL, "Sill has no TPM yet" },
		{ " filesystem ", NULL, "Sill has no shared directories yet" },
		{ " hostdev ", NULL, "Sill has no devices of the host for the guest yet" },
		{ " redirdev redirfilter smartcard ", NULL,
		  "Sill has no USB and input devices yet" },
		{ " memory ", NULL,
		  "'memory: {hotplug_size: SIZE}' has room for memory that comes" },
		{ " nvram ", NULL, "firmware.vars is a file" },
		{ " iommu ", NULL, "Sill has no IOMMU yet" },
	};

	domain_walk(d, n, rows, sizeof(rows) / sizeof(rows[0]));
}
