//! From a bound logical plan to a dataflow: streaming is ours from here on.
//!
//! Each arm turns one kind of logical node into operators, exchanges and the changelog mode of
//! their output. Columns keep their order, so a logical column is a physical one by position;
//! behind them may come one hidden column, the row's position in its source, which gives rows an
//! order of arrival that does not depend on the number of workers.

mod aggregate;
mod calc;
mod leaf;
mod over;
mod scan;
mod sort;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use corelane_ops::{CalcSpec, UnionSpec};
use corelane_stream::dataflow::SinkNode;
use corelane_stream::{
    ChangelogMode, Dataflow, Edge, Exchange, Node, NodeId, NodeKind, OperatorSpec, RowPolicy, SinkSpec,
};
use datafusion_common::tree_node::TreeNode;
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::{Expr, LogicalPlan, Projection};

use crate::bind::{WindowNode, sql_error};
use crate::error::SqlError;

/// What the planner may assume of the run.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions {
    /// Aggregates are split in a local and a global half only if there is something to exchange.
    pub workers: usize,
    /// How long a split may be silent before it stops holding the watermark back.
    pub idle_timeout_ms: Option<u64>,
}

/// A lowered sub-plan: a node's output, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub node: NodeId,
    /// The physical columns, hidden ones included.
    pub schema: SchemaRef,
    /// The hidden column that orders rows as they arrived.
    pub position: Option<usize>,
    pub mode: ChangelogMode,
    pub policy: Arc<RowPolicy>,
}

impl Relation {
    fn updating(&self) -> bool {
        self.mode != ChangelogMode::Append
    }
}

/// Builds one dataflow out of one or more queries.
pub struct Lowering {
    dataflow: Dataflow,
    /// Calcs whose output no one reads yet: what comes next may become a part of them.
    calcs: HashMap<NodeId, Arc<CalcSpec>>,
    options: LowerOptions,
    /// The query at hand says `EMIT CHANGES`: windows give running results before they close.
    emit_changes: bool,
    /// The query at hand waits for event time; if none does, no watermark is made.
    event_time: bool,
}

impl Lowering {
    pub fn new(options: LowerOptions) -> Self {
        Lowering {
            dataflow: Dataflow::default(),
            calcs: HashMap::new(),
            options,
            emit_changes: false,
            event_time: false,
        }
    }

    pub fn finish(self) -> Dataflow {
        self.dataflow
    }

    /// Lowers a query, its columns under their names and none that is hidden.
    ///
    /// # Errors
    /// If a part of the query cannot be run as a stream.
    pub(crate) fn query(&mut self, plan: &LogicalPlan, emit_changes: bool) -> Result<Relation, SqlError> {
        self.emit_changes = emit_changes;
        self.event_time = waits_for_event_time(plan);
        let relation = self.lower(plan, false)?;
        self.retyped(relation, &physical_schema(plan.schema()))
    }

    /// Sends the rows of queries with the same columns to a sink; returns the mode of its changelog.
    ///
    /// # Errors
    /// If the sink does not take the changelog.
    pub(crate) fn sink(
        &mut self,
        mut relations: Vec<Relation>,
        table: &str,
        sink: Arc<dyn SinkSpec>,
    ) -> Result<ChangelogMode, SqlError> {
        let relation = match relations.len() {
            1 => relations.remove(0),
            _ => {
                let schema = relations[0].schema.clone();
                self.union_of(relations, &schema)?
            }
        };
        let mode = relation.mode.clone();
        sink.accept(&mode).map_err(SqlError::from)?;
        let exchange = sink.exchange();
        let schema = relation.schema.clone();
        self.dataflow.add(Node {
            kind: NodeKind::Sink(SinkNode { table: table.to_owned(), spec: sink }),
            inputs: vec![Edge { from: relation.node, exchange }],
            schema,
            changelog: mode.clone(),
        });
        Ok(mode)
    }

