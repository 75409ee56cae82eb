//! Text in, text out: changelogs as tests write them, `+I[a, 1] -U[b, null]`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, BinaryViewArray, RecordBatch, RecordBatchOptions, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use corelane_stream::operator::StateWriter;
use corelane_stream::origin::{origin_column, origin_field};
use corelane_stream::row_errors::Position;
use corelane_stream::{
    BadRow, ChangelogBatch, Clock, Error, OnError, Operator, OperatorContext, OriginDetail, Output, Progress, Result,
    RowErrors, RowErrorsFactory, RowKind, RowPolicy,
};

use crate::aggregate::{AggregateCall, AggregateFunction};

/// A schema of nullable columns: `schema("k STRING, v BIGINT")`.
pub fn schema(columns: &str) -> SchemaRef {
    let fields = columns.split(", ").map(|column| {
        let (name, data_type) = column.trim().split_once(' ').expect("a name and a type");
        Field::new(name, data_type_of(data_type), true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn data_type_of(name: &str) -> DataType {
    match name {
        "STRING" => DataType::Utf8View,
        "BOOLEAN" => DataType::Boolean,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Millisecond, None),
        _ => {
            let digits = name.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(')')).expect("a type");
            let (precision, scale) = digits.split_once(',').expect("precision and scale");
            DataType::Decimal128(precision.parse().expect("a number"), scale.parse().expect("a number"))
        }
    }
}

/// Parses rows; cells are cast from text, `null` is null, and a TIMESTAMP may be bare milliseconds.
pub fn batch(schema: &SchemaRef, text: &str) -> ChangelogBatch {
    let mut kinds = Vec::new();
    let mut cells: Vec<Vec<Option<&str>>> = vec![Vec::new(); schema.fields().len()];
    for row in text.split(']').map(str::trim).filter(|row| !row.is_empty()) {
        let (kind, values) = row.split_once('[').expect("a kind, then the row in brackets");
        kinds.push(match kind {
            "+I" => RowKind::Insert,
            "-U" => RowKind::UpdateBefore,
            "+U" => RowKind::UpdateAfter,
            "-D" => RowKind::Delete,
            _ => panic!("no kind of row: {kind:?}"),
        });
        let values: Vec<&str> = values.split(", ").collect();
        assert_eq!(values.len(), cells.len(), "row {row:?} does not fit the schema");
        for (column, value) in cells.iter_mut().zip(values) {
            column.push((value != "null").then_some(value));
        }
    }
    let columns = cells.into_iter().zip(schema.fields()).map(|(cells, field)| column(cells, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(kinds.len()));
    let rows = RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options).expect("a fitting batch");
    if kinds.iter().all(|kind| *kind == RowKind::Insert) {
        ChangelogBatch::append(rows)
    } else {
        ChangelogBatch::new(rows, kinds.into_iter().collect())
    }
}

fn column(cells: Vec<Option<&str>>, data_type: &DataType) -> ArrayRef {
    let text: ArrayRef = Arc::new(StringArray::from(cells));
    if matches!(data_type, DataType::Timestamp(_, _))
        && let Ok(numbers) = cast(&text, &DataType::Int64)
        && numbers.null_count() == text.null_count()
    {
        return cast(&numbers, data_type).expect("milliseconds are a timestamp");
    }
    let cast_column = cast(&text, data_type).expect("text casts to every type of a test");
    assert_eq!(cast_column.null_count(), text.null_count(), "a cell does not fit its type");
    cast_column
}

/// The rows of these batches as text, parted by blanks; timestamps are printed as milliseconds.
pub fn text(batches: &[ChangelogBatch]) -> String {
    rows_of(batches).into_iter().map(|(kind, row)| format!("{kind}[{row}]")).collect::<Vec<_>>().join(" ")
}

/// The kind and the text of each row.
pub fn rows_of(batches: &[ChangelogBatch]) -> Vec<(RowKind, String)> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = batch.rows().columns().iter().map(printable).collect();
        let options = FormatOptions::default().with_null("null");
        let cells: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column, &options).expect("printable")).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            rows.push((batch.kind(row), cells.join(", ")));
        }
    }
    rows
}

fn printable(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(_, _) => {
            let milliseconds =
                cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None)).expect("units of time convert");
            cast(&milliseconds, &DataType::Int64).expect("a timestamp is a number")
        }
        _ => column.clone(),
    }
}

/// The rows that stand after all changes, sorted, each as often as it stands.
pub fn folded(batches: &[ChangelogBatch]) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for (kind, row) in rows_of(batches) {
        if kind.is_addition() {
            rows.push(row);
        } else {
            let at = rows.iter().position(|standing| *standing == row);
            rows.remove(at.unwrap_or_else(|| panic!("{kind}[{row}] takes away what is not there")));
        }
    }
    rows.sort();
    rows
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }
}

/// Bad and late rows of a test, as text.
#[derive(Clone, Debug, Default)]
pub struct Rejected(Arc<Mutex<Vec<String>>>);

