//! Expressions of a table's declaration, which are computed from one row: no aggregates, no subqueries.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Visit, Visitor};

use super::context::Functions;
use crate::error::{SqlError, span_of};

/// # Errors
/// At the first part that needs more than the row at hand.
pub(super) fn check(expression: &Expr, functions: &Functions) -> Result<(), SqlError> {
    match expression.visit(&mut Check { functions }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Check<'a> {
    functions: &'a Functions,
}

impl Visitor for Check<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<SqlError> {
        let (what, at) = match expression {
            Expr::Function(function) => {
                let (name, at) = (function.name.to_string(), span_of(&function.name));
                let lower = name.to_ascii_lowercase();
                let upper = name.to_uppercase();
                if self.functions.scalar(&lower).is_some() {
                    return ControlFlow::Continue(());
                }
                if function.over.is_some() || self.functions.is_of_window(&lower) {
                    (format!("{upper} is of the rows of a window"), at)
                } else if self.functions.is_aggregate(&lower) {
                    (format!("{upper} is an aggregate"), at)
                } else {
                    return ControlFlow::Continue(());
                }
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ("this is a subquery".to_owned(), span_of(expression))
            }
            _ => return ControlFlow::Continue(()),
        };
        let error = SqlError::new(format!("{what}, and a column or watermark of a table is computed from one row"));
        ControlFlow::Break(error.with_hint("compute it in a query, or in a view over the table").at(at))
    }
}