    /// `position`: the reader wants rows in order of arrival, if that is known.
    pub(crate) fn lower(&mut self, plan: &LogicalPlan, position: bool) -> Result<Relation, SqlError> {
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection, position),
            LogicalPlan::Filter(filter) => {
                let identity: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
                self.calc_over(&filter.input, Some(&filter.predicate), &identity, plan.schema(), position)
            }
            LogicalPlan::TableScan(table) => self.scan(table, None, position),
            LogicalPlan::SubqueryAlias(alias) => self.lower(&alias.input, position),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.over(window, position),
            LogicalPlan::Sort(sort) => self.sort(sort, None, 0),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Values(values) => self.values(values, position),
            LogicalPlan::EmptyRelation(empty) => self.empty(empty, position),
            LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<WindowNode>() {
                Some(window) => self.window_assign(window, position),
                None => Err(SqlError::new(format!("{} is not supported yet", extension.node.name()))),
            },
            other => Err(SqlError::new(format!("{} is not supported yet", other.display()))),
        }
    }

    fn projection(&mut self, projection: &Projection, position: bool) -> Result<Relation, SqlError> {
        match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => {
                self.calc_over(&filter.input, Some(&filter.predicate), &projection.expr, &projection.schema, position)
            }
            input => self.calc_over(input, None, &projection.expr, &projection.schema, position),
        }
    }

    /// Rows of several inputs, in no order between them.
    fn union(&mut self, union: &datafusion_expr::Union) -> Result<Relation, SqlError> {
        let mut inputs = Vec::new();
        for input in &union.inputs {
            // Positions of different sources cannot be compared, so they end here.
            inputs.push(self.lower(input, false)?);
        }
        self.union_of(inputs, &physical_schema(&union.schema))
    }

    fn union_of(&mut self, inputs: Vec<Relation>, schema: &SchemaRef) -> Result<Relation, SqlError> {
        let mode = if inputs.iter().any(Relation::updating) { ChangelogMode::Retract } else { ChangelogMode::Append };
        let mut aligned = Vec::new();
        for input in inputs {
            aligned.push(self.retyped(input, schema)?);
        }
        let policy = aligned.first().map(|input| input.policy.clone()).unwrap_or_default();
        let spec = UnionSpec { schema: schema.clone() };
        let edges = aligned.iter().map(|input| (input, Exchange::Forward)).collect::<Vec<_>>();
        let node = self.operator(Arc::new(spec), &edges, mode.clone());
        Ok(Relation { node, schema: schema.clone(), position: None, mode, policy })
    }

    /// Adds an operator behind these inputs.
    pub(crate) fn operator(
        &mut self,
        spec: Arc<dyn OperatorSpec>,
        inputs: &[(&Relation, Exchange)],
        mode: ChangelogMode,
    ) -> NodeId {
        let schema = spec.schema();
        for (input, _) in inputs {
            self.calcs.remove(&input.node);
        }
        let inputs =
            inputs.iter().map(|(input, exchange)| Edge { from: input.node, exchange: exchange.clone() }).collect();
        self.dataflow.add(Node { kind: NodeKind::Operator(spec), inputs, schema, changelog: mode })
    }
}

fn waits_for_event_time(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::Window(_) => true,
            LogicalPlan::Extension(extension) => extension.node.as_any().is::<WindowNode>(),
            _ => false,
        })
    })
    .expect("looking at nodes cannot fail")
}

/// The physical columns of a logical schema. All are nullable: the planner's nullability is a
/// deduction, and a batch must not fail by it.
pub(crate) fn physical_schema(schema: &DFSchema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| physical_field(field, field.name())).collect();
    Arc::new(Schema::new(fields))
}

pub(crate) fn physical_field(field: &Field, name: &str) -> FieldRef {
    Arc::new(field.clone().with_name(name).with_nullable(true))
}

pub(crate) fn planning(error: DataFusionError) -> SqlError {
    sql_error(error)
}
