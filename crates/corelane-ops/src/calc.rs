//! Filter and projection in one pass over a batch.

use std::fmt;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress, Result, RowKind,
    RowKinds, RowPolicy, StateBound,
};
use datafusion_physical_expr::PhysicalExpr;

use crate::bad_rows::BadRows;
use crate::evaluate::{Predicate, Projection};

/// `SELECT columns FROM input WHERE predicate`. Expressions are over `input`'s columns.
#[derive(Clone, Debug)]
pub struct CalcSpec {
    pub input: SchemaRef,
    pub predicate: Option<Arc<dyn PhysicalExpr>>,
    pub columns: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
    pub policy: Arc<RowPolicy>,
    /// What bad rows are said to come from.
    pub source: String,
}

impl OperatorSpec for CalcSpec {
    fn name(&self) -> &'static str {
        "Calc"
    }

    fn detail(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(expr, field)| named(expr.as_ref(), field)).collect();
        match &self.predicate {
            Some(predicate) => format!("select=[{}], where=[{}]", columns.join(", "), Plain(predicate.as_ref())),
            None => format!("select=[{}]", columns.join(", ")),
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()))
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        let predicate = self.predicate.as_ref().map(|predicate| Predicate::new(predicate, &self.input)).transpose()?;
        Ok(Box::new(Calc {
            predicate,
            projection: Projection::new(&self.columns, &self.input)?,
            bad: BadRows::open(context, &self.policy, &self.source)?,
        }))
    }
}

fn named(expr: &dyn PhysicalExpr, field: &FieldRef) -> String {
    // A column prints as `name@index`; the index says nothing to a reader.
    match expr.downcast_ref::<datafusion_physical_expr::expressions::Column>() {
        Some(column) if column.name() == field.name() => field.name().clone(),
        Some(column) => format!("{} AS {}", column.name(), field.name()),
        None => format!("{} AS {}", Plain(expr), field.name()),
    }
}

/// An expression as SQL-like text.
struct Plain<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(out)
    }
}

struct Calc {
    predicate: Option<Predicate>,
    projection: Projection,
    bad: BadRows,
}

impl Operator for Calc {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let Calc { predicate, projection, bad } = self;
        let rows = batch.rows();
        let mut report = |row: usize, reason: &str| bad.bad(rows, row, reason);
        let selection = match predicate {
            Some(predicate) => predicate.select(rows, &mut report)?,
            None => crate::evaluate::Selection::All,
        };
        if let Some((columns, kept)) = projection.project(rows, &selection, &mut report)? {
            out.emit(match (batch.kinds(), kept) {
                (None, _) => ChangelogBatch::append(columns),
                (Some(kinds), None) => ChangelogBatch::new(columns, kinds.clone()),
                (Some(kinds), Some(kept)) => ChangelogBatch::new(columns, settled(kinds, &kept)),
            });
        }
        Ok(Progress::Done)
    }

    fn snapshot(&mut self, _state: &mut dyn StateWriter) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn counters(&self) -> OperatorCounters {
        let mut counters = OperatorCounters::default();
        self.bad.count(&mut counters);
        counters
    }
}

/// The kinds of the rows that are kept. Where one half of an update passes the filter and the
/// other does not, the result sees no update but an insert or a delete. The halves lie side by
/// side, but a batch may end between them: then the half stays what it was, which adds or takes
/// away the same row.
fn settled(kinds: &RowKinds, kept: &BooleanArray) -> RowKinds {
    let lost = |row: usize, kind: RowKind| row < kinds.len() && !kept.value(row) && kinds.get(row) == kind;
    let kept_rows = kept.values().set_indices().map(|row| match kinds.get(row) {
        RowKind::UpdateBefore if lost(row + 1, RowKind::UpdateAfter) => RowKind::Delete,
        RowKind::UpdateAfter if 0 < row && lost(row - 1, RowKind::UpdateBefore) => RowKind::Insert,
        kind => kind,
    });
    kept_rows.collect()
}
