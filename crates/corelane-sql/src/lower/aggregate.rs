//! `GROUP BY`: on everything seen so far, or on windows.
//!
//! Keys and arguments are computed in front of the aggregate. With more than one worker it is
//! split in a local half, whose partial results cross the exchange, and a global half.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use corelane_ops::group_aggregate::{GroupAggregateSpec, Phase};
use corelane_ops::window_aggregate::{Emit, WindowAggregateSpec};
use corelane_ops::{AggregateCall, AggregateFunction, grouped_source};
use corelane_stream::{ChangelogMode, Exchange, LateRows, OperatorSpec, RowPolicy, sql_type};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{Aggregate, Expr};

use super::calc::{column_at, named, replace_columns};
use super::window::{Part, TracedWindow, trace_window};
use super::{Lowering, Relation, Wanted, physical_schema};
use crate::bind::aggregate_function;
use crate::error::SqlError;
use crate::supertype::has_order;

/// The columns that an aggregate reads, each computed once.
pub(super) struct Inputs<'a> {
    names: &'a DFSchema,
    pub columns: Vec<(Expr, FieldRef)>,
}

impl<'a> Inputs<'a> {
    /// Starts from all columns of a plan, in their places.
    pub fn of_columns(names: &'a DFSchema) -> Self {
        let column = |(qualifier, field): (Option<&datafusion_common::TableReference>, &FieldRef)| {
            (Expr::Column(datafusion_common::Column::from((qualifier, field))), named(field, field.name()))
        };
        Inputs { names, columns: names.iter().map(column).collect() }
    }

    pub fn column(&mut self, expression: &Expr) -> Result<usize, SqlError> {
        let expression = expression.clone().unalias();
        if let Some(found) = self.columns.iter().position(|(known, _)| *known == expression) {
            return Ok(found);
        }
        let (_, field) = datafusion_expr::ExprSchemable::to_field(&expression, self.names).map_err(super::planning)?;
        let field = match &expression {
            Expr::Column(column) => named(&field, &column.name),
            _ => named(&field, &format!("${}", self.columns.len())),
        };
        self.columns.push((expression, field));
        Ok(self.columns.len() - 1)
    }

    /// DISTINCT needs values that are the same or not, and the entries of a MAP come in any order.
    pub fn check_distinct(
        &self,
        function: &AggregateFunction,
        distinct: bool,
        arguments: &[usize],
    ) -> Result<(), SqlError> {
        let mut types = arguments.iter().map(|argument| self.columns[*argument].1.data_type());
        match types.find(|data_type| distinct && !has_order(data_type)) {
            Some(data_type) => {
                let (name, given) = (function.name(), sql_type(data_type));
                Err(SqlError::new(format!("{name}(DISTINCT ..) takes a value that has an order, not {given}")))
            }
            None => Ok(()),
        }
    }
}

/// One aggregate call of the query before its columns have places.
struct BoundCall {
    function: AggregateFunction,
    arguments: Vec<Expr>,
    distinct: bool,
    filter: Option<Expr>,
    output: FieldRef,
}

impl BoundCall {
    fn new(expression: &Expr, output: &Field) -> Result<Self, SqlError> {
        let Expr::AggregateFunction(call) = expression.clone().unalias() else {
            return Err(SqlError::new(format!("{expression} is not an aggregate")));
        };
        let params = call.params;
        let Some(mut function) = aggregate_function(call.func.name()) else {
            return Err(SqlError::new(format!("the aggregate {} is not supported yet", call.func.name())));
        };
        if !params.order_by.is_empty() {
            return Err(SqlError::new(format!("ORDER BY within {} is not supported yet", function.name())));
        }
        let arguments = column_arguments(&mut function, params.args, params.distinct)?;
        Ok(BoundCall {
            function,
            arguments,
            distinct: params.distinct,
            filter: params.filter.map(|filter| *filter),
            output: named(output, output.name()),
        })
    }

    /// True if the result depends on the order of arrival.
    fn ordered(&self) -> bool {
        follows_arrival(&self.function)
    }

    fn place(self, inputs: &mut Inputs<'_>) -> Result<AggregateCall, SqlError> {
        let arguments = self.arguments.iter().map(|argument| inputs.column(argument)).collect::<Result<Vec<_>, _>>()?;
        inputs.check_distinct(&self.function, self.distinct, &arguments)?;
        let filter = self.filter.as_ref().map(|filter| inputs.column(filter)).transpose()?;
        Ok(AggregateCall {
            function: self.function,
            arguments,
            distinct: self.distinct,
            filter,
            order: Vec::new(),
            output: self.output,
        })
    }
}

