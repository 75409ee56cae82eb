//! Columns that nobody declared: what is read is what stands in the file.

use expect_test::{Expect, expect};

use crate::program::Place;

/// The columns of a file and its rows.
fn check(name: &str, text: &str, expected: Expect) {
    let place = Place::with(&[(name, text)]);
    let format = if name.ends_with(".json") { "json" } else { "csv" };
    let sql = format!(
        "CREATE TABLE t WITH ('connector' = 'filesystem', 'path' = '{name}', 'format' = '{format}');\n\
         DESCRIBE t;\nSELECT * FROM '{name}';\nSELECT COUNT(*) AS n FROM t"
    );
    let ran = place.run(place.sql(&sql, &["--format", "csv"]));
    let (columns, rows) = ran.stdout.split_once("\n").unwrap_or_default();
    assert!(["name,type,null,key,extras,watermark", ""].contains(&columns), "{}", ran.stderr);
    expected.assert_eq(&format!("{rows}{}", ran.stderr));
}

#[test]
fn digits_of_a_second() {
    check(
        "in.csv",
        "a,b,c\n2024-01-01 10:00:00,2024-01-01 10:00:00.123,2024-01-01 10:00:00.123456789\n\
         2024-01-01 10:00:00.123456,2024-01-01 10:00:00,2024-01-01 10:00:00\n",
        expect![[r#"
            a,TIMESTAMP(6),TRUE,"","",""
            b,TIMESTAMP(3),TRUE,"","",""
            c,TIMESTAMP(9),TRUE,"","",""
            a,b,c
            2024-01-01 10:00:00.000000,2024-01-01 10:00:00.123,2024-01-01 10:00:00.123456789
            2024-01-01 10:00:00.123456,2024-01-01 10:00:00.000,2024-01-01 10:00:00.000000000
            n
            2
        "#]],
    );
}

#[test]
fn zeros_in_front_are_kept() {
    check(
        "in.csv",
        "zip,n,minus,d\n00123,0,-01,0.5\n10115,10,5,-0.25\n",
        expect![[r#"
        zip,STRING,TRUE,"","",""
        n,BIGINT,TRUE,"","",""
        minus,STRING,TRUE,"","",""
        d,DOUBLE,TRUE,"","",""
        zip,n,minus,d
        00123,0,-01,0.5
        10115,10,5,-0.25
        n
        2
    "#]],
    );
}

#[test]
fn other_delimiters_than_commas() {
    for delimiter in [";", "|", "\t"] {
        let text = "id#name\n1#\"a,b\"\n2#\"x;y|z\"\n".replace('#', delimiter);
        let expected = expect![[r#"
            id,BIGINT,TRUE,"","",""
            name,STRING,TRUE,"","",""
            id,name
            1,"a,b"
            2,x;y|z
            n
            2
        "#]];
        check("in.csv", &text, expected);
    }
    // One column stays one, and commas come first.
    check(
        "in.csv",
        "note\na;b\nc|d;e\n",
        expect![[r#"
        note,STRING,TRUE,"","",""
        note
        a;b
        c|d;e
        n
        2
    "#]],
    );
    check(
        "in.csv",
        "a,b;c\n1,x;y\n2,z;w\n",
        expect![[r#"
        a,BIGINT,TRUE,"","",""
        b;c,STRING,TRUE,"","",""
        a,b;c
        1,x;y
        2,z;w
        n
        2
    "#]],
    );
}

#[test]
fn times_in_json() {
    check(
        "in.json",
        "{\"ts\":\"2024-01-01 10:00:00.5\",\"z\":\"2024-01-01T10:00:00.123456Z\",\"d\":\"2024-01-01\",\"s\":\"2024-01-01\",\"n\":\"12\"}\n\
         {\"ts\":\"2024-01-01 10:00:01\",\"z\":\"2024-01-01 10:00:00\",\"d\":null,\"s\":\"x\",\"n\":\"true\"}\n",
        expect![[r#"
            ts,TIMESTAMP(3),TRUE,"","",""
            z,TIMESTAMP(6),TRUE,"","",""
            d,DATE,TRUE,"","",""
            s,STRING,TRUE,"","",""
            n,STRING,TRUE,"","",""
            ts,z,d,s,n
            2024-01-01 10:00:00.500,2024-01-01 10:00:00.123456,2024-01-01,2024-01-01,12
            2024-01-01 10:00:01.000,2024-01-01 10:00:00.000000,,x,true
            n
            2
        "#]],
    );
}

#[test]
fn headers_that_name_no_column() {
    check(
        "in.csv",
        "id,id,,f2,f2\n1,2,3,4,5\n",
        expect![[r#"
            id,BIGINT,TRUE,"","",""
            f1,BIGINT,TRUE,"","",""
            f3,BIGINT,TRUE,"","",""
            f2,BIGINT,TRUE,"","",""
            f4,BIGINT,TRUE,"","",""
            id,f1,f3,f2,f4
            1,2,3,4,5
            n
            1
        "#]],
    );
    check(
        "in.csv",
        "id,name\r1,x\r2,y\r",
        expect![[r#"
            error: cannot infer the columns of 'in.csv': its lines end in carriage returns alone
            command:1:14
            CREATE TABLE t WITH ('connector' = 'filesystem', 'path' = 'in.csv', 'format' = 'csv');
                         ^
            hint: have them end in newlines: tr '\r' '\n' < old.csv > new.csv
        "#]],
    );
}
