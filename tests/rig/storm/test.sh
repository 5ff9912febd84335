# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# storm - four processors at once: rings full of zeroes to write, a console and a source of randomness that
# are flooded, vectors that are masked and unmasked; the machine resets and ends in the middle of it. The
# guest is the bare-metal payload of tests/native; here it runs on a KVM that works.
. ./lib.sh

pattern fill disk.img
cp disk.img ro.img
cat >storm.yaml <<Y
sill: 1
name: storm
guest: linux
kernel: payload.elf
cmdline: vmm=sill tests=storm exit=reset-cf9 boots=2
cpus: {boot: 4}
memory: {size: 256M}
disk:
  - {path: disk.img, format: raw}
  - {path: ro.img, format: raw, readonly: on}
serial: {mode: file, path: storm.out}
console: {mode: file, path: console.out}
Y
start storm sill run storm.yaml
wait_line storm '^1 passed, 0 failed' 400
wait_line storm '^1 passed, 0 failed' 400 2
assert_exit storm 0 60
assert_lacks "what the payload says" "$(output storm)" '^not ok|^skip'
assert_ok "the read-only disk is as it was" pattern same ro.img
lines=$(wc -l <storm.err)
[ "$lines" -lt 100 ] && ok "the log has $lines lines" || not_ok "the log has $lines lines"
