# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# examples - every checked-in example boots: its own words, with the test guest as its disk or kernel.
. ./lib.sh

# A real file system: one of them opens its disk with O_DIRECT.
cp -r examples prepare /scratch
cd /scratch || exit 1

mkdir -p build
ln -sfn "$GUEST" build/guest
for f in examples/*.yaml; do
	name=$(basename "$f" .yaml)
	assert_ok "$name: files it names are made ready" sh ./prepare "$f"
	# Only where the serial port ends is changed: here is no terminal.
	awk '/^[a-z]/ { drop = /^serial:/ } !drop' "$f" >"examples/run-$name.yaml"
	printf 'serial: {mode: file, path: ../%s.out}\n' "$name" >>"examples/run-$name.yaml"
	start "$name" sill run "examples/run-$name.yaml"
	assert_exit "$name" 0
	assert_contains "$name" "$(output "$name")" '^SILL-GUEST-EXIT 0'
	rm -f "examples/run-$name.yaml"
done
