//! Expressions over batches, where one bad row costs itself and not its batch.
//!
//! Arrow's kernels fail a whole batch for one overflow. So a batch is evaluated at once and, only
//! if that fails, halved until the rows at fault stand alone: they are reported, all others are
//! computed. A row alone is evaluated exactly as SQL says, short circuits included, so what a row
//! yields does not depend on the batch it came in.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use corelane_stream::wording::with_sql_types;
use corelane_stream::{Error, Result};
use datafusion_common::DataFusionError;
use datafusion_common::cast::as_boolean_array;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column};

/// The same expression with integer and decimal arithmetic that fails on overflow rather than wrap.
///
/// # Errors
/// If an expression cannot be rebuilt from its own children: a bug.
pub fn checked(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let rewritten = expr.transform_up(|expr| {
        Ok(match expr.downcast_ref::<BinaryExpr>() {
            Some(binary) => Transformed::yes(Arc::new(binary.clone().with_fail_on_overflow(true)) as _),
            None => Transformed::no(expr),
        })
    });
    Ok(rewritten.map_err(broken)?.data)
}

/// Columns computed from those rows that could be.
#[derive(Debug)]
pub struct Evaluated {
    pub columns: Vec<ArrayRef>,
    /// Which rows of the input the columns stand for; `None`: all of them.
    pub good: Option<BooleanArray>,
}

/// Runs `compute` over all rows, without the rows it fails for: those are given to `bad`, in order,
/// by their position and with a reason. `None` if no row is left.
///
/// # Errors
/// What `bad` returns, or a fault that no row is to blame for.
pub fn evaluate_rows(
    rows: &RecordBatch,
    compute: &dyn Fn(&RecordBatch) -> datafusion_common::Result<Vec<ArrayRef>>,
    bad: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<Option<Evaluated>> {
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    if let Ok(columns) = compute(rows) {
        return Ok(Some(Evaluated { columns, good: None }));
    }
    let mut pieces: Vec<Vec<ArrayRef>> = Vec::new();
    let mut good = vec![true; rows.num_rows()];
    let mut pending = halves(0, rows.num_rows()).to_vec();
    while let Some((offset, length)) = pending.pop() {
        if length == 0 {
            continue;
        }
        match compute(&rows.slice(offset, length)) {
            Ok(columns) => pieces.push(columns),
            Err(error) if length == 1 => {
                good[offset] = false;
                bad(offset, &reason(&error)?)?;
            }
            Err(_) => pending.extend(halves(offset, length)),
        }
    }
    let Some(first) = pieces.first() else { return Ok(None) };
    let columns = (0..first.len()).map(|column| {
        let parts: Vec<&dyn Array> = pieces.iter().map(|piece| piece[column].as_ref()).collect();
        compute::concat(&parts)
    });
    Ok(Some(Evaluated { columns: columns.collect::<Result<_, ArrowError>>()?, good: Some(BooleanArray::from(good)) }))
}

/// Two halves of a range, the later one first: they go onto a stack.
fn halves(offset: usize, length: usize) -> [(usize, usize); 2] {
    let half = length.div_ceil(2);
    [(offset + half, length - half), (offset, half)]
}

/// Why a row could not be computed, in the user's words.
fn reason(error: &DataFusionError) -> Result<String> {
    let text = match error.find_root() {
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "division by zero".to_owned(),
            ArrowError::CastError(text)
            | ArrowError::ParseError(text)
            | ArrowError::ComputeError(text)
            | ArrowError::ArithmeticOverflow(text)
            | ArrowError::InvalidArgumentError(text) => text.clone(),
            other => other.to_string(),
        },
        DataFusionError::Execution(text) => text.clone(),
        DataFusionError::External(error) => error.to_string(),
        _ => return Err(broken_by(error)),
    };
    let line = with_sql_types(text.lines().next().unwrap_or_default());
    let mut letters = line.chars();
    Ok(match (letters.next(), letters.next()) {
        // `Overflow happened`, but not `NaN ..` or `I ..`.
        (Some(first), Some(second))
            if first.is_ascii_uppercase() && second.is_ascii_lowercase() && !line.starts_with("NaN") =>
        {
            format!("{}{}", first.to_ascii_lowercase(), &line[1..])
        }
        _ => line,
    })
}

