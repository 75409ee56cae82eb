//! Files that are missing, closed to us, or broken as a whole: exit code 4.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use expect_test::expect;
use parquet::arrow::ArrowWriter;

use super::{gzip, parquet, table};
use crate::program::{Place, in_child};

#[test]
fn a_missing_file() {
    let place = Place::new();
    place.refused(
        &(table("a BIGINT", "csv", "none.csv", "") + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: table 't': cannot read 'none.csv': there is no such file
        hint: paths are relative to the directory that the command runs in
    "#]],
    );
    place.refused(
        "SELECT * FROM 'none.csv'",
        4,
        expect![[r#"
        error: cannot read 'none.csv': there is no such file
        command:1:15
        SELECT * FROM 'none.csv'
                      ^^^^^^^^^^
        hint: paths are relative to the directory that the command runs in
    "#]],
    );
    place.refused(
        "SELECT * FROM 'none-*.csv'",
        4,
        expect![[r#"
        error: cannot read 'none-*.csv': no file matches it
        command:1:15
        SELECT * FROM 'none-*.csv'
                      ^^^^^^^^^^^^
        hint: names that begin with '.' or '_' are skipped
    "#]],
    );
}

#[test]
fn a_pipe_with_a_name() {
    let place = Place::new();
    let name = std::ffi::CString::new(place.path("in.csv").into_os_string().into_encoded_bytes()).expect("a path");
    // SAFETY: the name ends in a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", "") + "SELECT * FROM t"),
        4,
        expect![[r#"
            error: table 't': cannot read 'in.csv': it is a pipe, a socket or a device and not a file
            hint: pass it as standard input: 'path' = '-'
        "#]],
    );
}

#[test]
fn a_directory_without_files() {
    let place = Place::new();
    fs::create_dir(place.path("in")).expect("a folder");
    place.refused(
        &(table("a BIGINT", "json", "in", "") + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: table 't': cannot read 'in': the directory has no files
        hint: names that begin with '.' or '_' are skipped
    "#]],
    );
    place.write("in/.hidden", b"1\n");
    place.refused(
        &(table("a BIGINT", "json", "in/*.json", "") + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: table 't': cannot read 'in/*.json': no file matches it
        hint: names that begin with '.' or '_' are skipped
    "#]],
    );
}

/// Root may read everything, so there the program runs without that privilege.
#[test]
fn an_unreadable_file() {
    let place = Place::with(&[("closed.csv", "1\n")]);
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(place.path("closed.csv"), fs::Permissions::from_mode(0o000)).expect("ours");
    let mut command = place.sql(&(table("a BIGINT", "csv", "closed.csv", "") + "SELECT * FROM t"), &[]);
    // SAFETY: asks the kernel for a number.
    if unsafe { libc::geteuid() } == 0 {
        in_child(&mut command, || {
            const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
            const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;
            for capability in [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH] {
                // SAFETY: a system call.
                if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let ran = place.run(command);
    expect![[r#"
        error: cannot read 'closed.csv': permission denied
        hint: the user that runs the command needs read permission
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(ran.code, 4);
}

#[test]
fn a_gzip_file_that_is_cut_off() {
    let place = Place::new();
    let lines: String = (0..10_000).map(|number| format!("{{\"a\":{number}}}\n")).collect();
    let whole = gzip(lines.as_bytes());
    place.write("cut.json.gz", &whole[..whole.len() / 2]);
    place.refused(
        &(table("a BIGINT", "json", "cut.json.gz", "") + "SELECT COUNT(*) FROM t"),
        4,
        expect![[r#"
        error: cannot decompress 'cut.json.gz' (gzip) beyond byte 51850 of its text: it is cut off
        hint: the file has to be fetched or written again
    "#]],
    );
    place.write("tiny.json.gz", &whole[..12]);
    place.refused(
        "SELECT * FROM 'tiny.json.gz'",
        4,
        expect![[r#"
        error: cannot decompress 'tiny.json.gz' (gzip) beyond byte 0 of its text: it is cut off
        command:1:15
        SELECT * FROM 'tiny.json.gz'
                      ^^^^^^^^^^^^^^
        hint: the file has to be fetched or written again
    "#]],
    );
}

#[test]
fn a_corrupt_parquet_file() {
    let place = Place::new();
    let whole = parquet(0..10_000);
    place.write("noise.parquet", &[7; 3_000]);
    place.refused(
        "SELECT * FROM 'noise.parquet'",
        4,
        expect![[r#"
        error: cannot read 'noise.parquet' as Parquet: it is another format
        command:1:15
        SELECT * FROM 'noise.parquet'
                      ^^^^^^^^^^^^^^^
        hint: name the format that it has: 'format' = 'csv' or 'json', or the ending .csv or .json
    "#]],
    );
    place.write("cut.parquet", &whole[..whole.len() / 2]);
    place.refused(
        "SELECT * FROM 'cut.parquet'",
        4,
        expect![[r#"
        error: cannot read 'cut.parquet' as Parquet: it is cut off: a Parquet file ends in a footer, and this one has none
        command:1:15
        SELECT * FROM 'cut.parquet'
                      ^^^^^^^^^^^^^
        hint: write the file again, or fetch it again from where it came
    "#]],
    );
    let mut spoilt = whole.clone();
    spoilt[4..100].fill(0xa5);
    place.write("spoilt.parquet", &spoilt);
    place.refused(
        "SELECT SUM(a) FROM 'spoilt.parquet'",
        4,
        expect![[r#"
        error: cannot read 'spoilt.parquet' as Parquet: its row group 0 is damaged
        hint: write the file again, or fetch it again from where it came
    "#]],
    );
    place.write("empty.parquet", b"");
    place.refused(
        "SELECT * FROM 'empty.parquet'",
        4,
        expect![[r#"
        error: cannot read 'empty.parquet' as Parquet: it is empty
        command:1:15
        SELECT * FROM 'empty.parquet'
                      ^^^^^^^^^^^^^^^
        hint: write the file again, or fetch it again from where it came
    "#]],
    );
    place.write("whole.parquet", &whole);
    place.answers(
        "SELECT SUM(a) AS total FROM 'whole.parquet'",
        expect![[r#"
        total
        49995000
    "#]],
    );
    place.refused(
        &(table("a STRING, b INT", "parquet", "whole.parquet", "") + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: column 'a' of 'whole.parquet' is a BIGINT and cannot be read as STRING
        hint: declare it as BIGINT and CAST it
    "#]],
    );
}

#[test]
fn a_parquet_file_with_columns_of_one_name() {
    let place = Place::new();
    let column = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..3)) };
    let rows = RecordBatch::try_from_iter([("a", column()), ("a", column())]).expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("a known type");
    writer.write(&rows).expect("memory takes all");
    place.write("twice.parquet", &writer.into_inner().expect("memory takes all"));
    place.refused(
        "SELECT * FROM 'twice.parquet'",
        3,
        expect![[r#"
            error: 'twice.parquet' has several columns named 'a'
            command:1:15
            SELECT * FROM 'twice.parquet'
                          ^^^^^^^^^^^^^^^
            hint: write the file again with a name of its own for each column
        "#]],
    );
}

/// Each row would go to one reader only.
#[test]
fn standard_input_with_two_readers() {
    let place = Place::new();
    let tables =
        table("a BIGINT", "csv", "-", "") + &table("a BIGINT", "csv", "file://-", "").replace("TABLE t", "TABLE u");
    place.refused(
        &(tables.clone() + "SELECT a FROM t UNION ALL SELECT a + 1 FROM t"),
        3,
        expect![[r#"
            error: standard input can be read once, and table 't' is read twice
            hint: write it to a file first and read that
        "#]],
    );
    place.refused(
        &(tables.clone() + "SELECT a FROM t; SELECT a FROM u"),
        3,
        expect![[r#"
            error: standard input can be read once, and an earlier statement has read it before table 'u' does
            hint: write it to a file first and read that
        "#]],
    );
    let explained = place.run(place.sql(&(tables.clone() + "SELECT a FROM t; SELECT a FROM u"), &["--explain"]));
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    place.refused(
        &(tables + "SELECT a FROM t UNION ALL SELECT a FROM u"),
        3,
        expect![[r#"
            error: standard input can be read once, and tables 't' and 'u' are both read
            hint: write it to a file first and read that
        "#]],
    );
}
