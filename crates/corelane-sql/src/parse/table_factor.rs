//! The table factors that sqlparser has no node for: window table functions and files.
//!
//! `TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))` parses as a table function
//! whose arguments are expressions. [`window_tvf`] recognises it, with or without the outer
//! `TABLE(..)`, with arguments by position or by name, and gives one plain form.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TableAlias, TableFactor,
    UnaryOperator, WindowType,
};

use super::dialect::TABLE_ARGUMENT;
use super::interval::interval_value;
use crate::catalog::closest;
use crate::error::{Span, SqlError, span_of};

/// How a window function cuts time. All lengths are positive milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    Tumble {
        size_ms: i64,
    },
    /// `size_ms` is a multiple of `slide_ms`.
    Hop {
        slide_ms: i64,
        size_ms: i64,
    },
    /// `size_ms` is a multiple of `step_ms`.
    Cumulate {
        step_ms: i64,
        size_ms: i64,
    },
    Session {
        gap_ms: i64,
    },
}

/// A window table function over a table.
#[derive(Clone, Debug)]
pub struct WindowTvf {
    pub kind: WindowKind,
    pub table: ObjectName,
    /// The keys of a session; empty for the other kinds.
    pub partition_by: Vec<Ident>,
    pub time_column: Ident,
    /// Shifts where windows begin; may be negative.
    pub offset_ms: i64,
    pub alias: Option<TableAlias>,
    pub span: Option<Span>,
}

/// The parameters of one function, in the order of positional arguments.
struct Signature {
    name: &'static str,
    parameters: &'static [&'static str],
    /// How many of them must be given.
    required: usize,
}

const SIGNATURES: &[Signature] = &[
    Signature { name: "TUMBLE", parameters: &["DATA", "TIMECOL", "SIZE", "OFFSET"], required: 3 },
    Signature { name: "HOP", parameters: &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"], required: 4 },
    Signature { name: "CUMULATE", parameters: &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"], required: 4 },
    Signature { name: "SESSION", parameters: &["DATA", "TIMECOL", "GAP"], required: 3 },
];

/// The path in `FROM 'file.parquet'`.
pub fn file_path(table: &ObjectName) -> Option<&str> {
    match table.0.as_slice() {
        [part] => part.as_ident().filter(|ident| ident.quote_style == Some('\'')).map(|ident| ident.value.as_str()),
        _ => None,
    }
}

/// Recognises a window table function. `None` for any other table factor; an error where it is
/// one but its arguments are wrong.
pub fn window_tvf(factor: &TableFactor) -> Result<Option<WindowTvf>, SqlError> {
    let (name, arguments, alias) = match factor {
        TableFactor::TableFunction { expr: Expr::Function(Function { name, args, .. }), alias } => match args {
            FunctionArguments::List(list) => (name, list.args.as_slice(), alias),
            FunctionArguments::None | FunctionArguments::Subquery(_) => return Err(unknown_function(name)),
        },
        TableFactor::TableFunction { expr, .. } => {
            return Err(SqlError::new("TABLE(..) takes a window function")
                .with_hint("write TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)), or a name alone")
                .at_node(expr));
        }
        TableFactor::Table { name, args: Some(arguments), alias, .. } => (name, arguments.args.as_slice(), alias),
        _ => return Ok(None),
    };
    let Some(signature) = signature_of(name) else {
        return match factor {
            TableFactor::TableFunction { .. } => Err(unknown_function(name)),
            _ => Ok(None),
        };
    };
    let place = span_of(name);
    let slots = assign(signature, arguments, place)?;
    let tvf = read(signature, &slots, place).map_err(|error| error.at(place))?;
    Ok(Some(WindowTvf { alias: alias.clone(), ..tvf }))
}

fn unknown_function(name: &ObjectName) -> SqlError {
    let names: Vec<String> = SIGNATURES.iter().map(|signature| signature.name.to_lowercase()).collect();
    let close = closest(&name.to_string(), names.iter().map(String::as_str)).map(str::to_uppercase);
    SqlError::new(format!("there is no table function {name}"))
        .with_hint(match close {
            Some(close) => format!("did you mean {close}?"),
            None => "the window functions TUMBLE, HOP and CUMULATE are there".to_owned(),
        })
        .at_node(name)
}

fn signature_of(name: &ObjectName) -> Option<&'static Signature> {
    let [part] = name.0.as_slice() else { return None };
    let ident = part.as_ident().filter(|ident| ident.quote_style.is_none())?;
    SIGNATURES.iter().find(|signature| signature.name.eq_ignore_ascii_case(&ident.value))
}

/// Puts each argument into the slot of its parameter.
fn assign<'a>(
    signature: &Signature,
    arguments: &'a [FunctionArg],
    place: Option<Span>,
) -> Result<Vec<Option<&'a Expr>>, SqlError> {
    let usage = || format!("{}({})", signature.name, signature.parameters.join(", "));
    let mut slots = vec![None; signature.parameters.len()];
    for (index, argument) in arguments.iter().enumerate() {
        let (slot, value) = match argument {
            FunctionArg::Unnamed(value) => (Some(index).filter(|&index| index < slots.len()), value),
            FunctionArg::Named { name, arg, .. } => (slot_named(signature, &name.value), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (slot_named(signature, &name.to_string()), arg),
        };
        let FunctionArgExpr::Expr(expr) = value else {
            return Err(SqlError::new(format!("{argument} is no argument of {}", signature.name))
                .with_hint(format!("write {}", usage()))
                .at(place));
        };
        let Some(slot) = slot.filter(|&slot| slots[slot].is_none()) else {
            return Err(SqlError::new(format!("{} does not take the argument {argument}", signature.name))
                .with_hint(format!("write {}", usage()))
                .at_node(expr)
                .at(place));
        };
        slots[slot] = Some(expr);
    }
    if let Some(missing) = slots[..signature.required].iter().position(Option::is_none) {
        let parameter = signature.parameters[missing];
        return Err(SqlError::new(format!("{} lacks its argument {parameter}", signature.name))
            .with_hint(format!("write {}", usage()))
            .at(place));
    }
    Ok(slots)
}

