/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_netstate.c - what is said of a VM's network, from outside, in a network namespace of its own: a tap
 * that is there, is down, is gone; and the lines a person reads. Skipped where there is no right to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/nat.h"
#include "runner/host/rundir.h"
#include "runner/host/tap.h"
#include "runner/net/netstate.h"

static bool have_net;
static char empty[] = "", automatic[] = "auto", mac[] = "02:00:00:00:00:01", id[] = "lan",
	    name[] = "web", bridge[] = "lan", forward[] = "4000:22", dns[] = "10.0.0.53",
	    off[] = "off";

static int run(const char *command)
{
	return system(command); /* NOLINT: a test's own words */
}

/* Does one of the finds have @text? */
static bool finds(const json_t *card, const char *text)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(card, "in_the_way"), i,
			   one) if (strstr(json_string_value(one), text) != NULL) return true;
	return false;
}

static json_t *look(struct sill_net_config *n, json_t **ret_card)
{
	const struct sill_config c = { .name = name, .net = n, .net_count = 1 };
	json_t *o = netstate_json(&(struct netstate){ .c = &c, .pid = 7 });

	assert_non_null(o);
	assert_int_equal(json_integer_value(json_object_get(o, "pid")), 7);
	*ret_card = json_array_get(json_object_get(o, "net"), 0);
	assert_non_null(*ret_card);
	return o;
}

static void a_tap__is_told_of_as_it_is(void **state)
{
	char *forwards[] = { forward }, *servers[] = { dns };
	struct sill_net_config n = { .id = id, .tap = empty, .address = automatic, .mac = mac };
	struct sill_err e = { 0 };
	json_t *o, *card, *guest;
	struct tap t;

	(void)state;
	if (!have_net)
		skip();
	tap_init(&t);
	if (tap_open(&t, &n, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
	n = (struct sill_net_config){ .id = id,
				      .tap = t.name,
				      .address = t.address,
				      .mac = mac,
				      .dhcp = SILL_DHCP_ON,
				      .nat = true,
				      .dns = servers,
				      .dns_count = 1,
				      .forward = forwards,
				      .forward_count = 1 };
	o = look(&n, &card);
	assert_true(json_is_true(json_object_get(card, "up")));
	assert_int_equal(json_integer_value(json_object_get(card, "mtu")), 1500);
	assert_true(json_is_null(json_object_get(card, "link"))); /* the card knows */
	assert_string_equal(json_string_value(json_object_get(card, "host")), "192.168.249.1/24");
	guest = json_object_get(card, "guest");
	assert_string_equal(json_string_value(json_object_get(guest, "address")), "192.168.249.2");
	assert_true(json_is_null(json_object_get(guest, "lease_seconds")));
	assert_int_equal(json_array_size(json_object_get(card, "forwards")), 1);
	assert_false(finds(card, "device"));
	assert_true(finds(card, "nat: the host has no default route"));
	assert_true(finds(card, "nat: forwarding on 'vmtap0' is off; "
				"`sysctl net.ipv4.conf.vmtap0.forwarding=1`"));
	json_decref(o);

	assert_int_equal(run("ip address flush dev vmtap0; ip link set vmtap0 down"), 0);
	o = look(&n, &card);
	assert_false(json_is_true(json_object_get(card, "up")));
	assert_true(finds(card, "is down; `ip link set vmtap0 up`"));
	assert_true(
		finds(card, "has lost its address; `ip address add 192.168.249.1/24 dev vmtap0`"));
	json_decref(o);

	tap_close(&t);
	(void)snprintf(t.name, sizeof(t.name), "vmtap0");
	n.tap = t.name;
	n.address = automatic;
	o = look(&n, &card);
	assert_false(json_is_true(json_object_get(card, "there")));
	assert_true(json_is_null(json_object_get(card, "mtu")));
	assert_true(finds(card, "'vmtap0' is gone"));
	json_decref(o);
}

/* By the MAC address, which the manifest tells: what was made for the card, and whether it still hangs there. */
static void a_port_of_a_bridge__is_told_of_as_it_is(void **state)
{
	struct sill_net_config n = { .id = id,
				     .bridge = bridge,
				     .address = off,
				     .mac = mac,
				     .antispoof = SILL_ANTISPOOF_ON };
	struct sill_err e = { 0 };
	json_t *o, *card, *rules;
	struct rules_card c;
	struct tap t;
	struct nat nat;

	(void)state;
	if (!have_net || run("ip link add lan type bridge && ip link set lan up") != 0)
		skip();
	tap_init(&t);
	nat_init(&nat);
	if (tap_open(&t, &n, "/tmp", &e) < 0)
		fail_msg("%s", e.msg);
	c = (struct rules_card){ .tap = t.name, .antispoof = true };
	assert_int_equal(sill_mac_read(mac, c.mac), 0);
	assert_int_equal(nat_start(&nat, &c, 1, "/tmp", &e), 0);
	o = look(&n, &card);
	assert_string_equal(json_string_value(json_object_get(card, "device")), "lan");
	assert_string_equal(json_string_value(json_object_get(card, "port")), "vmtap0");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(card, "counters"), "of")),
		"device");
	assert_int_equal(json_array_size(json_object_get(card, "in_the_way")), 0);
	rules = json_object_get(json_array_get(json_object_get(o, "filter"), 0), "rules");
	assert_int_equal(json_array_size(rules), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rules, 0), "rule")),
			    "vmtap0: from another MAC address");
	json_decref(o);

	assert_int_equal(run("ip link set vmtap0 nomaster"), 0);
	o = look(&n, &card);
	assert_true(finds(card, "'vmtap0' is no port of 'lan' any more; "
				"`ip link set vmtap0 master lan`"));
	json_decref(o);
	assert_int_equal(run("ip link set vmtap0 down"), 0);
	o = look(&n, &card);
	assert_true(finds(card, "the device 'vmtap0' is down; `ip link set vmtap0 up`"));
	json_decref(o);
	tap_close(&t);
	o = look(&n, &card);
	assert_true(json_is_null(json_object_get(card, "port")));
	assert_true(finds(card, "the card's port of 'lan' is gone"));
	json_decref(o);
	nat_fini(&nat);
	assert_int_equal(run("ip link del lan"), 0);
	o = look(&n, &card);
	assert_true(finds(card, "the bridge 'lan' is gone"));
	json_decref(o);
}

