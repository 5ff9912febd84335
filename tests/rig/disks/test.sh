# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# disks - images on images through OVMF, a layer that is thrown away, locks, a full host disk and one that does
# not answer, growing under a guest.
. ./lib.sh

# A real file system, and room.
cp engine lib.sh /scratch 2>/dev/null
cd /scratch || exit 1

manifest() { # NAME DISKS: with the test guest's kernel, unless DISKS begin with firmware
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
memory: {size: 256M}
serial: {mode: file, path: $1.out}
$2
Y
}
kernel="kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet"

sum() {
	sha256sum "$1" | cut -d' ' -f1
}

# --- an overlay that boots through the firmware, and an ephemeral disk beside it

cp "$GUEST/disk.img" base.img
truncate -s 16M data.img
printf 'what was there' | dd of=data.img conv=notrunc 2>/dev/null
assert_ok "an overlay" sill image overlay --base-format raw base.img top.qcow2
base=$(sum base.img) data=$(sum data.img)
cat >script.sh <<'S'
d=$(disk scratch)
fact before "$(dd if="$d" bs=14 count=1 2>/dev/null)"
dd if=/dev/urandom of=/tmp/random bs=1M count=8 2>/dev/null
dd if=/tmp/random of="$d" bs=1M seek=4 conv=fsync 2>/dev/null
dd if=/tmp/random of="$(disk system)" bs=1M seek=2 count=1 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if="$d" of=/tmp/back bs=1M skip=4 count=8 2>/dev/null
cmp /tmp/random /tmp/back && fact scratch written
fact write-cache "$(cat /sys/block/"$(basename "$(disk cache)")"/queue/write_cache)"
fact sector "$(cat /sys/block/"$(basename "$(disk cache)")"/queue/logical_block_size)"
echo running
sleep 600
S
script_disk script.sh script.img
truncate -s 8M cache.img
manifest overlay "firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: overlay.vars.fd}
disk:
  - {path: top.qcow2, format: qcow2, backing: base.img, serial: system}
  - {path: data.img, format: raw, ephemeral: on, serial: scratch}
  - {path: cache.img, format: raw, cache: writethrough, logical_sector_size: 4096, serial: cache}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}"
start overlay sill run overlay.yaml
wait_line overlay '^running'
assert_eq "the ephemeral disk shows the image" 'what was there' "$(fact overlay before)"
assert_eq "and takes what is written" written "$(fact overlay scratch)"
assert_eq "the write cache" 'write through' "$(fact overlay write-cache)"
assert_eq "the sectors" 4096 "$(fact overlay sector)"

# --- meanwhile: nobody else gets at what is in use

manifest thief "$kernel
disk:
  - {path: top.qcow2, format: qcow2, backing: base.img}"
start thief sill run thief.yaml
assert_exit thief 3
assert_contains "the message" "$(cat thief.err)" "top.qcow2' is in use by process $(pid_of overlay) .*sill run overlay.yaml"
manifest writer "$kernel
disk:
  - {path: base.img, format: raw}"
start writer sill run writer.yaml
assert_exit writer 3
assert_contains "the message" "$(cat writer.err)" "base.img' is in use by process $(pid_of overlay)"

# --- and after the worst end nothing is left of the layer, and the images are good

kill -9 "$(pid_of overlay)"
wait_exit overlay
assert_eq "the base" "$base" "$(sum base.img)"
assert_eq "the image under the ephemeral disk" "$data" "$(sum data.img)"
assert_ok "the overlay after kill -9" sill image check --format qcow2 top.qcow2

# --- the host's disk is full

mkdir small
mount -t tmpfs -o size=6M tmpfs small
assert_ok "an image" sill image create --format qcow2 small/full.qcow2 64M
cat >script.sh <<'S'
d=$(disk full)
i=0
while [ $i -lt 16 ]; do
	dd if=/dev/urandom of=/tmp/piece bs=1M count=1 2>/dev/null
	sum=$(md5sum </tmp/piece)
	dd if=/tmp/piece of="$d" bs=1M seek=$((3 * i)) conv=fsync 2>/dev/null || fact failed $i
	echo "$i $sum" >>/tmp/sums
	i=$((i + 1))
done
echo 3 >/proc/sys/vm/drop_caches
while read -r i sum; do
	[ "$(dd if="$d" bs=1M skip=$((3 * i)) count=1 2>/dev/null | md5sum)" = "$sum" ] || fact wrong "$i"
done </tmp/sums
fact verified "$(wc -l </tmp/sums)"
S
script_disk script.sh script.img
manifest full "$kernel
disk:
  - {path: small/full.qcow2, format: qcow2, serial: full}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}"
