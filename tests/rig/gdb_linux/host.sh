# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# gdb_linux - Debian's gdb at a Linux guest with two vCPUs, and core dumps of it in gdb and, where there is one, crash. A
# campaign of some minutes: SILL_GDB_VMLINUX is the guest's kernel with its debug information, 590 MB:
#
#	apt-get download linux-image-6.1.0-57-cloud-amd64-dbg	(283 MB; the version of linux-image-cloud-amd64 here)
#	dpkg-deb --fsys-tarfile linux-image-*-dbg_*.deb | tar -x --wildcards './usr/lib/debug/boot/vmlinux-*'
set -u
here=$ROOT/tests/rig/gdb_linux
if [ -z "${SILL_GDB_VMLINUX:-}" ]; then
	echo "a campaign: SILL_GDB_VMLINUX names no kernel (tests/rig/gdb_linux/host.sh)"
	exit 77
fi
for program in gdb objcopy python3; do
	command -v $program >/dev/null || { echo "$program is missing" && exit 77; }
done

# Names and unwinding are what gdb needs; the rest of the debug information takes an emulated processor minutes.
objcopy -g --keep-section=.debug_frame --remove-section='.rela*' "$SILL_GDB_VMLINUX" whole || exit
objcopy --only-keep-debug whole vmlinux || exit
# gdb does not start without some of Python's library.
python3 - <<'P' || exit
import glob, os, sys, zipfile

library = os.path.dirname(os.__file__)
with zipfile.ZipFile("python%d%d.zip" % sys.version_info[:2], "w") as z:
    for part in ("", "encodings", "importlib", "collections", "re"):
        for path in glob.glob(os.path.join(library, part, "*.py")):
            z.write(path, os.path.relpath(path, library))
P

status=0
"$ROOT/tests/rig/rig" --mem 2048 --timeout 1500 --bin gdb --add vmlinux --add "$(echo python3*.zip)":/usr/lib/ --add /usr/share/gdb:/usr/share/gdb \
	--add "$here/inside.sh" --add "$here/live.gdb" --add "$ROOT/tests/rig/lib.sh" -- sh inside.sh >core.gz || status=$?
[ $status -eq 0 ] || exit $status

# crash 8.0.2 of Debian 12 finds both processors, their tasks and linux_banner, and none of this kernel's other tasks and
# stacks.
crash=${SILL_CRASH:-}
if [ -z "$crash" ]; then
	echo "skip: SILL_CRASH names no crash"
	exit 0
fi
gunzip <core.gz | cp --sparse=always /dev/stdin core
printf '%s\n' sys ps 'bt -a' 'rd -s linux_banner 4' quit >commands
"$crash" -s "$SILL_GDB_VMLINUX" core -i commands >crash.txt 2>&1 </dev/null
cat crash.txt
for pattern in 'CPUS: 2$' 'RELEASE: .*cloud-amd64' 'CPU: 0 ' 'CPU: 1 ' 'swapper/1' \
	'^ffffffff[0-9a-f]*:  65762078756e694c'; do # "Linux ve"
	grep -qE -e "$pattern" crash.txt || { echo "NOT OK - crash does not say '$pattern'" && status=1; }
done
grep -q kthreadd crash.txt || echo "# this crash finds no tasks but those that run"
exit $status
