//! The names of tables and views that a statement reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, Query, TableFactor, Visit, Visitor};

use super::statement::StatementKind;
use super::table_factor::window_tvf;

/// Adds the names that stand in the statement's queries; a view's own query is another statement's.
pub fn add_reads(statement: &StatementKind, reads: &mut BTreeSet<String>) {
    let queries: Vec<&Query> = match statement {
        StatementKind::Query { query, .. } => vec![query],
        StatementKind::Insert(insert) => vec![&insert.query],
        StatementKind::StatementSet(inserts) => inserts.iter().map(|insert| insert.query.as_ref()).collect(),
        StatementKind::CreateView(view) => vec![&view.query],
        StatementKind::Explain { statement, .. } => return add_reads(statement, reads),
        _ => return,
    };
    let mut names = Names { reads };
    for query in queries {
        let _ = query.visit(&mut names);
    }
}

struct Names<'a> {
    reads: &'a mut BTreeSet<String>,
}

impl Names<'_> {
    fn add(&mut self, name: &ObjectName) {
        self.reads.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()));
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.add(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        // The table of a window function is an argument. What is wrong with it is told when it is planned.
        if let Ok(Some(window)) = window_tvf(factor) {
            self.add(&window.table);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_script;

    #[test]
    fn names_stand_in_queries_and_windows() {
        let statements = parse_script(
            "INSERT INTO o SELECT * FROM a UNION ALL (WITH w AS (SELECT 1 FROM b) SELECT * FROM w);
             CREATE VIEW v AS SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end;
             EXPLAIN SELECT * FROM (SELECT * FROM d);",
        );
        let mut reads = BTreeSet::new();
        statements.unwrap().iter().for_each(|statement| add_reads(&statement.kind, &mut reads));
        let names: Vec<&str> = reads.iter().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "c", "d", "w"]);
    }
}
