#!/bin/sh
# The scaling benchmark and the contrast to designs that share state, built as they are shipped:
#   scripts/scaling.sh                        1, 2, 4 and 8 workers, results into bench/results
#   scripts/scaling.sh --workers 1,2,4,8,16   other numbers of workers
# Then `cargo xtask docs` puts the figures into the README and the book.
# BENCH_OUT names another folder for the results, BENCH_PROGRAM a program that is built already.
set -eu
cd "$(dirname "$0")/.."
out=${BENCH_OUT:-bench/results}
program=${BENCH_PROGRAM:-}
if [ -z "$program" ]; then
    cargo build --profile dist --package corelane-bench
    program=${CARGO_TARGET_DIR:-target}/dist/corelane-bench
fi
# Futex calls are counted through the kernel's tracepoints, where those can be read.
if [ "$(id -u)" = 0 ] && [ ! -e /sys/kernel/tracing/events ]; then
    mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null || true
fi
"$program" scaling "$@" --out "$out"
"$program" contrast "$@" --out "$out"