/// The arguments that are columns; the function takes up what its literal ones say.
pub(super) fn column_arguments(
    function: &mut AggregateFunction,
    mut arguments: Vec<Expr>,
    distinct: bool,
) -> Result<Vec<Expr>, SqlError> {
    if let AggregateFunction::ListAgg { separator } = function
        && arguments.len() == 2
    {
        *separator = match arguments.pop() {
            Some(Expr::Literal(value, _)) => text_literal(&value)
                .ok_or_else(|| SqlError::new("the separator of LISTAGG must be a string"))?
                .to_owned(),
            _ => return Err(SqlError::new("the separator of LISTAGG must be a literal")),
        };
    }
    if *function == AggregateFunction::Count && !distinct {
        // COUNT(1) counts rows as COUNT(*) does; COUNT(NULL) counts none.
        arguments.retain(|argument| !matches!(argument, Expr::Literal(value, _) if !value.is_null()));
    }
    Ok(arguments)
}

fn follows_arrival(function: &AggregateFunction) -> bool {
    matches!(function, AggregateFunction::FirstValue | AggregateFunction::LastValue | AggregateFunction::ListAgg { .. })
}

fn text_literal(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            Some(text)
        }
        _ => None,
    }
}

impl Lowering {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Relation, SqlError> {
        let keys = aggregate.group_expr.len();
        let calls = aggregate
            .aggr_expr
            .iter()
            .enumerate()
            .map(|(index, expression)| BoundCall::new(expression, aggregate.schema.field(keys + index)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(traced) = trace_window(&aggregate.input)? {
            let parts = traced.parts(&aggregate.group_expr, aggregate.input.schema())?;
            if parts.contains(&Part::Start) && parts.contains(&Part::End) {
                return self.window_aggregate(aggregate, &traced, &parts, calls);
            }
        }
        self.group_aggregate(aggregate, calls)
    }

    fn group_aggregate(&mut self, aggregate: &Aggregate, calls: Vec<BoundCall>) -> Result<Relation, SqlError> {
        let names = aggregate.input.schema();
        let ordered = calls.iter().any(BoundCall::ordered);
        let mut inputs = Inputs { names, columns: Vec::new() };
        let keys = aggregate
            .group_expr
            .iter()
            .map(|expression| inputs.column(expression))
            .collect::<Result<Vec<usize>, _>>()?;
        let mut calls = calls.into_iter().map(|call| call.place(&mut inputs)).collect::<Result<Vec<_>, _>>()?;
        let columns = inputs.columns;
        let input =
            self.calc_columns(&aggregate.input, None, columns, Wanted { position: ordered, ..Wanted::default() })?;
        order_by_arrival(&mut calls, &input);

        let retracting = input.updating();
        let mode = if calls.is_empty() && !retracting { ChangelogMode::Append } else { ChangelogMode::Retract };
        let output = physical_schema(&aggregate.schema);
        let spec = GroupAggregateSpec {
            input: input.schema.clone(),
            keys: keys.clone(),
            calls: calls.clone(),
            phase: Phase::Single,
            retracting,
            emit_empty: keys.is_empty(),
            at_end: self.options.final_results && self.dataflow.bounded(),
            policy: input.policy.clone(),
        };
        let keys_count = keys.len();
        let split = self.splits(&calls, retracting);
        let policy = input.policy.clone();
        let node = if split {
            let local = GroupAggregateSpec { phase: Phase::Local, emit_empty: false, ..spec.clone() };
            let local = Relation {
                schema: local.schema(),
                node: self.operator(Arc::new(local), &[(&input, Exchange::Forward)], ChangelogMode::Append),
                position: None,
                origin: None,
                ..input
            };
            let global = GroupAggregateSpec { phase: Phase::Global, ..spec };
            let exchange = by_key((0..keys.len()).collect());
            self.operator(Arc::new(global), &[(&local, exchange)], mode.clone())
        } else {
            let exchange = if self.options.workers == 1 { Exchange::Forward } else { by_key(keys) };
            self.operator(Arc::new(spec), &[(&input, exchange)], mode.clone())
        };
        let schema = self.dataflow.node(node).schema.clone();
        let source = grouped_source(schema.fields().iter().take(keys_count).map(|key| key.name().as_str())).into();
        self.retyped(Relation { node, schema, position: None, origin: None, mode, policy, source }, &output)
    }

    /// True if a local half in front of the exchange pays and gives the same answer.
    fn splits(&self, calls: &[AggregateCall], retracting: bool) -> bool {
        self.options.workers > 1 && !retracting && calls.iter().all(AggregateCall::splittable)
    }

    /// Where a silent source does not hold time back, its rows may be late only behind the exchange.
    /// If they are to be kept they have to be rows still.
    fn keeps_what_comes_late(&self, policy: &RowPolicy) -> bool {
        policy.late_rows == LateRows::DeadLetter && self.options.idle_timeout_ms.is_some()
    }

    fn window_aggregate(
        &mut self,
        aggregate: &Aggregate,
        traced: &TracedWindow<'_>,
        parts: &[Part],
        calls: Vec<BoundCall>,
    ) -> Result<Relation, SqlError> {
        let names = traced.node.input.schema();
        let ordered = calls.iter().any(BoundCall::ordered);
        let resolve = |expression: &Expr| traced.resolve(expression, aggregate.input.schema());
        let mut inputs = Inputs { names, columns: Vec::new() };
        let time = inputs.column(&traced.node.time)?;
        let mut keys = Vec::new();
        for (part, expression) in parts.iter().zip(&aggregate.group_expr) {
            if *part == Part::Key {
                keys.push(inputs.column(&resolve(expression)?)?);
            }
        }
        let mut placed = Vec::with_capacity(calls.len());
        for mut call in calls {
            call.arguments = call.arguments.iter().map(&resolve).collect::<Result<_, _>>()?;
            call.filter = call.filter.as_ref().map(&resolve).transpose()?;
            placed.push(call.place(&mut inputs)?);
        }
        let columns = inputs.columns;
        let (below, above) = traced.predicates()?;
        // Rows may be late, or without a time; on processing time they are neither.
        let wanted = Wanted { position: ordered, origin: traced.event_time(), place: false };
        let input = self.calc_columns(&traced.node.input, below.as_ref(), columns, wanted)?;
        traced.check_input(&input)?;
        order_by_arrival(&mut placed, &input);

        let event_time = traced.event_time();
        let emit = if self.emit_changes { Emit::Changes } else { Emit::Final };
        let mode = if self.emit_changes { ChangelogMode::Retract } else { ChangelogMode::Append };
        let spec = WindowAggregateSpec {
            input: input.schema.clone(),
            time: event_time.then_some(time),
            window: traced.node.window,
            clock: traced.node.clock,
            keys: keys.clone(),
            calls: placed.clone(),
            phase: Phase::Single,
            emit,
            policy: input.policy.clone(),
        };
        let policy = input.policy.clone();
        let node = if event_time && self.splits(&placed, false) && !self.keeps_what_comes_late(&policy) {
            let local = WindowAggregateSpec { phase: Phase::Local, ..spec.clone() };
            let local = Relation {
                schema: local.schema(),
                node: self.operator(Arc::new(local), &[(&input, Exchange::Forward)], ChangelogMode::Append),
                position: None,
                origin: None,
                ..input
            };
            let global = WindowAggregateSpec { phase: Phase::Global, ..spec };
            self.operator(Arc::new(global), &[(&local, by_key((0..keys.len()).collect()))], mode.clone())
        } else {
            let exchange = if self.options.workers == 1 { Exchange::Forward } else { by_key(keys.clone()) };
            self.operator(Arc::new(spec), &[(&input, exchange)], mode.clone())
        };
        let schema = self.dataflow.node(node).schema.clone();
        let source = grouped_source(schema.fields().iter().take(keys.len()).map(|key| key.name().as_str())).into();
        let relation = Relation { node, schema, position: None, origin: None, mode, policy, source };
        self.window_output(relation, aggregate, parts, keys.len(), above)
    }

    /// Puts keys, window columns and results in the order that the query gave them.
    fn window_output(
        &mut self,
        relation: Relation,
        aggregate: &Aggregate,
        parts: &[Part],
        keys: usize,
        predicate: Option<Expr>,
    ) -> Result<Relation, SqlError> {
        let output = physical_schema(&aggregate.schema);
        let results = aggregate.aggr_expr.len();
        let window = |part: usize| keys + results + part;
        let mut key = 0;
        let mut places = Vec::new();
        for part in parts {
            places.push(match part {
                Part::Key => {
                    key += 1;
                    key - 1
                }
                Part::Start => window(0),
                Part::End => window(1),
                Part::Time => window(2),
            });
        }
        places.extend((0..results).map(|result| keys + result));
        let predicate = match predicate {
            Some(predicate) => {
                let names = DFSchema::try_from(relation.schema.as_ref().clone()).map_err(super::planning)?;
                let unqualified = replace_columns(&predicate, |column| {
                    Some(Expr::Column(datafusion_common::Column::new_unqualified(&column.name)))
                })?;
                Some(super::calc::physical(&unqualified, &names)?)
            }
            None => None,
        };
        let mut columns = Vec::with_capacity(places.len());
        for (place, field) in places.into_iter().zip(output.fields()) {
            let given = relation.schema.field(place).data_type();
            let column = column_at(&relation.schema, place);
            let column = if given == field.data_type() {
                column
            } else {
                datafusion_physical_expr::expressions::cast(column, &relation.schema, field.data_type().clone())
                    .map_err(super::planning)?
            };
            columns.push((column, field.clone()));
        }
        self.calc_physical(relation, predicate, columns)
    }
}

/// Rows without a key all go to one worker.
fn by_key(keys: Vec<usize>) -> Exchange {
    if keys.is_empty() { Exchange::Gather } else { Exchange::Hash(keys) }
}

fn order_by_arrival(calls: &mut [AggregateCall], input: &Relation) {
    let order: Vec<usize> = input.position.into_iter().collect();
    for call in calls.iter_mut().filter(|call| follows_arrival(&call.function)) {
        call.order.clone_from(&order);
    }
}