start full sill run full.yaml
# said_paused COUNT
said_paused() {
	listen full full.err | grep -m "$1" -c 'is paused: disk0: write failed: No space' |
		grep -q "^$1\$"
}
assert_ok "a full disk pauses the VM" said_paused 1
assert_contains "the hint" "$(cat full.err)" "make room on the host, then go on with kill -CONT $(pid_of full)"
# still full: it pauses again, and the guest has noticed nothing
kill -CONT "$(pid_of full)"
assert_ok "without room it pauses again" said_paused 2
mount -o remount,size=200M small
kill -CONT "$(pid_of full)"
assert_exit full 0
assert_eq "pieces that are as they were written" 16 "$(fact full verified)"
assert_eq "pieces that are not" '' "$(fact full wrong)"
assert_eq "errors the guest has seen" '' "$(fact full failed)"
assert_ok "the image" sill image check --format qcow2 small/full.qcow2

# --- disks of every format grow while the guest uses them

cat >script.sh <<'S'
formats="raw qcow2 small vhd vhdx"
sectors() {
	d=$(disk "grow-$1")
	cat "/sys/block/${d##*/}/size"
}
for f in $formats; do
	fact "$f-before" "$(sectors $f)"
	dd if=/dev/urandom of=/tmp/old-$f bs=1M count=2 2>/dev/null
	dd if=/tmp/old-$f of="$(disk grow-$f)" conv=fsync 2>/dev/null
done
for size in 131072 262144; do
	echo "waiting for $size"
	for f in $formats; do
		until [ "$(sectors $f)" = $size ]; do
			sleep 0.1
		done
		printf "end of $size" | dd of="$(disk grow-$f)" bs=1M seek=$((size / 2048 - 1)) conv=fsync 2>/dev/null
		fact "$f-end-$size" "$(dd if="$(disk grow-$f)" bs=1M skip=$((size / 2048 - 1)) 2>/dev/null | tr -d '\0')"
	done
done
for f in $formats; do
	dd if="$(disk grow-$f)" of=/tmp/back bs=1M count=2 2>/dev/null
	cmp /tmp/old-$f /tmp/back && fact "$f-old" same
done
S
script_disk script.sh script.img
truncate -s 32M grow.raw
for f in qcow2 vhd vhdx; do
	assert_ok "an image" sill image create --format $f grow.$f 32M
done
# Its L1 table has to move.
assert_ok "an image" sill image create --format qcow2 --cluster-size 512 small.qcow2 32M
mkfifo eng.fifo
: >guest.out
start eng sh -c 'exec ./engine "$@" <eng.fifo' sh --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" \
	--cmdline "console=ttyS0 quiet" --serial guest.out --disk grow-raw:grow.raw --disk grow-qcow2:grow.qcow2 \
	--disk grow-small:small.qcow2 --disk grow-vhd:grow.vhd --disk grow-vhdx:grow.vhdx --disk sill-script:script.img
exec 5>eng.fifo
cp eng.pid guest.pid
wait_line guest '^waiting for 131072'
echo "grow 67108864" >&5
wait_line guest '^waiting for 262144'
echo "grow 1048576" >&5 # refused: they would shrink
echo "grow 134217728" >&5
assert_exit eng 0
exec 5>&-
assert_eq "growing, shrinking, growing" "0 -1 0" "$(sed -n 's/^grow \([-0-9]*\) .*/\1/p' eng.out | tr '\n' ' ' | sed 's/ $//')"
for f in raw qcow2 small vhd vhdx; do
	assert_eq "$f: before" 65536 "$(fact guest $f-before)"
	assert_eq "$f: its new end" 'end of 131072' "$(fact guest $f-end-131072)"
	assert_eq "$f: its last end" 'end of 262144' "$(fact guest $f-end-262144)"
	assert_eq "$f: what was there" same "$(fact guest $f-old)"
done
for f in grow.qcow2 small.qcow2 grow.vhd grow.vhdx; do
	assert_ok "$f" sill image check --format "${f##*.}" "$f"
done

# --- the host's disk does not answer: the end waits for it, and says so

back=$PWD
cd /tmp || exit 1 # what we write must not wait, too
truncate -s 16M /scratch/stuck.img
cat >script.sh <<'S'
echo writing
while dd if=/dev/zero of="$(disk stuck)" bs=64k count=256 oflag=direct 2>/dev/null; do :; done
S
script_disk script.sh script.img
manifest stuck "$kernel
disk:
  - {path: /scratch/stuck.img, format: raw, serial: stuck}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}"
start stuck sill run stuck.yaml
wait_line stuck '^writing'
fsfreeze --freeze /scratch
# shellcheck disable=SC2016
assert_ok "a write waits for the host" timeout 300 sh -c \
	'until grep -qs percpu_rwsem "/proc/$1"/task/*/wchan; do :; done' wait "$(pid_of stuck)"
kill -TERM "$(pid_of stuck)"
said() {
	listen stuck stuck.err | grep -q 'stuck: end: disk0 still has work in flight after 10 s'
}
assert_ok "the end says what it waits for" said
assert_ok "it waits" kill -0 "$(pid_of stuck)"
fsfreeze --unfreeze /scratch
assert_exit stuck 0
cp stuck.* "$back"
cd "$back" || exit 1
