//! Columns of subqueries, views and tables that are read under conditions only.
//!
//! `CASE WHEN z <> 0 THEN d END` must not fail for a row with `z = 0` because the subquery below
//! it computes `10 / z AS d` for every row; nor must `SUM(d) FILTER (WHERE z <> 0)`. So every plan
//! tells its input in which rows each column is read, and a column that may fail is guarded by
//! that. This comes behind the optimizer, which moves filters below columns, and computes below all
//! columns what some of them have in common.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::expr::Case;
use datafusion_expr::expr_fn::{binary_expr, is_not_true, is_true};
use datafusion_expr::utils::disjunction;
use datafusion_expr::{Expr, LogicalPlan, Operator, Projection, TableScan};

use super::context::as_scan;
use super::guards::{guard_parts, guarded_by};
use crate::lower::{can_fail, definition_may_fail};

/// Guards the columns that may fail in rows in which no one reads them.
pub(super) fn guard_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    let all = Reads::of_all(plan.schema());
    Ok(visit(plan, &all, false)?.data)
}

/// In which rows a column is read.
#[derive(Clone, Debug, PartialEq)]
enum Read {
    Never,
    /// Where one of these holds, over the columns that are read.
    Where(Vec<Expr>),
    Always,
}

/// In which rows each column of a plan is read, by the column's place.
#[derive(Clone, Debug)]
struct Reads(Vec<Read>);

impl Reads {
    fn of_all(schema: &DFSchema) -> Self {
        Reads(vec![Read::Always; schema.fields().len()])
    }

    fn of_none(schema: &DFSchema) -> Self {
        Reads(vec![Read::Never; schema.fields().len()])
    }

    /// Adds what an expression reads where all `conditions` hold.
    fn add(&mut self, expression: &Expr, schema: &DFSchema, conditions: &[Expr]) {
        let under = |condition: Expr| [conditions, &[condition]].concat();
        match expression {
            Expr::Column(column) => {
                if let Some(place) = schema.maybe_index_of_column(column) {
                    self.read(place, conditions);
                }
            }
            Expr::BinaryExpr(binary) if binary.op == Operator::And => {
                self.add(&binary.left, schema, conditions);
                // What is false decides alone; what is unknown does not.
                let undecided = Expr::IsNotFalse(binary.left.clone());
                self.add(&binary.right, schema, &under(undecided));
            }
            Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
                self.add(&binary.left, schema, conditions);
                self.add(&binary.right, schema, &under(is_not_true((*binary.left).clone())));
            }
            Expr::Case(case) => self.add_case(case, schema, conditions),
            Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
                let mut conditions = conditions.to_vec();
                for argument in &call.args {
                    self.add(argument, schema, &conditions);
                    conditions.push(Expr::IsNull(Box::new(argument.clone())));
                }
            }
            Expr::ScalarFunction(call) => match guard_parts(call) {
                Some((condition, value)) => {
                    self.add(condition, schema, conditions);
                    self.add(value, schema, &under(is_true(condition.clone())));
                }
                None => call.args.iter().for_each(|argument| self.add(argument, schema, conditions)),
            },
            Expr::AggregateFunction(call) => {
                let params = &call.params;
                let ordered = params.order_by.iter().map(|sort| &sort.expr);
                self.add_filtered(params.args.iter().chain(ordered), params.filter.as_deref(), schema);
            }
            Expr::WindowFunction(call) => {
                let params = &call.params;
                self.add_filtered(params.args.iter(), params.filter.as_deref(), schema);
                let ordered = params.order_by.iter().map(|sort| &sort.expr);
                params.partition_by.iter().chain(ordered).for_each(|part| self.add(part, schema, conditions));
            }
            other => {
                let walked = other.apply_children(|part| {
                    self.add(part, schema, conditions);
                    Ok(TreeNodeRecursion::Continue)
                });
                walked.expect("collecting columns cannot fail");
            }
        }
    }

    fn add_case(&mut self, case: &Case, schema: &DFSchema, conditions: &[Expr]) {
        if let Some(compared) = &case.expr {
            self.add(compared, schema, conditions);
        }
        let mut not_yet = conditions.to_vec();
        for (when, then) in &case.when_then_expr {
            self.add(when, schema, &not_yet);
            let holds = match &case.expr {
                Some(compared) => binary_expr((**compared).clone(), Operator::Eq, (**when).clone()),
                None => (**when).clone(),
            };
            self.add(then, schema, &[&not_yet[..], &[is_true(holds.clone())]].concat());
            not_yet.push(is_not_true(holds));
        }
        if let Some(otherwise) = &case.else_expr {
            self.add(otherwise, schema, &not_yet);
        }
    }

    fn add_filtered<'a>(
        &mut self,
        arguments: impl Iterator<Item = &'a Expr>,
        filter: Option<&Expr>,
        schema: &DFSchema,
    ) {
        let passes: Vec<Expr> = filter.map(|filter| is_true(filter.clone())).into_iter().collect();
        filter.into_iter().for_each(|filter| self.add(filter, schema, &[]));
        arguments.for_each(|argument| self.add(argument, schema, &passes));
    }

    fn read(&mut self, place: usize, conditions: &[Expr]) {
        let read = &mut self.0[place];
        let Some(condition) = conditions.iter().cloned().reduce(Expr::and) else {
            *read = Read::Always;
            return;
        };
        match read {
            Read::Always => {}
            Read::Never => *read = Read::Where(vec![condition]),
            Read::Where(known) if known.contains(&condition) => {}
            Read::Where(known) => known.push(condition),
        }
    }

    /// The same of an input's columns, which stand in the same places; more that the plan has are its own.
    fn through(&self, from: &DFSchema, to: &DFSchema) -> Result<Self> {
        let reads = self.0[..to.fields().len()].iter().map(|read| {
            let Read::Where(conditions) = read else { return Ok(read.clone()) };
            let replaced = conditions.iter().map(|condition| {
                replaced(condition, |column| {
                    let place = from.maybe_index_of_column(column).filter(|place| *place < to.fields().len())?;
                    Some(Expr::Column(Column::from(to.qualified_field(place))))
                })
            });
            let replaced: Option<Vec<Expr>> = replaced.collect::<Result<_>>()?;
            Ok(replaced.map_or(Read::Always, Read::Where))
        });
        Ok(Reads(reads.collect::<Result<_>>()?))
    }

    /// What two plans read of the same columns.
    fn and(self, other: Reads) -> Self {
        let both = self.0.into_iter().zip(other.0).map(|reads| match reads {
            (Read::Never, read) | (read, Read::Never) => read,
            (Read::Always, _) | (_, Read::Always) => Read::Always,
            (Read::Where(mut known), Read::Where(more)) => {
                for condition in more {
                    if !known.contains(&condition) {
                        known.push(condition);
                    }
                }
                Read::Where(known)
            }
        });
        Reads(both.collect())
    }
}