static void a_card_that_others_have_set_up__is_told_of_as_far_as_it_is_known(void **state)
{
	uint16_t fd[] = { 3 };
	struct sill_net_config n = {
		.id = id, .fd = fd, .fd_count = 1, .address = off, .mac = mac
	};
	json_t *o, *card;

	(void)state;
	o = look(&n, &card);
	assert_string_equal(json_string_value(json_object_get(card, "kind")), "fd");
	assert_string_equal(json_string_value(json_object_get(card, "device")), "");
	assert_true(json_is_null(json_object_get(card, "counters")));
	assert_true(json_is_null(json_object_get(card, "port")));
	assert_int_equal(json_array_size(json_object_get(card, "in_the_way")), 0);
	assert_int_equal(json_array_size(json_object_get(o, "filter")), 0);
	json_decref(o);
}

/* As the VM itself says it, which knows more. */
static void a_person__reads_all_of_it(void **state)
{
	static const char json[] =
		"{'vm': 'web', 'pid': 7, 'net': [{'id': 'lan', 'device': 'vmtap0', 'there': true,"
		" 'up': true, 'mac': '02:00:00:00:00:01', 'mtu': 1500, 'link': 'up', 'driver': "
		"true,"
		" 'queues': {'used': 2, 'there': 4}, 'host': '192.168.249.1/24', 'guest': "
		"{'address':"
		" '192.168.249.2', 'dhcp': true, 'lease_seconds': 3541, 'name_servers': "
		"['10.0.0.53',"
		" '10.0.1.53']}, 'nat': true, 'counters': {'of': 'card', 'to_guest': {'frames': 12,"
		" 'bytes': 1536, 'dropped': 0}, 'from_guest': {'frames': 3, 'bytes': 200, "
		"'dropped':"
		" 1}}, 'forwards': [{'forward': '3389:3389', 'open': 1, 'taken': 5, "
		"'bytes_to_guest':"
		" 1024, 'bytes_from_guest': 2097152}], 'in_the_way': ['a\\u001bb drops']},"
		" {'id': 'net1', 'kind': 'bridge', 'device': 'br0', 'port': 'vmtap1', 'there': "
		"true,"
		" 'up': true, 'mac': '02:00:00:00:00:02', 'mtu': 9000, 'link': null, 'guest':"
		" {'address': null}, 'isolate': true, 'antispoof': true}], 'filter': [{'table':"
		" 'sill_vmtap0', 'rules': [{'rule': 'vmtap0: to the host', 'packets': 3, 'bytes': "
		"252},"
		" {'rule': 'vmtap0: from another address', 'packets': 0, 'bytes': 0}]}]}";
	static const char want[] =
		"lan: vmtap0, up, MTU 1500, the guest's link up, 02:00:00:00:00:01\n"
		"  host        192.168.249.1/24\n"
		"  guest       192.168.249.2 by DHCP, for 60 min more; name servers 10.0.0.53, "
		"10.0.1.53\n"
		"  nat         on\n"
		"  to guest    12 frames, 1.5 KiB, 0 dropped\n"
		"  from guest  3 frames, 200 B, 1 dropped\n"
		"  queues      2 of 4\n"
		"  forward     3389:3389: 1 connections, 5 so far; 1 KiB in, 2 MiB out\n"
		"  in the way  a\\x1bb drops\n"
		"net1: vmtap1 on bridge br0, up, MTU 9000, 02:00:00:00:00:02\n"
		"  guest       not known: it gets its address elsewhere\n"
		"  isolate     on\n"
		"  antispoof   on\n"
		"sill_vmtap0: rules of the packet filter\n"
		"  vmtap0: to the host             3 packets, 252 B\n";
	char text[sizeof(json)], *got = NULL;
	size_t size = 0;
	json_t *o;
	FILE *f;

	(void)state;
	for (size_t i = 0; i < sizeof(json); i++)
		text[i] = (char)(json[i] == '\'' ? '"' : json[i]);
	o = json_loads(text, 0, NULL);
	assert_non_null(o);
	f = open_memstream(&got, &size);
	netstate_print(f, o);
	(void)fclose(f);
	assert_string_equal(got, want);
	free(got);
	json_decref(o);
	/* Whatever a VM of another version says: no crash. */
	o = json_loads("{\"net\": [{}, 7, null, {\"guest\": 1, \"forwards\": {}}]}", 0, NULL);
	f = open_memstream(&got, &size);
	netstate_print(f, o);
	netstate_print(f, NULL);
	(void)fclose(f);
	free(got);
	json_decref(o);
}

