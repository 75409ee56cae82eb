//! Functions on JSON text. What is no JSON, or not at the path, is null (false for the predicates).

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use corelane_stream::sql_type;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::base64;
use super::call::{Argument, Call, Text};
use super::function::constant_text;
use super::json_clauses;
use super::json_text::{Node, Path, write_double, write_escaped, write_float, write_number, write_quoted};
use crate::supertype::goes_into;

/// Refuses a constant path that does not compile.
pub(super) fn check_path(args: &ReturnFieldArgs) -> Result<()> {
    match constant_text(args, 1).map(Path::compile) {
        Some(Err(reason)) => plan_err!("{reason}"),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// The same, and a default that is none of what is returned.
pub(super) fn check_value(args: &ReturnFieldArgs) -> Result<()> {
    check_path(args)?;
    let wanted = json_clauses::value_type(args)?;
    for (index, clause) in [(4, "EMPTY"), (6, "ERROR")] {
        let Some(given) = args.arg_fields.get(index).map(|field| field.data_type()) else { continue };
        if !(goes_into(given, &wanted) || wanted.is_string() && is_written(given)) {
            let (given, wanted) = (sql_type(given), sql_type(&wanted));
            return plan_err!("JSON_VALUE returns {wanted}, and its DEFAULT ON {clause} is of type {given}");
        }
    }
    Ok(())
}

/// Whether a default of this type has a text.
fn is_written(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

/// The compiled path of each row; the last is kept.
pub(super) struct Paths<'a> {
    text: Text<'a>,
    last: Option<(&'a str, Path)>,
}

impl<'a> Paths<'a> {
    /// The paths of a call's second argument.
    pub fn new(call: &'a Call) -> Result<Self> {
        Ok(Paths { text: call.text(1)?, last: None })
    }

    pub fn get(&mut self, row: usize) -> Result<Option<&Path>> {
        match self.text.get(row) {
            Some(_) => self.at(row).map(Some),
            None => Ok(None),
        }
    }

    fn at(&mut self, row: usize) -> Result<&Path> {
        let text = self.text.at(row);
        if self.last.as_ref().is_none_or(|(last, _)| *last != text) {
            match Path::compile(text) {
                Ok(path) => self.last = Some((text, path)),
                Err(reason) => return exec_err!("{reason}"),
            }
        }
        match &self.last {
            Some((_, path)) => Ok(path),
            None => exec_err!("there is no JSON path"),
        }
    }
}

/// `JSON_VALUE(json, path)`: a scalar as text; null for a null, an object or an array.
pub(super) fn value(call: &Call) -> Result<ArrayRef> {
    if call.has(2) {
        return json_clauses::value(call);
    }
    let (json, mut paths) = (call.text(0)?, Paths::new(call)?);
    call.write_texts(|row, out| {
        let (Some(json), Some(path)) = (json.get(row), paths.get(row)?) else { return Ok(false) };
        let Some(root) = Node::parse(json) else { return Ok(false) };
        match path.find(&root).as_slice() {
            [Node::Text(text)] if !path.is_many() => out.push_str(text),
            [Node::Number(digits)] if !path.is_many() => write_number(digits, out),
            [Node::Bool(value)] if !path.is_many() => out.push_str(if *value { "true" } else { "false" }),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// `JSON_QUERY(json, path)`: an object or an array as JSON; null for a scalar. A path to many makes an array.
pub(super) fn query(call: &Call) -> Result<ArrayRef> {
    if call.has(2) {
        return json_clauses::query(call);
    }
    let (json, mut paths) = (call.text(0)?, Paths::new(call)?);
    call.write_texts(|row, out| {
        let (Some(json), Some(path)) = (json.get(row), paths.get(row)?) else { return Ok(false) };
        let Some(root) = Node::parse(json) else { return Ok(false) };
        let found = path.find(&root);
        if path.is_many() {
            Node::Array(found.into_iter().cloned().collect()).write(out);
            return Ok(true);
        }
        match found.first() {
            Some(node) if !node.is_scalar() => node.write(out),
            Some(_) | None => return Ok(false),
        }
        Ok(true)
    })
}

/// `JSON_EXISTS(json, path)`: a null does not exist.
pub(super) fn exists(call: &Call) -> Result<ArrayRef> {
    if call.has(2) {
        return json_clauses::exists(call);
    }
    let (json, mut paths) = (call.text(0)?, Paths::new(call)?);
    call.map_booleans(|row| {
        let (Some(json), Some(path)) = (json.get(row), paths.get(row)?) else { return Ok(None) };
        let Some(root) = Node::parse(json) else { return Ok(Some(false)) };
        let found = path.find(&root);
        Ok(Some(path.is_many() || found.iter().any(|node| **node != Node::Null)))
    })
}

/// `IS_JSON(text[, kind])`, the function of `IS JSON [VALUE | SCALAR | ARRAY | OBJECT]`: a null is none.
pub(super) fn is_json(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let kind = if call.has(1) { Some(call.text(1)?) } else { None };
    call.map_booleans(|row| {
        let Some(node) = text.get(row).and_then(Node::parse) else { return Ok(Some(false)) };
        match kind.map_or("VALUE", |kind| kind.at(row)).to_ascii_uppercase().as_str() {
            "VALUE" => Ok(Some(true)),
            "SCALAR" => Ok(Some(node.is_scalar())),
            "ARRAY" => Ok(Some(matches!(node, Node::Array(_)))),
            "OBJECT" => Ok(Some(matches!(node, Node::Object(_)))),
            other => exec_err!("there is no kind '{other}' of JSON: it is VALUE, SCALAR, ARRAY or OBJECT"),
        }
    })
}

/// `JSON_QUOTE(s)`: also a slash is escaped, as in Flink.
pub(super) fn quote(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        out.push('"');
        for letter in text.at(row).chars() {
            if letter == '/' {
                out.push('\\');
            }
            write_escaped(letter, out);
        }
        out.push('"');
        Ok(true)
    })
}

/// `JSON_UNQUOTE(s)`: what is no JSON string stays as it is.
pub(super) fn unquote(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        let whole = text.at(row);
        match Node::parse(whole) {
            Some(Node::Text(text)) if whole.starts_with('"') && whole.ends_with('"') => out.push_str(&text),
            Some(_) | None => out.push_str(whole),
        }
        Ok(true)
    })
}

/// `JSON_STRING(x)`: any value as JSON; null for a null.
pub(super) fn string(call: &Call) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    call.write_texts(|row, out| {
        write_value(&argument.array, argument.index(row), out)?;
        Ok(true)
    })
}

/// What the parser says of the members: whether nulls are left out, and which are JSON already.
struct Members<'a> {
    without_nulls: bool,
    kinds: &'a [u8],
}

impl<'a> Members<'a> {
    fn of(call: &'a Call) -> Result<Self> {
        let (nulls, kinds) = match call.text(0)?.constant() {
            Some(text) => text.split_once(' ').unwrap_or((text, "")),
            None => return exec_err!("{} takes the manner of its members as a constant", call.name),
        };
        Ok(Members { without_nulls: nulls == "ABSENT", kinds: kinds.as_bytes() })
    }

    /// Writes a member's value.
    fn write(&self, member: usize, value: &Argument, row: usize, out: &mut String) -> Result<()> {
        match value.array.as_string_view_opt() {
            Some(json) if self.kinds.get(member) == Some(&b'j') && !value.is_null(row) => {
                out.push_str(json.value(value.index(row)));
                Ok(())
            }
            _ => write_value(&value.array, value.index(row), out),
        }
    }
}

/// `JSON_OBJECT(manner, name, value, ..)`.
pub(super) fn object(call: &Call) -> Result<ArrayRef> {
    let manner = Members::of(call)?;
    if call.arguments.len().is_multiple_of(2) {
        return exec_err!("JSON_OBJECT takes names and values in turn");
    }
    let names = (1..call.arguments.len()).step_by(2).map(|index| call.text(index)).collect::<Result<Vec<_>>>()?;
    call.write_texts(|row, out| {
        out.push('{');
        for (index, name) in names.iter().enumerate() {
            let Some(name) = name.get(row) else { return exec_err!("a name of JSON_OBJECT is null") };
            let value = call.argument(2 * index + 2)?;
            if manner.without_nulls && value.is_null(row) {
                continue;
            }
            if 1 < out.len() {
                out.push(',');
            }
            write_quoted(name, out);
            out.push(':');
            manner.write(index, value, row, out)?;
        }
        out.push('}');
        Ok(true)
    })
}

/// `JSON_ARRAY(manner, value, ..)`.
pub(super) fn array(call: &Call) -> Result<ArrayRef> {
    let manner = Members::of(call)?;
    call.write_texts(|row, out| {
        out.push('[');
        for (index, value) in call.arguments.iter().skip(1).enumerate() {
            if manner.without_nulls && value.is_null(row) {
                continue;
            }
            if 1 < out.len() {
                out.push(',');
            }
            manner.write(index, value, row, out)?;
        }
        out.push(']');
        Ok(true)
    })
}

fn write_value(array: &ArrayRef, index: usize, out: &mut String) -> Result<()> {
    if array.data_type().is_null() || array.is_null(index) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Utf8View => write_quoted(array.as_string_view().value(index), out),
        DataType::Utf8 => write_quoted(array.as_string::<i32>().value(index), out),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(index) {
            number if number.is_finite() => write_double(number, out),
            number => write_unwritable(number, out),
        },
        DataType::Float32 => match array.as_primitive::<Float32Type>().value(index) {
            number if number.is_finite() => write_float(number, out),
            number => write_unwritable(f64::from(number), out),
        },
        DataType::Decimal128(_, _) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(index)),
        DataType::Binary => {
            out.push('"');
            base64::encode(array.as_binary::<i32>().value(index), out);
            out.push('"');
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(index);
            write_items(out, items.len(), ['[', ']'], |item, out| write_value(&items, item, out))?;
        }
        DataType::Struct(fields) => {
            let row = array.as_struct();
            write_items(out, fields.len(), ['{', '}'], |field, out| {
                write_quoted(fields[field].name(), out);
                out.push(':');
                write_value(row.column(field), index, out)
            })?;
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(index);
            write_items(out, entries.len(), ['{', '}'], |entry, out| {
                let mut name = String::new();
                write_value(entries.column(0), entry, &mut name)?;
                if name.starts_with('"') {
                    out.push_str(&name)
                } else {
                    write_quoted(&name, out)
                }
                out.push(':');
                write_value(entries.column(1), entry, out)
            })?;
        }
        other => {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())?;
            let quoted = !(other.is_integer() || *other == DataType::Boolean);
            let quote = if quoted { "\"" } else { "" };
            let _ = write!(out, "{quote}{}{quote}", formatter.value(index));
        }
    }
    Ok(())
}

/// `NaN` and the infinities, for which JSON has no numbers, are texts, as in Flink.
fn write_unwritable(number: f64, out: &mut String) {
    out.push('"');
    write_double(number, out);
    out.push('"');
}

fn write_items(
    out: &mut String,
    count: usize,
    [open, close]: [char; 2],
    mut write: impl FnMut(usize, &mut String) -> Result<()>,
) -> Result<()> {
    out.push(open);
    for item in 0..count {
        if 0 < item {
            out.push(',');
        }
        write(item, out)?;
    }
    out.push(close);
    Ok(())
}
