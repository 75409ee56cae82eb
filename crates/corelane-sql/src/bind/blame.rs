//! Finding the words at fault where an error of the planner names no place.
//!
//! A bound plan has no positions. But planning is cheap and a mistake rare, so the query is tried
//! again with one expression after the other, innermost first, taken out: the first one
//! without which the error is gone is the one to point at.

use std::ops::ControlFlow;

use sqlparser::ast::{CastKind, DataType, Expr, Value, Visit, VisitMut, Visitor, VisitorMut};

use crate::error::{Span, SqlError, span_of};

/// Expressions of a query at most, for this search to begin: it plans once for each.
const CANDIDATES_MAX: usize = 200;

/// Gives an error without a place that of the expression which causes it, if one does.
pub(crate) fn blame<T: Visit + VisitMut + Clone>(
    node: &T,
    error: SqlError,
    attempt: impl Fn(&T) -> Result<(), SqlError>,
) -> SqlError {
    if error.span.is_some() {
        return error;
    }
    let mut places = Places { spans: Vec::new() };
    let _ = node.visit(&mut places);
    if CANDIDATES_MAX < places.spans.len() {
        return error;
    }
    let mut second = None;
    for (index, span) in places.spans.into_iter().enumerate() {
        let Some(span) = span else { continue };
        let mut without = node.clone();
        let _ = VisitMut::visit(&mut without, &mut TakeOut { left: index });
        match attempt(&without) {
            Ok(()) => return error.at(Some(span)),
            // There are two mistakes, and this is the one behind.
            Err(other) if other.message != error.message => second = second.or(Some(span)),
            Err(_) => {}
        }
    }
    error.at(second)
}

/// The error with its literals called what they are. The planner takes whole numbers for BIGINT until types
/// are settled; tried again with each of them cast to INT, it says the same in the right words.
pub(crate) fn with_ints<T: VisitMut + Clone>(
    node: &T,
    mut error: SqlError,
    attempt: impl Fn(&T) -> Result<(), SqlError>,
) -> SqlError {
    const WIDE: &str = "BIGINT";
    const NARROW: &str = "INT";
    if !error.message.contains(WIDE) {
        return error;
    }
    let mut narrow = node.clone();
    let _ = VisitMut::visit(&mut narrow, &mut CastToInt);
    if let Err(other) = attempt(&narrow)
        && other.message.replace(WIDE, NARROW) == error.message.replace(WIDE, NARROW)
    {
        error.message = other.message;
    }
    error
}

struct CastToInt;

impl VisitorMut for CastToInt {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expression
            && let Value::Number(digits, _) = &value.value
            && digits.parse::<i32>().is_ok()
        {
            *expression = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(expression.clone()),
                data_type: DataType::Int(None),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}

/// Where the expressions stand, inner ones before those around them.
struct Places {
    spans: Vec<Option<Span>>,
}

impl Visitor for Places {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let is_null = matches!(expression, Expr::Value(value) if value.value == Value::Null);
        self.spans.push(span_of(expression).filter(|_| !is_null));
        ControlFlow::Continue(())
    }
}

/// Puts NULL in the place of one expression.
struct TakeOut {
    left: usize,
}

impl VisitorMut for TakeOut {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                ControlFlow::Continue(())
            }
            None => {
                *expression = Expr::Value(Value::Null.into());
                ControlFlow::Break(())
            }
        }
    }
}