fn slot_named(signature: &Signature, name: &str) -> Option<usize> {
    signature.parameters.iter().position(|parameter| parameter.eq_ignore_ascii_case(name))
}

fn read(signature: &Signature, slots: &[Option<&Expr>], place: Option<Span>) -> Result<WindowTvf, SqlError> {
    let slot = |parameter: &str| slot_named(signature, parameter).and_then(|slot| slots[slot]);
    let required = |parameter: &str| {
        slot(parameter).ok_or_else(|| SqlError::new(format!("{} lacks its argument {parameter}", signature.name)))
    };
    let length = |parameter: &str| positive_length(parameter, required(parameter)?);
    let (table, partition_by) = read_table(required("DATA")?)?;
    let kind = match signature.name {
        "TUMBLE" => WindowKind::Tumble { size_ms: length("SIZE")? },
        "HOP" => WindowKind::Hop { slide_ms: length("SLIDE")?, size_ms: length("SIZE")? },
        "CUMULATE" => WindowKind::Cumulate { step_ms: length("STEP")?, size_ms: length("SIZE")? },
        _ => WindowKind::Session { gap_ms: length("GAP")? },
    };
    check_multiple(kind)?;
    if !partition_by.is_empty() && !matches!(kind, WindowKind::Session { .. }) {
        return Err(SqlError::new(format!("{} takes no PARTITION BY", signature.name))
            .with_hint("group by the columns in the query around it")
            .at(Span::from_parser(partition_by[0].span)));
    }
    Ok(WindowTvf {
        kind,
        table,
        partition_by,
        time_column: read_descriptor(required("TIMECOL")?)?,
        offset_ms: slot("OFFSET").map_or(Ok(0), millis)?,
        alias: None,
        span: place,
    })
}

