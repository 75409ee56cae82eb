//! Finding the words at fault where an error of the planner names no place.
//!
//! A bound plan has no positions. But planning is cheap and a mistake rare, so the query is tried
//! again with one expression after the other, innermost first, taken out: the first one
//! without which the error is gone is the one to point at. Where it is gone without the one beside
//! it as well, they do not go together, and what holds both is pointed at.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript,
    Value, Visit, VisitMut, Visitor, VisitorMut, visit_expressions,
};

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
    let spoken_of = spoken_of(node, &error.message);
    let mut error = error.at(spoken_of);
    if error.span.is_some() {
        return error;
    }
    let mut places = Places { depth: 0, found: Vec::new() };
    let _ = node.visit(&mut places);
    let places = places.found;
    if CANDIDATES_MAX < places.len() {
        return error;
    }
    let tried_without = |index: usize| {
        let mut without = node.clone();
        let _ = VisitMut::visit(&mut without, &mut TakeOut { left: index });
        attempt(&without)
    };
    let mut second = None;
    for (index, place) in places.iter().enumerate() {
        let Some(span) = place.span else { continue };
        match tried_without(index) {
            Ok(()) => {
                let around = place_around(&places, index, |beside| tried_without(beside).is_ok());
                return error.at(around.or(Some(span)));
            }
            // There are two mistakes, and this is the one behind.
            Err(other) if other.message != error.message => second = second.or(Some(span)),
            Err(_) => {}
        }
    }
    error.span = second;
    error
}

/// The expression around this one, if the error is gone without one of those beside it as well.
fn place_around(places: &[Place], index: usize, is_gone: impl Fn(usize) -> bool) -> Option<Span> {
    let depth = places[index].depth;
    let around = index + places[index..].iter().position(|place| place.depth < depth)?;
    let mut beside = (index + 1..around).filter(|beside| places[*beside].depth == depth);
    beside.any(|beside| places[beside].span.is_some() && is_gone(beside)).then_some(places[around].span)?
}

/// What a message names: the argument of a call, or a text that cannot be cast. None if it may be one of several.
fn spoken_of<T: Visit>(node: &T, message: &str) -> Option<Span> {
    let mut found = Vec::new();
    if let Some((name, rest)) = message.split_once(" cannot take ") {
        let digits = rest.split_once(" as argument ")?.1.split(|letter: char| !letter.is_ascii_digit()).next()?;
        let place = digits.parse::<usize>().ok()?.checked_sub(1)?;
        let _ = visit_expressions(node, |expression| {
            if let Some(arguments) = arguments_of(expression, name) {
                found.push(arguments.get(place).and_then(|argument| span_of(*argument)));
            }
            ControlFlow::<()>::Continue(())
        });
    } else {
        let (written, _) = message.strip_prefix("cannot cast '")?.rsplit_once("' to ")?;
        let _ = visit_expressions(node, |expression| {
            if let Expr::Value(value) = expression
                && matches!(&value.value, Value::SingleQuotedString(text) if text == written)
            {
                found.push(span_of(expression));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    match found.as_slice() {
        [one] => *one,
        _ => None,
    }
}

/// The arguments of an expression that calls this function, by its name or by an operator.
fn arguments_of<'a>(expression: &'a Expr, name: &str) -> Option<Vec<&'a Expr>> {
    match expression {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(name) => {
            let FunctionArguments::List(list) = &function.args else { return None };
            let plain = |argument: &'a FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
                _ => None,
            };
            list.args.iter().map(plain).collect()
        }
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if name == "CONCAT" => {
            Some(vec![left.as_ref(), right.as_ref()])
        }
        Expr::CompoundFieldAccess { root, access_chain } if name == "ELEMENT_AT" => match access_chain.as_slice() {
            [AccessExpr::Subscript(Subscript::Index { index })] => Some(vec![root.as_ref(), index]),
            _ => None,
        },
        _ => None,
    }
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

/// Where an expression stands, and within how many others.
struct Place {
    span: Option<Span>,
    depth: usize,
}

/// Where the expressions stand, inner ones before those around them.
struct Places {
    depth: usize,
    found: Vec<Place>,
}

impl Visitor for Places {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let is_null = matches!(expression, Expr::Value(value) if value.value == Value::Null);
        self.found.push(Place { span: span_of(expression).filter(|_| !is_null), depth: self.depth });
        self.depth -= 1;
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
