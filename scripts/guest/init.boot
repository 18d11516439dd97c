#!/bin/busybox sh
# shellcheck shell=dash
# boot.cpio: says that Linux is up, then powers off.
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
read -r up _ </proc/uptime
echo "<1>guest: up after $up s: $(busybox uname -a)" >/dev/kmsg
busybox poweroff -f
