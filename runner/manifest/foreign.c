/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - a table of names, by the section they are written in. */
#include "runner/manifest/foreign.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "runner/net/endpoint.h"
#include "runner/net/forwardspec.h"
#include "runner/report/text.h"

/* Names are compared in lower case, without '_' and '-': "maxVcpus" is "max_vcpus". */
struct foreign {
	const char *
		section; /* where they are written; "" for the document; "=key": words for its value */
	const char *names;  /* " a b c " */
	const char *target; /* Sill's key, from the document or (".key") from the section */
	const char *text;   /* instead of a key: what to do, a sentence; beside it: see use() */
};

#define NOT_YET(what) NULL, "Sill has no " what " yet; remove it"

/* clang-format off */
static const struct foreign table[] = {
	/* The document. */
	{ "", " initrd ramdisk initrdpath initrdfilename initramfspath initramdisk ", "initramfs", NULL },
	{ "", " append kernelcmdline cmdlineappend bootargs args kernelargs kernelparams bootparams "
	      "kernelparameters commandline ", "cmdline", NULL },
	{ "", " linux vmlinuz kernelpath kernelimagepath kernelimage bzimage ", "kernel", NULL },
	{ "", " mem ram memorymb memorymib memsize memsizemib memorysize memsizemb currentmemory "
	      "maxmemory memmb memlimit ", "memory.size", NULL },
	{ "", " vcpus vcpu smp cpucount vcpucount cores ncpu ncpus numcpus numvcpus cpunum nproc "
	      "cpunumber bootvcpus ", "cpus.boot", NULL },
	{ "", " cpu ", "cpus.boot", "the guest has the host's CPU; 'cpus: {features: {remove: [avx512f]}}' "
	      "changes what it sees of it" },
	{ "", " maxvcpus maxcpus ", "cpus.max", NULL },
	{ "", " sockets ", "cpus.topology.packages", NULL },
	{ "", " threads ", "cpus.topology.threads_per_core", NULL },
	{ "", " drive drives disks storage hdd hda hdb sda vda blockdev diskpath diskimage "
	      "diskfile virtio0 virtio1 scsi0 scsi1 sata0 ide0 image images additionaldisks rootdisk "
	      "rootfs volume volumes ", "disk[].path", NULL },
	{ "", " cdrom iso isoimage ide2 cdroms ", "disk[].path", ", readonly: on" },
	{ "", " bios uefi ovmf loader pflash firmwarepath efi firmwarecode edk2 ", "firmware.code", NULL },
	{ "", " nvram efivars efidisk efidisk0 varstore ovmfvars uefivars ", "firmware.vars", NULL },
	{ "", " hostname vmname domain id vmid title ", "name", NULL },
	{ "", " ostype os osvariant guestos osinfo ", "guest", NULL },
	{ "", " entropy rngsource rngdevice random ", "rng.src", NULL },
	{ "", " localtime clock ", "platform.rtc", NULL },
	{ "", " com1 serial0 ttys0 serialport ", "serial.mode", NULL },
	{ "", " com2 serial1 ttys1 ", "serial2.mode", NULL },
	{ "", " debugcon isadebugcon debugport ", "debug_console.mode", NULL },
	{ "", " virtioconsole hvc0 ", "console.mode", NULL },
	{ "", " kd windbg kerneldebugger kerneldebug kdcom debugger ", NULL,
	  "write 'debug: {kd: serial2, listen: 127.0.0.1:4445}'" },
	{ "", " kdnet ", NULL,
	  "it is 'kd: net' of debug: `sill explain debug.kd`" },
	{ "", " gdb gdbserver gdbstub ", "debug.gdb", NULL },
	{ "", " nestedvirtualization nestedvirt ", "cpus.nested", NULL },
	{ "", " network networks networking nic nics interface interfaces netdev netdevs net0 "
	      "net1 tap ", "net[].tap", NULL },
	{ "", " mac macaddr ", "net[].mac", NULL },
	{ "", " ports portforwards portforwarding forward publish hostfwd ", "net[].forward", NULL },
	{ "", " bridge ", NULL, "write 'net: [{bridge: br0}]'" },
	{ "", " nat ", NULL, "write 'net: [{tap: \"\", nat: on}]'" },
	{ "", " tpm tpm2 tpmstate tpmstate0 vtpm swtpm ", NOT_YET("TPM") },
	{ "", " usb usb0 usb1 usbdevice tablet keyboard mouse input ", NOT_YET("USB and input devices") },
	{ "", " vga display graphics video gpu vnc spice sdl ",
	  NULL, "Sill has no display yet; the guest's output is on serial and console" },
	{ "", " audio sound soundhw audio0 ", NOT_YET("sound devices") },
	{ "", " share shares mount mounts fs virtiofs filesystem filesystems 9p virtfs fsdev "
	      "sharedfolders ", NOT_YET("shared directories") },
	{ "", " virtiovsock vhostvsock vsockdevice guestcid ",
	  NULL, "write 'vsock: {cid: 3, socket: vsock.sock}'" },
	{ "", " guestagent agent qemuga ", NOT_YET("guest agent") },
	{ "", " readiness readinessprobe startupprobe healthcheck waitfor ", NULL,
	  "write 'ready: [{serial: \"login:\"}]'" },
	{ "", " memballoon virtioballoon balloon0 ballooning ", NULL, "write 'balloon: {size: 256M}'" },
	{ "", " pmem nvdimm ", NOT_YET("persistent memory devices") },
	{ "", " hostdev hostpci hostpci0 hostpci1 vfio passthrough pci userdevices vdpa ",
	  NOT_YET("devices of the host for the guest") },
	{ "", " iommu viommu ", NOT_YET("IOMMU") },
	{ "", " numa numatune ", NOT_YET("NUMA nodes") },
	{ "", " panic panicdevice ", "pvpanic", NULL },
	{ "", " onpanic panicaction ", NULL, "write 'on_crash: reset'" },
	{ "", " wdt i6300esb itco ", "watchdog", NULL },
	{ "", " pvmemcontrol ", NOT_YET("such device") },
	{ "", " apisocket controlsocket apisock ", "api.socket", NULL },
	{ "", " monitor qmp hmp ", NULL, "remove it: the control API is ours, see `sill help ctl`" },
	{ "", " machine machinetype accel accelerator arch architecture type vmtype hypervisor "
	      "emulator platformtype chipset enablekvm kvm ",
	  NULL, "remove it: there is one machine, a PC, and it runs on KVM" },
	{ "", " devices device qemucommandline ",
	  NULL, "remove it: disk, serial, console and rng are keys at the top" },
	{ "", " bootorder bootdev bootindex order ",
	  NULL, "remove it: the firmware keeps the boot order in firmware.vars" },
	{ "", " secureboot smm tdx sev sgx ",
	  NULL, "remove it: Sill has neither Secure Boot nor encrypted memory" },
	{ "", " services service vms vm domains machines ",
	  NULL, "remove it: each document is one VM, with its keys at the top; '---' begins the next" },
	{ "", " version apiversion schemaversion ", "sill", NULL },
	{ "", " description notes comment tags labels metadata annotations ",
	  NULL, "write it as a comment: '# ...'" },
	{ "", " restartpolicy autorestart ", NULL, "write 'restart: on-failure'" },
	{ "", " extends extend inherits inherit include includes parent template from defaults imports ", NULL,
	  "the key is 'base', the path of a file: `sill explain base`" },
	{ "", " variables variable environment parameters params values locals ", NULL,
	  "the key is 'vars', names and their values: `sill explain vars`" },
	{ "", " autostart onboot startup ",
	  NULL, "remove it: a systemd unit that calls `sill run` starts it" },
	{ "", " onpoweroff onreboot onshutdown noreboot ",
	  NULL, "remove it: a reset starts the guest anew, and power-off ends `sill run`" },
	{ "", " cloudinit userdata cicustom ciuser sshkeys ssh provision seed ",
	  NULL, "give the guest a seed image: 'disk: [{path: seed.img, format: raw, readonly: on}]'" },

	/* cpus */
	{ "cpus", " bootvcpus vcpus count vcpucount bootcpus smp number num cores n current cpus ",
	  ".boot", NULL },
	{ "cpus", " maxvcpus maxcpus limit maximum hotplug hotpluggable ", ".max", NULL },
	{ "cpus", " sockets ", ".topology.packages", NULL },
	{ "cpus", " threads ", ".topology.threads_per_core", NULL },
	{ "cpus", " dies ", ".topology.dies_per_package", NULL },
	{ "cpus", " pin pinning cpuset vcpupin pins ", ".affinity", NULL },
	{ "cpus", " nestedvirtualization virtualization ", ".nested", NULL },
	{ "cpus", " flags feature ", ".features", NULL },
	{ "cpus", " physbits hostphysbits maxphys physaddressbits ", ".max_phys_bits", NULL },
	{ "cpus", " hv enlightenments ", ".hyperv", NULL },
	{ "cpus", " model type cpu mode ",
	  NULL, "remove it: the guest has the host's CPU; features adds and removes features" },
	{ "cpus", " shares quota period units cpulimit ",
	  NULL, "remove it: `systemd-run -p CPUQuota=200% sill run FILE` limits the VM" },
	{ "cpus.topology", " sockets socket packagecount ", ".packages", NULL },
	{ "cpus.topology", " cores core corespersocket ", ".cores_per_die", NULL },
	{ "cpus.topology", " threads thread ", ".threads_per_core", NULL },
	{ "cpus.topology", " dies die diespersocket ", ".dies_per_package", NULL },
	{ "cpus.affinity", " cpu vcpuid id ", ".vcpu", NULL },
	{ "cpus.affinity", " cpuset pcpus hostcpu pcpu cpus ", ".host_cpus", NULL },

	/* memory */
	{ "memory", " mem ram mb mib amount value memory total sizemb sizemib ", ".size", NULL },
	{ "memory", " hugepage huge hugetlb hugetlbfs largepages ", ".hugepages", NULL },
	{ "memory", " pagesize hugepagesz hugepagesizes ", ".hugepage_size", NULL },
	{ "memory", " prealloc preallocate populate locked lock prefaulted ", ".prefault", NULL },
	{ "memory", " share memfd ", ".shared", NULL },
	{ "memory", " transparenthugepages transparenthugepage ", ".thp", NULL },
	{ "memory", " hotplugsize hotplug ", ".hotplug_size", NULL },
	{ "memory", " hotplugmethod method ", ".hotplug_method", NULL },
	{ "memory", " hotpluggedsize plugged requestedsize ", ".hotplugged_size", NULL },
	{ "memory", " max maxmem maxmemory slots balloon "
	            "minimum ", NULL, "remove it: hotplug_size says how much may come while the VM runs" },
	{ "memory", " ksm merge memmerge ", ".mergeable", NULL },
	{ "memory", " reserved swapreserve ", ".reserve", NULL },
	{ "memory", " zone memoryzone memoryzones memdev backends ", NULL, "write 'zones: [{id: ram, size: 4G}]'" },
	{ "memory", " numa nodes node hostnumanode hostnodes policy bind ",
	  NULL, "write 'zones: [{id: ram, size: 4G, host_numa_node: 0}]'" },
	{ "memory.zones", " name zone zoneid ", ".id", NULL },
	{ "memory.zones", " mem ram memory amount ", ".size", NULL },
	{ "memory.zones", " share memfd ", ".shared", NULL },
	{ "memory.zones", " hugepage huge hugetlb hugetlbfs largepages ", ".hugepages", NULL },
	{ "memory.zones", " pagesize hugepagesz hugepagesizes ", ".hugepage_size", NULL },
	{ "memory.zones", " numa node nodes numanode hostnode hostnodes bind ", ".host_numa_node", NULL },
	{ "memory.zones", " prealloc preallocate populate locked lock prefaulted ", ".prefault", NULL },
	{ "memory.zones", " ksm merge ", ".mergeable", NULL },
	{ "memory.zones", " reserved ", ".reserve", NULL },
	{ "memory.zones", " file path mempath ", NOT_YET("memory zones in files") },
	{ "memory.zones", " hotplugsize hotplug ", ".hotplug_size", NULL },
	{ "memory.zones", " hotpluggedsize plugged ", ".hotplugged_size", NULL },

	/* disk */
	{ "disk", " file filename image src source img location dev device name target url "
	          "hostpath ", ".path", NULL },
	{ "disk", " type driver fmt imagetype imageformat ", ".format", NULL },
	{ "disk", " ro rdonly isreadonly readonlymode ", ".readonly", NULL },
	{ "disk", " snapshot temporary transient volatile nonpersistent ", ".ephemeral", NULL },
	{ "disk", " aio ioengine iouring ", ".io", NULL },
	{ "disk", " bps mbps throughput bandwidth bpstotal bytespersecond ", ".rate_limit.bandwidth", NULL },
	{ "disk", " iops opslimit iopstotal ops ", ".rate_limit.ops", NULL },
	{ "disk", " ratelimiterconfig ratelimiter throttling iotune throttle ratelimitgroup ",
	  ".rate_limit", NULL },
	{ "disk", " numqueues queuecount queue ", ".queues", NULL },
	{ "disk", " queuedepth ", ".queue_size", NULL },
	{ "disk", " werror rerror errorpolicy ", ".on_error", NULL },
	{ "disk", " backingfile base backingfiles baseimage backingstore parent ", ".backing", NULL },
	{ "disk", " odirect directio ", ".direct", NULL },
	{ "disk", " wwn serialnumber ", ".serial", NULL },
	{ "disk", " trim ", ".discard", NULL },
	{ "disk", " logicalblocksize blocksize sectorsize ", ".logical_sector_size", NULL },
	{ "disk", " physicalblocksize ", ".physical_sector_size", NULL },
	{ "disk", " pcislot addr address ", ".slot", NULL },
	{ "disk", " size capacity disksize ",
	  NULL, "the image is made beforehand: `sill image create -f qcow2 disk.qcow2 20G`" },
	{ "disk", " bus interface if controller media ssd rotationrate cdrom ",
	  NULL, "remove it: every disk is a virtio block device" },
	{ "disk", " bootorder bootindex boot bootable ",
	  NULL, "remove it: the firmware keeps the boot order in firmware.vars" },
	{ "disk", " encryption luks encrypted key secret ", NOT_YET("encrypted images") },
	{ "disk", " vhostuser vhostsocket socket pcisegment iommu ", NOT_YET("such disks") },
	{ "net", " ifname dev device name tapname interface target ", ".tap", NULL },
	{ "net", " macaddr macaddress hwaddr address6 guestmac ", ".mac", NULL },
	{ "net", " ip ipaddr ipaddress hostip mask netmask subnet ", ".address", NULL },
	{ "net", " ip6 ip6addr ip6address hostip6 ipv6address ipv6prefix prefix6 slaac ra ", ".ipv6", NULL },
	{ "net", " nameserver nameservers resolver dnsserver dnsservers ", ".dns", NULL },
	{ "net", " ports port portforwards portforwarding publish hostfwd redir ", ".forward", NULL },
	{ "net", " masquerade snat internet ", ".nat", NULL },
	{ "net", " nat66 natv6 ipv6nat masquerade6 ", ".nat6", NULL },
	{ "net", " isolated isolation restrict restricted internetonly ", ".isolate", NULL },
	{ "net", " spoofguard macspoof macspoofing spoofchk nospoof macfilter trustguestrxfilters ",
	  ".antispoof", NULL },
	{ "net", " numqueues multiqueue mq queuepairs ", ".queues", NULL },
	{ "net", " ringsize ", ".queue_size", NULL },
	{ "net", " pcislot addr ", ".slot", NULL },
	{ "net", " offloadufo ufo ", NULL, "remove it: there is no such offload" },
	{ "net", " model driver ", NULL, "remove it: every card is a virtio network card" },
	{ "net", " br brname bridgename switch ", ".bridge", NULL },
	{ "net", " macvlan direct parent lower ", ".macvtap", NULL },
	{ "net", " mode ", NULL, "of a macvtap it is 'macvtap_mode': `sill explain net.macvtap_mode`" },
	{ "net", " vlan vlanid tag ", NULL, "remove it: a tap in a bridge of that VLAN does it on the host" },
	{ "net", " range dhcprange dhcpstart ", NULL, "remove it: the card has one guest, and gives it one address" },
	{ "net", " fds tapfd tapfds filedescriptor filedescriptors ", ".fd", NULL },
	{ "net", " usernet usermode slirp passt ", ".user", NULL },
	{ "net", " vhostnet ", ".vhost", NULL },
	{ "net", " vhostuser hostmac iommu ",
	  NOT_YET("such network cards") },
	{ "net", " ratelimit ratelimiterconfig ratelimiter bandwidth bw inbound ", ".rx_limit.bandwidth", NULL },
	{ "net", " outbound egress upload ", ".tx_limit.bandwidth", NULL },
	{ "net.rx_limit", " bps mbps throughput bytes rate average bwsize size ", ".bandwidth", NULL },
	{ "net.rx_limit", " pps packets frames opssize ", ".ops", NULL },
	{ "net.rx_limit", " burst peak bwonetimeburst ", ".bandwidth_burst", NULL },
	{ "net.tx_limit", " bps mbps throughput bytes rate average bwsize size ", ".bandwidth", NULL },
	{ "net.tx_limit", " pps packets frames opssize ", ".ops", NULL },
	{ "net.tx_limit", " burst peak bwonetimeburst ", ".bandwidth_burst", NULL },
	{ "disk.rate_limit", " bps mbps throughput bpstotal bytes bytespersecond bwsize size ",
	  ".bandwidth", NULL },
	{ "disk.rate_limit", " iops iopstotal opssize requests ", ".ops", NULL },
	{ "disk.rate_limit", " bpsmax burst bwonetimeburst bpsburst ", ".bandwidth_burst", NULL },
	{ "disk.rate_limit", " iopsmax opsonetimeburst iopsburst ", ".ops_burst", NULL },
	{ "disk.backing", " file filename image source ", ".path", NULL },
	{ "disk.backing", " type driver backingformat ", ".format", NULL },

	/* The others. */
	{ "firmware", " path file bios ovmf image loader firmware uefi ", ".code", NULL },
	{ "firmware", " nvram efivars varspath variables varstore ", ".vars", NULL },
	{ "firmware", " secureboot secure smm ",
	  NULL, "remove it: Sill has no Secure Boot; OVMF_CODE_4M.fd is a build without" },
	{ "serial", " type kind backend target device ", ".mode", NULL },
	{ "serial", " file logfile socket sock output ", ".path", NULL },
	{ "serial", " port tcpport host bind address ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "serial", " maxsize size logsize maxlogsize ", ".limit", NULL },
	{ "serial", " scrollback buffer backlog ringbuf ringbuffer ", ".history", NULL },
	{ "serial2", " type kind backend target device ", ".mode", NULL },
	{ "serial2", " file logfile socket sock output ", ".path", NULL },
	{ "serial2", " port tcpport host bind address ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "serial2", " maxsize size logsize maxlogsize ", ".limit", NULL },
	{ "serial2", " scrollback buffer backlog ringbuf ringbuffer ", ".history", NULL },
	{ "debug_console", " type kind backend target device ", ".mode", NULL },
	{ "debug_console", " file logfile socket sock output ", ".path", NULL },
	{ "debug_console", " tcpport host bind ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "debug_console", " maxsize size logsize maxlogsize ", ".limit", NULL },
	{ "debug_console", " scrollback buffer backlog ringbuf ringbuffer ", ".history", NULL },
	{ "debug_console", " iobase io address ", NULL, "write 'port: 0xe9'" },
	{ "debug", " port tcpport ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "debug", " serial serialport com kdport windbg ", NULL, "write 'kd: serial2'" },
	{ "debug", " kdnet net network ", NULL, "write 'kd: net'" },
	{ "debug", " hostip debugger target ", NULL, "write 'connect: 192.0.2.1:50000'" },
	{ "debug", " nic busparams interface ", NULL, "write 'card: net0'" },
	{ "debug", " newkey encryptionkey secret ", NULL, "write 'key: 2n9ck3.1qw8x.7d0f4.p3z5'" },
	{ "debug", " gdbserver gdbstub gdbsocket ", ".gdb", NULL },
	{ "debug", " address host server bind ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "console", " type kind backend target device ", ".mode", NULL },
	{ "console", " file logfile socket sock output ", ".path", NULL },
	{ "console", " port tcpport host bind address ", NULL, "write 'listen: 127.0.0.1:4445'" },
	{ "console", " maxsize size logsize maxlogsize ", ".limit", NULL },
	{ "console", " scrollback buffer backlog ringbuf ringbuffer ", ".history", NULL },
	{ "vsock", " guestcid contextid address ", ".cid", NULL },
	{ "vsock", " path sock uds udspath file unixsocket ", ".socket", NULL },
	{ "vsock", " port ports ",
	  NULL, "remove it: the program on the host says which port when it connects to the socket" },
	{ "api", " path sock uds file unixsocket apisocket listen ", ".socket", NULL },
	{ "api", " fd ", NULL, "remove it: `sill run --api-socket fd=N FILE` takes an open one" },
	{ "ready", " timeout timeoutseconds timeoutsec deadline wait for ", NULL, "write 'within: 5m'" },
	{ "ready", " address ip server ", ".host", NULL },
	{ "ready", " message help ", ".hint", NULL },
	{ "balloon", " target value current memory mem actual ", ".size", NULL },
	{ "balloon", " deflateonoom autodeflate oom ", ".deflate_on_oom", NULL },
	{ "balloon", " freepagereporting freepagereport reporting ", ".free_page_reporting", NULL },
	{ "rng", " path source device backend filename file ", ".src", NULL },
	{ "platform", " serial ", ".serial_number", NULL },
	{ "platform", " oem oemstring strings ", ".oem_strings", NULL },
	{ "platform", " genid generationid vmgenerationid ", ".vmgenid", NULL },
	{ "platform", " clock localtime ", ".rtc", NULL },
	{ "platform", " manufacturer product sku family version vendor ",
	  NULL, "remove it: only uuid, serial_number and oem_strings can be set" },

	/* Words for a value, by the key they are written for. */
	{ "=cache", " none ", NULL, "write 'cache: writeback' and 'direct: on'" },
	{ "=cache", " directsync ", NULL, "write 'cache: writethrough' and 'direct: on'" },
	{ "=io", " native aio libaio iouring ", NULL, "write 'io: uring'" },
	{ "=discard", " on true yes enable pass ", NULL, "write 'discard: unmap'" },
	{ "=discard", " off false no none disable ", NULL, "write 'discard: ignore'" },
	{ "=format", " img bin iso dd block file cdrom ", NULL, "write 'format: raw'" },
	{ "=format", " vpc ", NULL, "write 'format: vhd'" },
	{ "=mode", " stdio terminal stdout console ", NULL, "write 'mode: tty'" },
	{ "=mode", " unix unixsocket server ", NULL, "write 'mode: socket' and a path" },
	{ "=mode", " listen telnet tcpserver raw ", NULL, "write 'mode: tcp' and 'listen: 127.0.0.1:4445'" },
	{ "=kd", " com1 ttys0 serial0 ", NULL, "write 'kd: serial'" },
	{ "=kd", " com2 ttys1 serial1 on ", NULL, "write 'kd: serial2'" },
	{ "=kd", " kdnet network ethernet nic udp ", NULL, "write 'kd: net'" },
	{ "=mode", " log logfile ", NULL, "write 'mode: file' and a path" },
	{ "=guest",
	  " win win7 win10 win11 windows10 windows11 windowsserver win2k19 win2k22 "
	  "win2k25 wserver ",
	  NULL, "write 'guest: windows'" },
	{ "=guest",
	  " ubuntu debian fedora centos rhel alpine arch opensuse suse rocky almalinux l26 "
	  "generic gnulinux ",
	  NULL, "write 'guest: linux'" },
	{ "=guest", " freebsd openbsd netbsd bsd unix solaris macos ", NULL, "write 'guest: other'" },
	{ "=rtc", " local localtimezone ", NULL, "write 'rtc: localtime'" },
	{ "=rtc", " gmt ", NULL, "write 'rtc: utc'" },
	{ "=on_crash", " none ignore preserve ", NULL, "write 'on_crash: report'" },
	{ "=on_crash", " restart reboot ", NULL, "write 'on_crash: reset'" },
	{ "=on_crash", " shutdown poweroff destroy exit kill off ", NULL, "write 'on_crash: stop'" },
	{ "=restart", " off false none never disabled n ", NULL, "write 'restart: no'" },
	{ "=restart", " on true yes unlessstopped enabled y ", NULL, "write 'restart: always'" },
	{ "=restart", " failure onerror onabnormal onabort oncrash crash ", NULL, "write 'restart: on-failure'" },
	{ "=on_crash", " nmi dump coredump coredumpdestroy coredumprestart ", NULL, "write 'on_crash: nmi-dump'" },
	{ "=on_error", " pause ", NULL, "write 'on_error: stop'" },
	{ "=on_error", " enospc ", NULL, "write 'on_error: enospc-stop'" },
	{ "=on_error", " fail error ", NULL, "write 'on_error: report'" },
};
/* clang-format on */

/* The name as the table has it, with a blank at both ends; false when it is too long for any. */
static bool fold(const struct node *key, char dst[40])
{
	size_t n = 0;

	dst[n++] = ' ';
	for (size_t i = 0; i < key->len; i++) {
		const unsigned char ch = (unsigned char)key->text[i];

		if (ch == '_' || ch == '-')
			continue;
		if (n > 36 || !isalnum(ch))
			return false;
		dst[n++] = (char)tolower(ch);
	}
	dst[n++] = ' ';
	dst[n] = '\0';
	return n > 2;
}

static const struct foreign *find(const char *section, const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].section, section) == 0 && strstr(table[i].names, name) != NULL)
			return &table[i];
	}
	return NULL;
}

/* Is @text right for @row, as it stands (@plain), or in quotes? */
static bool is_right_as(const struct key *row, const char *text, bool plain)
{
	struct diags *d = calloc(1, sizeof(*d));
	struct arena a = { 0 };
	struct check c = { .a = &a, .d = d, .dir = "" };
	struct node n = { .type = NODE_SCALAR, .text = text, .len = strlen(text), .plain = plain };

	if (d != NULL && row->section == NULL && row->item == NULL)
		check_value(&c, row, &n, row->field.key);
	arena_fini(&a);
	if (d != NULL)
		diags_fini(d);
	free(d);
	return n.ok;
}

static bool is_right(const struct key *row, const char *text)
{
	return is_right_as(row, text, true);
}

static bool is_mac(const char *text)
{
	uint8_t mac[6];

	return sill_mac_read(text, mac) == 0;
}

static bool is_address(const char *text)
{
	uint32_t address;
	uint8_t prefix;

	return sill_address_read(text, &address, &prefix) == 0;
}

static bool is_address6(const char *text)
{
	uint8_t address[16];

	return sill_address6_read(text, address) == 0;
}

static bool is_forward(const char *text)
{
	struct sill_err unused = { 0 };
	struct forward_spec spec;

	return forward_read(text, &spec, &unused) == 0;
}

static bool is_listen(const char *text)
{
	struct sill_err unused = { 0 };
	struct endpoint at;

	return endpoint_read_listen(text, &at, &unused) == 0;
}

static bool is_connect(const char *text)
{
	struct sill_err unused = { 0 };

	return endpoint_check_connect(text, &unused) == 0;
}

static bool is_server(const char *text)
{
	uint8_t address[16];

	return strcmp(text, "host") == 0 || strcmp(text, "off") == 0 ||
	       inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* What the rules about some keys take. Their rows alone take any text. */
static const struct {
	const char *key; /* or of a list's entries */
	bool (*is)(const char *text);
} forms[] = {
	{ "mac", is_mac },         { "address", is_address }, { "ipv6", is_address6 },
	{ "forward", is_forward }, { "listen", is_listen },   { "connect", is_connect },
	{ "dns", is_server },
};

bool foreign_has_form(const struct key *row, const char *text)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strncmp(row->field.key, forms[i].key, strlen(forms[i].key)) == 0 &&
		    strchr("[", row->field.key[strlen(forms[i].key)]) != NULL)
			return text != NULL && forms[i].is(text);
	return true;
}

