# shellcheck shell=dash
# Sourced by the inits of L1: mounts, markers, and KVM's modules.
# Markers go through the kernel's log: a whole line at a time, with its time stamp.
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox hostname l1
echo on >/proc/sys/kernel/printk_devkmsg # no limit of rate

say() {
    read -r up _ </proc/uptime
    echo "<1>l1: $* (after $up s)" >/dev/kmsg
}

# Ends the machine; the last line tells what happened.
finish() {
    say "$*"
    busybox poweroff -f
}

load_kvm() {
    case $(busybox grep -m 1 ^flags /proc/cpuinfo) in
    *' vmx '*) module=kvm-intel ;;
    *' svm '*) module=kvm-amd ;;
    *) finish "FAILED: the processor has neither VMX nor SVM" ;;
    esac
    for part in irqbypass kvm $module; do
        busybox insmod "/lib/modules/$part.ko" || finish "FAILED: insmod $part"
    done
    say "$module is loaded"
}
