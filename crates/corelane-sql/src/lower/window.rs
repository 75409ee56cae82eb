//! Window table functions: found below an aggregate, or given to every row.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use corelane_ops::WindowAssignSpec;
use corelane_stream::{ChangelogMode, Exchange, OperatorSpec};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::{Expr, LogicalPlan, utils::conjunction};

use super::calc::replace_columns;
use super::{Lowering, Relation, Wanted};
use crate::bind::{WINDOW_END, WINDOW_START, WINDOW_TIME, WindowNode, is_window_column};
use crate::catalog::is_event_time;
use crate::error::SqlError;

/// What one grouping expression of a window aggregate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Start,
    End,
    Time,
}

/// A window table function below filters and projections, with what they do to its columns.
pub(super) struct TracedWindow<'a> {
    pub node: &'a WindowNode,
    /// The columns of the plan on top, in terms of the window's.
    columns: Vec<Expr>,
    predicates: Vec<Expr>,
}

/// Looks through filters, projections and aliases for a window table function.
pub(super) fn trace_window(plan: &LogicalPlan) -> Result<Option<TracedWindow<'_>>, SqlError> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let Some(node) = extension.node.as_any().downcast_ref::<WindowNode>() else { return Ok(None) };
            let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
            Ok(Some(TracedWindow { node, columns, predicates: Vec::new() }))
        }
        LogicalPlan::SubqueryAlias(alias) => trace_window(&alias.input),
        LogicalPlan::Filter(filter) => {
            let Some(mut traced) = trace_window(&filter.input)? else { return Ok(None) };
            let predicate = traced.resolve(&filter.predicate, filter.input.schema())?;
            traced.predicates.push(predicate);
            Ok(Some(traced))
        }
        LogicalPlan::Projection(projection) => {
            let Some(mut traced) = trace_window(&projection.input)? else { return Ok(None) };
            traced.columns = projection
                .expr
                .iter()
                .map(|expression| Ok(traced.resolve(expression, projection.input.schema())?.unalias()))
                .collect::<Result<_, SqlError>>()?;
            Ok(Some(traced))
        }
        _ => Ok(None),
    }
}

impl TracedWindow<'_> {
    /// An expression over the plan on top, in terms of the window's columns.
    pub fn resolve(&self, expression: &Expr, schema: &DFSchema) -> Result<Expr, SqlError> {
        replace_columns(expression, |column| Some(self.columns[schema.maybe_index_of_column(column)?].clone()))
    }

    /// What each grouping expression is.
    pub fn parts(&self, groups: &[Expr], schema: &DFSchema) -> Result<Vec<Part>, SqlError> {
        groups
            .iter()
            .map(|group| {
                let group = self.resolve(group, schema)?.unalias();
                Ok(match &group {
                    Expr::Column(column) => self.part(column),
                    _ => Part::Key,
                })
            })
            .collect()
    }

    fn part(&self, column: &Column) -> Part {
        let schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(self.node);
        let inner = self.node.input.schema().fields().len();
        let Some(index) = schema.maybe_index_of_column(column).filter(|index| *index >= inner) else {
            return Part::Key;
        };
        let field = schema.field(index);
        if is_window_column(field, WINDOW_START) {
            Part::Start
        } else if is_window_column(field, WINDOW_END) {
            Part::End
        } else {
            assert!(is_window_column(field, WINDOW_TIME), "a window adds three columns");
            Part::Time
        }
    }

    /// The filters on rows, and those on windows, which hold after the aggregate as well.
    pub fn predicates(&self) -> Result<(Option<Expr>, Option<Expr>), SqlError> {
        let mut below = Vec::new();
        let mut above = Vec::new();
        for predicate in &self.predicates {
            let columns = predicate.column_refs();
            let windows = columns.iter().filter(|column| self.part(column) != Part::Key).count();
            if windows == 0 {
                below.push(predicate.clone());
            } else if windows == columns.len() {
                above.push(predicate.clone());
            } else {
                return Err(SqlError::new(format!(
                    "the filter {predicate} compares a window's bounds with a row's columns below an aggregate, which is not supported yet"
                )));
            }
        }
        Ok((conjunction(below), conjunction(above)))
    }

    /// True for event time, false for processing time.
    pub fn event_time(&self) -> bool {
        let Expr::Column(column) = &self.node.time else { return false };
        let schema = self.node.input.schema();
        schema.maybe_index_of_column(column).is_some_and(|index| is_event_time(schema.field(index)))
    }

    pub fn check_input(&self, input: &Relation) -> Result<(), SqlError> {
        check_append(input, "a window")
    }
}

/// Windows and OVER count on rows that stay.
pub(super) fn check_append(input: &Relation, what: &str) -> Result<(), SqlError> {
    if input.mode == ChangelogMode::Append {
        return Ok(());
    }
    Err(SqlError::new(format!(
        "{what} over a result that changes (its rows are updated or deleted) is not supported yet"
    ))
    .with_hint("window the rows before they are aggregated"))
}

impl Lowering {
    /// A window table function whose rows are not aggregated by window: each row is given its windows.
    pub(super) fn window_assign(&mut self, window: &WindowNode, wanted: Wanted) -> Result<Relation, SqlError> {
        let names = window.input.schema();
        let input = self.lower(&window.input, wanted)?;
        check_append(&input, "a window")?;
        let Expr::Column(column) = &window.time else { return Err(SqlError::new("a window needs a time column")) };
        let time = names.maybe_index_of_column(column).ok_or_else(|| SqlError::new("a window needs a time column"))?;
        if !is_event_time(names.field(time)) {
            return Err(SqlError::new(
                "rows can only be given windows of event time; on processing time, aggregate by window_start and window_end",
            ));
        }
        let spec = WindowAssignSpec { input: input.schema.clone(), time, window: window.window, clock: window.clock };
        let schema = spec.schema();
        let node = self.operator(Arc::new(spec), &[(&input, Exchange::Forward)], ChangelogMode::Append);
        let assigned = Relation { node, schema, mode: ChangelogMode::Append, ..input };
        let hidden = [assigned.position, assigned.origin];
        if hidden == [None, None] {
            return Ok(assigned);
        }
        // The hidden columns go last again, behind the window's columns.
        let visible = (0..assigned.schema.fields().len()).filter(|index| !hidden.contains(&Some(*index)));
        let columns: Vec<(Arc<dyn datafusion_physical_expr::PhysicalExpr>, FieldRef)> = visible
            .map(|index| (super::calc::column_at(&assigned.schema, index), assigned.schema.fields()[index].clone()))
            .collect();
        self.calc_physical(assigned, None, columns)
    }
}
