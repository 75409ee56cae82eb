#!/usr/bin/env python3
"""Corelane beside Flink, DuckDB, Polars and DataFusion: the same rows, one after the other, here and now.

    bench/peers/run.py --events 2000000 --out bench/results

Installs the others from the package index into target/peers, at the versions pinned beside this
file (Flink needs a JDK of 17 or later). Every engine has the rows in memory before it is timed,
uses one worker or thread, and drops its result as it comes; figures are rows of the table that is
read per CPU-second of the whole process. Corelane's answers are checked by corelane-bench against
DataFusion's, with the queries of `datafusion/`; what the other batch engines answer must add up
to the same. Flink runs Corelane's own SQL.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import venv

import queries

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
NEXMARK_SQL = ROOT / "crates" / "corelane" / "tests" / "nexmark"
BATCH_ENGINES = ["duckdb", "polars", "datafusion"]
ENGINES = ["corelane", "flink"] + BATCH_ENGINES
FLINK = "apache-flink-libraries==2.3.0"

# What Flink opens of the JDK by itself when it is started by its own scripts.
JAVA_OPENS = [
    "java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.net", "java.base/java.io",
    "java.base/java.nio", "java.base/java.text", "java.base/java.time", "java.base/java.util",
    "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks",
    "java.base/sun.nio.ch",
]


def call(command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr or ''}")
    return done.stdout


def install(engines):
    """A virtual environment with the pinned engines; made once."""
    home = WORK / "venv"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    if set(engines) & set(BATCH_ENGINES):
        call([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"])
    if "flink" in engines:
        # The jars of PyFlink; its Python side is not used.
        call([python, "-m", "pip", "install", "-q", "--no-deps", FLINK])
        jars = next(home.glob("lib/python*/site-packages/pyflink/lib"))
        classes = WORK / "classes"
        classes.mkdir(parents=True, exist_ok=True)
        call(["javac", "-nowarn", "-cp", f"{jars}/*", "-d", classes, *sorted((HERE / "flink").glob("*.java"))])
        shutil.copytree(HERE / "flink" / "META-INF", classes / "META-INF", dirs_exist_ok=True)


def make_data(bench, wanted, arguments):
    """The tables that the wanted queries read, as files; made again if their size has changed."""
    data = WORK / "data"
    data.mkdir(parents=True, exist_ok=True)
    stamp = data / "made.json"
    made = json.loads(stamp.read_text()) if stamp.exists() else {}
    tables = {queries.table(query) for query in wanted} - {"measurements"}
    if tables and made.get("tables") != [arguments.events, arguments.size]:
        call([bench, "data", data, "--events", arguments.events, "--size", arguments.size])
        made["tables"] = [arguments.events, arguments.size]
    if "stations" in wanted and made.get("stations") != arguments.stations:
        stations = ["stations", "--file", data / "measurements.txt", "--rows", arguments.stations]
        call([bench, *stations, "--workers", 1, "--repetitions", 1])
        made["stations"] = arguments.stations
    stamp.write_text(json.dumps(made))
    return data


def corelane(bench, query, data, arguments):
    """Runs of one query by corelane-bench, whose answer it checks; and what it ran on."""
    out = WORK / "corelane"
    shutil.rmtree(out, ignore_errors=True)
    if query in queries.NEXMARK:
        what = ["nexmark", "--queries", query, "--events", arguments.events]
    elif query == "stations":
        what = ["stations", "--file", data / "measurements.txt", "--rows", arguments.stations]
    else:
        what = ["scaling", "--only", query, "--size", arguments.size]
    call([bench, "--out", out, *what, "--workers", 1, "--repetitions", arguments.repetitions])
    results = json.loads(next(out.glob("*.json")).read_text())
    point = next(point for point in results["points"] if point["name"] == query)
    cpu_ns, wall = (point["figures"][name]["runs"] for name in ("process_cpu_ns_per_row", "rows_per_second"))
    return [{"cpu": 1e9 / ns, "wall": rows} for ns, rows in zip(cpu_ns, wall)], results


def rates(lines):
    return [{"cpu": line["rows"] / line["cpu_s"], "wall": line["rows"] / line["wall_s"]} for line in lines]


def batch(engine, query, data, arguments):
    """Runs of one query by a batch engine in a process of its own, and what its answer adds up to."""
    command = [WORK / "venv/bin/python", HERE / "measure.py", engine, query, "--data", data]
    command += ["--table", queries.table(query), "--repetitions", arguments.repetitions]
    # Polars reads it as it is loaded; the others are told in their own way.
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    lines = [json.loads(line) for line in call(command, env=environment).splitlines()]
    return rates(lines[1:]), lines[0]["answer"]


def flink(query, data, arguments):
    """Runs of one query by Flink: one subtask, rows in its heap, a run to warm up."""
    table = queries.table(query)
    declaration = WORK / "declaration.sql"
    options = f"'connector' = 'replay', 'path' = '{data / table}.csv', 'passes' = '{arguments.flink_passes}'"
    declaration.write_text(f"CREATE TABLE {queries.FLINK_NAMES.get(table, table)} ({queries.TABLES[table]}) WITH ({options})")
    text = WORK / "query.sql"
    name = "q12e" if query == "q12" else query
    sql = queries.SCENARIO_SQL.get(query) or (NEXMARK_SQL / f"{name}.sql").read_text()
    text.write_text(sql)
    jars = next((WORK / "venv").glob("lib/python*/site-packages/pyflink/lib"))
    command = ["java", "-Duser.timezone=UTC", f"-Xmx{arguments.flink_heap}"]
    for module in JAVA_OPENS:
        command += ["--add-opens", f"{module}=ALL-UNNAMED"]
    command += ["-cp", f"{WORK / 'classes'}:{jars}/*", "Measure", declaration, text, 1, arguments.repetitions]
    out = call(command, stderr=subprocess.DEVNULL)
    return rates([json.loads(line) for line in out.splitlines() if line.startswith('{"rows"')])


def same(one, other):
    """True if two answers add up to the same; means of doubles may differ in their last digits."""
    if one["rows"] != other["rows"] or len(one["totals"]) != len(other["totals"]):
        return False
    pairs = [(float(a), float(b)) for a, b in zip(one["totals"], other["totals"])]
    return all(abs(a - b) <= 1e-9 * max(abs(a), abs(b)) + 1e-6 for a, b in pairs)


def figure(runs):
    return {"median": statistics.median(runs), "least": min(runs), "greatest": max(runs), "runs": runs}


def point(query, engine, runs):
    return {
        "name": query,
        "parameters": {"engine": engine},
        "figures": {
            "rows_per_cpu_second": figure([run["cpu"] for run in runs]),
            "rows_per_second": figure([run["wall"] for run in runs]),
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: text.split(",")
    parser.add_argument("--engines", type=listed, default=ENGINES)
    parser.add_argument("--queries", type=listed, default=queries.NEXMARK + queries.SCENARIOS + ["stations"])
    parser.add_argument("--events", type=int, default=2_000_000, help="of Nexmark, of which 46 in 50 are bids")
    parser.add_argument("--size", type=float, default=0.1, help="of the scenarios, relative to their usual size")
    parser.add_argument("--stations", type=int, default=10_000_000, help="lines of the file of temperatures")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--bench", type=pathlib.Path, default=ROOT / "target/dist/corelane-bench")
    parser.add_argument("--flink-passes", type=int, default=3, help="how often Flink reads its rows in one run")
    parser.add_argument("--flink-heap", default="4g")
    parser.add_argument("--out", type=pathlib.Path, default=WORK, help="folder for peers.json")
    arguments = parser.parse_args()
    for engine in arguments.engines:
        if engine not in ENGINES:
            parser.error(f"there is no engine {engine!r} among {', '.join(ENGINES)}")
    WORK.mkdir(parents=True, exist_ok=True)
    install(arguments.engines)
    data = make_data(arguments.bench, arguments.queries, arguments)

    if "corelane" not in arguments.engines:
        parser.error("there is nothing to compare without corelane")
    points, kept = [], {}
    for query in arguments.queries:
        reference = None
        # DataFusion first: Corelane's answers were checked against its queries.
        for engine in sorted(arguments.engines, key=["datafusion", "duckdb", "polars", "corelane", "flink"].index):
            if engine == "corelane":
                runs, kept = corelane(arguments.bench, query, data, arguments)
            elif engine == "flink":
                if queries.table(query) not in queries.TABLES:
                    continue
                runs = flink(query, data, arguments)
            else:
                runs, answer = batch(engine, query, data, arguments)
                reference = reference or answer
                if not same(reference, answer):
                    sys.exit(f"{engine} answers {query} with {answer}, and not {reference}")
            points.append(point(query, engine, runs))
            median = points[-1]["figures"]["rows_per_cpu_second"]["median"]
            print(f"{query} {engine}: {median / 1e6:.2f} M rows per CPU-second", file=sys.stderr, flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    requirements = (HERE / "requirements.txt").read_text().split() + [FLINK]
    requirements = [line for line in requirements if any(engine in line for engine in arguments.engines)]
    results = {
        "benchmark": "peers",
        "machine": kept["machine"],
        "build": kept["build"],
        "flags": sys.argv[1:],
        "notes": [f"Other engines: {', '.join(requirements)}."],
        "points": points,
    }
    path = arguments.out / "peers.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(call([arguments.bench, "render", "peers-table", path]))


if __name__ == "__main__":
    main()
