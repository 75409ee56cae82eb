//! Wrong SQL: exit code 3, the place, and what was meant.

use expect_test::expect;

use crate::program::Place;

fn place() -> Place {
    Place::with(&[("bids.csv", "auction,price,note\n1,10,x\n2,20,y\n")])
}

#[test]
fn a_syntax_error() {
    place().refused("SELEC 1", 3, expect![]);
    place().refused("SELECT auction,\n  FROM 'bids.csv'\n WHERE price >", 3, expect![]);
    place().refused("SELECT 'open FROM 'bids.csv'", 3, expect![]);
    place().refused("CREATE TABLE t (a BIGNIT) WITH ('connector' = 'blackhole')", 3, expect![]);
}

#[test]
fn an_unknown_table() {
    let declared = "CREATE TABLE bids (a BIGINT) WITH ('connector' = 'blackhole');\n";
    place().refused(&format!("{declared}SELECT a FROM bid"), 3, expect![]);
    place().refused(&format!("{declared}INSERT INTO bds SELECT 1"), 3, expect![]);
    place().refused("SELECT a FROM trades", 3, expect![]);
}

#[test]
fn an_unknown_column() {
    place().refused("SELECT pric FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT b.pirce FROM 'bids.csv' AS b", 3, expect![]);
    place().refused("SELECT temperature FROM 'bids.csv'", 3, expect![]);
}

#[test]
fn an_unknown_function() {
    place().refused("SELECT UPER(note) FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT COUN(*) FROM 'bids.csv'", 3, expect![]);
}

#[test]
fn an_unknown_option() {
    place().refused(
        "CREATE TABLE t (a BIGINT)\nWITH ('connector' = 'filesystem', 'pth' = 'bids.csv', 'format' = 'csv')",
        3,
        expect![],
    );
    place().refused("CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesytem')", 3, expect![]);
    place().refused(
        "CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'cvs')",
        3,
        expect![],
    );
    place().refused("SET 'table.exec.source.idle-timeot' = '1 s'", 3, expect![]);
}

#[test]
fn types_that_do_not_fit() {
    place().refused("SELECT price + note FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT price AND note FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT SUM(note) FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT UPPER(note, price) FROM 'bids.csv'", 3, expect![]);
    place().refused("SELECT CAST('x' AS INT)", 3, expect![]);
    let sink = "CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'blackhole');\n";
    place().refused(&format!("{sink}INSERT INTO t SELECT note, note FROM 'bids.csv'"), 3, expect![]);
    place().refused(&format!("{sink}INSERT INTO t SELECT price FROM 'bids.csv'"), 3, expect![]);
}

#[test]
fn a_watermark_on_what_is_not_a_time() {
    place().refused(
        "CREATE TABLE t (\n  a BIGINT,\n  w STRING,\n  WATERMARK FOR w AS w\n) WITH ('connector' = 'datagen')",
        3,
        expect![],
    );
    place().refused("CREATE TABLE t (a BIGINT, WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen')", 3, expect![]);
}

#[test]
fn what_is_not_supported_is_refused() {
    place().refused("SELECT x.price FROM 'bids.csv' AS x JOIN 'bids.csv' AS y ON x.auction = y.auction", 3, expect![]);
    place().refused("SELECT LEAD(price) OVER (ORDER BY auction) FROM 'bids.csv'", 3, expect![]);
}
