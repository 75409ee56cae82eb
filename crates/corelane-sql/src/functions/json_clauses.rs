//! The JSON functions with clauses: what is given for nothing found, and for an error.
//!
//! A path is `strict` unless it says `lax`, as in Flink: what is not there is then an error, in a lax
//! path it is empty. The parser hands the clauses over as texts behind the path.

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::call::{Argument, Call, Text};
use super::function::constant_text;
use super::json::Paths;
use super::json_text::{Node, write_number};

/// What a path leads to.
enum Found<T> {
    Value(T),
    Empty,
    Wrong(&'static str),
}

const NOT_JSON: &str = "the text is no JSON";
const NOT_THERE: &str = "there is nothing at the path";
const NO_SCALAR: &str = "there is no single scalar at the path";
const NO_CONTAINER: &str = "there is no object or array at the path";

/// The type after `RETURNING`.
pub(super) fn value_type(args: &ReturnFieldArgs) -> Result<DataType> {
    Ok(match constant_text(args, 2) {
        None | Some("STRING") => DataType::Utf8View,
        Some("BOOLEAN") => DataType::Boolean,
        Some("INTEGER") => DataType::Int32,
        Some("DOUBLE") => DataType::Float64,
        Some(other) => return plan_err!("JSON_VALUE returns STRING, BOOLEAN, INTEGER or DOUBLE, not {other}"),
    })
}

/// `NULL`, `ERROR` or `DEFAULT x`, for one of the two cases.
struct Otherwise<'a> {
    modes: Text<'a>,
    default: ArrayRef,
    index: &'a Argument,
}

impl<'a> Otherwise<'a> {
    fn new(call: &'a Call, first: usize) -> Result<Self> {
        let index = call.argument(first + 1)?;
        Ok(Otherwise { modes: call.text(first)?, default: cast(&index.array, call.returns)?, index })
    }

