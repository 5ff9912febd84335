# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# links - real guests behind `nat: on`, `isolate: on` and on a bridge: they resolve a name and fetch from a server in
# another namespace, which never sees a private address (a packet socket looks); they are reached by ports of the host; an
# isolated one reaches no private network; other programs' rules, and a device that is deleted, are survived and
# told of; and nothing is left, after the end, and after kill -9 and the next start. IPv6 likewise, where a guest has it. One of
# the guests has its frames passed by vhost-net.
. ./lib.sh

# Not busybox's, which the shell prefers: it knows no names of veth peers.
ip() {
	/usr/bin/ip "$@"
}
for module in tun vhost_net bridge nf_tables nft_chain_nat nft_masq nft_ct nf_conntrack_netlink; do
	modprobe $module || echo "no $module"
done

far_side 10.99.0.1 10.99.0.2
far /usr/bin/ip address add 203.0.113.9/32 dev far0
ip -6 address add 2001:db8:99::1/64 dev up0 nodad
far /usr/bin/ip -6 address add 2001:db8:99::2/64 dev far0 nodad
ip -6 route add default via 2001:db8:99::2
ip link add br0 type bridge
ip address add 10.50.0.254/24 dev br0
ip link set br0 up
echo 'nameserver 10.99.0.2' >/etc/resolv.conf
mkdir www
dd if=/dev/urandom of=www/data bs=1M count=2 2>/dev/null
sum=$(md5sum <www/data | cut -c1-32)
far httpd -p 80 -h www
httpd -p 80 -h www
far world far0 >world.out 2>world.err &
until grep -q ready world.out; do
	usleep 10000
done

# What the host is, in words.
snapshot() {
	ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/link \1/'
	ip -o -4 address | sed 's/ *valid_lft.*//; s/^[0-9]*: //'
	ip route | sed 's/ linkdown//'
	nft list ruleset
	ip -6 route show default
	for f in /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/forwarding \
		/proc/sys/net/ipv6/conf/*/force_forwarding /proc/sys/net/ipv6/conf/*/accept_ra; do
		[ -e "$f" ] || continue
		echo "$f $(cat "$f")"
	done
	ls -A /run/sill 2>/dev/null
	echo "processes: $(pidof sill)"
}

cat >script.sh <<'S'
modprobe virtio_net
cat >/tmp/lease <<'L'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip address add "$ip/$mask" dev "$interface" 2>/dev/null
[ -z "$router" ] || ip route add default via "$router" 2>/dev/null
for d in $dns; do echo "nameserver $d"; done >/etc/resolv.conf
echo "host='$serverid'; lease='$ip $mask $router $dns'" >/tmp/got
L
chmod +x /tmp/lease
mkdir -p /etc /tmp/www/cgi-bin
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 20 -s /tmp/lease >/tmp/log 2>&1
fact udhcpc $?
. /tmp/got
fact lease "$lease"
fact ping "$(ping -c 2 -W 10 "$host" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')"
wget -q -O /tmp/data http://server.example/data
fact internet "$(md5sum </tmp/data | cut -c1-32)"
# not wget's own -T: busybox's crashes
timeout 10 wget -q -O /tmp/near http://10.99.0.2/data
fact near $?
timeout 10 wget -q -O /tmp/own "http://$host/data"
fact own $?
ip link set eth1 up
case $lease in
192.168.249.*) ip address add 10.50.0.1/24 dev eth1 ;;
*) ip address add 10.50.0.2/24 dev eth1 ;;
esac
cp /tmp/data /tmp/www/back
# A network that it is told of, and an address of its own in it.
until net6=$(ip -6 route | sed -n 's/^\(fd[^ ]*\)::\/64 dev eth0 .*/\1/p') && [ -n "$net6" ] &&
	ip -6 address show dev eth0 | grep -v tentative | grep -q "$net6"; do
	sleep 1
