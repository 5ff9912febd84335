# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# user_network - a VM of an ordinary user without any capability has a network: its guest gets a lease,
# fetches from a server and is reached by a port of the host; a passt that is killed is started again, and the
# guest keeps its address; nothing is left, after the end and after kill -9.
. ./lib.sh
umask 0

# passt gives itself an empty root. That takes a root that is mounted on something, and an initramfs is not.
if [ -z "$ROOTED" ]; then
	here=$PWD
	mkdir /rooted
	mount -o rbind / /rooted
	cd /rooted || exit 1
	mount -o move . /
	exec env ROOTED=1 chroot . sh -c "cd '$here' && exec sh ./test.sh"
fi

# The server is in a namespace of its own: passt sends by the uplink, where the host itself is not to be found.
far_side 172.20.9.1 172.20.9.5
echo 'nameserver 172.20.9.5' >/etc/resolv.conf
mkdir www
dd if=/dev/urandom of=www/data bs=1M count=4 2>/dev/null
sum=$(md5sum <www/data | cut -c1-32)
far httpd -p 172.20.9.5:80 -h www
httpd -p 127.0.0.1:81 -h www
chmod 666 /dev/kvm
chmod 777 .

cat >script.sh <<'S2'
modprobe virtio_net
cat >/tmp/lease <<'L'
#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip address add "$ip/$mask" dev "$interface" 2>/dev/null
ip route add default via "$router" 2>/dev/null
for d in $dns; do echo "nameserver $d"; done >/etc/resolv.conf
echo "ip='$ip' mask='$mask' router='$router' dns='$dns' hostname='$hostname'" >/tmp/got
L
chmod +x /tmp/lease
mkdir -p /etc /tmp/www
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 20 -s /tmp/lease >/tmp/log 2>&1
fact udhcpc $?
. /tmp/got
fact lease "$ip $mask $router $dns $hostname"
fact mtu "$(cat /sys/class/net/eth0/mtu)"
wget -q -O /tmp/data http://172.20.9.5/data
fact down "$(md5sum </tmp/data | cut -c1-32)"
timeout 10 wget -q -O /tmp/secret "http://$router:81/data" # its own -T crashes
fact loopback $?
cp /tmp/data /tmp/www/back
mkdir /tmp/www/cgi-bin
printf '#!/bin/sh\ntouch /tmp/stop\nprintf "\\r\\nit stops"\n' >/tmp/www/cgi-bin/stop
chmod +x /tmp/www/cgi-bin/stop
httpd -p 80 -h /tmp/www
echo "guest serves"
until [ -e /tmp/stop ]; do sleep 1; done
fact address-now "$(ip -o -4 address show eth0 | sed 's/.*inet \([0-9.]*\).*/\1/')"
S2
script_disk script.sh script.img
chmod 644 script.img

vm() { # NAME
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
net:
  - {user: on, forward: ['8080:80']}
serial: {mode: file, path: $1.out}
Y
	mkdir -p /run/user/1000
	chown 1000 /run/user/1000
	# by its path: busybox has another one
	start "$1" /usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs \
		--bounding-set=-all --inh-caps=-all env XDG_RUNTIME_DIR=/run/user/1000 sill run "$1.yaml"
}

passt_of() {
	cat "/proc/$(pid_of "$1")"/task/*/children | cut -d' ' -f1
}

vm one
wait_line one 'guest serves'
assert_eq "udhcpc" 0 "$(fact one udhcpc)"
assert_eq "the lease" "10.0.2.2 24 10.0.2.1 172.20.9.5 one" "$(fact one lease)"
assert_eq "MTU" 65520 "$(fact one mtu)"
assert_eq "bytes from a server" "$sum" "$(fact one down)"
assert_contains "the host's loopback is out of reach" "$(fact one loopback)" '^(1|143)$'
assert_eq "no capability" 0000000000000000 "$(sed -n 's/^CapEff:\t//p' "/proc/$(pid_of one)/status")"
wget -q -O back http://127.0.0.1:8080/back
assert_eq "bytes from the guest through a forward" "$sum" "$(md5sum <back | cut -c1-32)"

first=$(passt_of one)
assert_ok "passt runs" [ -n "$first" ]
kill -9 "$first"
listen one one.err | grep -q -m 1 'passt runs again' || not_ok "passt is started again" "$(last_words one)"
assert_eq "said once" 1 "$(grep -c 'passt has ended' one.err)"
assert_ok "another one" [ "$(passt_of one)" != "$first" ]
rm -f back
until wget -q -O back http://127.0.0.1:8080/back || [ ! -e "/proc/$(pid_of one)/exe" ]; do sleep 1; done
assert_eq "bytes from the guest after that" "$sum" "$(md5sum <back | cut -c1-32)"
last=$(passt_of one)
assert_eq "asked to stop" "it stops" "$(wget -q -O - http://127.0.0.1:8080/cgi-bin/stop)"
assert_exit one 0
assert_eq "its address then" 10.0.2.2 "$(fact one address-now)"
assert_ok "no passt is left" [ ! -e "/proc/$last/exe" ]

vm two
wait_line two 'guest serves'
last=$(passt_of two)
kill -9 "$(pid_of two)"
wait_exit two >/dev/null
while [ -e "/proc/$last/exe" ]; do sleep 1; done
ok "passt ends after kill -9"

# Without passt, and with a port that is taken: said before anything runs.
httpd -p 127.0.0.1:8080 -h www
vm three
assert_exit three 3
assert_contains "a port that is taken" "$(cat three.err)" '127.0.0.1/8080:80'
mkdir none
ln -s "$(command -v sill)" none/
start four env PATH="$PWD/none" sill run three.yaml
assert_exit four 3
assert_contains "no passt" "$(cat four.err)" 'apt install passt'
