//! Tables of files that a script writes and reads back.

use expect_test::expect;

use crate::program::Place;

#[test]
fn partitions_are_read_from_the_names_of_directories() {
    for format in ["csv", "json", "parquet"] {
        let place = Place::new();
        place.answers(
            &format!(
                "CREATE TABLE t (a INT, d DATE, m STRING) PARTITIONED BY (d, m)
                 WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = '{format}');
                 INSERT INTO t VALUES (1, DATE '2024-01-01', 'x:/y'), (2, CAST(NULL AS DATE), 'z'), (3, DATE '2024-01-01', 'z');
                 SELECT * FROM t ORDER BY a;
                 SELECT m, COUNT(*) AS n FROM t GROUP BY m ORDER BY m"
            ),
            expect![[r#"
                a,d,m
                1,2024-01-01,x:/y
                2,,z
                3,2024-01-01,z
                m,n
                x:/y,1
                z,2
            "#]],
        );
    }
}

#[test]
fn a_directory_that_names_no_value_of_the_partition_is_an_error() {
    let place = Place::with(&[("loose.csv", "1\n")]);
    std::fs::create_dir_all(place.path("dated/d=soon")).expect("a folder");
    place.write("dated/d=soon/part.csv", b"1\n");
    let table = |path: &str| {
        format!(
            "CREATE TABLE t (a INT, d DATE) PARTITIONED BY (d)
             WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
             SELECT * FROM t"
        )
    };
    place.refused(
        &table("loose.csv"),
        1,
        expect![[r#"
            error: no directory of 'loose.csv' names the partition column 'd'
            hint: such a file lies below 'd=..'; leave the column out of PARTITIONED BY if it stands in the files
        "#]],
    );
    place.refused(
        &table("dated"),
        1,
        expect![[r#"
            error: cannot read the partition 'd=soon' of 'dated/d=soon/part.csv' as DATE
        "#]],
    );
}

#[test]
fn inserts_of_one_set_into_one_table_share_its_files() {
    let place = Place::new();
    for path in ["dir", "one.csv"] {
        place.answers(
            &format!(
                "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
                 EXECUTE STATEMENT SET BEGIN
                 INSERT INTO t VALUES (1), (2);
                 INSERT INTO t SELECT a + 2 FROM (VALUES (1), (2)) AS v(a);
                 END;
                 SELECT * FROM t ORDER BY a"
            ),
            expect![[r#"
                a
                1
                2
                3
                4
            "#]],
        );
    }
}

const TWO_TABLES: &str = "
    CREATE TABLE x (a INT) WITH ('connector' = 'filesystem', 'path' = '$P', 'format' = 'csv', 'sink.mode' = 'overwrite');
    CREATE TABLE y (a INT) WITH ('connector' = 'filesystem', 'path' = '$P', 'format' = 'csv', 'sink.mode' = 'overwrite');
    EXECUTE STATEMENT SET BEGIN
    INSERT INTO x VALUES (1);
    INSERT INTO y VALUES (2);
    END;";

#[test]
fn two_tables_of_one_directory_keep_all_their_rows() {
    let place = Place::new();
    for _ in 0..2 {
        let sql = TWO_TABLES.replace("$P", "dir") + "SELECT * FROM x ORDER BY a";
        place.answers(
            &sql,
            expect![[r#"
            a
            1
            2
        "#]],
        );
    }
}

#[test]
fn two_tables_of_one_file_are_refused() {
    let place = Place::new();
    place.refused(
        &TWO_TABLES.replace("$P", "one.csv"),
        4,
        expect![[r#"
            error: cannot write 'one.csv': '.one.csv.inprogress' is there already, so another sink writes that file now
            hint: give each table a path of its own
        "#]],
    );
    assert!(place.names("").is_empty());
}
