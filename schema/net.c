/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - net: virtio network cards. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const cyaml_strval_t links[] = {
	{ "up", SILL_LINK_UP },
	{ "down", SILL_LINK_DOWN },
};

static const cyaml_strval_t dhcps[] = {
	{ "auto", SILL_DHCP_AUTO },
	{ "on", SILL_DHCP_ON },
	{ "off", SILL_DHCP_OFF },
	{ "dnsmasq", SILL_DHCP_DNSMASQ },
};

static const cyaml_strval_t nat6s[] = {
	{ "auto", SILL_DHCP_AUTO },
	{ "on", SILL_DHCP_ON },
	{ "off", SILL_DHCP_OFF },
};

static const cyaml_strval_t antispoofs[] = {
	{ "auto", SILL_ANTISPOOF_AUTO },
	{ "on", SILL_ANTISPOOF_ON },
	{ "off", SILL_ANTISPOOF_OFF },
};

static const cyaml_strval_t vhosts[] = {
	{ "auto", SILL_VHOST_AUTO },
	{ "on", SILL_VHOST_ON },
	{ "off", SILL_VHOST_OFF },
};

static const cyaml_strval_t macvtap_modes[] = {
	{ "bridge", SILL_MACVTAP_BRIDGE },
	{ "vepa", SILL_MACVTAP_VEPA },
	{ "private", SILL_MACVTAP_PRIVATE },
	{ "passthru", SILL_MACVTAP_PASSTHRU },
};

static const struct key descriptor = {
	.field = { .key = "fd[]",
		   .value = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint16_t) } },
	.kind = KIND_UINT, .min = 3, .max = 65535,
	.doc = "The number of an open descriptor.",
	.example = "3",
};

static const struct key name_server = {
	.field = { .key = "dns[]",
		   .value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0,
						 CYAML_UNLIMITED) } },
	.kind = KIND_TEXT, .min = 3, .max = 45, .unit = "bytes",
	.doc = "An IPv4 or IPv6 address; or alone: host, off.",
	.example = "10.0.0.53",
};

static const struct key forward = {
	.field = { .key = "forward[]",
		   .value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0,
						 CYAML_UNLIMITED) } },
	.kind = KIND_TEXT, .min = 3, .max = 64, .unit = "bytes",
	.doc = "A port forward: [ADDRESS:]HOSTPORT:GUESTPORT[/tcp]. ADDRESS is one of the host's, IPv6 in "
	       "brackets.",
	.example = "'3389:3389'",
};

static const struct key limit_keys[] = {
	{ KEY_SIZE(struct sill_rate_limit, bandwidth), .min = 4096, .max = 1ull << 40,
	  .effect = EFFECT_LIVE, .def_note = "no limit",
	  .doc = "How many bytes of frames may pass in a second.",
	  .example = "100M" },
	{ KEY_UINT(struct sill_rate_limit, ops), .min = 1, .max = 100000000,
	  .effect = EFFECT_LIVE, .unit = "frames a second", .def_note = "no limit",
	  .doc = "How many frames may pass in a second. A TCP segment that is cut later is one.",
	  .example = "50000" },
	{ KEY_SIZE(struct sill_rate_limit, bandwidth_burst), .min = 1, .max = 1ull << 44,
	  .effect = EFFECT_LIVE, .def_note = "a tenth of a second's",
	  .doc = "How much may come at once after a pause.",
	  .example = "1G" },
	{ KEY_UINT(struct sill_rate_limit, ops_burst), .min = 1, .max = 1000000000,
	  .effect = EFFECT_LIVE, .unit = "frames", .def_note = "a tenth of a second's",
	  .doc = "How many frames may come at once after a pause.",
	  .example = "20000" },
	{ KEY_STRING(struct sill_rate_limit, group, KIND_NAME), .min = 1, .max = 32,
	  .effect = EFFECT_HOTPLUG, .def_note = "the card's own, for one direction",
	  .doc = "What names one group shares one limit, cards and directions alike; one of them states it, "
		 "the others only name the group. Groups of disks are others.",
	  .example = "wan" },
};

