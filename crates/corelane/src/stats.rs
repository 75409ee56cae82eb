//! What each worker did: a table for a person, JSON for a program.

use comfy_table::ContentArrangement;
use corelane_server::{DurationSummary, JobReport, WorkerReport};
use serde_json::{Value, json};

use crate::output::boxed;
use crate::{quantity, version};

const HEADER: [&str; 11] = [
    "worker",
    "cpu",
    "rows",
    "busy %",
    "cpu time",
    "parks",
    "ring depth max",
    "batches",
    "step p50",
    "step p99",
    "step p99.9",
];

/// One job's table, with its summary above.
pub fn tables(report: &JobReport) -> String {
    let rows = report.workers.iter().map(row).collect();
    let table = boxed(&HEADER, &[true; HEADER.len()], rows, ContentArrangement::Disabled);
    format!(
        "{} in, {} out, {}, {}, {} read, driver {}\n{table}\n{}{}",
        quantity::rows(report.rows_in),
        quantity::thousands(report.rows_out),
        quantity::duration(report.elapsed),
        quantity::row_rate(report.rows_in, report.elapsed),
        quantity::bytes(report.bytes_in),
        report.driver,
        durations("batches from source to sink", &report.latency),
        durations("hops from core to core", &report.hops),
    )
}

/// A line about what was done many times; nothing if it was not done at all.
fn durations(what: &str, durations: &DurationSummary) -> String {
    if durations.count == 0 {
        return String::new();
    }
    let times = [
        ("p50", durations.p50_ns),
        ("p99", durations.p99_ns),
        ("p99.9", durations.p999_ns),
        ("p99.99", durations.p9999_ns),
        ("max", durations.max_ns),
    ];
    let times: Vec<String> =
        times.iter().map(|(name, time_ns)| format!("{name} {}", quantity::nanoseconds(*time_ns))).collect();
    format!("{} {what}: {}\n", quantity::thousands(durations.count), times.join(", "))
}

fn row(worker: &WorkerReport) -> Vec<String> {
    vec![
        worker.worker.to_string(),
        worker.cpu.map_or_else(|| "any".into(), |cpu| cpu.to_string()),
        quantity::thousands(worker.rows),
        format!("{:.1}", 100.0 * worker.busy),
        quantity::nanoseconds(worker.cpu_ns),
        quantity::thousands(worker.parks),
        worker.ring_depth_max.to_string(),
        quantity::thousands(worker.batches),
        quantity::nanoseconds(worker.step_p50_ns),
        quantity::nanoseconds(worker.step_p99_ns),
        quantity::nanoseconds(worker.step_p999_ns),
    ]
}

/// The statistics of a whole script.
#[derive(Debug)]
pub struct Stats;

impl Stats {
    /// One JSON object; times are in the units their names end in.
    pub fn json(reports: &[JobReport]) -> String {
        let build: serde_json::Map<String, Value> =
            version::facts().iter().map(|(name, fact)| (name.to_string(), json!(fact))).collect();
        let jobs: Vec<Value> = reports.iter().map(job).collect();
        format!("{:#}\n", json!({ "corelane": build, "jobs": jobs }))
    }
}

fn job(report: &JobReport) -> Value {
    json!({
        "elapsed_s": report.elapsed.as_secs_f64(),
        "driver": report.driver,
        "rows_in": report.rows_in,
        "bytes_in": report.bytes_in,
        "rows_out": report.rows_out,
        "late_rows": report.late_rows,
        "bad_rows": report.bad_rows,
        "unfinished_records": report.unfinished_records,
        "latency": summary(&report.latency),
        "hops": summary(&report.hops),
        "workers": report.workers.iter().map(worker).collect::<Vec<_>>(),
    })
}

fn summary(durations: &DurationSummary) -> Value {
    json!({
        "count": durations.count,
        "p50_ns": durations.p50_ns,
        "p99_ns": durations.p99_ns,
        "p999_ns": durations.p999_ns,
        "p9999_ns": durations.p9999_ns,
        "max_ns": durations.max_ns,
    })
}

