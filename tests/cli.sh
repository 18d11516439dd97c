#!/usr/bin/env bash
# What nidus says to a person: the embedded hypervisor runs without options; bad input gets one
# line that names the thing and the reason, and status 2 (usage) or 1; disk images stay as they are.
#   tests/cli.sh PATH-OF-NIDUS
set -uo pipefail

nidus=$(realpath "${1:?usage: cli.sh PATH-OF-NIDUS}")
manual=$(realpath "$(dirname "$0")/../docs/nidus.1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# run ARG...: sets status; leaves what came out in the files out and err.
run() {
    timeout 60 "$nidus" "$@" </dev/null >out 2>err
    status=$?
}

# refused STATUS PATTERN ARG...: one line on stderr, which begins with "nidus: " and matches; nothing
# on stdout.
refused() {
    local expected=$1 pattern=$2
    shift 2
    run "$@"
    ((status == expected)) || fail "nidus $*: status $status, expected $expected"
    (($(wc -l <err) == 1)) || fail "nidus $*: not one line on stderr: $(head -n 5 err)"
    [[ $(head -n 1 err) =~ ^nidus:\ .*$pattern ]] ||
        fail "nidus $*: '$(head -n 1 err)' does not match '$pattern'"
    [[ ! -s out ]] || fail "nidus $*: wrote to stdout: $(head -n 1 out)"
}

# ended STATUS PATTERN ARG...: it ran; the last line on stderr matches.
ended() {
    local expected=$1 pattern=$2
    shift 2
    run "$@"
    ((status == expected)) || fail "nidus $*: status $status, expected $expected"
    [[ $(tail -n 1 err) =~ $pattern ]] ||
        fail "nidus $*: '$(tail -n 1 err)' does not match '$pattern'"
}

# le32 N...: little-endian words, for files that look like kernels.
le32() {
    local n
    for n in "$@"; do
        # shellcheck disable=SC2059 # the escapes are the point
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((n & 255)) $((n >> 8 & 255)) \
            $((n >> 16 & 255)) $((n >> 24 & 255)))"
    done
}

