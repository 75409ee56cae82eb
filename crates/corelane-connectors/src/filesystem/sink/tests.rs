//! Whole jobs of the sink, from `begin` to `commit` or `abort`, on a real directory.

use std::fs;
use std::io::Read;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use corelane_stream::{ChangelogBatch, CheckpointId, Connector, ErrorKind, TableOptions};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::filesystem::FilesystemConnector;
use crate::testing::{ManualClock, read_all, sink_context, table, with_position};

/// A directory, and the clock of the job that writes into it.
struct World {
    directory: TempDir,
    clock: Arc<ManualClock>,
}

type Row = (&'static str, i64);

fn batch(rows: &[(impl AsRef<str>, i64)]) -> ChangelogBatch {
    let names = rows.iter().map(|(name, _)| Some(name.as_ref()).filter(|name| *name != "NULL"));
    ChangelogBatch::append(
        RecordBatch::try_from_iter_with_nullable([
            ("name", Arc::new(names.collect::<StringArray>()) as ArrayRef, true),
            ("n", Arc::new(rows.iter().map(|(_, n)| *n).collect::<Int64Array>()), true),
        ])
        .expect("columns of one length"),
    )
}

impl World {
    fn new() -> Self {
        World { directory: TempDir::new().expect("a temporary directory"), clock: Arc::default() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn definition(&self, path: &str, partitioned_by: &[&str], options: &[(&str, &str)]) -> TableDefinition {
        let schema = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let path = self.path(path);
        let mut all = vec![("path", path.to_str().expect("a path in Unicode")), ("format", "csv")];
        all.extend(options);
        let options: TableOptions = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let partitioned_by = partitioned_by.iter().map(|name| (*name).to_owned()).collect();
        TableDefinition { options, partitioned_by, ..table(&schema, &[]) }
    }

    fn spec(&self, path: &str, partitioned_by: &[&str], options: &[(&str, &str)]) -> FilesystemSinkSpec {
        FilesystemSinkSpec::new(&self.definition(path, partitioned_by, options)).expect("valid options")
    }

    fn open(&self, spec: &FilesystemSinkSpec, worker: usize, workers: usize) -> Box<dyn Sink> {
        spec.open(&sink_context(worker, workers, &self.clock)).expect("the sink opens")
    }

    /// One job of one worker, committed.
    fn run(&self, spec: &FilesystemSinkSpec, batches: &[&[Row]]) {
        spec.begin().expect("the path is free");
        let mut sink = self.open(spec, 0, 1);
        for rows in batches {
            sink.write(batch(rows)).expect("the disk has room");
        }
        let prepared = sink.prepare(CheckpointId::FINAL).expect("the disk has room");
        spec.commit(&prepared).expect("renaming works");
        spec.commit(&prepared).expect("repeating does no harm");
        spec.abort();
    }

    /// Every file with its text, and every directory without files.
    fn listing(&self) -> String {
        let mut lines = Vec::new();
        list(self.directory.path(), "", &mut lines);
        lines.join("\n")
    }

    fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.listing());
    }
}

fn list(directory: &Path, prefix: &str, lines: &mut Vec<String>) {
    let mut names: Vec<_> =
        fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    if names.is_empty() && !prefix.is_empty() {
        lines.push(format!("{prefix} is empty"));
    }
    for name in names {
        let path = directory.join(&name);
        let name = format!("{prefix}{}", name.to_string_lossy());
        if path.is_dir() {
            list(&path, &format!("{name}/"), lines);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).replace('\n', " ");
            lines.push(format!("{name}: {}", text.trim_end()));
        }
    }
}

#[test]
fn a_directory_has_part_files() {
    let world = World::new();
    world.run(&world.spec("out", &[], &[]), &[&[("a", 1), ("b", 2)], &[("c", 3)]]);
    world.check(&expect!["out/part-0-0.csv: a,1 b,2 c,3"]);
}