bool foreign_is_right_quoted(const struct key *row, const char *text)
{
	return is_right_as(row, text, false) && foreign_has_form(row, text);
}

/* The value that was written, if it will do ("4096" for a size are MiB), or the row's example. */
static void use(char *dst, size_t size, const struct key *row, const struct node *value)
{
	char clean[TEXT_SHORT];
	char mib[TEXT_SHORT + 1];

	(void)snprintf(dst, size, "%s", row->example);
	if (value == NULL || value->type != NODE_SCALAR || value->len == 0 || value->len > 40 ||
	    strlen(text_clean(clean, sizeof(clean), value->text, value->len)) != value->len ||
	    strpbrk(value->text, "'\"{}[],#:&*!|>%@` ") != NULL)
		return;
	/* A word that is none, and that nobody would take for a path. */
	if (key_is_word(row, "on") && !key_is_word(row, clean) && strchr(clean, '/') == NULL)
		return;
	(void)snprintf(mib, sizeof(mib), "%sM", clean);
	if (is_right(row, clean) && foreign_has_form(row, clean))
		(void)snprintf(dst, size, "%s", clean);
	else if (row->kind == KIND_SIZE && is_right(row, mib))
		(void)snprintf(dst, size, "%s", mib);
}

/* What else an entry of the list @row must have, beside @key. */
static const char *entry_needs(const struct key *row, const char *key)
{
	if (strcmp(row->field.key, "disk") == 0)
		return ", format: raw";
	return strcmp(row->field.key, "net") == 0 && strcmp(key, "tap") != 0 ? ", tap: ''" : "";
}