static const struct key net_keys[] = {
	{ KEY_STRING(struct sill_net_config, tap, KIND_TEXT), .min = 0, .max = SILL_TAP_NAME_LEN,
	  .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .doc = "The tap device on the host that the card is connected to. A card has one of tap, "
		 "bridge, macvtap, fd, user and none. Empty: one is made, "
		 "called vmtap0, vmtap1 ..., and is gone with the VM. A name: that device is "
		 "used as it is, and made if there is none. To make one takes CAP_NET_ADMIN; to "
		 "use one that belongs to you does not: "
		 "`ip tuntap add dev NAME mode tap user YOU`.",
	  .example = "vmtap7" },
	{ KEY_STRING(struct sill_net_config, bridge, KIND_TEXT), .min = 1,
	  .max = SILL_TAP_NAME_LEN, .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .doc = "The bridge on the host that the card is connected to: a tap is made, called "
		 "vmtap0, vmtap1 ..., joins the bridge, and is gone with the VM. The bridge "
		 "itself stays as it is. Takes CAP_NET_ADMIN.",
	  .example = "br0" },
	{ KEY_STRING(struct sill_net_config, macvtap, KIND_TEXT), .min = 1,
	  .max = SILL_TAP_NAME_LEN, .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .doc = "The interface on the host whose network the card is on, with its own MAC address "
		 "and without a bridge: a macvtap is made on it, and is gone with the VM. Host and "
		 "guest do not reach each other by it; over Wi-Fi it does not work. Takes "
		 "CAP_NET_ADMIN and the right to open /dev/tapN.",
	  .example = "eth0" },
	{ KEY_ENUM(struct sill_net_config, macvtap_mode, macvtap_modes),
	  .def_note = "bridge", .effect = EFFECT_HOTPLUG,
	  .doc = "How macvtaps on one interface see each other: 'bridge': directly; 'vepa': by way of "
		 "the switch behind it; 'private': not at all; 'passthru': there is only this one, and "
		 "it has the whole interface.",
	  .example = "private" },
	{ KEY_LIST(struct sill_net_config, fd, descriptor), .min = 1, .max = SILL_MAX_NET_QUEUES,
	  .alone = true, .effect = EFFECT_HOTPLUG,
	  .doc = "Descriptors that are open when Sill starts: queues of one tap or macvtap that "
		 "somebody else has set up (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR; with several also "
		 "IFF_MULTI_QUEUE), one for each pair of the card's queues.",
	  .example = "[3, 4]" },
	{ KEY_BOOL(struct sill_net_config, user), .def_note = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "A network without any right: the program passt runs beside the VM and speaks to the "
		 "network for the guest, under the host's address (the package passt). The guest reaches "
		 "what its host reaches but not the host itself, and is reached by forward. The host's "
		 "side has the address 10.0.2.1/24 if none is given.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_net_config, none), .def_note = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "A card that is connected to nothing.",
	  .example = "on" },
	{ KEY_STRING(struct sill_net_config, address, KIND_TEXT), .min = 3, .max = 18, .def = "auto",
	  .effect = EFFECT_HOTPLUG,
	  .doc = "The IPv4 address of the host's side, with its network. 'auto': a tap that is "
		 "made gets 192.168.249.1/24, or the first address of the next network that is "
		 "free; one that is there keeps what it has. 'off': a tap that is made gets none.",
	  .example = "10.17.0.1/24" },
	{ KEY_STRING(struct sill_net_config, ipv6, KIND_TEXT), .min = 2, .max = 43, .def = "auto",
	  .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .doc = "The IPv6 address of the host's side, in a network of 64 bits. The card tells the guest "
		 "that network (router advertisements), and the guest makes its own address in it. "
		 "'on': a tap that is made gets the first address of a network of its own, fdXX:..., "
		 "the same one each time; of one that is there, its address is taken. 'auto': likewise "
		 "for a tap that is made and has an IPv4 address, on a host that has IPv6. 'off': none.",
	  .example = "fd12:3456:789a::1/64" },
	{ KEY_ENUM(struct sill_net_config, dhcp, dhcps), .def = "auto", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether the card answers when the guest asks for an address (DHCP): it gets the "
		 "second address of the host side's network. No server runs on the host, and no "
		 "firewall is in the way. 'auto': on a tap that is made, if it has an address. "
		 "Never say 'on' where others are on the link. 'dnsmasq': the program dnsmasq does it, "
		 "on a tap, with the same address; it runs beside the VM (the package dnsmasq-base).",
	  .example = "off" },
	{ KEY_LIST(struct sill_net_config, dns, name_server), .min = 1, .max = SILL_MAX_DNS,
	  .alone = true, .def = "host", .effect = EFFECT_HOTPLUG,
	  .doc = "The name servers that the guest is told of: those of IPv4 with its address, those of "
		 "IPv6 with its IPv6 network. 'host': those that the "
		 "host asks (/etc/resolv.conf), as they are when the VM starts; where a resolver on "
		 "the host itself stands between, those that systemd-resolved asks; where there are "
		 "none of these either, Sill answers at the host's side and asks that resolver. "
		 "'off': none.",
  .example = "[10.0.0.53, 10.0.1.53]" },
	{ KEY_BOOL(struct sill_net_config, nat), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether the guest reaches what its host reaches, under the host's address; by IPv6 see nat6. Sill "
		 "makes a table of the packet filter and has the host forward, and takes both back "
		 "when the VM ends. Takes CAP_NET_ADMIN.",
	  .example = "on" },
	{ KEY_ENUM(struct sill_net_config, nat6, nat6s), .def = "auto", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether nat is for IPv6, too. 'auto': where the host passes on IPv6 anyway, or can do so by "
		 "interface (Linux 6.17). 'on': even if the whole host has to become an IPv6 router for it, "
		 "which goes on to believe its own routers (accept_ra).",
	  .example = "on" },
	{ KEY_BOOL(struct sill_net_config, isolate), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether the guest is kept from the host itself and from private networks: those of "
		 "RFC 1918, and all that the host has an address in. Its name servers it reaches, and the "
		 "internet with nat. Ports of the host still lead to it (forward). Takes CAP_NET_ADMIN.",
	  .example = "on" },
	{ KEY_ENUM(struct sill_net_config, antispoof, antispoofs), .def = "auto",
	  .effect = EFFECT_HOTPLUG,
	  .doc = "Whether the host drops what the guest sends under another MAC address than its "
		 "card's, or another IPv4 address than DHCP gives it. On a bridge the latter only with "
		 "'dhcp: on'. 'auto': with nat or isolate. 'on' takes CAP_NET_ADMIN.",
	  .example = "on" },
	{ KEY_STRING(struct sill_net_config, mac, KIND_TEXT), .min = 17, .max = 17,
	  .effect = EFFECT_HOTPLUG,
	  .def_note = "made from the VM's name and the card's id",
	  .doc = "The guest's MAC address; unique in the VM and on the link. Windows keeps its "
		 "settings by it.",
	  .example = "02:00:5e:10:00:01" },
	{ KEY_UINT(struct sill_net_config, mtu), .min = 68, .max = 65521, .effect = EFFECT_HOTPLUG,
	  .unit = "bytes", .def_note = "1500, or what the tap has",
	  .doc = "The largest packet on the link. A tap that is made is set to it; one that is "
		 "there must have it.",
	  .example = "9000" },
	{ KEY_UINT(struct sill_net_config, queues), .min = 1, .max = SILL_MAX_NET_QUEUES,
	  .def_note = "1; with fd, one for each descriptor", .effect = EFFECT_HOTPLUG, .unit = "pairs of queues",
	  .doc = "How many pairs of queues the guest may use at a time, at most one for each vCPU. "
		 "Each has a thread of its own. A tap that is there must have been made with "
		 "multi_queue for more than one.",
	  .example = "4" },
	{ KEY_UINT(struct sill_net_config, queue_size), .min = 16, .max = 1024, .def = "256",
	  .effect = EFFECT_HOTPLUG, .unit = "frames", .numbers = "16 32 64 128 256 512 1024",
	  .doc = "How many buffers fit in a queue: a power of two.",
	  .example = "1024" },
	{ KEY_MAP(struct sill_net_config, rx_limit, net_rx_limit_section), .effect = EFFECT_LIVE,
	  .def_note = "no limit",
	  .doc = "How fast frames may come to the guest. What comes faster waits in the tap, and is lost "
		 "when that is full.",
	  .example = "{bandwidth: 100M}" },
	{ KEY_MAP(struct sill_net_config, tx_limit, net_tx_limit_section), .effect = EFFECT_LIVE,
	  .def_note = "no limit",
	  .doc = "How fast the guest may send. What is faster waits in the guest.",
	  .example = "{bandwidth: 100M, ops: 50000}" },
	{ KEY_ENUM(struct sill_net_config, vhost, vhosts), .def = "auto", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether the host's kernel passes the frames between tap and guest by itself "
		 "(/dev/vhost-net), which costs less than a way through Sill. Not with user, none and "
		 "limits, which are Sill's own. 'auto': where that device opens, and nothing of the card "
		 "needs Sill in between. 'on': it has to, or the VM does not start.",
	  .example = "on" },
	{ KEY_BOOL(struct sill_net_config, offload_csum), .def = "on", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether guest and host may leave checksums to each other. 'off' is for a host "
		 "whose own network gets them wrong.",
	  .example = "off" },
	{ KEY_BOOL(struct sill_net_config, offload_tso), .def = "on", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether they may exchange TCP segments larger than the MTU. Needs offload_csum.",
	  .example = "off" },
	{ KEY_ENUM(struct sill_net_config, link, links), .def = "up", .effect = EFFECT_LIVE,
	  .doc = "Whether the cable is plugged in. While the VM runs it can be pulled, and the guest sees "
		 "a link that is down.",
	  .example = "down" },
	{ KEY_LIST(struct sill_net_config, forward, forward), .min = 0, .max = 64,
	  .effect = EFFECT_HOTPLUG,
	  .doc = "TCP ports of the host that lead to ports of the guest, by 127.0.0.1 and ::1, or by "
		 "an address that is written: 0.0.0.0 for all of IPv4. To the guest, connections come "
		 "from the host's side. Needs dhcp, which tells where the guest is, or ipv6.",
	  .example = "['3389:3389', '127.0.0.1:2222:22']" },
	{ KEY_LIST(struct sill_net_config, affinity, affinity_entry), .min = 1, .max = 1024,
	  .effect = EFFECT_HOTPLUG, .def_note = "any", .ranges = true,
	  .doc = "The host CPUs that the card's threads run on; 0-3 stands for 0, 1, 2, 3.",
	  .example = "[2, 3]" },
	{ KEY_STRING(struct sill_net_config, id, KIND_NAME), .min = 1, .max = 32,
	  .effect = EFFECT_HOTPLUG,
	  .def_note = "net0, net1 ... by its place in the list",
	  .doc = "What messages and commands call this card; unique in the VM.",
	  .example = "lan" },
	{ KEY_UINT(struct sill_net_config, slot), .min = 1, .max = 30, .effect = EFFECT_HOTPLUG,
	  .def_note = "the first free one",
	  .doc = "The PCI slot on bus 0 the card sits in; unique in the VM. Windows keeps a card's "
		 "settings by its slot and its MAC address.",
	  .example = "8" },
};
/* clang-format on */