#[test]
fn a_single_file_is_exactly_that_file() {
    let world = World::new();
    let spec = world.spec("deep/out.csv", &[], &[("csv.header", "true")]);
    assert_eq!(spec.exchange(), Exchange::Gather);
    world.run(&spec, &[&[("a", 1)]]);
    world.run(&world.spec("empty.csv", &[], &[("csv.header", "true")]), &[]);
    world.check(&expect![[r#"
        deep/out.csv: name,n a,1
        empty.csv: name,n"#]]);
}

#[test]
fn nothing_is_visible_before_the_commit() {
    let world = World::new();
    let spec = world.spec("out", &["name"], &[]);
    spec.begin().expect("the path is free");
    let mut sinks = [world.open(&spec, 0, 2), world.open(&spec, 1, 2)];
    sinks[0].write(batch(&[("a", 1), ("b", 2)])).expect("the disk has room");
    sinks[1].write(batch(&[("a", 3)])).expect("the disk has room");
    let mut prepared = sinks[0].prepare(CheckpointId(1)).expect("the disk has room");
    prepared.extend(sinks[1].prepare(CheckpointId(1)).expect("the disk has room"));
    sinks[1].write(batch(&[("a", 4)])).expect("the disk has room");
    world.check(&expect![[r#"
        out/name=a/.part-0-0.inprogress: 1
        out/name=a/.part-1-0.inprogress: 3
        out/name=a/.part-1-1.inprogress: 
        out/name=b/.part-0-1.inprogress: 2"#]]);
    spec.commit(&prepared).expect("renaming works");
    spec.abort();
    world.check(&expect![[r#"
        out/name=a/part-0-0.csv: 1
        out/name=a/part-1-0.csv: 3
        out/name=b/part-0-1.csv: 2"#]]);
}

#[test]
fn aborting_leaves_nothing() {
    let world = World::new();
    for (path, partitions) in [("x/y/out", &["name"][..]), ("x/out.csv", &[]), ("out", &[])] {
        let spec = world.spec(path, partitions, &[]);
        spec.begin().expect("the path is free");
        let mut sink = world.open(&spec, 0, 1);
        sink.write(batch(&[("a", 1), ("b", 2)])).expect("the disk has room");
        let prepared = sink.prepare(CheckpointId::FINAL).expect("the disk has room");
        assert!(!prepared.is_empty());
        spec.abort();
        assert_eq!(world.listing(), "");
    }
}

#[test]
fn partitions_are_directories() {
    let world = World::new();
    let rows: &[Row] = &[("23:59", 1), ("NULL", 2), ("a/b=c%", 3), ("", 4), ("23:59", 5), ("..", 6)];
    world.run(&world.spec("out", &["name"], &[]), &[rows]);
    world.run(&world.spec("named", &["name"], &[("partition.default-name", "none")]), &[&[("NULL", 1)]]);
    world.check(&expect![[r#"
        named/name=none/part-0-0.csv: 1
        out/name=../part-0-3.csv: 6
        out/name=23%3A59/part-0-0.csv: 1 5
        out/name=__DEFAULT_PARTITION__/part-0-1.csv: 2 4
        out/name=a%2Fb%3Dc%25/part-0-2.csv: 3"#]]);
}

#[test]
fn many_partitions_are_not_all_open_at_once() {
    let world = World::new();
    let spec = world.spec("out", &["n"], &[]);
    let rows: Vec<Row> = (0..200).map(|n| ("a", n)).collect();
    world.run(&spec, &[&rows, &rows]);
    let mut files = 0;
    for n in 0..200 {
        files += fs::read_dir(world.path(&format!("out/n={n}"))).expect("a partition").count();
    }
    assert_eq!(files, 400, "each partition was closed before it was written to again");
}

#[test]
fn parts_roll_by_size_and_by_age() {
    let world = World::new();
    let spec = world.spec("sized", &[], &[("sink.rolling-policy.file-size", "5 b")]);
    world.run(&spec, &[&[("a", 1)], &[("b", 2)], &[("c", 3)]]);
    let spec = world.spec("aged", &[], &[("sink.rolling-policy.rollover-interval", "10 s")]);
    spec.begin().expect("the path is free");
    let mut sink = world.open(&spec, 0, 1);
    for (n, now_ms) in [(1, 0), (2, 9_999), (3, 10_000), (4, 25_000)] {
        world.clock.set_ms(now_ms);
        sink.write(batch(&[("a", n)])).expect("the disk has room");
    }
    spec.commit(&sink.prepare(CheckpointId::FINAL).expect("the disk has room")).expect("renaming works");
    world.check(&expect![[r#"
        aged/part-0-0.csv: a,1 a,2
        aged/part-0-1.csv: a,3
        aged/part-0-2.csv: a,4
        sized/part-0-0.csv: a,1 b,2
        sized/part-0-1.csv: c,3"#]]);
}

/// Not only between batches: they are of any size.
#[test]
fn parts_roll_within_a_batch() {
    let world = World::new();
    let spec = world.spec("sized", &[], &[("sink.rolling-policy.file-size", "5 b")]);
    let rows: Vec<(&str, i64)> = (0..2_500).map(|n| ("a", n)).collect();
    world.run(&spec, &[&rows]);
    let lines =
        |part| fs::read_to_string(world.path(&format!("sized/part-0-{part}.csv"))).expect("a part").lines().count();
    assert_eq!([0, 1, 2].map(lines), [1_024, 1_024, 452]);
}

#[test]
fn a_path_with_an_ending_is_a_file() {
    for (path, expected) in [
        ("out.csv", Some("csv")),
        ("a.b/out.LOG", Some("log")),
        ("out.tsv", Some("tsv")),
        ("out.csv.gz", Some("gz")),
        ("out.dat/", None),
        ("a.csv/out", None),
        ("out/2024.01.01", None),
        ("results-v1.2", None),
        (".out", None),
        ("out.", None),
        ("out", None),
    ] {
        assert_eq!(ending(path).as_deref(), expected, "{path}");
    }
}

/// What a job without end does: each part is committed by itself, whichever worker wrote it.
#[test]
fn complete_parts_are_committed_one_by_one() {
    let world = World::new();
    world.run(&world.spec("out", &["name"], &[]), &[&[("a", 7), ("old", 7)]]);
    let rolled = [("sink.rolling-policy.rollover-interval", "10 s"), ("sink.mode", "overwrite")];
    let spec = world.spec("out", &["name"], &rolled);
    spec.begin().expect("old output may go");
    let mut sinks = [world.open(&spec, 0, 2), world.open(&spec, 1, 2)];
    assert_eq!(sinks[0].tick_ms(), None);
    sinks[0].write(batch(&[("a", 1)])).expect("the disk has room");
    world.clock.set_ms(4_000);
    sinks[0].write(batch(&[("b", 2)])).expect("the disk has room");
    sinks[1].write(batch(&[("a", 3)])).expect("the disk has room");
    assert_eq!([sinks[0].tick_ms(), sinks[1].tick_ms()], [Some(10_000), Some(14_000)]);
    assert_eq!(sinks[0].take_complete(), []);
    for now_ms in [10_000, 14_000] {
        world.clock.set_ms(now_ms);
        for sink in &mut sinks {
            sink.tick(now_ms).expect("the disk has room");
            spec.commit(&sink.take_complete()).expect("renaming works");
        }
        sinks[0].write(batch(&[("c", now_ms)])).expect("the disk has room");
    }
    assert_eq!(sinks[0].prepare(CheckpointId::FINAL).expect("the disk has room").len(), 1);
    let out = world.path("out").display().to_string();
    let remains = ["keeps 3 files that were complete", "loses 1 file that was not complete"];
    assert_eq!(spec.remains(), remains.map(|what| format!("'{out}' {what}")));
    spec.abort();
    world.check(&expect![[r#"
        out/name=a/part-0-0.csv: 1
        out/name=a/part-1-0.csv: 3
        out/name=b/part-0-1.csv: 2"#]]);
}

#[test]
fn compressed_files_say_so_in_their_names() {
    let world = World::new();
    world.run(&world.spec("gzip", &[], &[("sink.compression", "gzip")]), &[&[("a", 1)]]);
    world.run(&world.spec("out.csv.zst", &[], &[]), &[&[("b", 2)]]);
    let gzip = fs::File::open(world.path("gzip/part-0-0.csv.gz")).expect("the part file");
    let mut text = String::new();
    flate2::read::GzDecoder::new(gzip).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, "a,1\n");
    let zstd = zstd::decode_all(fs::File::open(world.path("out.csv.zst")).expect("the file")).expect("zstd");
    assert_eq!(zstd, b"b,2\n");
}

fn refused(world: &World, spec: &FilesystemSinkSpec, expected: &Expect) {
    let error = spec.begin().expect_err("the path is not free");
    assert_eq!(error.kind(), ErrorKind::Io);
    let text = format!("{error}; {}", error.hint().unwrap_or("no hint"));
    expected.assert_eq(&text.replace(&world.directory.path().display().to_string(), "/tmp"));
}

#[test]
fn a_device_is_not_replaced() {
    let world = World::new();
    std::os::unix::fs::symlink("/dev/null", world.path("null.csv")).expect("a link");
    refused(
        &world,
        &world.spec("null.csv", &[], &[("sink.mode", "overwrite")]),
        &expect![
            "cannot write the file '/tmp/null.csv': it is a pipe or a device; name a file, or let a SELECT print its rows and redirect the output of the program"
        ],
    );
    assert!(world.path("null.csv").is_symlink());
}

#[test]
fn output_that_is_there_is_not_touched() {
    let world = World::new();
    fs::write(world.path("old.csv"), "old").expect("a file");
    fs::create_dir(world.path("dir.csv")).expect("a directory");
    fs::create_dir(world.path("full")).expect("a directory");
    fs::write(world.path("full/notes.txt"), "mine").expect("a file");
    let before = world.listing();
    refused(
        &world,
        &world.spec("old.csv", &[], &[]),
        &expect![
            "the output '/tmp/old.csv' already exists; remove it, choose another path, or add 'sink.mode' = 'overwrite' (or 'append', for a directory) to WITH (..)"
        ],
    );
    refused(
        &world,
        &world.spec("dir.csv", &[], &[]),
        &expect![
            "cannot write the file '/tmp/dir.csv': it is a directory; name a file that is not there yet, or a directory without a file's ending"
        ],
    );
    refused(
        &world,
        &world.spec("full", &[], &[]),
        &expect![
            "the output '/tmp/full' is not empty; remove it, choose another path, or add 'sink.mode' = 'overwrite' (or 'append', for a directory) to WITH (..)"
        ],
    );
    refused(
        &world,
        &world.spec("full", &[], &[("sink.mode", "overwrite")]),
        &expect![
            "cannot overwrite '/tmp/full': it holds '/tmp/full/notes.txt', which no sink has written; choose another directory, or move the file away"
        ],
    );
    fs::write(world.path("file"), "").expect("a file");
    refused(
        &world,
        &world.spec("file", &[], &[]),
        &expect![
            "cannot write into '/tmp/file': it is a file, not a directory; name a directory, or give the path an ending such as '.csv' to write a single file"
        ],
    );
    refused(
        &world,
        &world.spec("file/out.csv", &[], &[]),
        &expect![
            "cannot write into '/tmp/file': it is a file, not a directory; name a directory, or give the path an ending such as '.csv' to write a single file"
        ],
    );
    fs::remove_file(world.path("file")).expect("a file");
    assert_eq!(world.listing(), before);
    fs::create_dir(world.path("running")).expect("a directory");
    fs::write(world.path("running/.part-0-0.inprogress"), "").expect("a file");
    fs::write(world.path(".running.csv.inprogress"), "").expect("a file");
    let before = world.listing();
    refused(
        &world,
        &world.spec("running", &[], &[]),
        &expect![
            "the file '/tmp/running/.part-0-0.inprogress' belongs to a job that still runs, or that was killed; wait for that job; if it was killed, remove the file or add 'sink.mode' = 'overwrite' to WITH (..)"
        ],
    );
    refused(
        &world,
        &world.spec("running.csv", &[], &[]),
        &expect![
            "the file '/tmp/.running.csv.inprogress' belongs to a job that still runs, or that was killed; wait for that job; if it was killed, remove the file or add 'sink.mode' = 'overwrite' to WITH (..)"
        ],
    );
    assert_eq!(world.listing(), before);
}

#[test]
fn overwriting_replaces_as_it_commits() {
    let world = World::new();
    let options = [("sink.mode", "overwrite")];
    world.run(&world.spec("out", &["name"], &[]), &[&[("a", 1), ("b", 2)]]);
    world.run(&world.spec("out.csv", &[], &[]), &[&[("a", 1)]]);
    let spec = world.spec("out", &["name"], &options);
    spec.begin().expect("old parts may be replaced");
    let mut sink = world.open(&spec, 0, 1);
    sink.write(batch(&[("a", 3)])).expect("the disk has room");
    let prepared = sink.prepare(CheckpointId::FINAL).expect("the disk has room");
    world.check(&expect![[r#"
        out/name=a/.part-0-0.inprogress: 3
        out/name=a/part-0-0.csv: 1
        out/name=b/part-0-1.csv: 2
        out.csv: a,1"#]]);
    spec.commit(&prepared).expect("renaming works");
    world.run(&world.spec("out.csv", &[], &options), &[&[("b", 2)]]);
    world.check(&expect![[r#"
        out/name=a/part-0-0.csv: 3
        out.csv: b,2"#]]);
}

#[test]
fn appending_adds_part_files() {
    let world = World::new();
    for n in 1..=3 {
        world.run(&world.spec("out", &[], &[("sink.mode", "append")]), &[&[("a", n)]]);
    }
    world.check(&expect![[r#"
        out/part-0-0.csv: a,1
        out/part-0-1.csv: a,2
        out/part-0-2.csv: a,3"#]]);
    // It may be another job's, which appends as well.
    fs::write(world.path("out/.part-0-3.inprogress"), "a,4").expect("a file");
    world.run(&world.spec("out", &[], &[("sink.mode", "append")]), &[&[("a", 5)]]);
    world.check(&expect![[r#"
        out/.part-0-3.inprogress: a,4
        out/part-0-0.csv: a,1
        out/part-0-1.csv: a,2
        out/part-0-2.csv: a,3
        out/part-0-4.csv: a,5"#]]);
}

#[test]
fn what_cannot_be_right_is_refused() {
    let world = World::new();
    let refused = |path: &str, partitioned_by: &[&str], options: &[(&str, &str)], expected: &Expect| {
        let error = FilesystemSinkSpec::new(&world.definition(path, partitioned_by, options)).expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = format!("{error}; {}", error.hint().unwrap_or("no hint"));
        expected.assert_eq(&text.replace(&world.directory.path().display().to_string(), "/tmp"));
    };
    refused(
        "out.csv",
        &[],
        &[("sink.mode", "append")],
        &expect![
            "cannot append to the single file '/tmp/out.csv'; name a directory, which takes new part files, or use 'sink.mode' = 'overwrite'"
        ],
    );
    refused(
        "out.csv",
        &[],
        &[("sink.rolling-policy.file-size", "1mb")],
        &expect![
            "option 'sink.rolling-policy.file-size' needs a directory, but 'path' names a single file; name a directory in 'path', or leave the option out"
        ],
    );
    refused(
        "out.csv.bz2",
        &[],
        &[],
        &expect![
            "cannot write '/tmp/out.csv.bz2': files cannot be compressed as '.bz2' says; compressions are gzip (.gz) and zstd (.zst)"
        ],
    );
    refused("out", &["nam"], &[], &expect!["table 't' has no column 'nam' to be partitioned by; did you mean 'name'?"]);
    refused(
        "out",
        &["name", "n"],
        &[],
        &expect!["table 't' is partitioned by all of its columns; leave at least one column for the files"],
    );
    refused(
        "out",
        &[],
        &[("sink.mode", "replace")],
        &expect!["option 'sink.mode' has the value 'replace'; it takes 'error', 'overwrite', 'append'"],
    );
    refused(
        "out",
        &[],
        &[("path", "s3://bucket/out")],
        &expect!["option 'path' has the value 's3://bucket/out'; it takes a path of this machine"],
    );
    refused(
        "out",
        &[],
        &[("path", "-")],
        &expect![
            "a filesystem table cannot be written to '-'; use 'connector' = 'print', or a SELECT, to write to standard output"
        ],
    );
    refused(
        "out",
        &[],
        &[("format", "parquet"), ("sink.compression", "gzip")],
        &expect![
            "a parquet file cannot be compressed as a whole; use 'parquet.compression', which compresses its pages"
        ],
    );
    refused(
        "out.csv.gz",
        &[],
        &[("sink.compression", "zstd")],
        &expect![
            "option 'sink.compression' has the value 'zstd'; it takes what the path's ending '.gz' says, or may be left out"
        ],
    );
    let spec = world.spec("out", &[], &[]);
    assert!(spec.accept(&ChangelogMode::Append).is_ok());
    for mode in [ChangelogMode::Retract, ChangelogMode::Upsert(vec![0])] {
        let error = spec.accept(&mode).expect_err("files take no updates");
        expect!["a filesystem sink cannot take updates: the lines of a file cannot be taken back"]
            .assert_eq(error.message());
    }
    assert_eq!(world.listing(), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the batches, workers and rolling, every row is in one visible file once, in its partition.
    #[test]
    fn every_row_is_written_once(
        rows in proptest::collection::vec(("[abc]|NULL", any::<i64>()), 0..200),
        batch_rows in 1_usize..50,
        workers in 1_usize..4,
        partitioned: bool,
        bytes in 1_u64..2_000,
    ) {
        let world = World::new();
        let partitions: &[&str] = if partitioned { &["name"] } else { &[] };
        let bytes = bytes.to_string();
        let spec = world.spec("out", partitions, &[("sink.rolling-policy.file-size", &bytes), ("csv.null-literal", "NULL")]);
        spec.begin().expect("the path is free");
        let mut sinks: Vec<_> = (0..workers).map(|worker| world.open(&spec, worker, workers)).collect();
        for (index, rows) in rows.chunks(batch_rows).enumerate() {
            sinks[index % workers].write(batch(rows)).expect("the disk has room");
        }
        let prepared: Vec<_> =
            sinks.iter_mut().flat_map(|sink| sink.prepare(CheckpointId::FINAL).expect("the disk has room")).collect();
        spec.commit(&prepared).expect("renaming works");
        spec.abort();
        let mut expected: Vec<String> = rows.iter().map(|(name, n)| format!("{name},{n}")).collect();
        expected.sort();
        let mut files = Vec::new();
        list(&world.path("out"), "", &mut files);
        let mut found: Vec<String> = files.iter().flat_map(|file| lines(file, partitioned)).collect();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

/// A row of types that have a text of their own each.
type TypedRow = (Option<String>, Option<i64>, Option<f64>, Option<i64>, Option<i64>, Option<i32>, Option<bool>);

fn typed_rows() -> impl Strategy<Value = Vec<TypedRow>> {
    let text =
        proptest::option::of("[ -~äλ\n\r\"\\\\,;]{0,12}".prop_filter("not the null literal", |text| text != "NIL"));
    let float = proptest::option::of(any::<f64>().prop_filter("a number", |value| value.is_finite()));
    let decimal = proptest::option::of(-999_999_999_999_999_999_i64..=999_999_999_999_999_999);
    let time = proptest::option::of(0_i64..253_402_300_799_999_999);
    let day = proptest::option::of(0_i32..2_932_896);
    proptest::collection::vec((text, any::<Option<i64>>(), float, decimal, time, day, any::<Option<bool>>()), 0..100)
}

fn typed_batch(rows: &[TypedRow]) -> RecordBatch {
    let decimals: Decimal128Array = rows.iter().map(|row| row.3.map(i128::from)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("s", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringViewArray>()) as ArrayRef, true),
        ("n", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()), true),
        ("f", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()), true),
        ("d", Arc::new(decimals.with_precision_and_scale(18, 9).expect("a valid type")), true),
        ("t", Arc::new(rows.iter().map(|row| row.4).collect::<TimestampMicrosecondArray>()), true),
        ("a", Arc::new(rows.iter().map(|row| row.5).collect::<Date32Array>()), true),
        ("b", Arc::new(rows.iter().map(|row| row.6).collect::<BooleanArray>()), true),
    ])
    .expect("columns of one length")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the sink writes, the connector's own source reads.
    #[test]
    fn our_source_reads_what_was_written(
        rows in typed_rows(),
        format in prop_oneof![Just("csv"), Just("json"), Just("parquet")],
        ending in prop_oneof![Just(""), Just(".gz"), Just(".zst")],
    ) {
        let world = World::new();
        let batch = typed_batch(&rows);
        let ending = if format == "parquet" { "" } else { ending };
        let path = world.path(&format!("out.{format}{ending}")).display().to_string();
        let mut options = vec![("connector", "filesystem"), ("path", path.as_str()), ("format", format)];
        if format == "csv" {
            options.push(("csv.null-literal", "NIL"));
        }
        let definition = table(&batch.schema(), &options);
        crate::check_options(&FilesystemConnector, &definition.options).expect("known options");
        let spec = FilesystemConnector.sink(&definition).expect("a sink");
        spec.begin().expect("the path is free");
        let mut sink = spec.open(&sink_context(0, 1, &world.clock)).expect("the sink opens");
        sink.write(ChangelogBatch::append(batch.clone())).expect("the disk has room");
        spec.commit(&sink.prepare(CheckpointId::FINAL).expect("the disk has room")).expect("renaming works");
        let source = with_position(FilesystemConnector.source(&definition).expect("a source").as_ref());
        let read = read_all(source.as_ref(), 1, 8_192);
        let columns: Vec<usize> = (0..batch.num_columns()).collect();
        prop_assert_eq!(read.project(&columns).expect("the columns"), batch);
    }
}

/// The rows of one line of a listing; a partition's name is put back before them.
fn lines(file: &str, partitioned: bool) -> Vec<String> {
    let Some((path, text)) = file.split_once(": ") else { return Vec::new() };
    assert!(path.contains("part-") && !path.contains(".part-"), "{path}");
    let name = path.strip_prefix("name=").and_then(|rest| rest.split_once('/')).map_or("", |(name, _)| name);
    let name = if name == "__DEFAULT_PARTITION__" { "NULL" } else { name };
    text.split(' ').map(|line| if partitioned { format!("{name},{line}") } else { line.to_owned() }).collect()
}