/// `TABLE t [PARTITION BY a, b]` or the bare name of a table.
fn read_table(expr: &Expr) -> Result<(ObjectName, Vec<Ident>), SqlError> {
    let refuse = |expr: &Expr| {
        SqlError::new("a window function takes a table by its name")
            .with_hint("write TABLE t; give a subquery a name with CREATE VIEW or WITH")
            .at_node(expr)
    };
    match expr {
        Expr::Identifier(ident) => Ok((ObjectName::from(vec![ident.clone()]), Vec::new())),
        Expr::CompoundIdentifier(parts) => Ok((ObjectName::from(parts.clone()), Vec::new())),
        Expr::Function(function) if function.name.to_string() == TABLE_ARGUMENT => {
            let FunctionArguments::List(list) = &function.args else { return Err(refuse(expr)) };
            let [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(
                    table @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)),
                )),
            ] = list.args.as_slice()
            else {
                return Err(refuse(expr));
            };
            let (name, _) = read_table(table)?;
            Ok((name, read_partition(function)?))
        }
        _ => Err(refuse(expr)),
    }
}

fn read_partition(table: &Function) -> Result<Vec<Ident>, SqlError> {
    let Some(WindowType::WindowSpec(spec)) = &table.over else { return Ok(Vec::new()) };
    if let Some(order) = spec.order_by.first() {
        return Err(SqlError::new("a window function takes no ORDER BY")
            .with_hint("rows are ordered by the time column")
            .at_node(&order.expr));
    }
    spec.partition_by.iter().map(read_column).collect()
}

/// A column, perhaps behind the name of its table.
fn read_column(expr: &Expr) -> Result<Ident, SqlError> {
    match expr {
        Expr::Identifier(ident) => Ok(ident.clone()),
        Expr::CompoundIdentifier(parts) if !parts.is_empty() => Ok(parts[parts.len() - 1].clone()),
        _ => Err(SqlError::new(format!("{expr} is not a column"))
            .with_hint("compute it in a view and name it there")
            .at_node(expr)),
    }
}

/// `DESCRIPTOR(ts)`
fn read_descriptor(expr: &Expr) -> Result<Ident, SqlError> {
    if let Expr::Function(function) = expr
        && function.name.to_string().eq_ignore_ascii_case("DESCRIPTOR")
        && let FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(column))] = list.args.as_slice()
    {
        return read_column(column);
    }
    Err(SqlError::new(format!("the time column must be DESCRIPTOR(column), not {expr}")).at_node(expr))
}

fn positive_length(parameter: &str, expr: &Expr) -> Result<i64, SqlError> {
    let length = millis(expr)?;
    if length <= 0 {
        return Err(
            SqlError::new(format!("the {} of a window must be positive", parameter.to_lowercase())).at_node(expr)
        );
    }
    Ok(length)
}

/// Windows are counted in milliseconds: anything finer, and months, have no place in them.
fn millis(expr: &Expr) -> Result<i64, SqlError> {
    let inexact = || {
        SqlError::new(format!("{expr} is not a whole number of milliseconds"))
            .with_hint("write days or smaller, as INTERVAL '10' SECOND")
            .at_node(expr)
    };
    match expr {
        Expr::Interval(interval) => interval_value(interval)?.millis().ok_or_else(inexact),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => match inner.as_ref() {
            Expr::Interval(_) => Ok(-millis(inner)?),
            _ => Err(inexact()),
        },
        _ => Err(SqlError::new(format!("expected an INTERVAL, found {expr}"))
            .with_expected("an INTERVAL")
            .with_hint("write it as INTERVAL '10' SECOND")
            .at_node(expr)),
    }
}

fn check_multiple(kind: WindowKind) -> Result<(), SqlError> {
    let (part, part_ms, size_ms) = match kind {
        WindowKind::Hop { slide_ms, size_ms } => ("slide", slide_ms, size_ms),
        WindowKind::Cumulate { step_ms, size_ms } => ("step", step_ms, size_ms),
        WindowKind::Tumble { .. } | WindowKind::Session { .. } => return Ok(()),
    };
    if size_ms % part_ms != 0 {
        return Err(SqlError::new(format!(
            "the window's size, {size_ms} ms, is no multiple of its {part}, {part_ms} ms"
        )));
    }
    Ok(())
}