fn broken(error: DataFusionError) -> Error {
    broken_by(&error)
}

fn broken_by(error: &DataFusionError) -> Error {
    let text = error.find_root().strip_backtrace();
    // What an internal error of the library goes on with is not for users of this program.
    let text = text.lines().next().unwrap_or_default();
    let text = text.strip_prefix("Internal error: ").unwrap_or(text);
    Error::internal(format!("cannot evaluate an expression: {}", with_sql_types(text.trim_end_matches('.'))))
}

/// Which rows a predicate keeps.
#[derive(Clone, Debug)]
pub enum Selection {
    All,
    Nothing,
    /// At least one row and not all of them; without nulls.
    Some(BooleanArray),
}

/// A condition over rows of one schema, narrowed to the columns that it reads.
#[derive(Debug)]
pub struct Predicate {
    whole: Narrowed,
    /// Its parts, joined by `AND`: `b <> 0 AND a / b > 1` fails as a whole wherever a `b` is zero,
    /// but not part by part over the rows that the parts before leave. Empty if there is only one.
    parts: Vec<Narrowed>,
}

impl Predicate {
    /// # Errors
    /// If the expression is not boolean.
    pub fn new(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Self> {
        let found = expr.data_type(schema).map_err(broken)?;
        if found != DataType::Boolean {
            return Err(Error::internal(format!("a predicate must be boolean, not {found}")));
        }
        let mut parts = Vec::new();
        conjuncts(expr, &mut parts);
        let parts = if parts.len() == 1 { Vec::new() } else { parts };
        let parts = parts.into_iter().map(|part| Narrowed::new(std::slice::from_ref(part)));
        Ok(Predicate { whole: Narrowed::new(std::slice::from_ref(expr))?, parts: parts.collect::<Result<_>>()? })
    }

    /// Finds the rows to keep; bad rows are reported and not kept.
    ///
    /// # Errors
    /// As for [`evaluate_rows`].
    pub fn select(&self, rows: &RecordBatch, bad: &mut dyn FnMut(usize, &str) -> Result<()>) -> Result<Selection> {
        if rows.num_rows() == 0 {
            return Ok(Selection::Nothing);
        }
        let narrow = self.whole.narrow(rows)?;
        match self.whole.mask(&narrow) {
            Ok(mask) => Ok(selection(mask)),
            Err(_) if self.parts.is_empty() => select_rows(&self.whole, &narrow, bad),
            Err(_) => self.select_by_parts(rows, bad),
        }
    }

    /// A row that one part excludes is out, whichever part comes first: the optimizer has its own
    /// views on the order, and the row must not fail where its guard would have kept it from failing.
    fn select_by_parts(&self, rows: &RecordBatch, bad: &mut dyn FnMut(usize, &str) -> Result<()>) -> Result<Selection> {
        let mut faults: BTreeMap<u32, String> = BTreeMap::new();
        let mut left: Vec<u32> = (0..rows.num_rows() as u32).collect();
        for part in &self.parts {
            let indices = UInt32Array::from(left.clone());
            let narrow = compute::take_record_batch(&part.narrow(rows)?, &indices)?;
            let mut failed: Vec<u32> = Vec::new();
            let selection = select_rows(part, &narrow, &mut |row, reason| {
                failed.push(left[row]);
                faults.entry(left[row]).or_insert_with(|| reason.to_owned());
                Ok(())
            })?;
            let kept = match selection {
                Selection::All => left,
                Selection::Nothing => Vec::new(),
                Selection::Some(mask) => mask.values().set_indices().map(|row| left[row]).collect(),
            };
            left = merged(kept, failed);
            if left.is_empty() {
                break;
            }
        }
        let mut kept = vec![false; rows.num_rows()];
        left.iter().for_each(|row| kept[*row as usize] = true);
        // Reasons are kept until all parts are done: bad rows are reported in the order of rows.
        for (row, reason) in faults {
            if std::mem::take(&mut kept[row as usize]) {
                bad(row as usize, &reason)?;
            }
        }
        Ok(selection(BooleanArray::from(kept)))
    }
}

/// Two sorted lists of rows in one.
fn merged(mut rows: Vec<u32>, more: Vec<u32>) -> Vec<u32> {
    if !more.is_empty() {
        rows.extend(more);
        rows.sort_unstable();
    }
    rows
}

fn select_rows(
    part: &Narrowed,
    narrow: &RecordBatch,
    bad: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<Selection> {
    let compute = |rows: &RecordBatch| Ok(vec![Arc::new(part.mask(rows)?) as ArrayRef]);
    let Some(Evaluated { columns, good }) = evaluate_rows(narrow, &compute, bad)? else {
        return Ok(Selection::Nothing);
    };
    let mask = columns[0].as_boolean().clone();
    Ok(selection(match good {
        None => mask,
        Some(good) => scattered(&good, &mask),
    }))
}

fn selection(mask: BooleanArray) -> Selection {
    let mask = if mask.null_count() == 0 { mask } else { compute::prep_null_mask_filter(&mask) };
    match mask.values().count_set_bits() {
        0 => Selection::Nothing,
        all if all == mask.len() => Selection::All,
        _ => Selection::Some(mask),
    }
}

/// Spreads a mask over the set rows of an outer one.
pub(crate) fn scattered(outer: &BooleanArray, inner: &BooleanArray) -> BooleanArray {
    let mut bits = vec![false; outer.len()];
    for (position, row) in outer.values().set_indices().enumerate() {
        bits[row] = inner.is_valid(position) && inner.value(position);
    }
    BooleanArray::new(BooleanBuffer::from(bits), None)
}

fn conjuncts<'a>(expr: &'a Arc<dyn PhysicalExpr>, parts: &mut Vec<&'a Arc<dyn PhysicalExpr>>) {
    match expr.downcast_ref::<BinaryExpr>() {
        Some(binary) if *binary.op() == Operator::And => {
            conjuncts(binary.left(), parts);
            conjuncts(binary.right(), parts);
        }
        _ => parts.push(expr),
    }
}

/// Expressions over only those columns that they read, so that what has to be filtered or sliced
/// on their behalf is no more than that.
#[derive(Debug)]
struct Narrowed {
    columns: Vec<usize>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
}

impl Narrowed {
    fn new(exprs: &[Arc<dyn PhysicalExpr>]) -> Result<Self> {
        let mut columns: Vec<usize> = Vec::new();
        let mut narrowed = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let rewritten = Arc::clone(expr).transform_up(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
                let position = columns.iter().position(|known| *known == column.index()).unwrap_or_else(|| {
                    columns.push(column.index());
                    columns.len() - 1
                });
                Ok(Transformed::yes(Arc::new(Column::new(column.name(), position)) as _))
            });
            narrowed.push(rewritten.map_err(broken)?.data);
        }
        Ok(Narrowed { columns, exprs: narrowed })
    }

    fn narrow(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.project(&self.columns)?)
    }

    /// Evaluates the only expression, a boolean one.
    fn mask(&self, narrow: &RecordBatch) -> datafusion_common::Result<BooleanArray> {
        let mask = self.exprs[0].evaluate(narrow)?.into_array(narrow.num_rows())?;
        Ok(as_boolean_array(&mask)?.clone())
    }
}

