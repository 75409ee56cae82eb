//! Options of reading on a table that a script only writes: they have no effect, and that is told.
//!
//! They are not refused. A declaration may be shared by the script that writes the table and the
//! one that reads it.

use std::collections::BTreeSet;

use corelane_connectors::POLICY_OPTIONS;
use corelane_sql::{Catalog, Relation};
use corelane_stream::{Dataflow, NodeKind};

/// What options of sources alone begin with.
const SOURCE_PREFIX: &str = "source.";

/// A line for each table that this job writes, that nothing of the script reads, and that has such options.
pub(crate) fn notices(dataflow: &Dataflow, catalog: &Catalog, reads: &BTreeSet<String>) -> Vec<String> {
    let mut notices = BTreeSet::new();
    for node in &dataflow.nodes {
        let NodeKind::Sink(sink) = &node.kind else { continue };
        let Some(Relation::Table(table)) = catalog.get(&sink.table) else { continue };
        if reads.contains(&sink.table) {
            continue;
        }
        let of_reading =
            |name: &str| name.starts_with(SOURCE_PREFIX) || POLICY_OPTIONS.iter().any(|option| option.name == name);
        let idle = table.definition.options.keys().filter(|name| of_reading(name)).map(|name| format!("'{name}'"));
        let idle: Vec<String> = idle.collect();
        if !idle.is_empty() {
            let has = if idle.len() == 1 { "has" } else { "have" };
            notices.insert(format!("table '{}' is only written here: {} {has} no effect", sink.table, idle.join(", ")));
        }
    }
    notices.into_iter().collect()
}
