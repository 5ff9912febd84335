# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# host.sh - what the scripts that run on the host share: tests/rig/* and tests/guest/*.
# To be sourced; sets ROOT (the repository), CACHE and, in find_kernel, KERNEL (the release of Debian's
# cloud kernel).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# What takes minutes to build; may be shared by several trees.
CACHE=${SILL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sill}

# die STATUS MESSAGE...
die() {
	local status=$1
	shift
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$status"
}

# need COMMAND PACKAGE: 77 ("skipped") is for what can be installed
need() {
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ||
		die 77 "$1 is missing; 'make deps' or: apt-get install $2"
}

need_file() {
	[ -e "$1" ] || die 77 "$1 is missing; 'make deps' or: apt-get install $2"
}

# The newest installed cloud kernel.
find_kernel() {
	local newest
	newest=$(printf '%s\n' /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -n 1)
	need_file "$newest" linux-image-cloud-amd64
	KERNEL=${newest#/boot/vmlinuz-}
	need_file "/lib/modules/$KERNEL/modules.dep" linux-image-cloud-amd64
}

# versions PACKAGE...: for cache keys
versions() {
	dpkg-query -W -f '${Package} ${Version}\n' "$@"
}

# modules_in_order NAME...: the paths of the modules and of what they need, dependencies first,
# each once; names that are built in vanish.
modules_in_order() {
	local name
	for name; do
		modprobe -S "$KERNEL" --show-depends "$name" || die 1 "no kernel module $name"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# busybox_root DIR: a root directory with busybox and a link for each of its commands
busybox_root() {
	local name
	mkdir -p "$1"/{bin,dev,proc,sys,tmp,root,etc,run,lib/modules}
	ln -s bin "$1/sbin" # the kernel calls /sbin/modprobe
	cp "$(command -v busybox)" "$1/bin/busybox"
	for name in $(busybox --list); do
		[ "$name" = busybox ] || ln -s busybox "$1/bin/$name"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:' >"$1/etc/group"
}

# pack_cpio DIR: DIR as an initramfs archive on stdout; the same tree gives the same bytes
pack_cpio() {
	(cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		cpio --quiet --null --create --format=newc --reproducible --owner=0:0)
}

# copy_program PROGRAM DIR [DEST]: the program to DIR/DEST, its shared libraries to where they are here
copy_program() {
	local program dest=$2/${3:-usr/bin/${1##*/}} library
	program=$(command -v "$1") || die 1 "no program $1"
	mkdir -p "${dest%/*}"
	cp -L --remove-destination "$program" "$dest"
	# ldd fails for a static one
	{ ldd "$program" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
		mkdir -p "$2${library%/*}"
		cp -Lu "$library" "$2$library"
	done
}

# fetch_source SOURCE DIR [VERSION]: download a Debian source package into DIR, from where this machine gets
# its binary packages. The machine's own lists and sources are read, never changed. 77 when it cannot be had.
fetch_source() {
	local dir=$2 file apt
	need apt-get apt
	need dpkg-source dpkg-dev
	mkdir -p "$dir"/{sources,lists/partial,cache/archives/partial}
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$dir/sources/${file##*/}"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -e "$file" ] || sed -n 's/^deb\([ \t]\)/deb-src\1/p' "$file" >"$dir/sources/${file##*/}.list"
	done
	apt=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir/sources"
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
		-o APT::Sandbox::User=root)
	# A repository without sources is no reason to stop.
	apt-get -qq "${apt[@]}" update >"$dir/apt.log" 2>&1 || true
	(
		cd "$dir"
		apt-get -qq "${apt[@]}" source --download-only "$1${3:+=$3}" ||
			apt-get -qq "${apt[@]}" source --download-only "$1"
	) >>"$dir/apt.log" 2>&1 || {
		tail -n 5 "$dir/apt.log" >&2
		die 77 "the source package $1 cannot be had from this machine's package sources"
	}
}

# unpack_source SOURCE DIR TREE: unpack and patch what fetch_source left in DIR
unpack_source() {
	local dsc
	dsc=$(printf '%s\n' "$2/$1"_*.dsc | sort -V | tail -n 1)
	# apt has checked the hashes against the signed index
	dpkg-source --no-check -x "$dsc" "$3" >/dev/null 2>&1 || die 1 "dpkg-source cannot unpack $dsc"
}
