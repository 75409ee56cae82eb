//! Types and parts that do not go where they are written: exit code 3, the place, and what would do.

use expect_test::expect;

use crate::program::Place;

fn place() -> Place {
    Place::with(&[("bids.csv", "auction,price,note\n1,10,x\n2,20,y\n")])
}

#[test]
fn arguments_that_a_function_does_not_take() {
    let wrong = [
        "HEX(INTERVAL '1' DAY)",
        "HEX(1.5)",
        "CARDINALITY(DATE '2020-01-01')",
        "ARRAY_CONCAT('(')",
        "ARRAY_CONCAT(ARRAY[1], 2)",
        "TO_TIMESTAMP_LTZ('x', TRUE)",
        "TO_TIMESTAMP_LTZ(price, 'x')",
        "TO_TIMESTAMP_LTZ(TRUE)",
        "JSON_OBJECT(KEY 5 VALUE note)",
        "ARRAY_CONTAINS(ARRAY[1], note)",
        "GREATEST(MAP['a', 1], MAP['b', 2])",
        "ARRAY[1, 2][1.5]",
        "MAP['a', 1][auction]",
        "note[1]",
        "ARRAY[1]['x']",
        "price || note",
        "COALESCE(price, note)",
    ];
    let place = place();
    let said = wrong.map(|call| place.refusal(&format!("SELECT {call} FROM 'bids.csv'")));
    expect![[r#"
        error: HEX cannot take INTERVAL DAY TO SECOND as argument 1: HEX(x) takes an integer or a text or bytes there
        command:1:21
        SELECT HEX(INTERVAL '1' DAY) FROM 'bids.csv'
                            ^^^

        error: HEX cannot take DECIMAL(2, 1) as argument 1: HEX(x) takes an integer or a text or bytes there
        command:1:12
        SELECT HEX(1.5) FROM 'bids.csv'
                   ^^^

        error: CARDINALITY cannot take DATE as argument 1: CARDINALITY(a) takes an array or a map there
        command:1:25
        SELECT CARDINALITY(DATE '2020-01-01') FROM 'bids.csv'
                                ^^^^^^^^^^^^

        error: ARRAY_CONCAT cannot take STRING as argument 1: ARRAY_CONCAT(a, ..) takes an array there
        command:1:21
        SELECT ARRAY_CONCAT('(') FROM 'bids.csv'
                            ^^^

        error: ARRAY_CONCAT takes values of one type, not ARRAY<INT>, INT
        command:1:31
        SELECT ARRAY_CONCAT(ARRAY[1], 2) FROM 'bids.csv'
                                      ^

        error: TO_TIMESTAMP_LTZ cannot take BOOLEAN as argument 2: TO_TIMESTAMP_LTZ(n[, precision]) or TO_TIMESTAMP_LTZ(s[, pattern[, zone]]) takes a text there
        command:1:30
        SELECT TO_TIMESTAMP_LTZ('x', TRUE) FROM 'bids.csv'
                                     ^^^^

        error: TO_TIMESTAMP_LTZ cannot take STRING as argument 2: TO_TIMESTAMP_LTZ(n[, precision]) or TO_TIMESTAMP_LTZ(s[, pattern[, zone]]) takes an integer there
        command:1:32
        SELECT TO_TIMESTAMP_LTZ(price, 'x') FROM 'bids.csv'
                                       ^^^

        error: TO_TIMESTAMP_LTZ cannot take BOOLEAN as argument 1: TO_TIMESTAMP_LTZ(n[, precision]) or TO_TIMESTAMP_LTZ(s[, pattern[, zone]]) takes a text or a number there
        command:1:25
        SELECT TO_TIMESTAMP_LTZ(TRUE) FROM 'bids.csv'
                                ^^^^

        error: JSON_OBJECT cannot take INT as argument 2: JSON_OBJECT([KEY] name VALUE x, .. [{NULL | ABSENT} ON NULL]) takes a text there
        command:1:24
        SELECT JSON_OBJECT(KEY 5 VALUE note) FROM 'bids.csv'
                               ^

        error: ARRAY_CONTAINS cannot take STRING as argument 2: ARRAY_CONTAINS(a, x) takes an element of ARRAY<INT> there
        command:1:33
        SELECT ARRAY_CONTAINS(ARRAY[1], note) FROM 'bids.csv'
                                        ^^^^

        error: GREATEST cannot take MAP<STRING, INT> as argument 1: GREATEST(x, ..) takes a value that has an order there
        command:1:17
        SELECT GREATEST(MAP['a', 1], MAP['b', 2]) FROM 'bids.csv'
                        ^^^^^^^^^^^

        error: ELEMENT_AT cannot take DECIMAL(2, 1) as argument 2: a[n] or m[key] takes an integer there
        command:1:20
        SELECT ARRAY[1, 2][1.5] FROM 'bids.csv'
                           ^^^

        error: ELEMENT_AT cannot take BIGINT as argument 2: a[n] or m[key] takes a key of type STRING there
        command:1:20
        SELECT MAP['a', 1][auction] FROM 'bids.csv'
                           ^^^^^^^

        error: ELEMENT_AT cannot take STRING as argument 1: a[n] or m[key] takes an array or a map there
        command:1:8
        SELECT note[1] FROM 'bids.csv'
               ^^^^

        error: ELEMENT_AT cannot take STRING as argument 2: a[n] or m[key] takes an integer there
        command:1:17
        SELECT ARRAY[1]['x'] FROM 'bids.csv'
                        ^^^

        error: CONCAT cannot take BIGINT as argument 1: CONCAT(s, ..) takes a text there
        command:1:8
        SELECT price || note FROM 'bids.csv'
               ^^^^^

        error: COALESCE takes values of one type, not BIGINT, STRING
        command:1:8
        SELECT COALESCE(price, note) FROM 'bids.csv'
               ^^^^^^^^^^^^^^^^^^^^^
    "#]].assert_eq(&said.join("\n"));
}

#[test]
fn a_computed_column_is_of_one_row() {
    let wrong = [
        "COUNT(x)",
        "x + SUM(x) OVER (PARTITION BY x)",
        "ROW_NUMBER() OVER (ORDER BY x)",
        "(SELECT MAX(x) FROM t)",
        "x + z",
        "other + 1",
        "NOW",
    ];
    let place = place();
    let said = wrong.map(|column| {
        let table = format!("CREATE TABLE t (x INT, y AS {column}, other AS x + 1) WITH ('connector' = 'datagen')");
        place.refusal(&table)
    });
    expect![[r#"
        error: COUNT is an aggregate, and a column or watermark of a table is computed from one row
        command:1:29
        CREATE TABLE t (x INT, y AS COUNT(x), other AS x + 1) WITH ('connector' = 'datagen')
                                    ^^^^^
        hint: compute it in a query, or in a view over the table

        error: SUM is of the rows of a window, and a column or watermark of a table is computed from one row
        command:1:33
        CREATE TABLE t (x INT, y AS x + SUM(x) OVER (PARTITION BY x), other AS x + 1) WITH ('connector' = 'datagen')
                                        ^^^
        hint: compute it in a query, or in a view over the table

        error: ROW_NUMBER is of the rows of a window, and a column or watermark of a table is computed from one row
        command:1:29
        CREATE TABLE t (x INT, y AS ROW_NUMBER() OVER (ORDER BY x), other AS x + 1) WITH ('connector' = 'datagen')
                                    ^^^^^^^^^^
        hint: compute it in a query, or in a view over the table

        error: this is a subquery, and a column or watermark of a table is computed from one row
        command:1:30
        CREATE TABLE t (x INT, y AS (SELECT MAX(x) FROM t), other AS x + 1) WITH ('connector' = 'datagen')
                                     ^^^^^^^^^^^^^^^^^^^^
        hint: compute it in a query, or in a view over the table

        error: column 'z' not found
        command:1:33
        CREATE TABLE t (x INT, y AS x + z, other AS x + 1) WITH ('connector' = 'datagen')
                                        ^

        error: column 'other' not found
        command:1:29
        CREATE TABLE t (x INT, y AS other + 1, other AS x + 1) WITH ('connector' = 'datagen')
                                    ^^^^^
        hint: column other is computed itself: write what it stands for, or use a view

        error: column 'NOW' not found
        command:1:29
        CREATE TABLE t (x INT, y AS NOW, other AS x + 1) WITH ('connector' = 'datagen')
                                    ^^^
    "#]]
    .assert_eq(&said.join("\n"));
}
