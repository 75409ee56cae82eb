#!/bin/sh
# Builds the benchmarks as they are shipped (thin LTO) and runs one: scripts/bench.sh group-by --workers 1,2
set -eu
cd "$(dirname "$0")/.."
cargo build --profile dist --package corelane-bench
exec "${CARGO_TARGET_DIR:-target}/dist/corelane-bench" "$@"