#define LIMIT_SCHEMA                                                               \
	"{\"dependentRequired\": {\"bandwidth_burst\": [\"bandwidth\"],"           \
	" \"ops_burst\": [\"ops\"]},"                                              \
	" \"anyOf\": [{\"required\": [\"bandwidth\"]}, {\"required\": [\"ops\"]}," \
	" {\"required\": [\"group\"]}]}"

const struct section net_rx_limit_section = {
	.name = "net.rx_limit",
	.doc = "How fast frames may come to the guest.",
	.keys = limit_keys,
	.schema = LIMIT_SCHEMA,
	.count = CYAML_ARRAY_LEN(limit_keys),
};

const struct section net_tx_limit_section = {
	.name = "net.tx_limit",
	.doc = "How fast the guest may send frames.",
	.keys = limit_keys,
	.schema = LIMIT_SCHEMA,
	.count = CYAML_ARRAY_LEN(limit_keys),
};

const struct section net_section = {
	.name = "net",
	.doc = "A virtio network card.",
	.keys = net_keys,
	.schema = "{\"dependentRequired\": {\"macvtap_mode\": [\"macvtap\"]},"
		  " \"oneOf\": [{\"required\": [\"tap\"]}, {\"required\": [\"bridge\"]},"
		  " {\"required\": [\"macvtap\"]}, {\"required\": [\"fd\"]},"
		  " {\"required\": [\"user\"], \"properties\": {\"user\": {\"enum\": [\"on\", "
		  "true]}}},"
		  " {\"required\": [\"none\"], \"properties\": {\"none\": {\"enum\": [\"on\", "
		  "true]}}}],"
		  " \"if\": {\"required\": [\"address\"], \"properties\": {\"address\":"
		  " {\"const\": \"off\"}}},"
		  " \"then\": {\"not\": {\"required\": [\"dhcp\"],"
		  " \"properties\": {\"dhcp\": {\"enum\": [\"on\", true]}}}}}",
	.count = CYAML_ARRAY_LEN(net_keys),
};
