#!/usr/bin/env bash
# Boots Debian's kernel in nidus and looks at what comes of it. One case a call, for CTest.
#   boot.sh NIDUS CASE      NIDUS_GUESTS: the folder that scripts/guests made; without it: 77, skipped
set -euo pipefail

nidus=$1
guests=${NIDUS_GUESTS:-}
[[ $guests && -e $guests/vmlinuz ]] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "boot: $*" >&2
    tail -n 40 "$work"/*.out >&2 2>/dev/null || true
    exit 1
}

# boot OUT INITRD [OPTION...]: the serial console goes to OUT
boot() {
    local out=$work/$1 image=$2 initrd=$guests/$2
    shift 2
    timeout 600 "$nidus" -m 512M -kernel "$guests/vmlinuz" -initrd "$initrd" \
        -append "console=ttyS0 panic=-1" -nodefaults -serial "file:$out" -no-reboot \
        -clock cycles "$@" </dev/null || fail "$image: nidus ended with status $?"
}

make_disk() {
    { echo 'a disk'; head -c 4194297 /dev/zero; } >"$work/disk"
}

expect() {
    grep -q "$2" "$work/$1" || fail "no line '$2'"
}

case $2 in
shell) # to init, and off by ACPI; nothing in the log that a healthy machine would not say
    boot a.out boot.cpio
    expect a.out 'guest: up after'
    ! grep -E 'BUG:|WARNING:|Oops|Call Trace|unchecked MSR' "$work/a.out" || fail "the kernel complains"
    ;;
repeats) # the same run twice, to the byte, time stamps included
    boot a.out boot.cpio
    boot b.out boot.cpio
    expect a.out 'guest: up after'
    cmp "$work/a.out" "$work/b.out" || fail "two runs differ"
    ;;
smp) # four processors come up
    boot a.out boot.cpio -smp 4
    expect a.out 'Brought up 1 node, 4 CPUs'
    expect a.out 'guest: up after'
    ;;
kvm) # kvm_intel loads, and a small VMM runs guests in real and long mode on it
    boot a.out kvm.cpio -m 1G -stats "$work/stats.json"
    expect a.out 'tiny_vmm: ok, 3 guests'
    grep -q '"vm_exits": [1-9]' "$work/stats.json" || fail "no VM exits were counted"
    ;;
kvm-bare) # the same with every capability that KVM can do without switched off
    boot a.out kvm.cpio -m 1G -cpu \
        max,-vmx-vpid,-vmx-apicv-register,-vmx-apicv-vid,-vmx-posted-intr,-vmx-preemption-timer,-vmx-pml,-vmx-eptad
    expect a.out 'tiny_vmm: ok, 3 guests'
    ;;
lockstep) # the engine and the interpreter agree all the way to power-off, disk and all
    make_disk
    boot a.out disk.cpio -lockstep on -drive "file=$work/disk" -device virtio-rng-pci
    expect a.out 'first line: a disk'
    ;;
lockstep-smp) # and with processors that interrupt each other
    boot a.out boot.cpio -smp 2 -lockstep on
    expect a.out 'guest: up after'
    ;;
lockstep-kvm) # and while KVM runs guests
    boot a.out kvm.cpio -m 1G -lockstep on
    expect a.out 'tiny_vmm: ok, 3 guests'
    ;;
disk) # what Linux's virtio drivers write is in the image, and the console's line in its file
    make_disk
    boot a.out disk.cpio -drive "file=$work/disk" -device virtio-rng-pci \
        -device "virtio-console,file:$work/console.out"
    expect a.out 'first line: a disk'
    expect a.out 'entropy: 16 bytes'
    expect console.out 'hello from hvc0'
    sum=$(dd if="$work/disk" bs=4096 skip=1 count=256 status=none | md5sum)
    expect a.out "written: ${sum%% *}"
    ;;
snapshot) # -snapshot never writes to the image, and the guest reads what it wrote
    make_disk
    before=$(sha256sum "$work/disk")
    boot a.out disk.cpio -snapshot -drive "file=$work/disk"
    expect a.out 'first line: a disk'
    expect a.out 'written: 9ebf9cdbc8d1f2a8624098ee9047a2bd'
    [[ $(sha256sum "$work/disk") == "$before" ]] || fail "the image has changed"
    ;;
readonly)
    make_disk
    boot a.out disk.cpio -drive "file=$work/disk,readonly=on"
    expect a.out 'read-only: 1'
    ;;
*) fail "no case '$2'" ;;
esac
