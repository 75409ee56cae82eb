//! From a bound logical plan to a dataflow: streaming is ours from here on.
//!
//! Each arm turns one kind of logical node into operators, exchanges and the changelog mode of
//! their output. Columns keep their order, so a logical column is a physical one by position;
//! behind them may come hidden ones, first the row's position in its source, which gives rows an
//! order of arrival that does not depend on the number of workers, then the row's origin, by which
//! it is reported if it fails (`origin`).

mod aggregate;
mod calc;
mod leaf;
mod origin;
mod over;
mod scan;
mod seeded;
mod sort;
mod window;

pub(crate) use self::leaf::constant_value;
pub(crate) use self::origin::can_fail;
pub(crate) use self::over::no_frame;
pub(crate) use self::scan::definition_may_fail;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use corelane_ops::{CalcSpec, TimeSteps, UnionSpec};
use corelane_stream::dataflow::SinkNode;
use corelane_stream::origin::{origin_detail, origin_field};
use corelane_stream::{
    ChangelogMode, Dataflow, Edge, Exchange, LateRows, Node, NodeId, NodeKind, OnError, OperatorSpec, OriginDetail,
    RowPolicy, SinkSpec,
};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::{Expr, LogicalPlan, Projection};

use crate::bind::{PROJECTION_KEY, WindowNode, sql_error};
use crate::error::SqlError;

/// What the planner may assume of the run.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions {
    /// Aggregates are split in a local and a global half only if there is something to exchange.
    pub workers: usize,
    /// How long a split may be silent before it stops holding the watermark back.
    pub idle_timeout_ms: Option<u64>,
    /// Aggregates over bounded input give their results once, at its end.
    pub final_results: bool,
}

/// Which hidden columns the reader of a sub-plan has a use for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// It wants rows in order of arrival, if that is known.
    pub position: bool,
    /// It may fail, or refuse, rows that have come this far.
    pub origin: bool,
    /// It is computed next, with no exchange in between, and may fail: an error tells the place.
    pub place: bool,
}

/// A lowered sub-plan: a node's output, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub node: NodeId,
    /// The physical columns, hidden ones included.
    pub schema: SchemaRef,
    /// The hidden column that orders rows as they arrived.
    pub position: Option<usize>,
    /// The hidden column that tells where rows came from; it is the last.
    pub origin: Option<usize>,
    pub mode: ChangelogMode,
    pub policy: Arc<RowPolicy>,
    /// What its rows are said to come from where they do not tell themselves.
    pub source: Arc<str>,
}

impl Relation {
    fn updating(&self) -> bool {
        self.mode != ChangelogMode::Append
    }

    /// What its rows tell of their origin.
    fn origin_detail(&self) -> Option<OriginDetail> {
        origin_detail(self.schema.field(self.origin?))
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
    /// The moments for which the query at hand waits; if there are none, no watermark is made.
    event_time: Option<TimeSteps>,
}

impl Lowering {
    pub fn new(options: LowerOptions) -> Self {
        Lowering {
            dataflow: Dataflow::default(),
            calcs: HashMap::new(),
            options,
            emit_changes: false,
            event_time: None,
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
        self.event_time = awaited(plan);
        let relation = self.lower(plan, Wanted::default())?;
        self.retyped(Relation { origin: None, ..relation }, &physical_schema(plan.schema()))
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
                self.union_of(relations, &schema, Wanted::default())?
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

    pub(crate) fn lower(&mut self, plan: &LogicalPlan, wanted: Wanted) -> Result<Relation, SqlError> {
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection, wanted),
            LogicalPlan::Filter(filter) => {
                let identity: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
                self.calc_over(&filter.input, Some(&filter.predicate), &identity, plan.schema(), wanted)
            }
            LogicalPlan::TableScan(table) => self.scan(table, None, wanted),
            LogicalPlan::SubqueryAlias(alias) => self.lower(&alias.input, wanted),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.over(window, wanted),
            LogicalPlan::Sort(sort) => self.sort(sort, None, 0),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Union(union) => self.union(union, wanted),
            LogicalPlan::Values(values) => self.values(values, wanted),
            LogicalPlan::EmptyRelation(empty) => self.empty(empty, wanted),
            LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<WindowNode>() {
                Some(window) => self.window_assign(window, wanted),
                None => Err(SqlError::new(format!("{} is not supported yet", extension.node.name()))),
            },
            other => Err(SqlError::new(format!("{} is not supported yet", other.display()))),
        }
    }

    fn projection(&mut self, projection: &Projection, wanted: Wanted) -> Result<Relation, SqlError> {
        match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => {
                self.calc_over(&filter.input, Some(&filter.predicate), &projection.expr, &projection.schema, wanted)
            }
            input => self.calc_over(input, None, &projection.expr, &projection.schema, wanted),
        }
    }

    /// Rows of several inputs, in no order between them.
    fn union(&mut self, union: &datafusion_expr::Union, wanted: Wanted) -> Result<Relation, SqlError> {
        let mut inputs = Vec::new();
        for input in &union.inputs {
            // Positions of different sources cannot be compared, so they end here.
            inputs.push(self.lower(input, Wanted { position: false, place: false, ..wanted })?);
        }
        self.union_of(inputs, &physical_schema(&union.schema), wanted)
    }

