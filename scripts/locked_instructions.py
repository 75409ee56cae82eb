#!/usr/bin/env python3
"""Looks for locked instructions in loops over rows: what `contention.sh` calls for each scenario.

perf samples say which functions the workers spend their time in, and where. objdump disassembles
those functions; a jump backwards within a function is a loop, and a loop without another inside
it that has samples is one over rows (or over values of rows). A locked instruction there would be
paid for each row. Outside such loops there are some, for batches are counted references: those
are paid for each batch.

usage: locked_instructions.py PROGRAM SCENARIO WORKERS ROWS_PER_WORKER SHARE_MIN
"""

import collections
import re
import subprocess
import sys
import tempfile

WORKER = re.compile(r"^\s*corelane-\d")
SAMPLE = re.compile(r"\s([0-9a-f]+)\s+(\S+)\+0x([0-9a-f]+)")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*)$")
JUMP = re.compile(r"^j\w+\s+([0-9a-f]+) <")
# `xchg` with memory locks without saying so.
LOCKED = re.compile(r"^lock |^xchg .*\(")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def samples(program, scenario, workers, rows):
    """How often each place of each function was seen on a worker's thread."""
    with tempfile.NamedTemporaryFile() as data:
        job = [program, "job", scenario, "--workers", workers, "--rows-per-worker", rows]
        output("perf", "record", "-q", "-e", "cpu-clock", "-F", "2500", "-o", data.name, *job)
        lines = output("perf", "script", "-i", data.name, "--no-demangle", "-F", "comm,ip,sym,symoff").splitlines()
    seen = collections.defaultdict(collections.Counter)
    for line in lines:
        if WORKER.match(line) and (found := SAMPLE.search(line)):
            seen[found[2]][int(found[3], 16)] += 1
    return seen


def code(program, function):
    """Where a function has locked instructions, and its innermost loops, relative to its start."""
    text = output("objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", program)
    start, locked, loops = None, [], set()
    for line in text.splitlines():
        found = INSTRUCTION.match(line)
        if not found:
            continue
        at = int(found[1], 16)
        start = at if start is None else start
        if LOCKED.match(found[2]):
            locked.append(at - start)
        jump = JUMP.match(found[2])
        if jump and start <= int(jump[1], 16) <= at:
            loops.add((int(jump[1], 16) - start, at - start))
    innermost = [loop for loop in loops if not any(within(other, loop) for other in loops if other != loop)]
    return start, locked, innermost


def within(inner, outer):
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def main():
    program, scenario, workers, rows, share_min = sys.argv[1:]
    seen = samples(program, scenario, workers, rows)
    total = sum(sum(places.values()) for places in seen.values())
    if total == 0:
        sys.exit("perf saw no worker; it may not be allowed to")
    failed = False
    least = total * float(share_min) / 100
    hot = sorted(seen.items(), key=lambda item: -sum(item[1].values()))
    for function, places in hot:
        count = sum(places.values())
        if count < least:
            break
        start, locked, innermost = code(program, function)
        if start is None:
            continue  # the kernel's, or a library's
        row_loops = [
            loop for loop in innermost if sum(hits for at, hits in places.items() if loop[0] <= at <= loop[1]) >= least
        ]
        inside = sum(1 for at in locked if any(first <= at <= last for first, last in row_loops))
        failed |= inside > 0
        name = subprocess.run(["c++filt", function], stdout=subprocess.PIPE, text=True).stdout.strip()
        name = re.sub(r"::h[0-9a-f]{16}$", "", name)
        share = 100 * count / total
        print(f"{scenario:<10} {share:6.1f} % {len(row_loops):10} {len(locked):8} {inside:8}  {name[:100]}")
    sys.exit(1 if failed else 0)


main()