/// Guards the columns of a plan, of which only `reads` is read. `placed`: the expressions that read
/// them are computed right above a scan, which puts its computed columns in their places.
fn visit(plan: LogicalPlan, reads: &Reads, placed: bool) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let guarded = guarded_projection(&projection, reads)?;
            let expressions = guarded.as_ref().unwrap_or(&projection.expr);
            let schema = projection.input.schema();
            let mut below = Reads::of_none(schema);
            for (expression, read) in expressions.iter().zip(&reads.0) {
                if *read != Read::Never {
                    below.add(expression, schema, &[]);
                }
            }
            let expressions = expressions.clone();
            let changed = guarded.is_some();
            let input = visit(Arc::unwrap_or_clone(projection.input), &below, true)?;
            let projection = Projection::try_new(expressions, Arc::new(input.data))?;
            Ok(Transformed::new_transformed(LogicalPlan::Projection(projection), changed || input.transformed))
        }
        LogicalPlan::TableScan(scan) if !placed => guarded_scan(scan, reads),
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => pass_on(plan, reads, placed),
        LogicalPlan::Limit(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Union(_) => pass_on(plan, reads, false),
        LogicalPlan::Aggregate(_) => {
            let inputs = plan.inputs();
            let [input] = inputs.as_slice() else { return Ok(Transformed::no(plan)) };
            let schema = input.schema();
            let mut below = Reads::of_none(schema);
            plan.apply_expressions(|expression| {
                below.add(expression, schema, &[]);
                Ok(TreeNodeRecursion::Continue)
            })?;
            rebuilt(plan, |input| visit(input, &below, false))
        }
        other => rebuilt(other, |input| {
            let all = Reads::of_all(input.schema());
            visit(input, &all, false)
        }),
    }
}

