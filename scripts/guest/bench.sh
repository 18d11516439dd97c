# shellcheck shell=dash
# Sourced by inits: runs the loads of scripts/bench. Which ones, the kernel's command line says, by
# way of init's environment: bench_loads=NAME,... bench_divisor=N (of the rounds).
run_bench() {
    echo on >/proc/sys/kernel/printk_devkmsg # no limit of rate
    echo 5 >/proc/sys/kernel/printk          # shows lines that name no level
    # Through the kernel's log, so that a line is out before the program goes on.
    (
        IFS=,
        # shellcheck disable=SC2086
        exec /bin/bench "${bench_divisor:-1}" ${bench_loads:-all} >/dev/kmsg
    )
    echo "bench: ended with status $?" >/dev/kmsg
}
