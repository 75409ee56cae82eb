#!/usr/bin/env bash
# Shows that workers do not contend: futex calls do not grow with rows, and no locked instruction
# is in a loop over rows. Needs strace, perf, objdump and python3; exits with 1 if it finds either.
#   scripts/contention.sh [PROGRAM]     PROGRAM: a corelane-bench with symbols, built if not given
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-}
if [ -z "$program" ]; then
    cargo build --profile dist --package corelane-bench
    program=${CARGO_TARGET_DIR:-target}/dist/corelane-bench
fi
workers=${WORKERS:-2}
rows=${ROWS:-2097152}
scenarios=${SCENARIOS:-S0 S1 S2 S3a S3b}
# Futex calls per million rows that a run may gain with its rows: none, but for the noise of starting threads.
futexes_max=1.0
# A loop with a smaller share of the samples, in percent, is not what rows are spent in.
share_min=0.5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

futexes() {
    strace -f --seccomp-bpf -c -e trace=futex -o "$folder/strace" "$program" job "$1" --workers "$workers" --rows-per-worker "$2" >"$folder/out"
    awk '$NF == "futex" { calls = $4 } END { print calls + 0 }' "$folder/strace"
}

echo "Futex calls of $program job on $workers workers (strace -f -c):"
printf '%-10s %12s %12s %14s %14s %18s\n' scenario "$rows rows" "x 4 rows" "extra rows" "extra calls" "per million rows"
for scenario in $scenarios; do
    few=$(futexes "$scenario" "$rows")
    many=$(futexes "$scenario" $((rows * 4)))
    extra=$((rows * 3 * workers))
    awk -v scenario="$scenario" -v few="$few" -v many="$many" -v extra="$extra" -v most="$futexes_max" 'BEGIN {
        growth = (many - few) * 1e6 / extra
        printf "%-10s %12d %12d %14d %14d %18.2f%s\n", scenario, few, many, extra, many - few, growth, growth > most ? "  TOO MANY" : ""
        exit growth > most
    }' || failed=1
done

echo
echo "Locked instructions in functions with at least $share_min % of the workers' samples (perf, objdump):"
printf '%-10s %8s %10s %8s %8s  %s\n' scenario samples "row loops" locked "in loop" function
for scenario in $scenarios; do
    scripts/locked_instructions.py "$program" "$scenario" "$workers" $((rows * 4)) "$share_min" || failed=1
done
if [ "$failed" != 0 ]; then
    echo "contention was found"
    exit 1
fi
echo "no futex call and no locked instruction is spent per row"
