//! `ORDER BY` and `LIMIT`, on input that ends.

use std::sync::Arc;

use corelane_ops::{FirstRowsSpec, SortKey, SortLimitSpec};
use corelane_stream::{ChangelogMode, Exchange, NodeId, NodeKind, sql_type};
use datafusion_common::DFSchemaRef;
use datafusion_expr::{Expr, FetchType, Limit, LogicalPlan, Projection, SkipType, Sort};
use datafusion_physical_expr::PhysicalExpr;

use super::calc::{column_at, named, physical};
use super::origin::can_fail;
use super::{Lowering, Relation, Wanted};
use crate::error::SqlError;
use crate::supertype::has_order;

/// True if rows are in the order of a sort, of which only columns are picked, computed or named anew.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_sorted(&alias.input),
        _ => false,
    }
}

/// The same limit over other rows.
fn limited(limit: &Limit, input: &Arc<LogicalPlan>) -> Limit {
    Limit { skip: limit.skip.clone(), fetch: limit.fetch.clone(), input: Arc::clone(input) }
}

impl Lowering {
    pub(super) fn sort(&mut self, sort: &Sort, limit: Option<u64>, offset: u64) -> Result<Relation, SqlError> {
        let sorts_by_what_can_fail = sort.expr.iter().any(|key| can_fail(&key.expr));
        let input = self.lower(&sort.input, Wanted { position: true, origin: sorts_by_what_can_fail, place: false })?;
        let fetch = sort.fetch.map(|fetch| fetch as u64 + offset);
        let limit = match (limit, fetch) {
            (Some(limit), Some(fetch)) => Some(limit.min(fetch - offset)),
            (limit, fetch) => limit.or(fetch.map(|fetch| fetch - offset)),
        };
        self.sorted(input, sort.input.schema(), &sort.expr, limit, offset)
    }

    pub(super) fn limit(&mut self, limit: &Limit) -> Result<Relation, SqlError> {
        let fetch = match limit.get_fetch_type().map_err(super::planning)? {
            FetchType::Literal(fetch) => fetch.map(|fetch| fetch as u64),
            FetchType::UnsupportedExpr => return Err(SqlError::new("LIMIT takes a literal number of rows")),
        };
        let offset = match limit.get_skip_type().map_err(super::planning)? {
            SkipType::Literal(skip) => skip as u64,
            SkipType::UnsupportedExpr => return Err(SqlError::new("OFFSET takes a literal number of rows")),
        };
        match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => self.sort(sort, fetch, offset),
            // The key may not be among the columns, so the rows to keep are told below them.
            LogicalPlan::Projection(projection) if is_sorted(&projection.input) => {
                let input = Arc::new(LogicalPlan::Limit(limited(limit, &projection.input)));
                let (columns, schema) = (projection.expr.clone(), Arc::clone(&projection.schema));
                let above = Projection::try_new_with_schema(columns, input, schema).map_err(super::planning)?;
                self.projection(&above, Wanted { position: true, ..Wanted::default() })
            }
            LogicalPlan::SubqueryAlias(alias) if is_sorted(&alias.input) => self.limit(&limited(limit, &alias.input)),
            input => {
                let relation = self.lower(input, Wanted { position: true, ..Wanted::default() })?;
                self.sorted(relation, input.schema(), &[], fetch, offset)
            }
        }
    }

    fn sorted(
        &mut self,
        input: Relation,
        names: &DFSchemaRef,
        order: &[datafusion_expr::SortExpr],
        limit: Option<u64>,
        offset: u64,
    ) -> Result<Relation, SqlError> {
        let what = if order.is_empty() { "LIMIT" } else { "ORDER BY" };
        if !self.dataflow.bounded() {
            return Err(SqlError::new(format!("{what} needs input that ends, and a source of this query does not"))
                .with_hint("remove it, or read a bounded input"));
        }
        let width = names.fields().len();
        let mut columns: Vec<(Arc<dyn PhysicalExpr>, _)> =
            (0..width).map(|index| (column_at(&input.schema, index), input.schema.fields()[index].clone())).collect();
        let mut keys = Vec::new();
        for sort in order {
            let column = match &sort.expr {
                Expr::Column(column) if names.maybe_index_of_column(column).is_some() => {
                    names.maybe_index_of_column(column).expect("checked above")
                }
                expression => {
                    let expression = physical(expression, names)?;
                    let field = expression.return_field(&input.schema).map_err(super::planning)?;
                    let name = format!(" order{}", columns.len());
                    columns.push((expression, named(&field, &name)));
                    columns.len() - 1
                }
            };
            let data_type = columns[column].1.data_type();
            if !has_order(data_type) {
                return Err(SqlError::new(format!(
                    "ORDER BY takes a value that has an order, not {}",
                    sql_type(data_type)
                ))
                .with_hint("order by one of its values, as in m['key']"));
            }
            keys.push(SortKey { column, descending: !sort.asc, nulls_first: sort.nulls_first });
        }
        let widened = columns.len() > width;
        let wanted = Wanted { position: input.position.is_some(), ..Wanted::default() };
        let input = self.calc_hidden(input, None, columns, wanted)?;
        let input = match limit {
            Some(limit) if keys.is_empty() && self.comes_from_source(input.node) => {
                let spec = FirstRowsSpec { input: input.schema.clone(), rows: limit.saturating_add(offset) };
                let node = self.operator(Arc::new(spec), &[(&input, Exchange::Forward)], ChangelogMode::Append);
                Relation { node, ..input }
            }
            _ => input,
        };
        let spec = SortLimitSpec {
            input: input.schema.clone(),
            keys,
            limit,
            offset,
            tie: input.position.into_iter().collect(),
            retracting: input.updating(),
        };
        let mode = ChangelogMode::Append;
        let node = self.operator(Arc::new(spec), &[(&input, Exchange::Gather)], mode.clone());
        let sorted = Relation { node, position: input.position, mode, ..input };
        if !widened {
            return Ok(sorted);
        }
        let columns =
            (0..width).map(|index| (column_at(&sorted.schema, index), sorted.schema.fields()[index].clone())).collect();
        self.calc_physical(sorted, None, columns)
    }

    /// True if rows come from a source, each worker's in the order in which it reads them.
    fn comes_from_source(&self, node: NodeId) -> bool {
        let node = self.dataflow.node(node);
        match &node.kind {
            NodeKind::Source(_) => true,
            NodeKind::Operator(spec) => spec.keeps_order() && self.comes_from_source(node.inputs[0].from),
            NodeKind::Sink(_) => false,
        }
    }
}
