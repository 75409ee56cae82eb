//! `OVER`: each row with an aggregate of the rows before it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use corelane_ops::over::{OverAggregateSpec, OverCall, OverFrame, OverFunction};
use corelane_ops::{AggregateCall, over_source};
use corelane_stream::{ChangelogMode, Exchange, OperatorSpec, sql_type};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Window, WindowFrame, WindowFrameBound, WindowFrameUnits};

use super::aggregate::{Inputs, column_arguments};
use super::calc::{column_at, named};
use super::window::check_append;
use super::{Lowering, Relation, Wanted, physical_schema};
use crate::bind::aggregate_function;
use crate::catalog::{is_event_time, is_processing_time};
use crate::error::SqlError;

impl Lowering {
    pub(super) fn over(&mut self, window: &Window, wanted: Wanted) -> Result<Relation, SqlError> {
        let names = window.input.schema();
        let width = names.fields().len();
        let mut inputs = Inputs::of_columns(names);
        let functions = window.window_expr.iter().map(window_function).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = functions.first() else { return self.lower(&window.input, wanted) };
        if functions.iter().any(|other| !goes_with(first, other)) {
            return self.over_each(window, wanted);
        }

        let time = time_column(first, &mut inputs)?;
        let partition =
            first.params.partition_by.iter().map(|key| inputs.column(key)).collect::<Result<Vec<_>, _>>()?;
        let mut calls = Vec::with_capacity(functions.len());
        for (index, function) in functions.iter().enumerate() {
            let output = named(window.schema.field(width + index), window.schema.field(width + index).name());
            calls.push(OverCall {
                function: over_function(function, &mut inputs)?,
                frame: over_frame(function)?,
                output,
            });
        }
        let event_time = is_event_time(&inputs.columns[time].1);
        let columns = inputs.columns;
        let input = self.calc_columns(
            &window.input,
            None,
            columns,
            Wanted { position: true, origin: event_time, place: false },
        )?;
        check_append(&input, "OVER")?;
        let kept: Vec<usize> =
            (0..input.schema.fields().len()).filter(|column| input.origin != Some(*column)).collect();
        let kept = Arc::new(input.schema.project(&kept).map_err(|error| SqlError::new(error.to_string()))?);
        let read = kept.fields().len();
        let spec = OverAggregateSpec {
            input: kept,
            partition: partition.clone(),
            time: event_time.then_some(time),
            order: input.position.into_iter().collect(),
            calls,
            policy: input.policy.clone(),
            source: input.policy.table.clone(),
        };
        let names = partition.iter().map(|column| spec.input.field(*column).name().as_str());
        let source = over_source(names).into();
        let schema = spec.schema();
        let exchange = match partition.is_empty() {
            true => Exchange::Gather,
            false => Exchange::Hash(partition),
        };
        let mode = ChangelogMode::Append;
        let node = self.operator(Arc::new(spec), &[(&input, exchange)], mode.clone());
        let relation = Relation { node, schema, mode, origin: None, source, ..input };
        let output = physical_schema(&window.schema);
        let places = (0..width).chain(read..read + functions.len());
        let columns = places
            .zip(output.fields())
            .map(|(place, field)| (column_at(&relation.schema, place), field.clone()))
            .collect();
        self.calc_physical(relation, None, columns)
    }

    /// The planner groups functions by how they partition and order, but the optimizer may then write the same
    /// partition in two ways: each way becomes an operator of its own, one above the other.
    fn over_each(&mut self, window: &Window, wanted: Wanted) -> Result<Relation, SqlError> {
        let mut groups: Vec<Vec<Expr>> = Vec::new();
        for expression in &window.window_expr {
            let function = window_function(expression)?;
            let mut known = None;
            for (index, group) in groups.iter().enumerate() {
                if goes_with(window_function(&group[0])?, function) {
                    known = Some(index);
                }
            }
            match known {
                Some(index) => groups[index].push(expression.clone()),
                None => groups.push(vec![expression.clone()]),
            }
        }
        let mut plan = window.input.as_ref().clone();
        for group in groups {
            plan = LogicalPlan::Window(Window::try_new(group, Arc::new(plan)).map_err(super::planning)?);
        }
        let columns = window.schema.columns().into_iter().map(Expr::Column);
        let plan = LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build);
        self.lower(&plan.map_err(super::planning)?, wanted)
    }
}

