//! Files as sources: every record once, whatever the splits; and what is wrong, said clearly.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{
    AsArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions as Display};
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{Clock, Source, SourceContext, SourcePoll, Split};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{FileRowErrors, check_options, connector, row_policy};

#[derive(Default)]
struct FakeClock(AtomicU64);

impl Clock for FakeClock {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn context(worker: usize, workers: usize, batch_rows: usize, clock: &Arc<FakeClock>) -> SourceContext {
    SourceContext {
        worker,
        workers,
        batch_rows,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        row_errors: Arc::new(FileRowErrors::new()),
        waker: Waker::noop().clone(),
    }
}

fn table(options: &[(&str, &str)], fields: Vec<Field>) -> Result<TableDefinition> {
    let mut options: TableOptions = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    options.insert("connector".to_owned(), "filesystem".to_owned());
    let connector = connector("filesystem")?;
    check_options(connector, &options)?;
    let schema = if fields.is_empty() { connector.infer_schema(&options)? } else { Arc::new(Schema::new(fields)) };
    let policy = Arc::new(row_policy("t", &options)?);
    Ok(TableDefinition { name: "t".to_owned(), schema, options, partitioned_by: vec![], primary_key: vec![], policy })
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn metadata(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false).with_metadata([(METADATA_KEY.to_owned(), name.to_owned())].into())
}

fn id_and_text() -> Vec<Field> {
    vec![field("id", DataType::Int64), field("t", DataType::Utf8View)]
}

/// A row with its position.
type Row = (u64, String);

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let display = Display::default().with_null("NULL");
    let (last, columns) = batch.columns().split_last().expect("has a position");
    let columns: Vec<_> =
        columns.iter().map(|column| ArrayFormatter::try_new(column, &display).expect("can be shown")).collect();
    let positions = last.as_primitive::<UInt64Type>();
    let text = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(|row| (positions.value(row), text(row))).collect()
}

fn with_position(spec: &dyn SourceSpec) -> Arc<dyn SourceSpec> {
    let mut fields: Vec<_> = spec.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(metadata(METADATA_POSITION, DataType::UInt64)));
    spec.with_schema(Arc::new(Schema::new(fields))).expect("position is known")
}

/// Polls until nothing comes any more, or `batches` have come.
fn drain(source: &mut dyn Source, batches: usize) -> Result<Vec<Row>> {
    let mut rows = vec![];
    for _ in 0..batches {
        loop {
            match source.poll()? {
                SourcePoll::Batch(batch) => {
                    rows.extend(rows_of(&batch.rows));
                    break;
                }
                SourcePoll::SplitEnd(_) | SourcePoll::Pending { retry_ms: Some(0) } => {}
                SourcePoll::Pending { .. } | SourcePoll::End => return Ok(rows),
            }
        }
    }
    Ok(rows)
}

/// All rows of a source, read by some workers, in the order of their positions.
fn read(spec: &dyn SourceSpec, workers: usize, batch_rows: usize) -> Result<Vec<Row>> {
    let spec = with_position(spec);
    let splits = spec.splits(workers)?;
    let weight: u64 = splits.iter().map(|split| split.weight).sum();
    let mut bytes = 0;
    let mut rows = vec![];
    for worker in 0..workers {
        let share = splits.iter().skip(worker).step_by(workers).cloned().collect();
        let mut source = spec.open(share, &context(worker, workers, batch_rows, &Arc::default()))?;
        let read = drain(source.as_mut(), usize::MAX)?;
        assert_eq!(source.counters().rows, read.len() as u64);
        rows.extend(read);
        bytes += source.counters().bytes;
    }
    assert_eq!(bytes, weight, "progress ends at the whole");
    rows.sort();
    Ok(rows)
}

fn read_table(options: &[(&str, &str)], fields: Vec<Field>) -> Result<Vec<String>> {
    let source = FilesystemSource::new(&table(options, fields)?)?;
    Ok(read(&source, 2, 100)?.into_iter().map(|(_, text)| text).collect())
}