/* "cpus: {boot: 2}" for the target "cpus.boot" in @s; the first row on the way in *ret_row. */
static bool spell(FILE *out, const struct section *s, const char *target, const char *more,
		  const struct node *value, const struct key **ret_row)
{
	bool list = false;
	unsigned depth = 0;

	for (; s != NULL && *target != '\0'; depth++) {
		const int len = (int)strcspn(target, ".[");
		char word[40], text[128];
		const struct key *row;

		(void)snprintf(word, sizeof(word), "%.*s", len, target);
		row = section_find(s, word);
		if (row == NULL)
			return false;
		if (depth == 0)
			*ret_row = row;
		list |= target[len] == '[';
		target += len + (target[len] == '[' ? 2 : 0);
		target += *target == '.';
		(void)fprintf(out, "%s: ", word);
		if (*target != '\0') {
			(void)fputs(list ? "[{" : "{", out);
			s = row->section;
			continue;
		}
		use(text, sizeof(text), row, value);
		(void)fprintf(out, "%s%s%s", text, list ? entry_needs(*ret_row, word) : "", more);
		break;
	}
	for (; depth > 0; depth--)
		(void)fputc('}', out);
	if (list)
		(void)fputc(']', out);
	return true;
}

/* Into the hint of @g. */
static bool hint_line(struct diag *g, const struct section *s, const struct foreign *f,
		      const struct node *value, const struct key **ret_row)
{
	const bool here = f->target[0] == '.' || s == &root_section;
	const char *more = f->text != NULL && f->text[0] == ',' ? f->text : "";
	const struct key *row = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool ok;

	if (out == NULL)
		return false;
	ok = spell(out, f->target[0] == '.' ? s : &root_section, f->target + (f->target[0] == '.'),
		   more, value, &row);
	ok &= fclose(out) == 0;
	/* What is a list or a mapping already may need no more than the name. */
	if (ok && value != NULL && value->type != NODE_SCALAR && here)
		diag_hint(g, "the key is '%s'; for example '%s'", row->field.key, text);
	else if (ok)
		diag_hint(g, "write '%s'%s%s", text, here ? "" : " at the top, ",
			  here ? "" : "as a key of the document");
	free(text);
	if (ok && here)
		*ret_row = row;
	return ok;
}