/// One operator can compute both.
fn goes_with(first: &WindowFunction, other: &WindowFunction) -> bool {
    other.params.partition_by == first.params.partition_by && other.params.order_by == first.params.order_by
}

fn window_function(expression: &Expr) -> Result<&WindowFunction, SqlError> {
    match expression {
        Expr::WindowFunction(function) => Ok(function),
        Expr::Alias(alias) => window_function(&alias.expr),
        other => Err(SqlError::new(format!("{other} is not a function OVER a window"))),
    }
}

/// OVER goes by a time attribute, earliest first: anything else would wait for the end of time.
fn time_column(function: &WindowFunction, inputs: &mut Inputs<'_>) -> Result<usize, SqlError> {
    let name = function.fun.name().to_uppercase();
    let wrong = || {
        SqlError::new(format!("{name} OVER must be ORDER BY one time attribute, ascending"))
            .with_hint("order by the column of WATERMARK FOR, or by a column AS PROCTIME()")
    };
    let [order] = function.params.order_by.as_slice() else { return Err(wrong()) };
    if !order.asc {
        return Err(wrong());
    }
    let column = inputs.column(&order.expr)?;
    let field = &inputs.columns[column].1;
    if !is_event_time(field) && !is_processing_time(field) {
        return Err(wrong());
    }
    Ok(column)
}

fn over_function(function: &WindowFunction, inputs: &mut Inputs<'_>) -> Result<OverFunction, SqlError> {
    let name = function.fun.name();
    let params = &function.params;
    let frame = &params.window_frame;
    let is_own = frame.units == WindowFrameUnits::Range
        && frame.end_bound == WindowFrameBound::CurrentRow
        && matches!(&frame.start_bound, WindowFrameBound::Preceding(value) if value.is_null());
    if matches!(name, "row_number" | "lag") && !is_own {
        return Err(no_frame(name));
    }
    match name {
        "row_number" => return Ok(OverFunction::RowNumber),
        "lag" => {
            let value = params.args.first().ok_or_else(|| SqlError::new("LAG takes an argument"))?;
            let offset = match params.args.get(1) {
                None => 1,
                Some(Expr::Literal(offset, _)) => integer(offset)
                    .and_then(|offset| u64::try_from(offset).ok())
                    .ok_or_else(|| SqlError::new("the offset of LAG must be a number of rows"))?,
                Some(_) => return Err(SqlError::new("the offset of LAG must be a literal")),
            };
            let default = match params.args.get(2) {
                None => None,
                Some(Expr::Literal(default, _)) => Some(default),
                Some(_) => return Err(SqlError::new("the default of LAG must be a literal")),
            };
            let argument = inputs.column(value)?;
            let data_type = inputs.columns[argument].1.data_type();
            let default = default.map(|default| fitted_default(default, data_type)).transpose()?;
            return Ok(OverFunction::Lag { argument, offset, default });
        }
        "lead" => {
            return Err(SqlError::new(
                "LEAD looks at rows that have not come yet, so over a stream it never has an answer",
            )
            .with_hint("use LAG with the roles of the rows exchanged"));
        }
        _ => {}
    }
    let Some(mut aggregate) = aggregate_function(name) else {
        return Err(SqlError::new(format!("{} OVER is not supported yet", name.to_uppercase())));
    };
    let arguments = column_arguments(&mut aggregate, params.args.clone(), params.distinct)?;
    let arguments = arguments.iter().map(|argument| inputs.column(argument)).collect::<Result<Vec<_>, _>>()?;
    inputs.check_distinct(&aggregate, params.distinct, &arguments)?;
    let types: Vec<_> = arguments.iter().map(|column| inputs.columns[*column].1.data_type().clone()).collect();
    let output = arrow::datatypes::Field::new(name, aggregate.return_type(&types)?, true);
    let filter = params.filter.as_ref().map(|filter| inputs.column(filter)).transpose()?;
    Ok(OverFunction::Aggregate(AggregateCall {
        function: aggregate,
        arguments,
        distinct: params.distinct,
        filter,
        order: Vec::new(),
        output: Arc::new(output),
    }))
}

