//! FROM clauses that are ours: window table functions and what became of group windows.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use corelane_ops::{Window, WindowClock, Zone};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Extension, LogicalPlan};
use sqlparser::ast::{Ident, ObjectName, TableFactor};

use super::window_node::WindowNode;
use crate::catalog::{closest, is_event_time, is_processing_time};
use crate::error::SqlError;
use crate::parse::{WindowKind, WindowTvf, window_tvf};

/// `GROUP BY TUMBLE(time, ..)` over a relation, taken out of its query.
#[derive(Clone, Debug)]
pub(super) struct GroupWindow {
    pub window: Window,
    pub time: Ident,
    pub relation: TableFactor,
    /// The names of the `TUMBLE_ROWTIME` and `TUMBLE_PROCTIME` that ask for its time.
    pub times_asked: Vec<Ident>,
}

/// Plans window table functions. Planning is done by one thread; the lock is there because the
/// planner's interface asks for `Sync`.
#[derive(Debug)]
pub(super) struct WindowRelations {
    /// The session's time zone, which windows over TIMESTAMP_LTZ follow.
    zone: Option<Zone>,
    group_windows: Mutex<Vec<GroupWindow>>,
}

/// No user's function has a space in its name.
const GROUP_WINDOW: &str = "group window ";

impl WindowRelations {
    pub fn new(zone: Option<Zone>) -> Self {
        WindowRelations { zone, group_windows: Mutex::default() }
    }

    /// Keeps a group window and gives the name that stands for it in FROM.
    pub fn add(&self, window: GroupWindow) -> String {
        let mut windows = self.group_windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.push(window);
        format!("{GROUP_WINDOW}{}", windows.len() - 1)
    }

    fn group_window(&self, name: &str) -> Option<GroupWindow> {
        let index: usize = name.strip_prefix(GROUP_WINDOW)?.parse().ok()?;
        self.group_windows.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }
}

impl RelationPlanner for WindowRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::Function { name, .. } = &relation
            && let [part] = name.0.as_slice()
            && let Some(window) = part.as_ident().and_then(|ident| self.group_window(&ident.value))
        {
            let input = context.plan(window.relation)?;
            check_times_asked(&window.times_asked, &window.time, &input)?;
            let plan = windowed(input, window.window, &window.time, self.zone)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))));
        }
        if let Some(reason) = refused(&relation) {
            return Err(external(SqlError::new(format!("{reason} is not supported yet")).at_node(&relation)));
        }
        match window_tvf(&relation).map_err(external)? {
            None => Ok(RelationPlanning::Original(Box::new(relation))),
            Some(tvf) => {
                let window = window_of(&tvf).map_err(|error| external(error.at(tvf.span)))?;
                let input = context.plan(table_factor(tvf.table))?;
                let plan = windowed(input, window, &tvf.time_column, self.zone)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, tvf.alias))))
            }
        }
    }
}

fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Relations that parse and cannot run yet.
fn refused(relation: &TableFactor) -> Option<&'static str> {
    match relation {
        TableFactor::MatchRecognize { .. } => Some("MATCH_RECOGNIZE"),
        TableFactor::Table { version: Some(_), .. } => Some("FOR SYSTEM_TIME AS OF"),
        TableFactor::UNNEST { .. } => Some("UNNEST"),
        TableFactor::Pivot { .. } => Some("PIVOT"),
        TableFactor::Unpivot { .. } => Some("UNPIVOT"),
        TableFactor::Table { sample: Some(_), .. } => Some("TABLESAMPLE"),
        _ => None,
    }
}

fn window_of(tvf: &WindowTvf) -> Result<Window, SqlError> {
    let offset_ms = tvf.offset_ms;
    let window = match tvf.kind {
        WindowKind::Tumble { size_ms } => Window::Tumble { size_ms, offset_ms },
        WindowKind::Hop { slide_ms, size_ms } => Window::Hop { size_ms, slide_ms, offset_ms },
        WindowKind::Cumulate { step_ms, size_ms } => Window::Cumulate { size_ms, step_ms, offset_ms },
        WindowKind::Session { .. } => return Err(SqlError::new("SESSION windows are not supported yet")),
    };
    window.check()?;
    Ok(window)
}

/// The table argument of a window function as a relation of its own.
fn table_factor(name: ObjectName) -> TableFactor {
    TableFactor::Table {
        name,
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// A window over event time has no processing time to give, and the other way round.
fn check_times_asked(asked: &[Ident], time: &Ident, input: &LogicalPlan) -> Result<()> {
    let Some(field) = input.schema().fields().iter().find(|field| *field.name() == time.value) else { return Ok(()) };
    let (own, other) = if is_processing_time(field) { ("processing", "event") } else { ("event", "processing") };
    let wrong = if is_processing_time(field) { "_ROWTIME" } else { "_PROCTIME" };
    match asked.iter().find(|name| name.value.to_uppercase().ends_with(wrong)) {
        Some(name) => Err(external(
            SqlError::new(format!("{name} needs a window over {other} time, and {:?} is {own} time", time.value))
                .with_hint("ask for the window's start or end")
                .at_ident(name),
        )),
        None => Ok(()),
    }
}

/// Puts a window over a relation, if the column is its time attribute.
fn windowed(input: LogicalPlan, window: Window, time: &Ident, zone: Option<Zone>) -> Result<LogicalPlan> {
    let schema = input.schema();
    let Some((qualifier, field)) = schema.iter().find(|(_, field)| *field.name() == time.value) else {
        let mut error = SqlError::new(format!("there is no column {:?} for the window", time.value));
        if let Some(close) = closest(&time.value, schema.fields().iter().map(|field| field.name().as_str())) {
            error = error.with_hint(format!("did you mean {close:?}?"));
        }
        return Err(external(error.at_ident(time)));
    };
    if !is_event_time(field) && !is_processing_time(field) {
        let error = SqlError::new(format!(
            "column {:?} is not a time attribute, and a window needs one to know when it is complete",
            time.value
        ))
        .with_hint(format!(
            "declare WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND in its table, or a column AS PROCTIME()",
            time.value
        ));
        return Err(external(error.at_ident(time)));
    }
    let column = datafusion_common::Column::from((qualifier, field));
    let clock = match field.data_type() {
        DataType::Timestamp(_, Some(_)) => WindowClock::Wall(zone),
        _ => WindowClock::AsWritten,
    };
    let node = WindowNode::new(input, window, clock, column)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}
