//! A dataflow as text: what runs, what crosses cores, what is kept.

use std::fmt::Write;

use corelane_stream::origin::origin_detail;
use corelane_stream::wording::with_sql_types;
use corelane_stream::{Dataflow, Edge, Exchange, Node, NodeKind, OriginDetail, StateBound, sql_type};

/// Prints the plan, source to sink, a node a paragraph.
pub fn explain(dataflow: &Dataflow, workers: usize) -> String {
    let mut out = String::new();
    for (id, node) in dataflow.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|edge| describe_edge(dataflow, edge)).collect();
        let (name, detail, state) = match &node.kind {
            NodeKind::Source(source) => {
                let mut detail = format!("table={}, {}", source.table, source.spec.detail());
                if let Some(watermark) = &source.watermark {
                    let _ = write!(detail, ", watermark=[{}]", watermark.detail());
                }
                (format!("Source {}", source.spec.name()), detail, StateBound::Stateless)
            }
            NodeKind::Operator(operator) => (operator.name().to_owned(), operator.detail(), operator.state()),
            NodeKind::Sink(sink) => {
                let (table, detail) = (&sink.table, sink.spec.detail());
                let detail =
                    if detail.is_empty() { format!("table={table}") } else { format!("table={table}, {detail}") };
                (format!("Sink {}", sink.spec.name()), detail, StateBound::Stateless)
            }
        };
        let _ = writeln!(out, "#{id} {name}({detail})");
        for input in inputs {
            let _ = writeln!(out, "     from {input}");
        }
        let _ = writeln!(out, "     columns [{}]", columns(node));
        let _ = writeln!(out, "     changelog {}; state {state}", node.changelog);
    }
    let input = if dataflow.bounded() { "bounded" } else { "unbounded" };
    let _ = writeln!(out, "workers {workers}; input {input}");
    out
}

fn describe_edge(dataflow: &Dataflow, edge: &Edge) -> String {
    let schema = &dataflow.node(edge.from).schema;
    let exchange = match &edge.exchange {
        Exchange::Forward => "forward, on its core".to_owned(),
        Exchange::Hash(columns) => {
            let names: Vec<String> =
                columns.iter().map(|column| with_sql_types(schema.field(*column).name())).collect();
            format!("hash[{}], to the core that owns the key", names.join(", "))
        }
        Exchange::Rebalance => "rebalance, to all cores in turn".to_owned(),
        Exchange::Broadcast => "broadcast, to every core".to_owned(),
        Exchange::Gather => "gather, to one core".to_owned(),
    };
    format!("#{} by {exchange}", edge.from.0)
}

fn columns(node: &Node) -> String {
    let fields = node.schema.fields().iter();
    let column = |field: &arrow::datatypes::FieldRef| match origin_detail(field) {
        Some(OriginDetail::Place) => "origin".to_owned(),
        Some(OriginDetail::Raw) => "origin with bytes".to_owned(),
        None => format!("{} {}", with_sql_types(field.name().trim_start()), sql_type(field.data_type())),
    };
    fields.map(column).collect::<Vec<_>>().join(", ")
}