/* `cpu: 2` is a number of CPUs, `cpu: host` a model. */
static bool is_number_of_cpus(const struct node *value)
{
	return value != NULL && value->type == NODE_SCALAR &&
	       is_right(section_find(&cpus_section, "boot"), value->text);
}

bool foreign_hint(const struct section *s, const struct node *key, const struct node *value,
		  struct diag *g, const struct key **ret_row)
{
	const struct foreign *f;
	char name[40];

	*ret_row = NULL;
	f = fold(key, name) ? find(s->name, name) : NULL;
	if (f == NULL)
		return false;
	if (f->target != NULL && (f->text == NULL || f->text[0] == ',' || is_number_of_cpus(value)))
		return hint_line(g, s, f, value, ret_row);
	diag_hint(g, "%s", f->text);
	return true;
}

const char *foreign_word(const struct key *row, const struct node *value)
{
	const struct foreign *f;
	char where[TEXT_SHORT], word[40];

	(void)snprintf(where, sizeof(where), "=%s", row->field.key);
	f = fold(value, word) ? find(where, word) : NULL;
	return f != NULL ? f->text : NULL;
}

bool foreign_variable(struct check *c, const struct node *n)
{
	static const struct {
		const char *begin, *end;
	} marks[] = { { "{{", "}}" }, { "$((", "))" }, { "$(", ")" }, { "<%", "%>" },
		      { "%", "%" },   { "@", "@" },    { "$", "" } };
	char buf[TEXT_SHORT], var[TEXT_SHORT];

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const char *name = n->text + strlen(marks[i].begin), *behind;
		size_t len;

		if (strncmp(n->text, marks[i].begin, strlen(marks[i].begin)) != 0)
			continue;
		name += strspn(name, " .$"); /* "{{ .Values.size }}" */
		len = strspn(name,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-");
		behind = name + len + strspn(name + len, " ");
		if (len == 0 || isdigit((unsigned char)name[0]) ||
		    strcmp(behind, marks[i].end) != 0)
			continue;
		for (size_t j = len; j > 0; j--) /* the last word: a variable's name has no '.' */
			if (name[j - 1] == '.') {
				name += j;
				len -= j;
				break;
			}
		if (len == 0 || isdigit((unsigned char)name[0]) || name[0] == '-')
			continue;
		(void)snprintf(var, sizeof(var), "%.*s", (int)len, name);
		if (section_find(&root_section, var) != NULL || strcmp(var, "dir") == 0)
			(void)snprintf(var, sizeof(var), "vm_%.*s", (int)len, name);
		diag_hint(check_fail(c, n, "'%s' is not how a variable is written here",
				     text_clean(buf, sizeof(buf), n->text, n->len)),
			  "write ${%s}, which 'vars: {%s: ...}' says; --set changes it", var, var);
		return true;
	}
	return false;
}
