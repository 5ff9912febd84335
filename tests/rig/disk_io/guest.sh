# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# guest.sh - runs in the guest: Debian's fio writes and verifies every disk there is, and what has been written
# before is still there in the next VM.
mkdir /t
mount -t ext4 -o ro "$(disk tools)" /t
for dir in dev proc sys; do
	mount --bind /$dir /t/$dir
done
mount -t tmpfs tmpfs /t/tmp

# job MODE: every disk at once, each by itself
job() {
	local name
	cat <<J
[global]
ioengine=libaio
direct=1
thread=1
iodepth=8
size=2m
verify=crc32c
verify_fatal=1
verify_state_save=0
randrepeat=1
exitall_on_error=1
$1
J
	for name in $names; do
		echo "[$name]"
		echo "filename=$(disk "$name")"
	done
}
for name in $names; do
	at=/sys/block/$(basename "$(disk "$name")")/queue
	fact "sectors-$name" "$(cat "$at/logical_block_size") $(cat "$at/physical_block_size")"
	fact "discard-$name" "$(cat "$at/discard_max_bytes")"
done
job "rw=randwrite
bsrange=4k-64k
do_verify=$write" >/t/tmp/job
if [ "$write" = 1 ]; then
	chroot /t /usr/bin/fio /tmp/job >/t/tmp/out 2>&1
else
	sed -i 's/^verify=crc32c/&\nverify_only=1/' /t/tmp/job
	chroot /t /usr/bin/fio /tmp/job >/t/tmp/out 2>&1
fi
fact fio $?
fact fio-jobs "$(grep -c 'err= 0' /t/tmp/out)"
grep -E 'err=[ ]*[1-9]|verify:|fio: ' /t/tmp/out | head -n 20
[ "$write" = 0 ] || exit 0

# The second time: what a disk gives back to the host.
for name in $discard; do
	chroot /t /usr/bin/blkdiscard "$(disk "$name")"
	fact "blkdiscard-$name" $?
	fact "zeroes-$name" "$(cmp -n 6291456 "$(disk "$name")" /dev/zero && echo yes)"
done
for name in $trim; do
	chroot /t /usr/bin/mke2fs -q -F -t ext4 "$(disk "$name")" && mkdir "/tmp/$name" &&
		mount -t ext4 "$(disk "$name")" "/tmp/$name"
	head -c 8000000 /dev/urandom >"/tmp/$name/file"
	sync
	rm "/tmp/$name/file"
	sync
	mount --bind "/tmp/$name" /t/mnt
	fact "fstrim-$name" "$(chroot /t /usr/bin/fstrim -v /mnt | grep -c trimmed)"
	umount /t/mnt "/tmp/$name"
done