    /// The row of the default, none for a null.
    fn default_row(&self, call: &Call, row: usize, reason: &str) -> Result<Option<usize>> {
        match self.modes.get(row) {
            Some("ERROR") => exec_err!("{}: {reason}", call.name),
            Some("DEFAULT") => {
                let index = self.index.index(row);
                Ok((!self.default.is_null(index)).then_some(index))
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// `JSON_VALUE(json, path, type, empty, default, error, default)`.
pub(super) fn value(call: &Call) -> Result<ArrayRef> {
    let scalars = Scalars { json: call.text(0)?, empty: Otherwise::new(call, 3)?, error: Otherwise::new(call, 5)? };
    match call.returns {
        DataType::Boolean => {
            let read = |node: &Node| match node {
                Node::Bool(value) => Some(*value),
                Node::Text(text) => text.to_ascii_lowercase().parse().ok(),
                _ => None,
            };
            let default = |array: &ArrayRef, row| array.as_boolean().value(row);
            Ok(std::sync::Arc::new(BooleanArray::from(scalars.rows(call, read, default)?)))
        }
        DataType::Int32 => {
            let read = |node: &Node| match node {
                Node::Number(digits) => digits.parse().ok(),
                Node::Text(text) => text.parse().ok(),
                _ => None,
            };
            let default = |array: &ArrayRef, row| array.as_primitive::<Int32Type>().value(row);
            Ok(std::sync::Arc::new(Int32Array::from(scalars.rows(call, read, default)?)))
        }
        DataType::Float64 => {
            let read = |node: &Node| match node {
                Node::Number(digits) => digits.parse().ok(),
                Node::Text(text) => text.parse().ok(),
                _ => None,
            };
            let default = |array: &ArrayRef, row| array.as_primitive::<Float64Type>().value(row);
            Ok(std::sync::Arc::new(arrow::array::Float64Array::from(scalars.rows(call, read, default)?)))
        }
        _ => {
            let read = |node: &Node| {
                let mut out = String::new();
                match node {
                    Node::Text(text) => out.push_str(text),
                    Node::Number(digits) => write_number(digits, &mut out),
                    Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
                    _ => return None,
                }
                Some(out)
            };
            let default = |array: &ArrayRef, row| array.as_string_view().value(row).to_owned();
            Ok(std::sync::Arc::new(StringViewArray::from_iter(scalars.rows(call, read, default)?)))
        }
    }
}

struct Scalars<'a> {
    json: Text<'a>,
    empty: Otherwise<'a>,
    error: Otherwise<'a>,
}

impl Scalars<'_> {
    fn rows<T>(
        &self,
        call: &Call,
        read: impl Fn(&Node) -> Option<T>,
        default: impl Fn(&ArrayRef, usize) -> T,
    ) -> Result<Vec<Option<T>>> {
        let mut paths = Paths::new(call)?;
        let mut values = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            let (Some(json), Some(path)) = (self.json.get(row), paths.get(row)?) else {
                values.push(None);
                continue;
            };
            let found = match Node::parse(json) {
                None => Found::Wrong(NOT_JSON),
                Some(root) => match path.find(&root).as_slice() {
                    [] if path.is_lax() => Found::Empty,
                    [] => Found::Wrong(NOT_THERE),
                    [Node::Null] => Found::Empty,
                    [node] if node.is_scalar() && !path.is_many() => match read(node) {
                        Some(value) => Found::Value(value),
                        None => Found::Wrong("the value is of another type"),
                    },
                    _ => Found::Wrong(NO_SCALAR),
                },
            };
            values.push(match found {
                Found::Value(value) => Some(value),
                Found::Empty => {
                    let row = self.empty.default_row(call, row, NOT_THERE)?;
                    row.map(|row| default(&self.empty.default, row))
                }
                Found::Wrong(reason) => {
                    let row = self.error.default_row(call, row, reason)?;
                    row.map(|row| default(&self.error.default, row))
                }
            });
        }
        Ok(values)
    }
}

/// `JSON_QUERY(json, path, wrapper, empty, error)`.
pub(super) fn query(call: &Call) -> Result<ArrayRef> {
    let (json, mut paths, wrappers) = (call.text(0)?, Paths::new(call)?, call.text(2)?);
    let (empty, error) = (call.text(3)?, call.text(4)?);
    call.write_texts(|row, out| {
        let (Some(json), Some(path)) = (json.get(row), paths.get(row)?) else { return Ok(false) };
        let found = match Node::parse(json) {
            None => Found::Wrong(NOT_JSON),
            Some(root) => {
                let found = path.find(&root);
                let whole = match (path.is_many(), found.first()) {
                    (true, _) => Some(Node::Array(found.iter().map(|node| (*node).clone()).collect())),
                    (false, first) => first.map(|node| (*node).clone()),
                };
                match (whole, wrappers.get(row)) {
                    (None, _) if path.is_lax() => Found::Empty,
                    (None, _) => Found::Wrong(NOT_THERE),
                    (Some(Node::Null), _) => Found::Empty,
                    (Some(node), Some("UNCONDITIONAL")) => Found::Value(Node::Array(vec![node]).text()),
                    (Some(node), Some("CONDITIONAL")) if node.is_scalar() => {
                        Found::Value(Node::Array(vec![node]).text())
                    }
                    (Some(node), _) if node.is_scalar() => Found::Wrong(NO_CONTAINER),
                    (Some(node), _) => Found::Value(node.text()),
                }
            }
        };
        let (clause, reason) = match found {
            Found::Value(text) => {
                out.push_str(&text);
                return Ok(true);
            }
            Found::Empty => (empty.get(row), NOT_THERE),
            Found::Wrong(reason) => (error.get(row), reason),
        };
        match clause {
            Some("ERROR") => exec_err!("{}: {reason}", call.name),
            Some(text @ ("[]" | "{}")) => {
                out.push_str(text);
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    })
}

/// `JSON_EXISTS(json, path, error)`.
pub(super) fn exists(call: &Call) -> Result<ArrayRef> {
    let (json, mut paths, clauses) = (call.text(0)?, Paths::new(call)?, call.text(2)?);
    call.map_booleans(|row| {
        let (Some(json), Some(path)) = (json.get(row), paths.get(row)?) else { return Ok(None) };
        let reason = match Node::parse(json) {
            None => NOT_JSON,
            Some(root) => match path.find(&root).as_slice() {
                [] if !path.is_lax() => NOT_THERE,
                found => return Ok(Some(path.is_many() || found.iter().any(|node| **node != Node::Null))),
            },
        };
        match clauses.get(row) {
            Some("TRUE") => Ok(Some(true)),
            Some("ERROR") => exec_err!("{}: {reason}", call.name),
            Some("UNKNOWN") => Ok(None),
            Some(_) | None => Ok(Some(false)),
        }
    })
}