/// Computes the columns of a schema from rows of another.
#[derive(Debug)]
pub struct Projection {
    narrowed: Narrowed,
    schema: SchemaRef,
    /// No column is computed: nothing can fail, nothing is evaluated.
    plain: Option<Vec<usize>>,
}

impl Projection {
    /// # Errors
    /// If an expression is over other columns than these.
    pub fn new(columns: &[(Arc<dyn PhysicalExpr>, FieldRef)], input: &Schema) -> Result<Self> {
        let exprs: Vec<Arc<dyn PhysicalExpr>> = columns.iter().map(|(expr, _)| Arc::clone(expr)).collect();
        let narrowed = Narrowed::new(&exprs)?;
        let plain = columns.iter().zip(&narrowed.exprs).map(|((expr, field), narrow)| {
            let index = expr.downcast_ref::<Column>()?.index();
            let from = input.fields().get(index)?;
            let same = from.data_type() == field.data_type() && (field.is_nullable() || !from.is_nullable());
            if same { narrow.downcast_ref::<Column>().map(Column::index) } else { None }
        });
        let plain = plain.collect();
        let schema = Arc::new(Schema::new(columns.iter().map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()));
        Ok(Projection { narrowed, schema, plain })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Computes the columns for the selected rows. Returns also which rows of the input are in the
    /// result (`None`: all of them); no batch if there are none.
    ///
    /// # Errors
    /// As for [`evaluate_rows`].
    pub fn project(
        &self,
        rows: &RecordBatch,
        selection: &Selection,
        bad: &mut dyn FnMut(usize, &str) -> Result<()>,
    ) -> Result<Option<(RecordBatch, Option<BooleanArray>)>> {
        let narrow = self.narrowed.narrow(rows)?;
        let (narrow, mask) = match selection {
            Selection::Nothing => return Ok(None),
            Selection::All => (narrow, None),
            Selection::Some(mask) => (compute::filter_record_batch(&narrow, mask)?, Some(mask)),
        };
        if narrow.num_rows() == 0 {
            return Ok(None);
        }
        if let Some(plain) = &self.plain {
            let columns = plain.iter().map(|column| Arc::clone(narrow.column(*column))).collect();
            return Ok(Some((self.batch(columns, narrow.num_rows())?, mask.cloned())));
        }
        let mut bad = |row: usize, reason: &str| match mask {
            // Slow, but there is one such walk for each bad row only.
            Some(mask) => bad(mask.values().set_indices().nth(row).unwrap_or(row), reason),
            None => bad(row, reason),
        };
        let Some(Evaluated { columns, good }) = evaluate_rows(&narrow, &|rows| self.columns(rows), &mut bad)? else {
            return Ok(None);
        };
        let count = good.as_ref().map_or(narrow.num_rows(), |good| good.values().count_set_bits());
        let kept = match (mask, good) {
            (None, good) => good,
            (Some(mask), None) => Some(mask.clone()),
            (Some(mask), Some(good)) => Some(scattered(mask, &good)),
        };
        Ok(Some((self.batch(columns, count)?, kept)))
    }

    fn columns(&self, narrow: &RecordBatch) -> datafusion_common::Result<Vec<ArrayRef>> {
        let fields = self.schema.fields();
        let columns = self.narrowed.exprs.iter().zip(fields).map(|(expr, field)| {
            let column = expr.evaluate(narrow)?.into_array(narrow.num_rows())?;
            conformed(column, field, !expr.is::<Column>())
        });
        columns.collect()
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal(format!("cannot put computed columns together: {error}")))
    }
}

/// Makes a column what its field says. Layouts of strings differ between functions, and a decimal
/// may have more digits than its type without having overflowed its 128 bits.
fn conformed(column: ArrayRef, field: &FieldRef, computed: bool) -> datafusion_common::Result<ArrayRef> {
    let column = if column.data_type() == field.data_type() {
        column
    } else {
        let options = compute::CastOptions { safe: false, ..Default::default() };
        compute::cast_with_options(&column, field.data_type(), &options)?
    };
    if let (true, DataType::Decimal128(precision, _)) = (computed, field.data_type()) {
        column.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)?;
    }
    if !field.is_nullable() && 0 < column.null_count() {
        return Err(DataFusionError::Execution(format!("column `{}` is null, but it is NOT NULL", field.name())));
    }
    Ok(column)
}
