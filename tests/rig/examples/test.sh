# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# examples - every checked-in example boots: its own words, with the test guest as its disk or kernel. The short form
# takes those like which no other test has one.
. ./lib.sh

# A real file system: one of them opens its disk with O_DIRECT.
cp -r examples prepare /scratch
cd /scratch || exit 1

# What they say of networks.
for module in tun bridge nf_tables nft_chain_nat nft_masq nft_ct; do
	modprobe $module || echo "no $module"
done
brctl addbr br0
ip link set br0 up

mkdir -p build
ln -sfn "$GUEST" build/guest
for f in examples/*.yaml; do
	example=$(basename "$f" .yaml)
	# boot_direct, boot_uefi, high_memory, disks and disk_io start what is like these.
	case $example in
	big-memory | debian-direct | debian-uefi | overlay | two-disks) long || continue ;;
	esac
	assert_ok "$example: files it names are made ready" sh ./prepare "$f"
	# Only where the serial port ends is changed: here is no terminal. The debugger has COM2 for the other VM, so that
	# two firmwares with a console there are joined: neither may take the other's words for keys.
	awk 'function port() {
			print "serial: {mode: file, path: ../" vm ".out}"
			if (vm == "debugger") print "serial2: {mode: tcp, listen: 127.0.0.1:4445}"
		}
		/^---/ { port(); drop = 0 }
		/^name:/ { vm = $2 }
		/^[a-z]/ { drop = /^serial:/ }
		!drop
		END { port() }' "$f" >"examples/run-$example.yaml"
	names=$(sed -n 's/^name: *//p' "$f")
	for name in $names; do
		start "$name" sill run --name "$name" "examples/run-$example.yaml"
	done
	for name in $names; do
		assert_exit "$name" 0
		assert_contains "$name" "$(output "$name")" '^SILL-GUEST-EXIT 0'
	done
	rm -f "examples/run-$example.yaml"
done
