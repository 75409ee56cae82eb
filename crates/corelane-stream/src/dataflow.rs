//! The plan as plain data: nodes, edges and how rows move between workers.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::changelog::ChangelogMode;
use crate::operator::OperatorSpec;
use crate::sink::SinkSpec;
use crate::source::{SourceSpec, WatermarkStrategy};

/// A node's position in `Dataflow::nodes`; inputs always have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// How an edge moves rows between workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Stays on its worker.
    Forward,
    /// To the worker that owns the key in these columns.
    Hash(Vec<usize>),
    /// To all workers in turn.
    Rebalance,
    /// To every worker.
    Broadcast,
    /// To worker 0.
    Gather,
}

/// What bounds an operator's state, for `EXPLAIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateBound {
    /// Keeps nothing between batches.
    Stateless,
    /// Bounded, and by what: `windows open at once, freed by the watermark`.
    Bounded(String),
    /// Grows with this: `distinct values of symbol`.
    Grows(String),
}

impl fmt::Display for StateBound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateBound::Stateless => out.write_str("none"),
            StateBound::Bounded(by) => write!(out, "bounded by {by}"),
            StateBound::Grows(with) => write!(out, "grows with {with}"),
        }
    }
}

/// A source of rows, and of event time if its table has a watermark.
#[derive(Clone, Debug)]
pub struct SourceNode {
    /// The table's name, for messages.
    pub table: String,
    pub spec: Arc<dyn SourceSpec>,
    pub watermark: Option<Arc<dyn WatermarkStrategy>>,
}

/// A named destination.
#[derive(Clone, Debug)]
pub struct SinkNode {
    /// The table's name, for messages.
    pub table: String,
    pub spec: Arc<dyn SinkSpec>,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Source(SourceNode),
    Operator(Arc<dyn OperatorSpec>),
    Sink(SinkNode),
}

#[derive(Clone, Debug)]
pub struct Edge {
    pub from: NodeId,
    pub exchange: Exchange,
}

/// One step of the plan; it has one task on each worker.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    /// One for each input port.
    pub inputs: Vec<Edge>,
    pub schema: SchemaRef,
    /// What its output carries.
    pub changelog: ChangelogMode,
}

/// A job as plain data; every worker builds its own tasks from it.
#[derive(Clone, Debug, Default)]
pub struct Dataflow {
    pub nodes: Vec<Node>,
}

impl Dataflow {
    /// Adds a node whose inputs are already there.
    pub fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        assert!(node.inputs.iter().all(|edge| edge.from < id), "inputs come before their readers");
        self.nodes.push(node);
        id
    }

    /// Puts another operator in an operator's place, its inputs and its changelog the same.
    pub fn replace_operator(&mut self, id: NodeId, spec: Arc<dyn OperatorSpec>) {
        let node = &mut self.nodes[id.0];
        assert!(matches!(node.kind, NodeKind::Operator(_)), "only an operator gives way to another");
        node.schema = spec.schema();
        node.kind = NodeKind::Operator(spec);
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// True if every source ends by itself.
    pub fn bounded(&self) -> bool {
        self.nodes.iter().all(|node| match &node.kind {
            NodeKind::Source(source) => source.spec.bounded(),
            NodeKind::Operator(_) | NodeKind::Sink(_) => true,
        })
    }
}