    /// Rows of several inputs, after a filter and a projection: each input has its own, so that what fails
    /// there is met by the policy of the table that it comes from.
    pub(crate) fn union_of_calcs(
        &mut self,
        union: &datafusion_expr::Union,
        names: &DFSchema,
        predicate: Option<&Expr>,
        columns: &[(Expr, FieldRef)],
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let mut inputs = Vec::new();
        for input in &union.inputs {
            let own = |expression: &Expr| calc::requalified(expression, names, input.schema());
            let predicate = predicate.map(own).transpose()?;
            let columns = columns
                .iter()
                .map(|(expression, field)| Ok((own(expression)?, field.clone())))
                .collect::<Result<_, SqlError>>()?;
            let wanted = Wanted { position: false, place: false, ..wanted };
            inputs.push(self.calc_columns(input, predicate.as_ref(), columns, wanted)?);
        }
        let fields: Vec<FieldRef> = columns.iter().map(|(_, field)| field.clone()).collect();
        self.union_of(inputs, &Arc::new(Schema::new(fields)), wanted)
    }

    fn union_of(&mut self, inputs: Vec<Relation>, schema: &SchemaRef, wanted: Wanted) -> Result<Relation, SqlError> {
        let mode = if inputs.iter().any(Relation::updating) { ChangelogMode::Retract } else { ChangelogMode::Append };
        // Origins go on if all inputs tell as much.
        let told = inputs.iter().map(Relation::origin_detail).reduce(|one, other| one.filter(|_| one == other));
        let told = told.flatten().filter(|_| wanted.origin);
        let mut aligned = Vec::new();
        for input in inputs {
            let origin = input.origin.filter(|_| told.is_some());
            aligned.push(self.retyped(Relation { origin, ..input }, schema)?);
        }
        let policy = strictest(aligned.iter().map(|input| input.policy.as_ref()));
        let source = policy.table.as_str().into();
        let origin = told.map(|_| schema.fields().len());
        let fields = schema.fields().iter().cloned().chain(told.map(origin_field));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let spec = UnionSpec { schema: schema.clone() };
        let edges = aligned.iter().map(|input| (input, Exchange::Forward)).collect::<Vec<_>>();
        let node = self.operator(Arc::new(spec), &edges, mode.clone());
        Ok(Relation { node, schema, position: None, origin, mode, policy: Arc::new(policy), source })
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

/// The policy of rows of which it is not known whose they are: a row that one of the tables would fail for
/// is not passed over.
fn strictest<'a>(policies: impl Iterator<Item = &'a RowPolicy> + Clone) -> RowPolicy {
    let mut tables: Vec<&str> = Vec::new();
    for policy in policies.clone() {
        // Rows that no table stands behind have no name.
        if !policy.table.is_empty() && !tables.contains(&policy.table.as_str()) {
            tables.push(&policy.table);
        }
    }
    let any = |wanted: fn(&RowPolicy) -> bool| policies.clone().any(wanted);
    let on_error = if any(|policy| policy.on_error == OnError::Fail) {
        OnError::Fail
    } else if any(|policy| policy.on_error == OnError::DeadLetter) {
        OnError::DeadLetter
    } else {
        OnError::Skip
    };
    let keeps_late = any(|policy| policy.late_rows == LateRows::DeadLetter);
    RowPolicy {
        table: tables.join(", "),
        on_error,
        late_rows: if keeps_late { LateRows::DeadLetter } else { LateRows::Drop },
        dead_letter_path: policies.clone().find_map(|policy| policy.dead_letter_path.clone()),
    }
}

fn awaited(plan: &LogicalPlan) -> Option<TimeSteps> {
    let mut awaited: Option<TimeSteps> = None;
    plan.apply(|node| {
        let steps = match node {
            LogicalPlan::Window(_) => Some(TimeSteps::ALL),
            LogicalPlan::Extension(extension) => {
                extension.node.as_any().downcast_ref::<WindowNode>().map(|node| TimeSteps::of_window(&node.window))
            }
            _ => None,
        };
        awaited = awaited.into_iter().chain(steps).reduce(TimeSteps::and);
        Ok(TreeNodeRecursion::Continue)
    })
    .expect("looking at nodes cannot fail");
    awaited
}

/// The physical columns of a logical schema. All are nullable: the planner's nullability is a
/// deduction, and a batch must not fail by it.
pub(crate) fn physical_schema(schema: &DFSchema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| physical_field(field, field.name())).collect();
    Arc::new(Schema::new(fields))
}

pub(crate) fn physical_field(field: &Field, name: &str) -> FieldRef {
    let mut metadata = field.metadata().clone();
    metadata.remove(PROJECTION_KEY);
    Arc::new(field.clone().with_name(name).with_nullable(true).with_metadata(metadata))
}

pub(crate) fn planning(error: DataFusionError) -> SqlError {
    sql_error(error)
}
