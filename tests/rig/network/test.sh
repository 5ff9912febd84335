# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# network - `net: [{tap: ""}]` is all it takes: the tap is there, addressed and up, busybox's udhcpc gets its lease,
# bytes pass both ways and are compared, over one and several pairs and through a port of the host, first through Sill and
# then, once the module is there, by vhost-net; the next VM gets the next network; and nothing is left, after the end
# and after kill -9.
. ./lib.sh

modprobe tun
mkdir www
dd if=/dev/urandom of=www/data bs=1M count=8 2>/dev/null
sum=$(md5sum <www/data | cut -c1-32)
links_before=$(ip -o link | cut -d: -f2 | sort)

cat >script.sh <<'S'
modprobe virtio_net
cat >/tmp/lease <<'L'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip address add "$ip/$mask" dev "$interface"
echo "ip='$ip' mask='$mask' router='$router' serverid='$serverid' lease='$lease' hostname='$hostname' mtu='$mtu'" >/tmp/got
L
chmod +x /tmp/lease
ip link set lo up
ip link set eth0 up
fact mac "$(cat /sys/class/net/eth0/address)"
fact carrier "$(cat /sys/class/net/eth0/carrier)"
fact mtu "$(cat /sys/class/net/eth0/mtu)"
fact queues "$(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)"
udhcpc -i eth0 -n -q -f -t 20 -s /tmp/lease >/tmp/log 2>&1
fact udhcpc $?
tail -n 3 /tmp/log
. /tmp/got
fact lease "$ip $mask $router $serverid $lease $hostname"
fact ping "$(ping -c 3 -W 10 "$serverid" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')"
fact large "$(ping -c 2 -W 10 -s 20000 "$serverid" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p')"
wget -q -O /tmp/data "http://$serverid/data"
fact down "$(md5sum </tmp/data | cut -c1-32)"
mkdir /tmp/www
cp /tmp/data /tmp/www/back
httpd -p 80 -h /tmp/www
echo "guest serves"
until [ -e /tmp/www/stop ] || ! ping -c 1 -W 60 "$serverid" >/dev/null; do
	wget -q -O /tmp/www/stop "http://$serverid/stop" || rm -f /tmp/www/stop
	sleep 1
done
fact rx-errors "$(cat /sys/class/net/eth0/statistics/rx_errors)"
S
script_disk script.sh script.img

vm() { # NAME MORE
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2}
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
net:
  - {tap: ''$2}
serial: {mode: file, path: $1.out}
Y
	start "$1" sill run "$1.yaml"
}

# serve NAME TAP HOST GUEST QUEUES MTU: what the guest found, and what passed
check() {
	assert_ok "$1: the tap is up" sh -c "ip link show $2 | grep -q 'UP'"
	assert_contains "$1: its address" "$(ip address show $2)" "inet $3/24"
	assert_eq "$1: queues" "$5" "$(fact "$1" queues)"
	assert_eq "$1: MTU" "$6" "$(fact "$1" mtu)"
	assert_eq "$1: carrier" 1 "$(fact "$1" carrier)"
	assert_eq "$1: udhcpc" 0 "$(fact "$1" udhcpc)"
	assert_eq "$1: the lease" "$4 24 $3 $3 3600 $1" "$(fact "$1" lease)"
	assert_eq "$1: pings" 3 "$(fact "$1" ping)"
	assert_eq "$1: pings of 20,000 bytes" 2 "$(fact "$1" large)"
	assert_eq "$1: bytes from the host" "$sum" "$(fact "$1" down)"
	wget -q -O back "http://$4/back"
	assert_eq "$1: bytes from the guest" "$sum" "$(md5sum <back | cut -c1-32)"
}

httpd -p 80 -h www
vm one ", forward: ['8080:80']"
wait_line one 'guest serves'
wget -q -O back http://127.0.0.1:8080/back
assert_eq "bytes from the guest through a forward" "$sum" "$(md5sum <back | cut -c1-32)"
check one vmtap0 192.168.249.1 192.168.249.2 1 1500
sill net status one >status.txt
assert_contains "status: the lease" "$(cat status.txt)" "192.168.249.2 by DHCP, for (60|5[0-9]) min more"
assert_contains "status: the forward" "$(cat status.txt)" "8080:80: 0 connections, 1 so far; "
assert_contains "status: the link" "$(cat status.txt)" "the guest's link up"
assert_eq "status: nothing is in the way" "" "$(grep 'in the way' status.txt)"
assert_ok "probe by name" sill net probe --tcp one 80
assert_ok "status: the file is as good as the name" sh -c "sill net status --json one.yaml | grep -q '\"of\": \"card\"'"
assert_contains "status: who passes the frames" "$(cat status.txt)" "  frames      by Sill: open '/dev/vhost-net': No such file"
sed "s/^name: one/name: want/; s/tap: ''.*}/tap: '', vhost: on}/" one.yaml >want.yaml
start want sill run want.yaml
assert_exit want 3
assert_contains "vhost: on, and there is none" "$(cat want.err)" "net0: open '/dev/vhost-net': No such file or directory"
assert_contains "and what to do" "$(cat want.err)" "modprobe vhost_net"
start again sill run one.yaml
assert_exit again 3
assert_contains "a second one of that name" "$(cat again.err)" "'one' runs already: process $(pid_of one) "
modprobe vhost_net
vm two ", queues: 2, mtu: 1428, queue_size: 1024"
wait_line two 'guest serves'
check two vmtap1 192.168.250.1 192.168.250.2 2 1428
sill net status two >status.txt
assert_contains "two: vhost-net passes the frames" "$(cat status.txt)" "  frames      by the host's kernel .vhost-net."
assert_contains "two: the lease" "$(cat status.txt)" "192.168.250.2 by DHCP, for (60|5[0-9]) min more"
sill net status --json two >status.json
assert_eq "two: all queues are the kernel's" 4 "$(tr -d '\n' <status.json | sed 's/.*"by": "vhost-net", *"queues": \([0-9]*\).*/\1/')"
assert_eq "two: pairs in use" 2 "$(tr -d '\n' <status.json | sed 's/.*"used": \([0-9]*\).*/\1/')"

echo stop >www/stop
assert_exit one 0
assert_exit two 0
assert_eq "receive errors" "0 0" "$(fact one rx-errors) $(fact two rx-errors)"
rm www/stop
assert_eq "links after the end" "$links_before" "$(ip -o link | cut -d: -f2 | sort)"

rmmod vhost_net
vm three ""
wait_line three 'guest serves'
kill -9 "$(pid_of three)"
wait_exit three >/dev/null
assert_eq "links after kill -9" "$links_before" "$(ip -o link | cut -d: -f2 | sort)"
assert_ok "what it left" sh -c "sill doctor --clean | grep -q \"runtime directory of 'three' is gone\""
assert_eq "nothing is left" "nothing was left behind" "$(sill doctor --clean)"
assert_eq "runtime directories" "" "$(ls /run/sill)"
