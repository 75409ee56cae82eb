//! Filters and projections.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use corelane_ops::{CalcSpec, checked};
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{Exchange, OperatorSpec, RowPolicy};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::origin::can_fail;
use super::seeded::{self, is_seeded};
use super::{Lowering, Relation, Wanted, physical_field, physical_schema, planning};
use crate::bind::{float_comparison, guarded};
use crate::error::SqlError;

/// The hidden column's name: no SQL name has a space at its start.
pub(super) const POSITION_COLUMN: &str = " position";

impl Lowering {
    /// A filter and a projection over a sub-plan, in one operator.
    pub(super) fn calc_over(
        &mut self,
        input: &LogicalPlan,
        predicate: Option<&Expr>,
        expressions: &[Expr],
        output: &DFSchemaRef,
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let fields = physical_schema(output);
        let columns = expressions.iter().cloned().zip(fields.fields().iter().cloned()).collect();
        self.calc_columns(input, predicate, columns, wanted)
    }

    /// The same with the output's fields given; what it can do in the scan below, it does there.
    pub(super) fn calc_columns(
        &mut self,
        input: &LogicalPlan,
        predicate: Option<&Expr>,
        columns: Vec<(Expr, FieldRef)>,
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let names = input.schema();
        match through_aliases(input) {
            LogicalPlan::TableScan(table) => {
                let renamed = |expression: &Expr| requalified(expression, names, &table.projected_schema);
                let calc = super::scan::ScanCalc {
                    predicate: predicate.map(renamed).transpose()?,
                    columns: columns
                        .into_iter()
                        .map(|(expression, field)| Ok((renamed(&expression)?, field)))
                        .collect::<Result<_, SqlError>>()?,
                };
                self.scan(table, Some(calc), wanted)
            }
            LogicalPlan::Filter(filter) if predicate.is_none() => {
                let names = filter.input.schema();
                let columns = columns
                    .into_iter()
                    .map(|(expression, field)| Ok((requalified(&expression, input.schema(), names)?, field)))
                    .collect::<Result<_, SqlError>>()?;
                self.calc_columns(&filter.input, Some(&filter.predicate), columns, wanted)
            }
            LogicalPlan::Union(union) if is_of_one_type(union) => {
                self.union_of_calcs(union, names, predicate, &columns, wanted)
            }
            _ => {
                let all = || predicate.into_iter().chain(columns.iter().map(|(expression, _)| expression));
                let position = wanted.position || all().any(is_seeded);
                let fails = all().any(can_fail);
                let below = Wanted { position, origin: wanted.origin || fails, place: wanted.place || fails };
                let relation = self.lower(input, below)?;
                self.calc(relation, names, predicate, columns, wanted)
            }
        }
    }

    /// A filter and a projection over a relation; the hidden position is carried along, and the
    /// origin if it is still wanted.
    pub(super) fn calc(
        &mut self,
        input: Relation,
        names: &DFSchema,
        predicate: Option<&Expr>,
        columns: Vec<(Expr, FieldRef)>,
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let placed_names;
        let names = match input.position {
            Some(_) if predicate.into_iter().chain(columns.iter().map(|(column, _)| column)).any(is_seeded) => {
                placed_names = seeded::with_position(names)?;
                &placed_names
            }
            _ => names,
        };
        let physical = |expression: &Expr| match input.position {
            Some(_) if is_seeded(expression) => physical(&seeded::placed(expression)?, names),
            _ => physical(expression, names),
        };
        let predicate = predicate.map(physical).transpose()?;
        let mut physical_columns = Vec::with_capacity(columns.len() + 1);
        for (expression, field) in &columns {
            physical_columns.push((physical(expression)?, field.clone()));
        }
        self.calc_hidden(input, predicate, physical_columns, wanted)
    }

    /// The same of physical expressions, with all the hidden columns that there are.
    pub(super) fn calc_physical(
        &mut self,
        input: Relation,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        columns: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
    ) -> Result<Relation, SqlError> {
        let wanted = Wanted { position: input.position.is_some(), origin: input.origin.is_some(), place: false };
        self.calc_hidden(input, predicate, columns, wanted)
    }

    /// The same with those hidden columns that are wanted.
    pub(super) fn calc_hidden(
        &mut self,
        input: Relation,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        mut columns: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let position = input.position.map(|position| {
            columns.push((column_at(&input.schema, position), position_field()));
            columns.len() - 1
        });
        let origin = input.origin.filter(|_| wanted.origin).map(|origin| {
            columns.push((column_at(&input.schema, origin), input.schema.fields()[origin].clone()));
            columns.len() - 1
        });
        if predicate.is_none() && is_identity(&columns, &input.schema) {
            return Ok(Relation { position, origin, ..input });
        }
        let spec = CalcSpec {
            input: input.schema.clone(),
            predicate,
            columns,
            policy: input.policy.clone(),
            source: input.source.to_string(),
        };
        if let Some(below) = self.calcs.remove(&input.node)
            && let Some(both) = fused(&below, &spec)?
        {
            let both = Arc::new(both);
            let schema = both.schema();
            self.dataflow.replace_operator(input.node, both.clone());
            self.calcs.insert(input.node, both);
            return Ok(Relation { schema, position, origin, ..input });
        }
        let spec = Arc::new(spec);
        let schema = spec.schema();
        let node = self.operator(spec.clone(), &[(&input, Exchange::Forward)], input.mode.clone());
        self.calcs.insert(node, spec);
        Ok(Relation { node, schema, position, origin, mode: input.mode, policy: input.policy, source: input.source })
    }