/// Plans that give the columns of their inputs in the same places.
fn pass_on(plan: LogicalPlan, reads: &Reads, placed: bool) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(plan.schema());
    let mut own = Vec::new();
    plan.apply_expressions(|expression| {
        own.push(expression.clone());
        Ok(TreeNodeRecursion::Continue)
    })?;
    rebuilt(plan, |input| {
        let below = Arc::clone(input.schema());
        let mut by_plan = Reads::of_none(&below);
        own.iter().for_each(|expression| by_plan.add(expression, &below, &[]));
        visit(input, &reads.through(&schema, &below)?.and(by_plan), placed)
    })
}

fn rebuilt(
    plan: LogicalPlan,
    input: impl FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<Transformed<LogicalPlan>> {
    let plan = plan.map_children(input)?;
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

/// The expressions of a projection with guards, if any needs one.
fn guarded_projection(projection: &Projection, reads: &Reads) -> Result<Option<Vec<Expr>>> {
    let mut guarded = false;
    let expressions = projection.expr.iter().zip(&reads.0).enumerate().map(|(place, (expression, read))| {
        let Read::Where(conditions) = read else { return Ok(expression.clone()) };
        if !may_fail(expression, &projection.input) {
            return Ok(expression.clone());
        }
        let Some(condition) = disjunction(conditions.iter().cloned()) else { return Ok(expression.clone()) };
        let over_input = replaced(&condition, |column| {
            let place = projection.schema.maybe_index_of_column(column)?;
            Some(projection.expr[place].clone().unalias_nested().data)
        })?;
        match over_input {
            Some(condition) if !condition.is_volatile() => {
                guarded = true;
                let (qualifier, field) = projection.schema.qualified_field(place);
                let value = expression.clone().unalias_nested().data;
                Ok(guarded_by(condition, value).alias_qualified(qualifier.cloned(), field.name()))
            }
            _ => Ok(expression.clone()),
        }
    });
    let expressions = expressions.collect::<Result<Vec<_>>>()?;
    Ok(guarded.then_some(expressions))
}

/// A scan whose computed columns are read through a plan that does not compute them itself.
fn guarded_scan(scan: TableScan, reads: &Reads) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(&scan.projected_schema);
    let columns: Vec<Expr> =
        (0..schema.fields().len()).map(|place| Expr::Column(Column::from(schema.qualified_field(place)))).collect();
    let plan = Arc::new(LogicalPlan::TableScan(scan));
    let all = Projection::try_new(columns, Arc::clone(&plan))?;
    Ok(match guarded_projection(&all, reads)? {
        Some(guarded) => Transformed::yes(LogicalPlan::Projection(Projection::try_new(guarded, plan)?)),
        None => Transformed::no(Arc::unwrap_or_clone(plan)),
    })
}

/// Whether an expression may fail, or one of the columns that it is made of.
fn may_fail(expression: &Expr, input: &LogicalPlan) -> bool {
    can_fail(expression)
        || expression.column_refs().into_iter().any(|column| {
            let Some(place) = input.schema().maybe_index_of_column(column) else { return false };
            column_may_fail(input, place)
        })
}

fn column_may_fail(plan: &LogicalPlan, place: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => may_fail(&projection.expr[place], &projection.input),
        LogicalPlan::TableScan(scan) => {
            let Some(source) = as_scan(&scan.source) else { return false };
            let name = scan.projected_schema.field(place).name();
            let column = source.table.columns.iter().position(|column| column.field.name() == name);
            column.is_some_and(|column| definition_may_fail(&source.table, column))
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Union(_) => plan
            .inputs()
            .into_iter()
            .any(|input| place < input.schema().fields().len() && column_may_fail(input, place)),
        _ => false,
    }
}

/// The expression with all its columns replaced, if all can be.
fn replaced(expression: &Expr, replacement: impl Fn(&Column) -> Option<Expr>) -> Result<Option<Expr>> {
    let mut all = true;
    let replaced = expression.clone().transform_down(|part| {
        let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
        Ok(match replacement(column) {
            Some(found) => Transformed::new(found, true, TreeNodeRecursion::Jump),
            None => {
                all = false;
                Transformed::new(part, false, TreeNodeRecursion::Stop)
            }
        })
    })?;
    Ok(all.then_some(replaced.data))
}
