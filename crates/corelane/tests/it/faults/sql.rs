//! Wrong SQL: exit code 3, the place, and what was meant.

use expect_test::expect;

use crate::program::Place;

fn place() -> Place {
    Place::with(&[("bids.csv", "auction,price,note\n1,10,x\n2,20,y\n")])
}

#[test]
fn a_syntax_error() {
    place().refused(
        "SELEC 1",
        3,
        expect![[r#"
        error: expected a statement, found SELEC
        command:1:1
        SELEC 1
        ^^^^^
        hint: did you mean SELECT?
    "#]],
    );
    place().refused(
        "SELECT auction,\n  FROM 'bids.csv'\n WHERE price >",
        3,
        expect![[r#"
            error: expected an expression, found FROM
            command:2:3
              FROM 'bids.csv'
              ^^^^
        "#]],
    );
    place().refused(
        "SELECT 'open FROM 'bids.csv'",
        3,
        expect![[r#"
        error: unterminated string literal
        command:1:28
        SELECT 'open FROM 'bids.csv'
                                   ^
    "#]],
    );
    place().refused(
        "CREATE TABLE t (a BIGNIT) WITH ('connector' = 'blackhole')",
        3,
        expect![[r#"
            error: expected a type, found BIGNIT
            command:1:19
            CREATE TABLE t (a BIGNIT) WITH ('connector' = 'blackhole')
                              ^^^^^^
            hint: did you mean BIGINT?
        "#]],
    );
}

#[test]
fn an_unknown_table() {
    let declared = "CREATE TABLE bids (a BIGINT) WITH ('connector' = 'blackhole');\n";
    place().refused(
        &format!("{declared}SELECT a FROM bid"),
        3,
        expect![[r#"
        error: there is no table or view named "bid"
        command:2:15
        SELECT a FROM bid
                      ^^^
        hint: did you mean "bids"?
    "#]],
    );
    place().refused(
        &format!("{declared}INSERT INTO bds SELECT 1"),
        3,
        expect![[r#"
        error: there is no table named "bds"
        command:2:13
        INSERT INTO bds SELECT 1
                    ^^^
        hint: did you mean "bids"?
    "#]],
    );
    place().refused(
        "SELECT a FROM trades",
        3,
        expect![[r#"
        error: there is no table or view named "trades"
        command:1:15
        SELECT a FROM trades
                      ^^^^^^
        hint: CREATE TABLE declares one, and FROM 'file.csv' reads a file without
    "#]],
    );
}

#[test]
fn an_unknown_column() {
    place().refused(
        "SELECT pric FROM 'bids.csv'",
        3,
        expect![[r#"
            error: column 'pric' not found
            command:1:8
            SELECT pric FROM 'bids.csv'
                   ^^^^
            hint: did you mean price?
        "#]],
    );
    place().refused(
        "SELECT b.pirce FROM 'bids.csv' AS b",
        3,
        expect![[r#"
            error: column 'pirce' not found in 'b'
            command:1:8
            SELECT b.pirce FROM 'bids.csv' AS b
                   ^^^^^^^
            hint: did you mean price?
        "#]],
    );
    place().refused(
        "SELECT temperature FROM 'bids.csv'",
        3,
        expect![[r#"
        error: column 'temperature' not found
        command:1:8
        SELECT temperature FROM 'bids.csv'
               ^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn an_unknown_function() {
    place().refused(
        "SELECT UPER(note) FROM 'bids.csv'",
        3,
        expect![[r#"
        error: there is no function UPER
        command:1:8
        SELECT UPER(note) FROM 'bids.csv'
               ^^^^
        hint: did you mean UPPER?
    "#]],
    );
    place().refused(
        "SELECT COUN(*) FROM 'bids.csv'",
        3,
        expect![[r#"
        error: there is no function COUN
        command:1:8
        SELECT COUN(*) FROM 'bids.csv'
               ^^^^
        hint: did you mean COUNT?
    "#]],
    );
}

#[test]
fn an_unknown_option() {
    place().refused(
        "CREATE TABLE t (a BIGINT)\nWITH ('connector' = 'filesystem', 'pth' = 'bids.csv', 'format' = 'csv')",
        3,
        expect![[r#"
            error: connector 'filesystem' has no option 'pth'
            command:2:35
            WITH ('connector' = 'filesystem', 'pth' = 'bids.csv', 'format' = 'csv')
                                              ^^^^^
            hint: did you mean 'path'?
        "#]],
    );
    place().refused(
        "CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesytem')",
        3,
        expect![[r#"
        error: there is no connector 'filesytem'
        command:1:47
        CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesytem')
                                                      ^^^^^^^^^^^
        hint: did you mean 'filesystem'?
    "#]],
    );
    place().refused(
        "CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 'bids.csv', 'format' = 'cvs');\nSELECT a FROM t",
        3,
        expect![[r#"
            error: option 'format' has the value 'cvs'
            command:1:93
            CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 'bids.csv', 'format' = 'cvs');
                                                                                                        ^^^^^
            hint: did you mean 'csv'? it takes 'json', 'csv' or 'parquet'
        "#]],
    );
    place().refused(
        "SET 'table.exec.source.idle-timeot' = '1 s'",
        3,
        expect![[r#"
        error: there is no option 'table.exec.source.idle-timeot'
        command:1:5
        SET 'table.exec.source.idle-timeot' = '1 s'
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: did you mean 'table.exec.source.idle-timeout'?
    "#]],
    );
}

#[test]
fn types_that_do_not_fit() {
    place().refused(
        "SELECT price + note FROM 'bids.csv'",
        3,
        expect![[r#"
        error: + does not go with BIGINT and STRING
        command:1:8
        SELECT price + note FROM 'bids.csv'
               ^^^^^^^^^^^^
        hint: CAST the text to a number, or put texts together by ||
    "#]],
    );
    place().refused(
        "SELECT price AND note FROM 'bids.csv'",
        3,
        expect![[r#"
        error: AND takes conditions, not BIGINT
        command:1:8
        SELECT price AND note FROM 'bids.csv'
               ^^^^^^^^^^^^^^
    "#]],
    );
    place().refused(
        "SELECT SUM(note) FROM 'bids.csv'",
        3,
        expect![[r#"
            error: SUM takes a number, not STRING
            command:1:12
            SELECT SUM(note) FROM 'bids.csv'
                       ^^^^
        "#]],
    );
    place().refused(
        "SELECT UPPER(note, price) FROM 'bids.csv'",
        3,
        expect![[r#"
            error: UPPER takes other arguments than the 2 given: UPPER(s)
            command:1:8
            SELECT UPPER(note, price) FROM 'bids.csv'
                   ^^^^^^^^^^^^^^^^^^
        "#]],
    );
    place().refused(
        "SELECT CAST('x' AS INT)",
        3,
        expect![[r#"
            error: cannot cast 'x' to INT
            command:1:13
            SELECT CAST('x' AS INT)
                        ^^^
        "#]],
    );
    let sink = "CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'blackhole');\n";
    place().refused(
        &format!("{sink}INSERT INTO t SELECT note, note AS b FROM 'bids.csv'"),
        3,
        expect![[r#"
        error: column "note" of the query is of type STRING, and column "a" of the table of type BIGINT
        command:2:22
        INSERT INTO t SELECT note, note AS b FROM 'bids.csv'
                             ^^^^
        hint: CAST(note AS BIGINT) if that is meant
    "#]],
    );
    place().refused(
        &format!("{sink}INSERT INTO t SELECT price FROM 'bids.csv'"),
        3,
        expect![[r#"
        error: the query gives 1 columns and table "t" takes 2
        command:2:1
        INSERT INTO t SELECT price FROM 'bids.csv'
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        hint: it takes a, b
    "#]],
    );
}

#[test]
fn a_watermark_on_what_is_not_a_time() {
    place().refused(
        "CREATE TABLE t (\n  a BIGINT,\n  w STRING,\n  WATERMARK FOR w AS w\n) WITH ('connector' = 'datagen')",
        3,
        expect![[r#"
            error: the watermark is for column "w", which is a STRING and not a TIMESTAMP
            command:4:17
              WATERMARK FOR w AS w
                            ^
            hint: add a computed column, for example w_time AS TO_TIMESTAMP(w), and take that
        "#]],
    );
    place().refused(
        "CREATE TABLE t (a BIGINT, WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen')",
        3,
        expect![[r#"
        error: the watermark is for column "ts", which the table does not have
        command:1:41
        CREATE TABLE t (a BIGINT, WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen')
                                                ^^
    "#]],
    );
}

#[test]
fn what_is_not_supported_is_refused() {
    place().refused(
        "SELECT x.price FROM 'bids.csv' AS x JOIN 'bids.csv' AS y ON x.auction = y.auction",
        3,
        expect![[r#"
            error: JOIN is not supported yet
            command:1:42
            SELECT x.price FROM 'bids.csv' AS x JOIN 'bids.csv' AS y ON x.auction = y.auction
                                                     ^^^^^^^^^^^^^^^
            hint: a query reads one table; UNION ALL puts tables of the same columns together
        "#]],
    );
    let lead = "CREATE TABLE t (a BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen');\n\
                SELECT LEAD(a) OVER (ORDER BY ts) FROM t";
    let refusal = expect![[r#"
        error: LEAD looks at rows that have not come yet, so over a stream it never has an answer
        command:2:8
        SELECT LEAD(a) OVER (ORDER BY ts) FROM t
               ^^^^^^^
        hint: use LAG with the roles of the rows exchanged
    "#]];
    place().refused(lead, 3, refusal);
}