# poke FILE OFFSET: stdin over what is there.
poke() {
    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# ---- what works ----
ended 0 '' -trace 'vmx_exit'
[[ $(tail -n 1 out) == 'hello_vmx: '*'all as the manual says'* ]] ||
    fail "the embedded hypervisor ends with '$(tail -n 1 out)'"
grep -q 'vmx_exit: 48 EPT violation' err || fail "-trace vmx_exit shows no EPT violation"
cp out first
run
((status == 0 && $(wc -c <err) == 0)) || fail "nidus alone: status $status, $(head -n 1 err)"
grep -v '^[0-9]* vmx_' out | cmp -s - first || fail "nidus alone says something else than with -trace"
grep -q 'vmx_exit: 10 CPUID' out || fail "nidus alone shows no VM exits"
grep -q 'vmx_entry_fail: GUEST_RFLAGS_BIT_1: ' out ||
    fail "nidus alone does not say why a VM entry failed"
run -cpu max,-vmx -clock cycles
grep -q 'FAILED: CPUID.1:ECX bit 5 is 0' out || fail "-cpu max,-vmx: VMX is there"
for question in -help -version '-cpu help' '-device help' '-trace help'; do
    # shellcheck disable=SC2086 # two words
    run $question
    ((status == 0)) && [[ -s out && ! -s err ]] || fail "nidus $question gives no answer"
done
run -help
while read -r option _; do # roff writes a dash as \-
    [[ $option != -?* ]] || grep -qF -- "${option//-/\\-}" "$manual" ||
        fail "the manual page lacks $option"
done <out
run -clock cycles -stats stats.json
grep -q '"vm_exits": *10' stats.json || fail "-stats counts other VM exits than 10: $(cat stats.json)"
run -clock cycles -dump-jit 0x100000-0x1fffff -D native
grep -q '^block 0000000000[0-9a-f]*, physical' native && grep -q '; native.left' native &&
    grep -q '^cold:' native || fail "-dump-jit shows no native code: $(head -n 3 native)"
"$nidus" -clock cycles -perfmap </dev/null >out &
map=/tmp/perf-$!.map
wait $! || fail "-perfmap: status $?"
grep -q '^[0-9a-f]* [0-9a-f]* nidus:enter$' "$map" && grep -q ' guest:00000000001[0-9a-f]*$' "$map" ||
    fail "-perfmap names nothing in $map"
rm -f "$map"
ended 0 '-lockstep: no difference in [0-9]* cycles, [0-9]* comparisons; the guest powered off' \
    -lockstep 1000
[[ $(wc -l <err) == 1 ]] && cmp -s out first || fail "-lockstep: the guest says something else"
ended 0 'no difference in .*; as far as was asked for' -lockstep on,for=50000 -smp 2

# ---- options ----
refused 2 "unknown option '-kernle'" -kernle vmlinuz
refused 2 "unknown option '--frobnicate'" --frobnicate
refused 2 "'disk.img' is not an option; a disk image goes behind -drive" disk.img
refused 2 '-kernel: FILE is missing' -kernel
refused 2 "-m: '4X': unknown unit 'X'; use K, M, G or T" -m 4X
refused 2 "-m: 'lots' is not a size" -m lots
refused 2 "-m: '-1' is not a size" -m -1
refused 2 '-m: .*multiple of 1M' -m 0
refused 2 '-m: .*does not fit in 64 bits' -m 99999999999999999999
refused 2 '-smp: .*not a number from 1 to 8' -smp 9
refused 2 "-cpu: there is no model 'z80'; -cpu help lists them" -cpu z80
refused 2 "-cpu: there is no feature 'teleport'" -cpu max,+teleport
refused 2 "-machine: there is no machine 'pc'" -machine pc
refused 2 "-accel: there is no engine 'kvm'; use native or interp" -accel kvm
refused 2 "-machine: there is no engine 'warp'" -machine q35,accel=warp
refused 2 '-code-cache: .*1M to 1G' -code-cache 4K
refused 2 "-dump-jit: 'main' is not a number" -dump-jit main
refused 2 '-dump-jit: .*the end lies before the start' -dump-jit 0x2000-0x1000
refused 2 '-lockstep: -dump-jit does not go with it' -lockstep on -dump-jit 0
refused 2 '-lockstep: .*is not a number' -lockstep always
refused 2 '-lockstep: .*,for=CYCLES' -lockstep on,until=5
refused 2 '-lockstep: -trace does not go with it' -lockstep on -trace vmx_exit
refused 2 '-lockstep: -S does not go with it' -S -lockstep on
refused 2 '-kernel: nowhere: No such file' -lockstep on -kernel nowhere
refused 2 "-clock: there is no clock 'sundial'" -clock sundial
refused 2 '-rtc: .*write base=utc' -rtc base=noon
refused 2 "-device: there is no device 'warp-drive'" -device warp-drive
refused 2 '-device: .*iobase=' -device isa-debug-exit,iobase=here
refused 2 "-serial: 'carrier-pigeon' is not known" -serial carrier-pigeon
refused 2 "-trace: no event matches 'vmx_nothing'" -trace vmx_nothing
refused 2 "-d: 'everything' is not known" -d everything
refused 2 '-initrd: there is no -kernel' -initrd /dev/null

# ---- kernels ----
refused 2 '-kernel: nowhere: No such file' -kernel nowhere
refused 2 '-kernel: /tmp: is not a regular file' -kernel /tmp
mkfifo pipe
refused 2 '-kernel: pipe: is not a regular file' -kernel pipe
: >empty
refused 2 '-kernel: .*neither a Linux bzImage nor a multiboot' -kernel empty
head -c 10000 /dev/zero >zeros
refused 2 '-kernel: .*neither a Linux bzImage nor a multiboot' -kernel zeros

# a bzImage of protocol 2.15 whose header promises 1 MiB more than there is
head -c 65536 /dev/zero >short
printf '\x01' | poke short $((0x1f1))                  # setup_sects
le32 $((0x10000)) | poke short $((0x1f4))              # syssize, in 16 bytes
printf '\x55\xaaXXHdrS\x0f\x02' | poke short $((0x1fe)) # boot_flag, header, version
printf '\x01' | poke short $((0x236))                  # xloadflags: a 64-bit entry
le32 255 | poke short $((0x238))                       # cmdline_size
le32 $((0x1000000)) | poke short $((0x258))            # pref_address
refused 2 '-kernel: the kernel is truncated' -kernel short

# multiboot with address fields for 1 MiB, and an image of 4 KiB
head -c 4096 /dev/zero >boot
le32 $((0x1badb002)) $((0x10000)) $((-(0x1badb002 + 0x10000))) $((0x100000)) $((0x100000)) \
    $((0x200000)) $((0x200000)) $((0x100000)) | poke boot 0
refused 2 '-kernel: the kernel is truncated' -kernel boot
le32 $((0x104000)) $((0x103000)) $((0x101000)) | poke boot 12
refused 2 '-kernel: .*(inconsistent|truncated)' -kernel boot

# multiboot in an ELF file whose program header lies outside
head -c 4096 /dev/zero >elf
printf '\x7fELF\x01\x01' | poke elf 0
le32 $((0xfffff000)) | poke elf 28
printf '\x20\x00\xff\xff' | poke elf 42
le32 $((0x1badb002)) 0 $((-0x1badb002)) | poke elf 64
refused 2 '-kernel: the kernel is truncated' -kernel elf
refused 2 '-initrd: nowhere: No such file' -kernel elf -initrd nowhere

# ---- disks ----
refused 2 '-drive: nowhere: No such file' -drive file=nowhere
[[ ! -e nowhere ]] || fail "a missing disk was made"
refused 2 '-drive: /tmp: Is a directory' -drive file=/tmp
refused 2 '-drive: /tmp: is neither a file nor a block device' -drive file=/tmp,readonly=on
refused 2 '-drive: pipe: is neither a file nor a block device' -drive file=pipe,readonly=on
refused 2 '-drive: zeros: .*multiple of 512' -drive file=zeros
refused 2 '-drive: empty: .*at least 512' -drive file=empty
refused 2 "-drive: 'format=qcow2' is not known" -drive file=short,format=qcow2
refused 2 '-drive: file=PATH is missing|-drive: .*file=PATH is missing' -drive readonly=on
sum=$(sha256sum <short)
exec 9<short
flock -s 9 # as another machine does that reads the disk
refused 2 '-drive: short: is in use by another machine' -drive file=short
exec 9<&-
ended 0 '' -trace vmx_on -drive file=short -snapshot
[[ $(sha256sum <short) == "$sum" ]] || fail "-snapshot changed the disk"

# ---- where output goes ----
refused 2 '-D: nowhere/log: No such file' -D nowhere/log
refused 2 '-D: /tmp: Is a directory' -D /tmp
refused 2 '-serial: nowhere/serial: No such file' -serial file:nowhere/serial
ended 1 'nidus: .*/dev/full: No space left on device' -serial file:/dev/full -trace vmx_on
ended 1 'nidus: -D: /dev/full: No space left on device' -D /dev/full -trace 'vmx_*'
ended 1 'nidus: -stats: /dev/full: No space left on device' -stats /dev/full -trace vmx_on
ended 1 'nidus: -stats: nowhere/stats: No such file' -stats nowhere/stats -trace vmx_on
timeout 60 "$nidus" -trace vmx_on </dev/null >/dev/full 2>err
status=$?
((status == 1)) && grep -q 'nidus: .*No space left on device' err ||
    fail "stdout on a full disk: status $status, '$(tail -n 1 err)'"
ended 0 '' -serial file:serial -trace vmx_on
cmp -s serial first || fail "-serial file: holds something else than the console shows"

((failures == 0)) || exit 1
echo "cli: well"