fn error_of(options: &[(&str, &str)], fields: Vec<Field>, directory: &Path, expected: Expect) {
    let error = read_table(options, fields).expect_err("fails");
    let text = format!("{:?}: {error}\n{}", error.kind(), error.hint().unwrap_or("no hint"));
    expected.assert_eq(&text.replace(directory.to_str().expect("is UTF-8"), "DIR"));
}

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("has a parent")).expect("creates");
    fs::write(&path, bytes).expect("writes");
    path.to_str().expect("is UTF-8").to_owned()
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn json_file(rows: usize) -> String {
    (0..rows).map(|id| format!("{{\"id\":{id},\"t\":\"row {id}\"}}\n")).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).expect("compresses");
    encoder.finish().expect("compresses")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the ranges, workers and batches, each JSON record is read once, and a reader
    /// that is stopped and opened again goes on where it was.
    #[test]
    fn ranges_of_json_hold_each_record_once(
        lines in prop::collection::vec(prop_oneof![Just(String::new()), "[a-zé]{0,40}"], 1..60),
        crlf: bool,
        final_newline: bool,
        range_bytes in 1..300u64,
        workers in 1..4usize,
        batch_rows in 1..20usize,
        stop_after in 0..6usize,
    ) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let records: Vec<String> = lines.iter().enumerate()
            .map(|(id, text)| if text.is_empty() { String::new() } else { format!("{{\"id\":{id},\"t\":\"{text}\"}}") })
            .collect();
        let mut text = records.join(ending);
        if final_newline { text += ending; }
        let directory = directory();
        let path = write(directory.path(), "a.json", &text);
        let table = table(&[("path", &path), ("format", "json")], id_and_text()).expect("is a table");
        let expected: Vec<String> = lines.iter().enumerate().filter(|(_, text)| !text.is_empty())
            .map(|(id, text)| format!("{id}|{text}")).collect();
        let source = FilesystemSource::new(&table).expect("is a source").with_range_bytes(range_bytes);
        let found = read(&source, workers, batch_rows).expect("reads");
        prop_assert_eq!(found.iter().map(|(_, text)| text).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());

        for path in [write(directory.path(), "b.json.gz", gzip(text.as_bytes())), write(directory.path(), "c", zstd::encode_all(text.as_bytes(), 1).expect("compresses"))] {
            let compressed = self::table(&[("path", &path), ("format", "json")], id_and_text()).expect("is a table");
            let compressed = FilesystemSource::new(&compressed).expect("is a source");
            prop_assert_eq!(&read(&compressed, workers, batch_rows).expect("reads"), &found);
            prop_assert_eq!(&stop_and_go(&compressed, batch_rows, stop_after), &found);
        }
        prop_assert_eq!(&stop_and_go(&source, batch_rows, stop_after), &found);
    }

    #[test]
    fn ranges_of_csv_hold_each_record_once(
        texts in prop::collection::vec(prop_oneof!["[a-z5\"]{0,8}", "[a,\"\n\r;é]{0,9}"], 1..60),
        crlf: bool,
        final_newline: bool,
        header: bool,
        range_bytes in 1..200u64,
        workers in 1..4usize,
        batch_rows in 1..20usize,
        stop_after in 0..6usize,
    ) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let mut records: Vec<String> = if header { vec!["id,\"the\nt\"".to_owned()] } else { vec![] };
        records.extend(texts.iter().enumerate().map(|(id, text)| {
            let plain = !text.starts_with('"') && !text.contains([',', '\n', '\r']);
            // A quote in the middle of an unquoted field is just a character.
            if plain { format!("{id},{text}") } else { format!("{id},\"{}\"", text.replace('"', "\"\"")) }
        }));
        let mut text = records.join(ending);
        if final_newline { text += ending; }
        let directory = directory();
        let path = write(directory.path(), "a.csv", &text);
        let options = [("path", path.as_str()), ("format", "csv"), ("csv.header", if header { "true" } else { "false" })];
        let text_column = if header { "the\nt" } else { "t" };
        let columns = vec![field("id", DataType::Int64), field(text_column, DataType::Utf8View)];
        let table = table(&options, columns).expect("is a table");
        let expected: Vec<String> = texts.iter().enumerate().map(|(id, text)| format!("{id}|{text}")).collect();
        let source = FilesystemSource::new(&table).expect("is a source").with_range_bytes(range_bytes);
        let found = read(&source, workers, batch_rows).expect("reads");
        prop_assert_eq!(found.iter().map(|(_, text)| text).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        prop_assert_eq!(&stop_and_go(&source, batch_rows, stop_after), &found);
    }
}

/// Reads some batches, throws the source away and goes on from its snapshot.
fn stop_and_go(spec: &dyn SourceSpec, batch_rows: usize, stop_after: usize) -> Vec<Row> {
    let spec = with_position(spec);
    let context = context(0, 1, batch_rows, &Arc::default());
    let mut first = spec.open(spec.splits(1).expect("splits"), &context).expect("opens");
    let mut rows = drain(first.as_mut(), stop_after).expect("reads");
    let mut second = spec.open(first.snapshot(), &context).expect("opens");
    rows.extend(drain(second.as_mut(), usize::MAX).expect("reads"));
    rows.sort();
    rows
}

#[test]
fn directories_and_globs_are_read_in_the_order_of_their_names() {
    let directory = directory();
    for (name, id) in
        [("b/2.json", 2), ("a.json", 1), ("_tmp/3.json", 3), (".hidden.json", 4), ("_SUCCESS", 5), ("c.txt", 6)]
    {
        write(directory.path(), name, format!("{{\"id\":{id}}}"));
    }
    let id = || vec![field("id", DataType::Int64)];
    let path = directory.path().to_str().expect("is UTF-8");
    assert_eq!(read_table(&[("path", path), ("format", "json")], id()).expect("reads"), ["1", "2", "6"]);
    assert_eq!(read_table(&[("path", &format!("{path}/*.json")), ("format", "json")], id()).expect("reads"), ["1"]);
    assert_eq!(
        read_table(&[("path", &format!("{path}/**/*.json")), ("format", "json")], id()).expect("reads"),
        ["1", "2"]
    );
    assert_eq!(
        read_table(&[("path", &format!("file://{path}/a.json")), ("format", "json")], id()).expect("reads"),
        ["1"]
    );
}

/// A link to a directory above would make any path match in countless ways.
#[test]
fn patterns_for_any_depth_do_not_follow_links_to_directories() {
    let directory = directory();
    for (name, id) in
        [("a.json", 1), ("sub/b.json", 2), ("sub/deep/c.json", 3), ("sub/_no/d.json", 4), ("sub/e.csv", 5)]
    {
        write(directory.path(), name, format!("{{\"id\":{id}}}"));
    }
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, directory.path().join(name)).expect("links");
    link(".", "loop");
    link("..", "sub/up");
    link("deep/c.json", "sub/f.json");
    let read = |pattern: &str| {
        let path = directory.path().join(pattern);
        read_table(
            &[("path", path.to_str().expect("is UTF-8")), ("format", "json")],
            vec![field("id", DataType::Int64)],
        )
        .expect("reads")
        .join(" ")
    };
    assert_eq!(read("**/*.json"), "1 2 3 3");
    assert_eq!(read("sub/**/*.json"), "2 3 3");
    assert_eq!(read("s?b/**/*.json"), "2 3 3");
    assert_eq!(read("**/deep"), "3");
    assert_eq!(read("**/deep/*.json"), "3");
    assert_eq!(read("sub/**"), "2 3 5 3");
    // What is named is meant.
    assert_eq!(read("sub/up/sub/**/[bc].json"), "2 3");
}