impl Rejected {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("one thread"))
    }
}

struct RejectedRows {
    rejected: Rejected,
    fail: bool,
}

impl RowErrors for RejectedRows {
    fn bad(&self, row: &BadRow<'_>) -> Result<()> {
        let message = format!("{}: {}", row.reason, placed(row));
        if self.fail {
            return Err(Error::data(message));
        }
        self.rejected.0.lock().expect("one thread").push(format!("bad {message}"));
        Ok(())
    }

    fn late(&self, row: &BadRow<'_>) -> Result<()> {
        let late = format!("late {}", placed(row));
        self.rejected.0.lock().expect("one thread").push(late);
        Ok(())
    }

    fn unfinished(&self, _: &BadRow<'_>) -> Result<()> {
        unreachable!("only sources have records that do not end")
    }
}

/// The row, behind the place where it lies if that is known.
fn placed(row: &BadRow<'_>) -> String {
    let raw = String::from_utf8_lossy(row.raw);
    row.position.map_or_else(|| raw.to_string(), |position| format!("{}, {position}: {raw}", row.source))
}

/// The same rows as lines 1, 2 and so on of a file, with `raw 1`, `raw 2` and so on for bytes.
pub fn with_origin(batch: ChangelogBatch) -> ChangelogBatch {
    let rows = batch.rows();
    let numbers = 1..=rows.num_rows() as u64;
    let sources = StringViewArray::from_iter_values(numbers.clone().map(|_| "in.csv"));
    let raw = BinaryViewArray::from_iter_values(numbers.clone().map(|number| format!("raw {number}")));
    let places = numbers.map(|number| Position::Line(number).to_word()).collect();
    let column = origin_column(Arc::new(sources), places, Some(raw)).expect("one length");
    let fields = rows.schema().fields().iter().cloned().chain([origin_field(OriginDetail::Raw)]).collect::<Vec<_>>();
    let columns = rows.columns().iter().cloned().chain([column]).collect();
    batch.with_rows(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("fits"))
}

impl RowErrorsFactory for Rejected {
    fn open(&self, policy: &RowPolicy, _worker: usize) -> Result<Rc<dyn RowErrors>> {
        Ok(Rc::new(RejectedRows { rejected: self.clone(), fail: policy.on_error == OnError::Fail }))
    }
}

/// The context of worker 0 of 1, with batches of this many rows, and what it rejects.
pub fn context(batch_rows: usize) -> (OperatorContext, Rejected) {
    let rejected = Rejected::default();
    let context = OperatorContext {
        worker: 0,
        workers: 1,
        batch_rows,
        clock: Arc::new(Stopped),
        row_errors: Arc::new(rejected.clone()),
    };
    (context, rejected)
}

/// An output with room for one batch at a time, so that operators must stop and resume.
#[derive(Default)]
pub struct Narrow {
    pub batches: Vec<ChangelogBatch>,
    taken: usize,
}

impl Output for Narrow {
    fn emit(&mut self, batch: ChangelogBatch) {
        self.batches.emit(batch);
    }

    fn has_room(&self) -> bool {
        self.batches.len() <= self.taken
    }
}

impl Narrow {
    /// Resumes the operator until it is done.
    pub fn drain(&mut self, operator: &mut dyn Operator, mut progress: Progress) -> Result<()> {
        while progress == Progress::More {
            self.taken = self.batches.len();
            progress = operator.resume(self)?;
        }
        self.taken = self.batches.len();
        Ok(())
    }
}

/// The pieces of a snapshot.
#[derive(Default)]
pub struct Pieces(pub RefCell<Vec<(String, ChangelogBatch)>>);

impl StateWriter for Pieces {
    fn write(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        self.0.get_mut().push((part.to_owned(), state));
        Ok(())
    }
}

impl Pieces {
    /// Takes the whole snapshot of an operator.
    pub fn of(operator: &mut dyn Operator) -> Result<Pieces> {
        let mut pieces = Pieces::default();
        while operator.snapshot(&mut pieces)? == Progress::More {}
        Ok(pieces)
    }

    /// Gives every piece to a fresh operator.
    pub fn restore(self, operator: &mut dyn Operator) -> Result<()> {
        self.0.into_inner().into_iter().try_for_each(|(part, state)| operator.restore(&part, state))
    }
}

/// A call over these columns of a schema, with its result called `out`.
pub fn call(schema: &SchemaRef, function: AggregateFunction, arguments: &[usize]) -> AggregateCall {
    let types: Vec<DataType> = arguments.iter().map(|argument| schema.field(*argument).data_type().clone()).collect();
    let output = function.return_type(&types).expect("a function that takes these arguments");
    AggregateCall {
        function,
        arguments: arguments.to_vec(),
        distinct: false,
        filter: None,
        order: Vec::new(),
        output: Arc::new(Field::new("out", output, true)),
    }
}