static void without_dhcp__nobody_knows_where_the_guest_is(void **state)
{
	char *servers[] = { off };
	struct sill_net_config n = {
		.id = id, .tap = empty, .dns = servers, .dns_count = 1, .dhcp = SILL_DHCP_OFF
	};
	json_t *o, *card, *guest;

	(void)state;
	o = look(&n, &card);
	guest = json_object_get(card, "guest");
	assert_true(json_is_null(json_object_get(guest, "address")));
	assert_int_equal(json_array_size(json_object_get(guest, "name_servers")), 0);
	assert_true(json_is_null(json_object_get(card, "host")));
	json_decref(o);
}

/* What is no tap of the VM's own is looked at as far as it can be. */
static void other_ends__are_told_by_their_kind(void **state)
{
	static char no_bridge[] = "nobr0", lo[] = "lo";
	struct sill_net_config n = { .id = id, .bridge = no_bridge, .address = off };
	json_t *o, *card;

	(void)state;
	o = look(&n, &card);
	assert_string_equal(json_string_value(json_object_get(card, "kind")), "bridge");
	assert_true(finds(card, "the bridge 'nobr0' is gone"));
	assert_true(json_is_null(json_object_get(card, "counters")));
	assert_true(json_is_null(json_object_get(card, "host")));
	json_decref(o);
	if (have_net) {
		n = (struct sill_net_config){ .id = id, .macvtap = lo };
		o = look(&n, &card);
		assert_string_equal(json_string_value(json_object_get(card, "kind")), "macvtap");
		assert_int_equal(json_array_size(json_object_get(card, "in_the_way")), 0);
		json_decref(o);
	}
	n = (struct sill_net_config){ .id = id };
	o = look(&n, &card);
	assert_string_equal(json_string_value(json_object_get(card, "kind")), "none");
	assert_int_equal(json_array_size(json_object_get(card, "in_the_way")), 0);
	json_decref(o);
	n = (struct sill_net_config){ .id = id, .user = true };
	o = look(&n, &card);
	assert_string_equal(json_string_value(json_object_get(card, "kind")), "user");
	assert_int_equal(json_array_size(json_object_get(card, "in_the_way")), 0);
	json_decref(o);
}