#[test]
fn what_is_no_pattern_is_told_where() {
    let directory = directory();
    let check = |name: &str, expected: Expect| {
        let path = directory.path().join(name).to_str().expect("is UTF-8").to_owned();
        let error = read_table(&[("path", &path), ("format", "json")], id_and_text()).expect_err("fails");
        let at = format!("character {}", path.find('[').map_or(0, |at| at + 1));
        let text = format!("{}; {}", error.message().replace(&at, "character N"), error.hint().unwrap_or("no hint"));
        expected.assert_eq(&text.replace(directory.path().to_str().expect("is UTF-8"), "DIR"));
    };
    check(
        "x[.json",
        expect![
            "table 't': 'DIR/x[.json' is no pattern of names: the '[' at character N has no ']' behind it; write [[] for a '[' in a name"
        ],
    );
    check(
        "x**.json",
        expect![
            "table 't': 'DIR/x**.json' is no pattern of names: '**' has to stand alone between two '/'; * stands for any part of a name, ** for directories at any depth, as in 'a/**/*.json'"
        ],
    );
}

#[test]
fn metadata_columns_are_filled_and_columns_may_be_left_out() {
    let directory = directory();
    write(directory.path(), "a.json", "{\"id\":1}\n{\"id\":2}\n");
    write(directory.path(), "b.json", "{\"id\":3}");
    let path = directory.path().to_str().expect("is UTF-8");
    let table = table(&[("path", path), ("format", "json")], vec![field("id", DataType::Int64)]).expect("is a table");
    let source = FilesystemSource::new(&table).expect("is a source");
    let wanted = vec![metadata("file.name", DataType::Utf8View), metadata("file.size", DataType::Int64)];
    let rows =
        read(source.with_schema(Arc::new(Schema::new(wanted))).expect("is known").as_ref(), 2, 1).expect("reads");
    let expected = [(0, "a.json|18"), (9, "a.json|18"), (1 << 40, "b.json|8")].map(|(at, text)| (at, text.to_owned()));
    assert_eq!(rows, expected);

    let counted = source.with_schema(Arc::new(Schema::empty())).expect("is known");
    let mut open =
        counted.open(counted.splits(1).expect("splits"), &context(0, 1, 10, &Arc::default())).expect("opens");
    let SourcePoll::Batch(batch) = open.poll().expect("polls") else { panic!("rows come first") };
    assert_eq!((batch.rows.num_rows(), batch.rows.num_columns()), (2, 0));

    let unknown = vec![metadata("file.nam", DataType::Utf8View)];
    let error = source.with_schema(Arc::new(Schema::new(unknown))).expect_err("is unknown");
    expect![[r#"connector 'filesystem' has no metadata column 'file.nam'; Some("did you mean 'file.name'?")"#]]
        .assert_eq(&format!("{error}; {:?}", error.hint()));
    let wrong = vec![metadata("file.size", DataType::Utf8View)];
    let error = source.with_schema(Arc::new(Schema::new(wrong))).expect_err("has another type");
    expect!["column 'file.size' is a STRING, but the metadata column 'file.size' is a BIGINT"]
        .assert_eq(&error.to_string());
}

#[test]
fn a_record_without_end_is_one_bad_row() {
    let directory = directory();
    let mut text = b"{\"id\":1}\n{\"id\":\"".to_vec();
    text.resize(text.len() + (20 << 20), b'[');
    text.extend_from_slice(b"\n{\"id\":2}\n");
    let path = write(directory.path(), "a.json", &text);
    let dead = directory.path().join("dead");
    let dead = dead.to_str().expect("is UTF-8");
    let options =
        [("path", path.as_str()), ("format", "json"), ("on-error", "dead-letter"), ("dead-letter.path", dead)];
    let table = table(&options, vec![field("id", DataType::Int64)]).expect("is a table");
    for range_bytes in [u64::MAX >> 1, 3 << 20] {
        let source = FilesystemSource::new(&table).expect("is a source").with_range_bytes(range_bytes);
        let rows = read(&source, 2, 10).expect("reads");
        assert_eq!(rows.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        let letter = fs::read_to_string(dead).expect("there is a letter");
        fs::remove_file(dead).expect("removes");
        let letter: serde_json::Value = serde_json::from_str(&letter).expect("one line of JSON");
        assert_eq!(
            (&letter["position"], &letter["reason"]),
            (&"line 2".into(), &"the record is longer than 16 MiB".into())
        );
    }
}

#[test]
fn wrong_options_are_named() {
    let directory = directory();
    let path = write(directory.path(), "a.json", "{}");
    let check =
        |options: &[(&str, &str)], expected: Expect| error_of(options, id_and_text(), directory.path(), expected);
    check(
        &[("path", &path), ("formt", "json")],
        expect![[r#"
        Invalid: connector 'filesystem' has no option 'formt'
        did you mean 'format'?"#]],
    );
    check(
        &[("path", &path), ("format", "json"), ("on-eror", "skip")],
        expect![[r#"
        Invalid: connector 'filesystem' has no option 'on-eror'
        did you mean 'on-error'?"#]],
    );
    check(
        &[("format", "json")],
        expect![[r#"
        Invalid: connector 'filesystem' needs the option 'path'
        add 'path' = '..' to WITH (..): A file, a directory (read with all below it), or a pattern of names with * ? [..]; '-' is standard input."#]],
    );
    check(
        &[("path", &path), ("format", "xml")],
        expect![[r#"
        Invalid: option 'format' has the value 'xml'
        it takes 'json', 'csv' or 'parquet'"#]],
    );
    check(
        &[("path", &path), ("format", "json"), ("on-error", "dead-letter")],
        expect![[r#"
        Invalid: option 'on-error' is 'dead-letter' but there is no path for it
        add 'dead-letter.path' = 'file.jsonl'"#]],
    );
    check(
        &[("path", "-"), ("format", "parquet")],
        expect![[r#"
        Invalid: cannot read Parquet from standard input
        write it to a file first"#]],
    );
    let error = connector("filesytem").expect_err("is unknown");
    expect![[r#"there is no connector 'filesytem'; Some("did you mean 'filesystem'?")"#]]
        .assert_eq(&format!("{error}; {:?}", error.hint()));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name).to_str().expect("is UTF-8").to_owned();
    let check = |name: &str, format: &str, expected: Expect| {
        error_of(&[("path", &path(name)), ("format", format)], id_and_text(), directory.path(), expected);
    };
    write(directory.path(), "trades.json", "{}");
    check(
        "trade.json",
        "json",
        expect![[r#"
        Io: table 't': cannot read 'DIR/trade.json': there is no such file
        did you mean 'DIR/trades.json'?"#]],
    );
    std::os::unix::fs::symlink("nowhere.json", path("link.json")).expect("links");
    check(
        "link.json",
        "json",
        expect![[r#"
        Io: table 't': cannot read 'DIR/link.json': it is a link that leads to no file
        make the link anew, or name the file itself"#]],
    );
    fs::create_dir(path("empty")).expect("creates");
    check(
        "empty",
        "json",
        expect![[r#"
        Io: table 't': cannot read 'DIR/empty': the directory has no files
        names that begin with '.' or '_' are skipped"#]],
    );
    check(
        "*.csv",
        "csv",
        expect![[r#"
        Io: table 't': cannot read 'DIR/*.csv': no file matches it
        names that begin with '.' or '_' are skipped"#]],
    );

    let zipped = gzip(json_file(10_000).as_bytes());
    write(directory.path(), "cut.json.gz", &zipped[..zipped.len() / 2]);
    let error = read_table(&[("path", &path("cut.json.gz")), ("format", "json")], id_and_text()).expect_err("fails");
    assert!(error.message().contains("cut.json.gz' (gzip) beyond byte"), "{error}");
    assert!(error.message().ends_with("of its text: it is cut off"), "{error}");
    let mut broken = zipped.clone();
    broken[zipped.len() / 2..].fill(0);
    write(directory.path(), "broken.json.gz", &broken);
    let error = read_table(&[("path", &path("broken.json.gz")), ("format", "json")], id_and_text()).expect_err("fails");
    assert!(error.message().contains("it is corrupt"), "{error}");
    let mut longer = gzip(b"{\"id\":1}\n");
    longer.extend_from_slice(b"no gzip");
    write(directory.path(), "longer.json.gz", &longer);
    let error = read_table(&[("path", &path("longer.json.gz")), ("format", "json")], id_and_text()).expect_err("fails");
    assert!(error.message().ends_with("it is corrupt (what follows its end is no gzip)"), "{error}");
    let twice = [gzip(b"{\"id\":1}\n"), gzip(b"{\"id\":2}\n")].concat();
    write(directory.path(), "twice.json.gz", &twice);
    let rows = read_table(&[("path", &path("twice.json.gz")), ("format", "json")], id_and_text()).expect("reads");
    assert_eq!(rows, ["1|NULL", "2|NULL"]);
    let zipped = zstd::encode_all(json_file(10_000).as_bytes(), 1).expect("compresses");
    write(directory.path(), "cut.json.zst", &zipped[..zipped.len() / 2]);
    let error = read_table(&[("path", &path("cut.json.zst")), ("format", "json")], id_and_text()).expect_err("fails");
    assert!(error.message().ends_with("of its text: it is cut off"), "{error}");
}

#[test]
fn a_bad_row_fails_with_its_place_and_text() {
    let directory = directory();
    let path = write(directory.path(), "a.json", "{\"id\":1}\n{\"id\":\"x\"}\n");
    error_of(
        &[("path", &path), ("format", "json")],
        id_and_text(),
        directory.path(),
        expect![[r#"
            Data: cannot use a row of table 't': DIR/a.json, line 2: field 'id': cannot read "x" as BIGINT: {"id":"x"}
            set 'on-error' = 'skip' or 'dead-letter' to go on without such rows"#]],
    );
    let rows = read_table(&[("path", &path), ("format", "json"), ("on-error", "skip")], id_and_text()).expect("reads");
    assert_eq!(rows, ["1|NULL"]);
    let rows = read_table(&[("path", &path), ("format", "json"), ("json.ignore-parse-errors", "true")], id_and_text());
    assert_eq!(rows.expect("reads"), ["1|NULL", "NULL|NULL"]);
}

#[test]
fn bare_paths_name_their_format() {
    for (path, expected) in [
        ("a/trades.csv.gz", "format=csv"),
        ("x.JSONL", "format=json"),
        ("x.json.zst", "format=json"),
        ("x.tsv", "format=csv csv.field-delimiter=\\t"),
        ("x.parquet", "format=parquet"),
    ] {
        let options = table_options_for_path(path).expect("is known");
        assert_eq!((options["path"].as_str(), options["connector"].as_str()), (path, "filesystem"));
        for pair in expected.split(' ') {
            let (name, value) = pair.split_once('=').expect("is a pair");
            assert_eq!(options[name], value, "{path}");
        }
        assert_eq!(options.len(), 2 + expected.split(' ').count());
    }
    let error = table_options_for_path("trades.xml").expect_err("is unknown");
    expect!["cannot tell the format of 'trades.xml' by its name"].assert_eq(&error.to_string());
}

#[test]
fn headers_name_columns_in_any_order() {
    let directory = directory();
    let rows: String = (0..50).map(|id| format!("x,text {id},{id}\n")).collect();
    write(directory.path(), "in/a.csv", format!("\u{feff}other, t ,id\n{rows}"));
    write(directory.path(), "in/b.csv", "\n\"id\",t\r\n50,text 50\r\n");
    let path = directory.path().join("in").to_str().expect("is UTF-8").to_owned();
    let options = [("path", path.as_str()), ("format", "csv"), ("csv.header", "true")];
    let expected: Vec<String> = (0..=50).map(|id| format!("{id}|text {id}")).collect();
    let source = FilesystemSource::new(&table(&options, id_and_text()).expect("is a table")).expect("is a source");
    for range_bytes in [7, 100, u64::MAX >> 1] {
        let source = source.clone().with_range_bytes(range_bytes);
        let rows = read(&source, 3, 10).expect("reads");
        assert_eq!(rows.iter().map(|(_, text)| text).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert_eq!(stop_and_go(&source, 10, 2), rows);
    }
    write(directory.path(), "in/c.csv", "id,T\n1,x\n");
    error_of(
        &options,
        id_and_text(),
        directory.path(),
        expect![[r#"
            Io: cannot use the header of 'DIR/in/c.csv': it has no column 't', its names are 'id', 'T'
            did you mean 'T'? a header has the names of the table's columns, in any order; without a header and 'csv.header' fields go by position"#]],
    );
    write(directory.path(), "in/c.csv", "id,t,id\n1,x,2\n");
    error_of(
        &options,
        id_and_text(),
        directory.path(),
        expect![[r#"
            Io: cannot use the header of 'DIR/in/c.csv': it names column 'id' more than once
            give each column of the file a name of its own"#]],
    );
}

/// A column that comes with a later file is one as well; files without it have NULL there.
#[test]
fn columns_are_inferred_from_several_files() {
    let directory = directory();
    write(directory.path(), "json/a.json", "{\"a\":1}\n");
    write(directory.path(), "json/b.json", "{\"b\":\"x\",\"a\":2.5}\n");
    let path = |name: &str| directory.path().join(name).to_str().expect("is UTF-8").to_owned();
    let rows = read_table(&[("path", &path("json")), ("format", "json")], vec![]).expect("reads");
    assert_eq!(rows, ["1.0|NULL", "2.5|x"]);
    write(directory.path(), "csv/a.csv", "");
    write(directory.path(), "csv/b.csv", "a,c\n1,2\n");
    write(directory.path(), "csv/c.csv", "b,c,a\nx,3,2.5\n");
    let rows = read_table(&[("path", &path("csv")), ("format", "csv")], vec![]).expect("reads");
    assert_eq!(rows, ["1.0|2|NULL", "2.5|3|x"]);
    // Rows where names should be.
    write(directory.path(), "csv/d.csv", "y,4,5\n");
    let error = read_table(&[("path", &path("csv")), ("format", "csv")], vec![]).expect_err("fails");
    assert!(error.message().ends_with("d.csv': it has no column 'a', its names are 'y', '4', '5'"), "{error}");
    write(directory.path(), "empty/a.json", "");
    error_of(
        &[("path", &path("empty")), ("format", "json")],
        vec![],
        directory.path(),
        expect![[r#"
            Io: cannot infer the columns of 'DIR/empty/a.json': it holds no record
            declare them with CREATE TABLE"#]],
    );
}

/// A record may be longer than what columns are inferred from.
#[test]
fn columns_are_inferred_from_a_long_line() {
    let directory = directory();
    let line = |bytes: usize| format!("\n{{\"id\":7,\"t\":\"{}\"}}", "x".repeat(bytes));
    let path = write(directory.path(), "long.json", line(2 << 20) + "\n");
    let rows = read_table(&[("path", &path), ("format", "json")], vec![]).expect("reads");
    assert_eq!((rows.len(), &rows[0][..5]), (1, "7|xxx"));
    for format in ["json", "csv"] {
        let path = write(directory.path(), "too_long", line(17 << 20));
        error_of(
            &[("path", &path), ("format", format)],
            vec![],
            directory.path(),
            expect![[r#"
                Io: cannot infer the columns of 'DIR/too_long': line 2: the record is longer than 16 MiB
                write each record on a line of its own"#]],
        );
    }
}

#[test]
fn a_header_that_is_not_utf8_names_no_columns() {
    let directory = directory();
    let path = write(directory.path(), "a.csv", b"b,\xff\xfe\n1,2\n");
    error_of(
        &[("path", &path), ("format", "csv")],
        vec![],
        directory.path(),
        expect![[r#"
            Io: cannot infer the columns of 'DIR/a.csv': line 1, which names them: invalid UTF-8 at byte 2 of the record
            write the file in UTF-8"#]],
    );
    for mark in [b"\xff\xfea\0,\0b\0\n\0x\0,\0y\0\n\0", b"\xfe\xff\0a\0,\0b\0\n\0x\0,\0y\0\n"] {
        let path = write(directory.path(), "b.csv", mark);
        error_of(
            &[("path", &path), ("format", "csv")],
            vec![],
            directory.path(),
            expect![[r#"
                Io: cannot read 'DIR/b.csv': it is written in UTF-16, and files are read as UTF-8
                write it in UTF-8: iconv -f UTF-16 -t UTF-8 old > new"#]],
        );
    }
}

#[test]
fn inferred_tables_are_read_with_their_header() {
    let directory = directory();
    let path = write(directory.path(), "a.csv", "id,price,note\n1,2.5,x\n2,3,\n");
    assert_eq!(read_table(&[("path", &path), ("format", "csv")], vec![]).expect("reads"), ["1|2.5|x", "2|3.0|"]);
    let path = write(directory.path(), "a.json", "{\"b\":1,\"a\":{\"x\":[1]}}\n");
    assert_eq!(read_table(&[("path", &path), ("format", "json")], vec![]).expect("reads"), ["1|{x: [1]}"]);
}

fn parquet_file(path: &str) {
    let nested: StructArray = vec![
        (
            Arc::new(field("p", DataType::Int32)),
            Arc::new(Int32Array::from_iter_values(0..10)) as arrow::array::ArrayRef,
        ),
        (
            Arc::new(field("q", DataType::Utf8)),
            Arc::new(StringArray::from_iter_values((0..10).map(|i| format!("q{i}")))),
        ),
    ]
    .into();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..10)) as arrow::array::ArrayRef),
        ("t", Arc::new(StringArray::from_iter_values((0..10).map(|i| format!("text number {i}"))))),
        ("small", Arc::new(UInt32Array::from_iter_values(0..10))),
        ("ts", Arc::new(TimestampNanosecondArray::from_iter_values((0..10).map(|i| i * 1_500_000)))),
        ("row", Arc::new(nested)),
    ])
    .expect("fits");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4)).build();
    let file = fs::File::create(path).expect("creates");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("writes");
    writer.write(&batch).expect("writes");
    writer.close().expect("writes");
}

#[test]
fn parquet_is_read_by_row_groups() {
    let directory = directory();
    let path = directory.path().join("a.parquet").to_str().expect("is UTF-8").to_owned();
    parquet_file(&path);
    let options = [("path", path.as_str()), ("format", "parquet")];
    let inferred = table(&options, vec![]).expect("is a table");
    expect!["ROW<id BIGINT NOT NULL, t STRING NOT NULL, small BIGINT NOT NULL, ts TIMESTAMP(9) NOT NULL, row ROW<p INT, q STRING> NOT NULL>"]
        .assert_eq(&corelane_stream::sql_type(&DataType::Struct(inferred.schema.fields().clone())));
    let source = FilesystemSource::new(&inferred).expect("is a source");
    assert_eq!(source.splits(1).expect("splits").len(), 3);
    for workers in [1, 2] {
        let rows = read(&source, workers, 3).expect("reads");
        assert_eq!(rows.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        expect!["9|text number 9|9|1970-01-01T00:00:00.013500|{p: 9, q: q9}"].assert_eq(&rows[9].1);
        assert_eq!(rows, stop_and_go(&source, 3, 2));
    }
    // Some columns, and some fields of a ROW, as other types that hold their values.
    let wanted = vec![
        field("row", DataType::Struct(vec![field("q", DataType::Utf8View)].into())),
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("small", DataType::Decimal128(10, 0)),
    ];
    assert_eq!(read_table(&options, wanted).expect("reads")[3], "{q: q3}|1970-01-01T00:00:00.004|3");
    assert_eq!(
        read(source.with_schema(Arc::new(Schema::empty())).expect("is known").as_ref(), 2, 3).expect("reads").len(),
        10
    );

    let check = |fields: Vec<Field>, expected: Expect| error_of(&options, fields, directory.path(), expected);
    check(
        vec![field("t", DataType::Int64)],
        expect![[r#"
        Io: column 't' of 'DIR/a.parquet' is a STRING and cannot be read as BIGINT
        declare it as STRING and CAST it"#]],
    );
    check(
        vec![field("idx", DataType::Utf8View)],
        expect![[r#"
        Io: the file 'DIR/a.parquet' has none of the declared columns: its columns are 'id', 't', 'small', 'ts', 'row'
        did you mean 'id' by 'idx'?"#]],
    );
    // What a file lacks is NULL, be it all that is read.
    let wanted = || vec![field("new", DataType::Utf8View), field("id", DataType::Int64)];
    assert_eq!(read_table(&options, wanted()).expect("reads")[3], "NULL|3");
    let source = FilesystemSource::new(&table(&options, wanted()).expect("is a table")).expect("is a source");
    let new = Schema::new(vec![wanted().remove(0)]);
    let rows = read(source.with_schema(Arc::new(new)).expect("is known").as_ref(), 2, 3).expect("reads");
    assert_eq!((rows.len(), rows[9].1.as_str()), (10, "NULL"));
    let strict = source.refusing_nulls(&["new"]).expect("it can");
    let splits = strict.splits(1).expect("is there");
    let mut opened = strict.open(splits, &context(0, 1, 3, &Arc::default())).expect("opens");
    let error = drain(opened.as_mut(), usize::MAX).expect_err("it is NOT NULL");
    assert!(error.message().ends_with("a.parquet' has no column 'new', which is NOT NULL"), "{error}");
}

/// Row groups of two rows.
#[test]
fn unsigned_columns_of_parquet_have_their_sql_types() {
    let directory = directory();
    let path = directory.path().join("a.parquet").to_str().expect("is UTF-8").to_owned();
    parquet_file(&path);
    error_of(
        &[("path", &path), ("format", "parquet")],
        vec![field("small", DataType::Int32)],
        directory.path(),
        expect![[r#"
            Io: column 'small' of 'DIR/a.parquet' is a BIGINT and cannot be read as INT
            declare it as BIGINT and CAST it"#]],
    );
}

fn ids_file(path: &Path, ids: std::ops::Range<i64>) {
    let ids = Arc::new(Int64Array::from_iter_values(ids)) as arrow::array::ArrayRef;
    let batch = RecordBatch::try_from_iter([("id", ids)]).expect("fits");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let file = fs::File::create(path).expect("creates");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("writes");
    writer.write(&batch).expect("writes");
    writer.close().expect("writes");
}

#[test]
fn columns_of_several_parquet_files_are_those_of_all() {
    let directory = directory();
    ids_file(&directory.path().join("a.parquet"), 0..3);
    parquet_file(directory.path().join("b.parquet").to_str().expect("is UTF-8"));
    let options = [("path", directory.path().to_str().expect("is UTF-8")), ("format", "parquet")];
    let schema = table(&options, vec![]).expect("is a table").schema.clone();
    expect!["ROW<id BIGINT NOT NULL, t STRING, small BIGINT, ts TIMESTAMP(9), row ROW<p INT, q STRING>>"]
        .assert_eq(&corelane_stream::sql_type(&DataType::Struct(schema.fields().clone())));
    let rows = read_table(&options, vec![]).expect("reads");
    assert_eq!((rows.len(), rows[0].as_str()), (13, "0|NULL|NULL|NULL|NULL"));
}

#[test]
fn corrupt_parquet_is_an_error_and_no_panic() {
    let directory = directory();
    let path = directory.path().join("a.parquet").to_str().expect("is UTF-8").to_owned();
    parquet_file(&path);
    let whole = fs::read(&path).expect("reads");
    let options = [("path", path.as_str()), ("format", "parquet")];
    let hook = std::panic::take_hook();
    // The reader's panics are caught; any other is told.
    std::panic::set_hook(Box::new(move |panic| {
        if !super::is_reading_guarded() {
            eprintln!("{panic}");
        }
    }));
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).expect("writes");
        if let Err(error) = read_table(&options, vec![field("id", DataType::Int64), field("t", DataType::Utf8View)]) {
            assert!(error.message().contains("a.parquet"), "{error}");
        }
    }
    std::panic::set_hook(hook);
    fs::write(&path, &whole[..whole.len() - 10]).expect("writes");
    error_of(
        &options,
        id_and_text(),
        directory.path(),
        expect![[r#"
        Io: cannot read 'DIR/a.parquet' as Parquet: it is cut off: a Parquet file ends in a footer, and this one has none
        write the file again, or fetch it again from where it came"#]],
    );
}

/// A followed table on some workers, and a clock that the test moves.
struct Following {
    clock: Arc<FakeClock>,
    spec: Arc<dyn SourceSpec>,
    sources: Vec<Box<dyn Source>>,
}

impl Following {
    fn start(path: &str, format: &str, workers: usize) -> Following {
        let options = [("path", path), ("format", format), ("source.monitor-interval", "1 s")];
        let table = table(&options, vec![field("id", DataType::Int64)]).expect("is a table");
        let spec = with_position(&FilesystemSource::new(&table).expect("is a source"));
        assert!(!spec.bounded());
        let splits = spec.splits(workers).expect("splits");
        let mut following = Following { clock: Arc::default(), spec, sources: vec![] };
        following.open(splits, workers);
        following
    }

    fn open(&mut self, splits: Vec<Split>, workers: usize) {
        let share = |worker| splits.iter().skip(worker).step_by(workers).cloned().collect();
        let open = |worker| self.spec.open(share(worker), &context(worker, workers, 2, &self.clock)).expect("opens");
        self.sources = (0..workers).map(open).collect();
    }

    fn restart(&mut self, workers: usize) {
        let splits = self.sources.iter().flat_map(|source| source.snapshot()).collect();
        self.open(splits, workers);
    }

    /// The rows that came since the last call.
    fn news(&mut self) -> String {
        self.try_news().expect("reads")
    }

    fn try_news(&mut self) -> Result<String> {
        self.clock.0.fetch_add(1_000_000_000, Ordering::Relaxed);
        let mut rows: Vec<Row> = vec![];
        for source in &mut self.sources {
            rows.extend(drain(source.as_mut(), usize::MAX)?);
        }
        rows.sort();
        Ok(rows.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn growing_and_new_files_are_followed() {
    let directory = directory();
    let path = directory.path().to_str().expect("is UTF-8");
    let append = |name: &str, text: &str| {
        let file = fs::OpenOptions::new().append(true).create(true).open(directory.path().join(name));
        file.expect("opens").write_all(text.as_bytes()).expect("writes");
    };
    append("a.json", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\"");
    for workers in [1, 3] {
        let mut following = Following::start(path, "json", workers);
        assert_eq!(following.news(), if workers == 1 { "1 2 3" } else { "1 2 3 4 5 8 9 6 7" });
        if workers == 3 {
            break;
        }
        assert_eq!(following.news(), "");
        append("a.json", ":4}\n{\"id\":5}");
        assert_eq!(following.news(), "4");
        append("a.json", "\n");
        append("c.json", "{\"id\":6}\n");
        assert_eq!(following.news(), "5 6");
        append("b.json.gz", "");
        following.restart(2);
        append("c.json", "{\"id\":7}\n");
        append("a.json", "{\"id\":8}\n");
        assert_eq!(following.news(), "8 7");
        following.restart(3);
        fs::write(directory.path().join("a.json"), "{\"id\":9}\n").expect("writes");
        assert_eq!(following.news(), "9");
        fs::write(directory.path().join("a.json"), "").expect("writes");
        append("a.json", "");
        assert_eq!(following.news(), "");
        append("a.json", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":4}\n{\"id\":5}\n{\"id\":8}\n{\"id\":9}\n");
        assert_eq!(following.news(), "1 2 3 4 5 8 9");
    }
}

/// A Parquet file is read once it is whole, its row groups by all workers, and never changes after that.
#[test]
fn new_parquet_files_are_followed() {
    for workers in [1, 3] {
        let directory = directory();
        let file = |name: &str| directory.path().join(name);
        ids_file(&file("a.parquet"), 0..6);
        let path = directory.path().to_str().expect("is UTF-8");
        let mut following = Following::start(path, "parquet", workers);
        assert_eq!(following.news(), "0 1 2 3 4 5");
        assert!(following.sources.iter().all(|source| source.counters().rows == 6 / workers as u64));
        assert_eq!(following.news(), "");

        ids_file(&file(".b"), 6..11);
        let whole = fs::read(file(".b")).expect("reads");
        fs::write(file("b.parquet"), "").expect("writes");
        assert_eq!(following.news(), "");
        fs::write(file("b.parquet"), &whole[..whole.len() / 2]).expect("writes");
        assert_eq!(following.news(), "");
        following.restart(2);
        fs::write(file("b.parquet"), &whole[..whole.len() - 1]).expect("writes");
        assert_eq!(following.news(), "");
        fs::write(file("b.parquet"), &whole).expect("writes");
        assert_eq!(following.news(), "6 7 8 9 10");

        following.restart(workers);
        ids_file(&file(".c"), 11..13);
        fs::rename(file(".c"), file("c.parquet")).expect("renames");
        fs::File::options()
            .append(true)
            .open(file("a.parquet"))
            .expect("opens")
            .set_modified(std::time::UNIX_EPOCH)
            .expect("touches");
        assert_eq!(following.news(), "11 12");
        ids_file(&file("a.parquet"), 1..7);
        let error = following.try_news().expect_err("it was read");
        assert!(error.message().ends_with("a.parquet' was changed or replaced after it was read"), "{error}");
    }
}

/// Where a restart comes in the middle of a file, each row is read once.
#[test]
fn followed_parquet_files_go_on_where_they_were() {
    let directory = directory();
    ids_file(&directory.path().join("a.parquet"), 0..9);
    ids_file(&directory.path().join("b.parquet"), 9..12);
    let mut following = Following::start(directory.path().to_str().expect("is UTF-8"), "parquet", 2);
    let mut rows: Vec<Row> = vec![];
    for workers in [1, 3, 2] {
        following.clock.0.fetch_add(1_000_000_000, Ordering::Relaxed);
        for source in &mut following.sources {
            rows.extend(drain(source.as_mut(), 1).expect("reads"));
        }
        following.restart(workers);
    }
    let rest = following.news();
    let mut ids: Vec<i64> = rows.iter().map(|(_, text)| text.parse().expect("a number")).collect();
    ids.extend(rest.split_whitespace().map(|id| id.parse::<i64>().expect("a number")));
    ids.sort();
    assert_eq!(ids, (0..12).collect::<Vec<_>>());
}

#[test]
fn one_parquet_file_cannot_be_followed() {
    let directory = directory();
    let path = directory.path().join("a.parquet");
    ids_file(&path, 0..1);
    let path = path.to_str().expect("is UTF-8");
    let options = [("path", path), ("format", "parquet"), ("source.monitor-interval", "1 s")];
    error_of(
        &options,
        vec![field("id", DataType::Int64)],
        directory.path(),
        expect![[r#"
            Invalid: table 't': 'source.monitor-interval' follows directories and patterns of Parquet files, and 'DIR/a.parquet' is one file, which cannot grow
            give its directory or a pattern as 'path', or leave 'source.monitor-interval' out"#]],
    );
}

#[test]
fn options_without_effect_are_refused() {
    let directory = directory();
    let path = write(directory.path(), "a.json", "{}");
    error_of(
        &[("path", &path), ("format", "json"), ("on-error", "skip"), ("dead-letter.path", "dead.jsonl")],
        id_and_text(),
        directory.path(),
        expect![[r#"
            Invalid: option 'dead-letter.path' has no use: no row goes there
            add 'on-error' = 'dead-letter' or 'late-rows' = 'dead-letter', or leave it out"#]],
    );
    for sink in ["print", "blackhole"] {
        let options =
            [("connector", sink), ("late-rows", "drop")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error =
            check_options(connector(sink).expect("is known"), &options.into()).expect_err("no rows come from it");
        assert_eq!(error.message(), format!("connector '{sink}' has no option 'late-rows'"));
    }
}