done
fact ping6 "$(ping -6 -c 2 -W 10 "$net6::1" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')"
ip -6 route | grep -q '^default' && fact internet6 "$(timeout 60 wget -q -O - 'http://[2001:db8:99::2]/data' | md5sum | cut -c1-32)"
cat >/tmp/www/cgi-bin/do <<'C'
#!/bin/sh
printf '\r\n'
case $QUERY_STRING in
stop) touch /tmp/stop; echo stops ;;
get) timeout 60 wget -q -O - http://server.example/data | md5sum | cut -c1-32 ;;
renew) udhcpc -i eth0 -n -q -f -t 20 -s /tmp/lease >/dev/null 2>&1; echo $? ;;
carrier) cat /sys/class/net/eth0/carrier ;;
ping) ping -c 2 -W 10 10.50.0.2 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p' ;;
load) (while timeout 60 wget -q -O /dev/null http://server.example/data; do :; done) >/dev/null 2>&1 & echo runs ;;
esac
C
chmod +x /tmp/www/cgi-bin/do
httpd -p 80 -h /tmp/www
echo "guest serves"
until [ -e /tmp/stop ]; do sleep 1; done
S
script_disk script.sh script.img

vm() { # NAME CARD...
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
memory: {size: 192M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
net:
$(for card in "$2" "$3"; do [ -z "$card" ] || echo "  - {$card}"; done)
serial: {mode: file, path: $1.out}
Y
	start "$1" sill run "$1.yaml"
}

ask() { # ADDRESS WHAT
	wget -q -O - "http://$1/cgi-bin/do?$2"
}

snapshot >before.txt
vm one "tap: '', nat: on, nat6: on, forward: ['8080:80']" "bridge: br0, antispoof: on, vhost: off"
wait_line one 'guest serves'
vm two "tap: '', nat: on, isolate: on, vhost: off, forward: ['8081:80']" "bridge: br0"
wait_line two 'guest serves'
for guest in "one 249 0" "two 250 143"; do
	set -- $guest
	assert_eq "$1: udhcpc" 0 "$(fact "$1" udhcpc)"
	assert_eq "$1: the lease" "192.168.$2.2 24 192.168.$2.1 10.99.0.2" "$(fact "$1" lease)"
	assert_eq "$1: pings of the host's side" 2 "$(fact "$1" ping)"
	assert_eq "$1: a server by its name, through NAT" "$sum" "$(fact "$1" internet)"
	assert_eq "$1: pings of the host's side by IPv6" "$(if [ "$1" = one ]; then echo 2; else echo 0; fi)" "$(fact "$1" ping6)"
	assert_eq "$1: a private network, and the host" "$3 $3" "$(fact "$1" near) $(fact "$1" own)"
done
assert_eq "one: a server by IPv6, through NAT" "$sum" "$(fact one internet6)"
for at in 127.0.0.1:8080 '[::1]:8080' 127.0.0.1:8081 '[::1]:8081'; do
	rm -f back
	wget -q -O back "http://$at/back"
	assert_eq "bytes from the guest by $at" "$sum" "$(md5sum <back | cut -c1-32)"
done
assert_eq "guests reach each other on the bridge" 2 "$(ask 127.0.0.1:8080 ping)"
sill net status one >status.txt
assert_contains "status: the port on the bridge" "$(cat status.txt)" '^net1: vmtap1 on bridge br0, up'
assert_contains "status: what is masqueraded" "$(cat status.txt)" 'vmtap0: connections masqueraded +[1-9]'
assert_contains "status: its frames go through the kernel" "$(cat status.txt)" "frames +by the host's kernel .vhost-net."
assert_eq "status: nothing is in the way" "" "$(grep 'in the way' status.txt)"

sill net status two >status.txt
assert_contains "status: what isolate has dropped" "$(cat status.txt)" 'isolate: to 10.0.0.0/8 +[1-9]'
assert_contains "status: and what was for the host" "$(cat status.txt)" 'vmtap2: to the host +[1-9]'

# Other programs and their rules.
nft flush ruleset
assert_ok "flush ruleset leaves our tables" nft list table inet sill_vmtap0
assert_eq "and the guest its way" "$sum" "$(ask 127.0.0.1:8080 get)"
nft -f - <<'N'
table ip filter {
	chain INPUT {
		type filter hook input priority 0; policy drop;
		iifname "lo" accept
		ct state established,related accept
	}
	chain FORWARD {
		type filter hook forward priority 0; policy drop;
	}
}
N
assert_eq "an address behind INPUT that drops" 0 "$(ask 127.0.0.1:8080 renew)"
sill net status one >status.txt
assert_contains "status: FORWARD that drops is named" "$(cat status.txt)" 'in the way .*iptables -I FORWARD -i vmtap0'
nft delete table ip filter
assert_eq "the guest's way again" "$sum" "$(ask 127.0.0.1:8080 get)"

assert_eq "two stops" stops "$(ask 127.0.0.1:8081 stop)"
assert_exit two 0

# The device is deleted while frames pass.
assert_eq "frames pass" runs "$(ask 127.0.0.1:8080 load)"
packets=/sys/class/net/vmtap0/statistics/rx_packets
first=$(cat $packets)
until [ "$(cat $packets)" -gt $((first + 100)) ]; do
	usleep 10000
done
ip link del vmtap0
assert_eq "the guest sees a cable that is pulled" 0 "$(ask 10.50.0.1 carrier)"
sill net status one >status.txt
assert_contains "status: the device is gone" "$(cat status.txt)" "device 'vmtap0' is gone"
assert_contains "and who listens is told" "$(cat /run/sill/one/events.jsonl)" '"net-cut-off".*"net0"'
assert_eq "one stops" stops "$(ask 10.50.0.1 stop)"
assert_exit one 0
snapshot >after.txt
assert_eq "what the VMs have left" "" "$(diff before.txt after.txt)"

# kill -9, and the next start.
vm three "tap: '', nat: on, nat6: on" "tap: '', address: off, ipv6: on, forward: ['8082:80']"
wait_line three 'guest serves'
assert_eq "three: a server by IPv6, through NAT" "$sum" "$(fact three internet6)"
rm -f back
until wget -q -O back 'http://[::1]:8082/back'; do
	usleep 100000
done
assert_eq "bytes from a guest that has IPv6 alone there" "$sum" "$(md5sum <back | cut -c1-32)"
kill -9 "$(pid_of three)"
wait_exit three >/dev/null
assert_eq "rules after kill -9" "" "$(nft list ruleset)"
assert_eq "forwarding after kill -9" 1 "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)"
vm four "tap: ''"
wait_line four '^net0: vmtap0'
kill -9 "$(pid_of four)"
wait_exit four >/dev/null
sill doctor --clean >clean.txt
snapshot >after.txt
assert_eq "what kill -9 has left" "" "$(diff before.txt after.txt)"
assert_eq "private addresses that the world has seen" "" "$(grep private world.out)"
# So much it does see: one that is sent on purpose.
ip address add 192.168.77.1/32 dev lo
ping -c 1 -W 10 -I 192.168.77.1 10.99.0.2 >/dev/null
until grep -q private world.out; do
	usleep 10000
done
ok "it looks, too"
