//! Nexmark against Flink's answers, on every setup.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::harness::{Setup, csv_lines, folder, run, setups};

const QUERIES: [&str; 13] = ["q0", "q1", "q2", "q5c", "q7m", "q10", "q12e", "q14", "q15", "q16", "q17", "q21", "q22"];

fn script(query: &str, schema: &str, events: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder("nexmark").join(name)).expect("a query of this repository");
    read(schema).replace("${events}", &events.display().to_string()) + &read(&format!("{query}.sql"))
}

fn golden(path: &Path) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(File::open(path).expect("a golden")).read_to_string(&mut text).expect("a golden");
    text.lines().skip(1).map(str::to_owned).collect()
}

fn check(query: &str, sql: &str, golden: &[String], setup: Setup) {
    let outcome = run(setup, sql).unwrap_or_else(|error| panic!("{query} on {setup}: {error}"));
    let mut lines = csv_lines(&outcome.results[0].1);
    lines.sort();
    if lines != golden {
        let difference = lines.iter().zip(golden).find(|(found, wanted)| found != wanted);
        panic!("{query} on {setup}: {} rows and not {}; first difference {difference:?}", lines.len(), golden.len());
    }
    assert_eq!(outcome.reports[0].late_rows, 0);
    assert_eq!(outcome.reports[0].bad_rows, 0);
}

/// The events as plain JSON lines, so that all workers read them at once.
fn plain_events() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("events-10k.json");
    let mut text = Vec::new();
    let packed = File::open(folder("nexmark").join("events-10k.json.gz")).expect("the events");
    GzDecoder::new(packed).read_to_end(&mut text).expect("the events");
    std::fs::write(&path, text).expect("room for the events");
    path
}

#[test]
fn answers_are_flinks_on_every_setup() {
    let events = plain_events();
    for query in QUERIES {
        let golden = golden(&folder("nexmark").join(format!("golden-10k/{query}.csv.gz")));
        let sql = script(query, "schema.sql", &events);
        for setup in setups(&[1, 2, 4, 8], &[1, 7, 8192]) {
            check(query, &sql, &golden, setup);
        }
    }
}

#[test]
fn answers_are_flinks_from_compressed_json() {
    let events = folder("nexmark").join("events-10k.json.gz");
    for query in QUERIES {
        let golden = golden(&folder("nexmark").join(format!("golden-10k/{query}.csv.gz")));
        check(query, &script(query, "schema.sql", &events), &golden, Setup::SMALL);
    }
}

/// The larger set is not part of the repository: it is checked where its folder is given.
#[test]
fn answers_are_flinks_on_100k_events() {
    let Some(data) = shared_data() else {
        eprintln!("skipped: the folder with 100k events is not here");
        return;
    };
    for (place, query) in QUERIES.iter().enumerate() {
        let golden = golden(&data.join(format!("golden-100k/{query}.csv.gz")));
        let sql = script(query, "schema-parquet.sql", &data.join("events-100k.parquet"));
        for setup in in_turn(place, setups(&[1, 2, 4, 8], &[1, 7, 8192])) {
            check(query, &sql, &golden, setup);
        }
    }
}

/// All setups if `CORELANE_SETUPS` says so; else three of them, others for each query, so that the
/// queries together go through all. `CORELANE_SEED` moves the turn on.
fn in_turn(place: usize, setups: Vec<Setup>) -> Vec<Setup> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    if number("CORELANE_SETUPS").is_some_and(|count| setups.len() <= count) {
        return setups;
    }
    let seed = number("CORELANE_SEED").unwrap_or(0);
    let step = setups.len() / 3;
    (0..3).map(|turn| setups[(place + seed + turn * step) % setups.len()]).collect()
}

fn shared_data() -> Option<PathBuf> {
    let given = std::env::var_os("CORELANE_NEXMARK_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/nexmark");
    given.into_iter().chain([beside]).find(|folder| folder.join("events-100k.parquet").exists())
}
