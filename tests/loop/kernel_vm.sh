#!/usr/bin/env bash
# Boots Debian's own kernel under qemu's software emulation with one static program as init.
#
#   kernel_vm.sh DIRECTORY INIT FILTER TEST...
#
# INIT (vm_init.cc) runs each TEST but for the cases that FILTER names. What the machine printed is in
# DIRECTORY/console. Status 77, with the reason, where something that is needed is not to be had.
set -euo pipefail
directory=$1 init=$2 filter=$3
shift 3

skip() {
  printf '%s\n' "$1"
  exit 77
}
for tool in qemu-system-x86_64 cpio dpkg-deb apt-get apt-cache; do
  command -v "$tool" >/dev/null || skip "$tool is not installed (scripts/packages, group long)"
done

mkdir -p "$directory"
cd "$directory"
package=$(apt-cache search --names-only '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' |
  awk '{ print $1 }' | sort -V | tail -n 1)
[[ -n $package ]] || skip 'apt knows no package linux-image-6.1.0-*-cloud-amd64'
if [[ ! -f $package/vmlinuz ]]; then
  apt-get -q download "$package" >download.log 2>&1 ||
    skip "$package cannot be downloaded: $(tail -n 1 download.log)"
  rm -rf unpacked
  dpkg-deb -x "$package"_*.deb unpacked
  mkdir -p "$package"
  mv unpacked/boot/vmlinuz-* "$package/vmlinuz"
  rm -rf unpacked "$package"_*.deb
fi

rm -rf root
mkdir -p root/tests
cp "$init" root/init
for test in "$@"; do
  cp "$test" "root/tests/$(basename "$test")"
done
strip root/init root/tests/*
(cd root && find . | cpio -o -H newc --quiet) | gzip -1 >initrd
timeout 1200 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -nographic -no-reboot -net none \
  -kernel "$package/vmlinuz" -initrd initrd \
  -append "console=ttyS0 quiet panic=-1 -- $filter" </dev/null >console 2>&1
