# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# variables_kill9 - the process is killed while the guest writes EFI variables; the store is always
# valid and the last variable that was completely written is there.
. ./lib.sh

cat >write.sh <<'S'
n=$(hw getvar SillKill 2>/dev/null) || n=0
fact found "$n"
while [ "$n" -lt 100000 ]; do
	n=$((n + 1))
	hw setvar SillKill $n
	echo "wrote $n"
done
S
cat >check.sh <<'S'
fact found "$(hw getvar SillKill)"
S
script_disk write.sh write.img
script_disk check.sh check.img
manifest() { # NAME
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: vars.fd}
cpus: {boot: 1}
memory: {size: 256M}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: $1.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: $1.out}
Y
}
manifest write
manifest check

last=0
for round in 1 2; do
	start write sill run write.yaml
	wait_line write "^wrote $((last + round * 7))"
	kill -9 "$(pid_of write)"
	wait_exit write
	found=$(output write | sed -n 's/^fact found //p')
	assert_ok "round $round: starts from what was completed ($last, found $found)" \
		test "$found" -ge "$last" -a "$found" -le $((last + 1))
	last=$(output write | sed -n 's/^wrote //p' | tail -n 1)
done
start check sill run check.yaml
assert_exit check 0
found=$(fact check found)
assert_ok "after the last kill: $last was completed, $found is there" \
	test "$found" -ge "$last" -a "$found" -le $((last + 1))