static void who_passes_frames__is_told_with_a_reason(void **state)
{
	static char lo[] = "lo";
	struct sill_net_config n = { .id = id,
				     .tap = lo,
				     .address = off,
				     .vhost = SILL_VHOST_OFF,
				     .rx_limit = { .ops = 5 } };
	json_t *o, *card, *frames;
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	(void)state;
	o = look(&n, &card);
	frames = json_object_get(card, "frames");
	assert_string_equal(json_string_value(json_object_get(frames, "by")), "sill");
	assert_string_equal(json_string_value(json_object_get(frames, "why")), "it has limits");
	f = open_memstream(&text, &size);
	netstate_print(f, o);
	(void)fclose(f);
	assert_non_null(strstr(text, "  frames      by Sill: it has limits\n"));
	free(text);
	json_decref(o);
	n = (struct sill_net_config){ .id = id, .tap = lo, .vhost = SILL_VHOST_ON };
	o = look(&n, &card);
	frames = json_object_get(card, "frames");
	assert_string_equal(json_string_value(json_object_get(frames, "by")), "vhost-net");
	assert_true(json_is_null(json_object_get(frames, "why")));
	f = open_memstream(&text, &size);
	netstate_print(f, o);
	(void)fclose(f);
	assert_non_null(strstr(text, "  frames      by the host's kernel (vhost-net)\n"));
	free(text);
	json_decref(o);
}

static void a_guest__is_found_by_the_name_of_its_vm(void **state)
{
	static char address[] = "10.17.0.1/24";
	char dir[] = "/tmp/sill-netstate-XXXXXX", got[INET_ADDRSTRLEN] = "";
	struct sill_net_config n[2] = { { .id = id, .address = off, .dhcp = SILL_DHCP_OFF },
					{ .id = name, .address = address, .dhcp = SILL_DHCP_ON } };
	struct sill_config c = { .sill = 1, .name = name, .net = n, .net_count = 2 };
	struct sill_err e = { 0 };
	struct rundir d = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("SILL_RUNTIME_DIR", dir, 1), 0);
	assert_false(netstate_guest("web", got)); /* it does not run */
	assert_int_equal(rundir_open(&d, "web", &e), 0);
	assert_false(netstate_guest("web", got)); /* nor has it said what it is */
	assert_int_equal(rundir_write_manifest(&d, &c, &e), 0);
	assert_true(netstate_guest("web", got));
	assert_string_equal(got, "10.17.0.2");
	n[1].dhcp = SILL_DHCP_OFF;
	assert_int_equal(rundir_write_manifest(&d, &c, &e), 0);
	assert_false(netstate_guest("web", got));
	assert_false(netstate_guest("192.168.0.1", got));
	assert_false(netstate_guest("::1", got));
	rundir_close(&d);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap__is_told_of_as_it_is),
		cmocka_unit_test(a_port_of_a_bridge__is_told_of_as_it_is),
		cmocka_unit_test(a_card_that_others_have_set_up__is_told_of_as_far_as_it_is_known),
		cmocka_unit_test(a_person__reads_all_of_it),
		cmocka_unit_test(without_dhcp__nobody_knows_where_the_guest_is),
		cmocka_unit_test(other_ends__are_told_by_their_kind),
		cmocka_unit_test(who_passes_frames__is_told_with_a_reason),
		cmocka_unit_test(a_guest__is_found_by_the_name_of_its_vm),
	};

	have_net = unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK) == 0 &&
		   run("ip link set lo up 2>/dev/null") == 0;
	return cmocka_run_group_tests_name("netstate", tests, NULL, NULL);
}