    /// The same relation with these types and names, without positions.
    pub(super) fn retyped(&mut self, input: Relation, schema: &SchemaRef) -> Result<Relation, SqlError> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let column = column_at(&input.schema, index);
            let given = input.schema.field(index).data_type();
            let column = if given == field.data_type() {
                column
            } else {
                datafusion_physical_expr::expressions::cast(column, &input.schema, field.data_type().clone())
                    .map_err(planning)?
            };
            columns.push((column, field.clone()));
        }
        self.calc_physical(Relation { position: None, ..input }, None, columns)
    }
}

/// Two Calcs in one, where nothing would be computed twice for it: one of them only picks columns.
fn fused(below: &CalcSpec, above: &CalcSpec) -> Result<Option<CalcSpec>, SqlError> {
    let below_picks = below.columns.iter().all(|(expression, _)| column_index(expression).is_some());
    let fusible = (below_picks && (below.predicate.is_none() || above.predicate.is_none()))
        || (above.predicate.is_none() && picks_each_once(above));
    if !fusible {
        return Ok(None);
    }
    let through = |expression: &Arc<dyn PhysicalExpr>| -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        let replaced = expression.clone().transform_down(|part| {
            Ok(match column_index(&part) {
                Some(index) => Transformed::new(below.columns[index].0.clone(), true, TreeNodeRecursion::Jump),
                None => Transformed::no(part),
            })
        });
        Ok(replaced.map_err(planning)?.data)
    };
    let predicate = match (&below.predicate, &above.predicate) {
        (Some(predicate), _) => Some(predicate.clone()),
        (None, predicate) => predicate.as_ref().map(through).transpose()?,
    };
    let columns = above.columns.iter().map(|(expression, field)| Ok((through(expression)?, field.clone())));
    let columns = columns.collect::<Result<_, SqlError>>()?;
    Ok(Some(CalcSpec { predicate, columns, ..below.clone() }))
}

/// True if all columns are columns of the input, none of them twice.
fn picks_each_once(calc: &CalcSpec) -> bool {
    let mut seen = HashSet::new();
    calc.columns.iter().all(|(expression, _)| column_index(expression).is_some_and(|index| seen.insert(index)))
}

/// The column's place, if the expression is a column.
fn column_index(expression: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expression.downcast_ref::<datafusion_physical_expr::expressions::Column>().map(|column| column.index())
}

/// A typed, checked physical expression over a relation's columns.
pub(super) fn physical(expression: &Expr, names: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
    if is_seeded(expression) {
        return Err(seeded::refusal());
    }
    let physical = create_physical_expr(expression, names, &ExecutionProps::new(), &PhysicalPlanningContext::default())
        .map_err(planning)?;
    let ours = |part: Arc<dyn PhysicalExpr>| {
        let replaced = guarded(&part).or_else(|| float_comparison(&part));
        Ok(replaced.map_or_else(|| Transformed::no(part), Transformed::yes))
    };
    let physical = physical.transform_up(ours).map_err(planning)?;
    checked(physical.data).map_err(SqlError::from)
}

pub(super) fn column_at(schema: &SchemaRef, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(datafusion_physical_expr::expressions::Column::new(schema.field(index).name(), index))
}

pub(super) fn position_field() -> FieldRef {
    let field = Field::new(POSITION_COLUMN, DataType::UInt64, false);
    Arc::new(field.with_metadata([(METADATA_KEY.to_owned(), METADATA_POSITION.to_owned())].into()))
}

fn is_identity(columns: &[(Arc<dyn PhysicalExpr>, FieldRef)], schema: &SchemaRef) -> bool {
    columns.len() == schema.fields().len()
        && columns.iter().enumerate().all(|(index, (expression, field))| {
            field.name() == schema.field(index).name()
                && field.data_type() == schema.field(index).data_type()
                && column_index(expression) == Some(index)
        })
}

/// Whether what is said of a union's columns can be said of its inputs'.
fn is_of_one_type(union: &datafusion_expr::Union) -> bool {
    let types = |schema: &DFSchema| -> Vec<DataType> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    union.inputs.iter().all(|input| types(input.schema()) == types(&union.schema))
}

pub(super) fn through_aliases(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => through_aliases(&alias.input),
        other => other,
    }
}

/// The same expression over a schema whose columns have other qualifiers but the same places.
pub(super) fn requalified(expression: &Expr, from: &DFSchema, to: &DFSchema) -> Result<Expr, SqlError> {
    replace_columns(expression, |column| {
        let index = from.maybe_index_of_column(column)?;
        Some(Expr::Column(Column::from(to.qualified_field(index))))
    })
}

/// Puts an expression in the place of each column that has one.
pub(super) fn replace_columns(
    expression: &Expr,
    mut replacement: impl FnMut(&Column) -> Option<Expr>,
) -> Result<Expr, SqlError> {
    expression
        .clone()
        .transform_down(|part| {
            let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
            Ok(match replacement(column) {
                Some(found) => Transformed::new(found, true, TreeNodeRecursion::Jump),
                None => Transformed::no(part),
            })
        })
        .map(|transformed| transformed.data)
        .map_err(planning)
}

/// The policy of rows that no table stands behind.
pub(super) fn no_table_policy() -> Arc<RowPolicy> {
    Arc::new(RowPolicy::default())
}

/// A column of a relation's output under a name of its own.
pub(super) fn named(field: &Field, name: &str) -> FieldRef {
    physical_field(field, name)
}
