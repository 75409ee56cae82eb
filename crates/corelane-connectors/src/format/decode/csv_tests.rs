//! CSV records in, rows and reasons out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        field("i", DataType::Int64),
        field("t", DataType::Utf8View),
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("list", DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))),
        field("row", DataType::Struct(vec![field("p", DataType::Int32), field("q", DataType::Utf8View)].into())),
    ]))
}

fn decode(text: &[u8], declared: &SchemaRef, read: &SchemaRef, options: &CsvOptions) -> String {
    let mut decoder = CsvDecoder::new(options, declared, read, None).expect("types fit");
    let mut lines = vec![];
    let input = Input { bytes: text, offset: 0, line: Some(1), at_end: true, limit: u64::MAX };
    decoder
        .decode(&input, usize::MAX, &mut |bad| {
            lines.push(format!("line {} byte {}: {}", bad.line.expect("is known"), bad.offset, bad.reason));
            Ok(())
        })
        .expect("no bad record fails");
    let rows = decoder.flush().expect("rows fit");
    let count = rows.offsets.len();
    let batch = RecordBatch::try_new(Arc::clone(read), rows.columns).expect("rows fit");
    let format = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).expect("can be shown")).collect();
    for row in 0..count {
        lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "));
    }
    lines.join("\n")
}

fn check(text: &str, options: &CsvOptions, expected: Expect) {
    expected.assert_eq(&decode(text.as_bytes(), &columns(), &columns(), options));
}

#[test]
fn fields_go_to_columns_by_position() {
    check(
        "1,a,2024-01-01 00:00:00,1;2;;4,7;x\r\n\n,,,,\n\"2\",\"a,\"\"b\"\"\nc\",,,\n 3 , d ,2024-01-01T00:00:00Z,5,8;\n",
        &CsvOptions::default(),
        expect![[r#"
            1 | a | 2024-01-01T00:00:00 | [1, 2, NULL, 4] | {p: 7, q: x}
            NULL |  | NULL | NULL | NULL
            2 | a,"b"
            c | NULL | NULL | NULL
            3 |  d  | 2024-01-01T00:00:00 | [5] | {p: 8, q: }"#]],
    );
}

#[test]
fn each_bad_record_costs_itself_only_and_says_why() {
    check(
        "1,a,,,\n1,a,,\n1,a,,,,\nx,a,,,\n9999999999999999999,a,,,\n1,a,yesterday,,\n1,a,,1;x,\n1,a,,,7\n1,\"a\"b,,,\n2,\"two\nlines\",,,\n1,a,,,\"\n3,b,,,\n",
        &CsvOptions::default(),
        expect![[r#"
            line 2 byte 7: too few fields: found 4, expected 5
            line 3 byte 13: too many fields: found 6, expected 5
            line 4 byte 21: field 'i': cannot read "x" as BIGINT
            line 5 byte 28: field 'i': "9999999999999999999" is out of the range of BIGINT
            line 6 byte 53: field 'ts': cannot read "yesterday" as TIMESTAMP(3)
            line 7 byte 69: field 'list': cannot read "x" as INT
            line 8 byte 79: field 'row': fields of the ROW: found 1, expected 2
            line 9 byte 87: text follows the closing quote of field 2
            line 12 byte 114: the quote of field 5 is never closed
            1 | a | NULL | NULL | NULL
            2 | two
            lines | NULL | NULL | NULL
            3 | b | NULL | NULL | NULL"#]],
    );
}

#[test]
fn options_are_those_of_flink() {
    let options = CsvOptions {
        delimiter: b'|',
        quote: Some(b'\''),
        escape: Some(b'\\'),
        comments: true,
        ignore_parse_errors: true,
        element_delimiter: b'/',
        null_literal: Some("n/a".to_owned()),
        header: true,
        inferred: false,
    };
    check(
        "i|t|ts|list|row\n# it's a comment\n1|n/a||1/2|3/'x'\nx|'a|b'||n/a|\n2|a\\|b\\\nc|||\n",
        &options,
        expect![[r#"
            1 | NULL | NULL | [1, 2] | {p: 3, q: 'x'}
            NULL | a|b | NULL | NULL | NULL
            2 | a|b
            c | NULL | NULL | NULL"#]],
    );
}

#[test]
fn columns_may_be_left_out_also_inside_rows() {
    let read = Arc::new(Schema::new(vec![
        field("row", DataType::Struct(vec![field("q", DataType::Utf8View)].into())),
        field("i", DataType::Int64),
    ]));
    expect!["{q: x} | 1"].assert_eq(&decode(b"1,a,not read,z,7;x\n", &columns(), &read, &CsvOptions::default()));
}

#[test]
fn types_that_csv_cannot_hold_are_refused() {
    let inner = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    let schema: SchemaRef =
        Arc::new(Schema::new(vec![field("m", DataType::List(Arc::new(Field::new_list_field(inner, true))))]));
    let error = CsvDecoder::new(&CsvOptions::default(), &schema, &schema, None).expect_err("is refused");
    expect!["column 'm' is a ARRAY<ARRAY<INT>>, which CSV cannot hold"].assert_eq(&error.to_string());
}

proptest! {
    /// Fields written with quotes come out as they went in, and the walk over quotes finds
    /// exactly the starts of records.
    #[test]
    fn quoted_fields_come_back(records in prop::collection::vec(prop::collection::vec("[a\",\n\r ]{0,6}", 2), 1..20), from in 0..200usize, chunk in 1..40usize) {
        let schema: SchemaRef = Arc::new(Schema::new(vec![field("a", DataType::Utf8View), field("b", DataType::Utf8View)]));
        let mut text = String::new();
        let mut starts = vec![];
        for record in &records {
            starts.push(text.len());
            text += &record.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
            text.push('\n');
        }
        starts.push(text.len());
        let mut decoder = CsvDecoder::new(&CsvOptions::default(), &schema, &schema, None).expect("types fit");
        let input = Input { bytes: text.as_bytes(), offset: 0, line: None, at_end: true, limit: u64::MAX };
        let mut bad = vec![];
        decoder.decode(&input, usize::MAX, &mut |record| { bad.push(record.reason.to_owned()); Ok(()) }).expect("decodes");
        prop_assert_eq!(bad, Vec::<String>::new());
        let rows = decoder.flush().expect("rows fit");
        use arrow::array::AsArray;
        let found: Vec<Vec<String>> = (0..rows.offsets.len())
            .map(|row| rows.columns.iter().map(|column| column.as_string_view().value(row).to_owned()).collect())
            .collect();
        prop_assert_eq!(&found, &records);

        let from = from.min(text.len() - 1);
        let mut walk = RecordStarts::new(b'"', b',');
        let mut offset = 0;
        let mut start = None;
        for piece in text.as_bytes().chunks(chunk) {
            if let Some(found) = walk.walk(piece, from.saturating_sub(offset)) {
                start = Some(offset + found);
                break;
            }
            offset += piece.len();
        }
        prop_assert_eq!(start, starts.iter().copied().find(|start| from < *start));
    }
}
