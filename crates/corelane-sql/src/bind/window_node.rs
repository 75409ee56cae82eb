//! A window table function as a node of the logical plan.
//!
//! It adds `window_start`, `window_end` and `window_time` to its input's columns. An aggregate
//! over it that groups by the window is lowered as one operator on panes; only without such an
//! aggregate are rows really given their windows.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use corelane_ops::{Window, WindowClock};
use datafusion_common::{Column, DFSchema, DFSchemaRef, Result};
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::catalog::{TIME_EVENT, with_time};

pub(crate) const WINDOW_START: &str = "window_start";
pub(crate) const WINDOW_END: &str = "window_end";
pub(crate) const WINDOW_TIME: &str = "window_time";

/// Field metadata that marks a window's column: its value is one of the three names above.
const WINDOW_KEY: &str = "corelane.window";

/// True if the field is this column of a window table function, under whatever name.
pub(crate) fn is_window_column(field: &Field, name: &str) -> bool {
    field.metadata().get(WINDOW_KEY).is_some_and(|value| value == name)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowNode {
    pub input: Arc<LogicalPlan>,
    pub window: Window,
    pub clock: WindowClock,
    /// The time attribute; kept as an expression so that column pruning follows it.
    pub time: Expr,
    schema: DFSchemaRef,
}

impl WindowNode {
    pub fn new(input: LogicalPlan, window: Window, clock: WindowClock, time: Column) -> Result<Self> {
        Self::over(Arc::new(input), window, clock, Expr::Column(time))
    }

    fn over(input: Arc<LogicalPlan>, window: Window, clock: WindowClock, time: Expr) -> Result<Self> {
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.clone())).collect();
        for name in [WINDOW_START, WINDOW_END, WINDOW_TIME] {
            let field = if name == WINDOW_TIME {
                with_time(&Field::new(name, clock.time_type(), true), TIME_EVENT)
            } else {
                Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), true)
            };
            let mut metadata = field.metadata().clone();
            metadata.insert(WINDOW_KEY.to_owned(), name.to_owned());
            fields.push((None, Arc::new(field.with_metadata(metadata))));
        }
        let schema = Arc::new(DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?);
        Ok(WindowNode { input, window, clock, time, schema })
    }
}

// Plans are compared to see whether a rule changed them; the schema follows from the rest.
impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.window.hash(state);
        self.clock.hash(state);
        self.time.hash(state);
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, _: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.time.clone()]
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        [WINDOW_START, WINDOW_END, WINDOW_TIME].map(str::to_owned).into()
    }

    fn fmt_for_explain(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{} on {}", self.window, self.clock, self.time)
    }

    fn with_exprs_and_inputs(&self, expressions: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let time = expressions.into_iter().next().expect("a window has one expression");
        let input = inputs.into_iter().next().expect("a window has one input");
        Self::over(Arc::new(input), self.window, self.clock, time)
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output.iter().copied().filter(|column| *column < width).collect();
        if let Expr::Column(column) = &self.time {
            needed.push(self.input.schema().maybe_index_of_column(column)?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