/// What is told of a frame where there is none: `ROW_NUMBER` and its like go by all rows of their partition.
pub(crate) fn no_frame(name: &str) -> SqlError {
    SqlError::new(format!("{} takes no frame: ROWS and RANGE are for aggregates", name.to_uppercase()))
        .with_hint("leave the frame out")
}

/// The default of LAG in the type of its column, if nothing is lost by that.
fn fitted_default(default: &ScalarValue, data_type: &DataType) -> Result<ScalarValue, SqlError> {
    let fitted = default.cast_to(data_type).ok();
    let back = fitted.as_ref().and_then(|fitted| fitted.cast_to(&default.data_type()).ok());
    match fitted {
        Some(fitted) if default.is_null() || back.as_ref() == Some(default) => Ok(fitted),
        _ => Err(SqlError::new(format!("the default of LAG, {default}, is no {}", sql_type(data_type)))
            .with_hint("cast the column to a type that holds both")),
    }
}

fn over_frame(function: &WindowFunction) -> Result<OverFrame, SqlError> {
    let WindowFrame { units, start_bound, end_bound, .. } = &function.params.window_frame;
    if !matches!(end_bound, WindowFrameBound::CurrentRow) {
        return Err(SqlError::new("the frame of OVER must end at CURRENT ROW: later rows have not come yet"));
    }
    let start = match start_bound {
        WindowFrameBound::Preceding(value) if value.is_null() => None,
        WindowFrameBound::Preceding(value) => Some(value),
        WindowFrameBound::CurrentRow => Some(&ScalarValue::UInt64(Some(0))),
        WindowFrameBound::Following(_) => {
            return Err(SqlError::new("the frame of OVER must begin at or before CURRENT ROW"));
        }
    };
    match units {
        WindowFrameUnits::Rows => {
            let preceding = match start {
                None => None,
                Some(value) => Some(
                    integer(value)
                        .and_then(|rows| u64::try_from(rows).ok())
                        .ok_or_else(|| SqlError::new("ROWS BETWEEN takes a number of rows"))?,
                ),
            };
            Ok(OverFrame::Rows { preceding })
        }
        WindowFrameUnits::Range => {
            let preceding_ms = match start {
                None => None,
                Some(value) => Some(
                    span_ms(value).ok_or_else(|| SqlError::new("RANGE BETWEEN takes an INTERVAL of fixed length"))?,
                ),
            };
            Ok(OverFrame::Range { preceding_ms })
        }
        WindowFrameUnits::Groups => Err(SqlError::new("GROUPS frames are not supported yet")),
    }
}

fn integer(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&arrow::datatypes::DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => Some(number),
        _ => None,
    }
}

/// The length of an interval without months, in milliseconds.
fn span_ms(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            Some(i64::from(interval.days) * 86_400_000 + interval.nanoseconds / 1_000_000)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Some(i64::from(interval.days) * 86_400_000 + i64::from(interval.milliseconds))
        }
        ScalarValue::DurationMillisecond(Some(length)) => Some(*length),
        ScalarValue::DurationMicrosecond(Some(length)) => Some(length / 1_000),
        ScalarValue::DurationNanosecond(Some(length)) => Some(length / 1_000_000),
        ScalarValue::UInt64(Some(0)) => Some(0),
        _ => None,
    }
}