fn worker(worker: &WorkerReport) -> Value {
    json!({
        "worker": worker.worker,
        "cpu": worker.cpu,
        "rows": worker.rows,
        "busy": worker.busy,
        "cpu_ns": worker.cpu_ns,
        "parks": worker.parks,
        "ring_depth_max": worker.ring_depth_max,
        "batches": worker.batches,
        "step_p50_ns": worker.step_p50_ns,
        "step_p99_ns": worker.step_p99_ns,
        "step_p999_ns": worker.step_p999_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::time::Duration;

    fn report() -> JobReport {
        let worker = WorkerReport {
            worker: 0,
            cpu: Some(2),
            rows: 1_000_000,
            batches: 123,
            busy: 0.975,
            ring_depth_max: 4,
            cpu_ns: 480_000_000,
            parks: 12,
            step_p50_ns: 850,
            step_p99_ns: 12_000,
            step_p999_ns: 1_500_000,
        };
        JobReport {
            elapsed: Duration::from_millis(500),
            rows_in: 1_000_000,
            bytes_in: 80_000_000,
            rows_out: 200,
            late_rows: 0,
            bad_rows: 3,
            unfinished_records: 0,
            unfinished_at: None,
            driver: "threads",
            hops: DurationSummary::default(),
            latency: DurationSummary {
                count: 40,
                p50_ns: 90_000,
                p99_ns: 1_100_000,
                p999_ns: 1_200_000,
                p9999_ns: 1_200_000,
                max_ns: 1_234_567,
            },
            workers: vec![worker],
        }
    }

    #[test]
    fn a_table_for_a_person() {
        expect![[r#"
            1,000,000 rows in, 200 out, 0.50 s, 2.0 M rows/s, 76.3 MiB read, driver threads
            ┌────────┬─────┬───────────┬────────┬──────────┬───────┬────────────────┬─────────┬──────────┬──────────┬────────────┐
            │ worker │ cpu │ rows      │ busy % │ cpu time │ parks │ ring depth max │ batches │ step p50 │ step p99 │ step p99.9 │
            ├────────┼─────┼───────────┼────────┼──────────┼───────┼────────────────┼─────────┼──────────┼──────────┼────────────┤
            │      0 │   2 │ 1,000,000 │   97.5 │   480 ms │    12 │              4 │     123 │   850 ns │  12.0 us │     1.5 ms │
            └────────┴─────┴───────────┴────────┴──────────┴───────┴────────────────┴─────────┴──────────┴──────────┴────────────┘
            40 batches from source to sink: p50 90.0 us, p99 1.1 ms, p99.9 1.2 ms, p99.99 1.2 ms, max 1.2 ms
        "#]].assert_eq(&tables(&report()));
    }

    #[test]
    fn json_for_a_program() {
        let parsed: Value = serde_json::from_str(&Stats::json(&[report()])).unwrap();
        expect![[r#"
            [
              {
                "bad_rows": 3,
                "bytes_in": 80000000,
                "driver": "threads",
                "elapsed_s": 0.5,
                "hops": {
                  "count": 0,
                  "max_ns": 0,
                  "p50_ns": 0,
                  "p9999_ns": 0,
                  "p999_ns": 0,
                  "p99_ns": 0
                },
                "late_rows": 0,
                "latency": {
                  "count": 40,
                  "max_ns": 1234567,
                  "p50_ns": 90000,
                  "p9999_ns": 1200000,
                  "p999_ns": 1200000,
                  "p99_ns": 1100000
                },
                "rows_in": 1000000,
                "rows_out": 200,
                "unfinished_records": 0,
                "workers": [
                  {
                    "batches": 123,
                    "busy": 0.975,
                    "cpu": 2,
                    "cpu_ns": 480000000,
                    "parks": 12,
                    "ring_depth_max": 4,
                    "rows": 1000000,
                    "step_p50_ns": 850,
                    "step_p999_ns": 1500000,
                    "step_p99_ns": 12000,
                    "worker": 0
                  }
                ]
              }
            ]"#]]
        .assert_eq(&format!("{:#}", parsed["jobs"]));
        assert!(parsed["corelane"]["version"].is_string());
    }
}
