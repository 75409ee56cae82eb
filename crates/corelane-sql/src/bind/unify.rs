//! Values that must be of one type: the branches of CASE, what is compared, the rows of VALUES and the
//! inputs of UNION.
//!
//! They are cast to the type that Flink gives them before DataFusion's own rules would find another.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use corelane_stream::sql_type;
use datafusion_common::{DFSchema, DataFusionError, Result, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    BinaryExpr, Case, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Union, Volatility,
};
use sqlparser::ast;

use super::cast_rules::{check_compared, check_texts};
use super::rewrite::{call, text};
use crate::error::SqlError;
use crate::supertype::{common_type, is_decimal};

/// The function around a value whose type is to be told from that which the planner casts it to; no user's
/// function has a space in its name.
pub(super) const MARK: &str = "value of type";

/// Gives the parts of an expression one type where they need it.
pub(super) fn unify(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expression {
        Expr::Case(case) => Expr::Case(branches(case, schema)?),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let [left, right] = compared([*left, *right], schema)?;
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        }
        Expr::Between(mut between) => {
            let parts = [*between.expr, *between.low, *between.high];
            [*between.expr, *between.low, *between.high] = compared(parts, schema)?;
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            let mut parts = vec![*list.expr];
            parts.append(&mut list.list);
            let mut parts = all_compared(parts, schema)?;
            list.expr = Box::new(parts.remove(0));
            list.list = parts;
            Expr::InList(list)
        }
        other => other,
    })
}

fn types_of<'a>(expressions: impl IntoIterator<Item = &'a Expr>, schema: &DFSchema) -> Result<Vec<DataType>> {
    expressions.into_iter().map(|expression| expression.get_type(schema)).collect()
}

fn cast(expression: Expr, given: &DataType, wanted: &DataType) -> Expr {
    match given == wanted || given.is_null() {
        true => expression,
        false => Expr::Cast(Cast::new(Box::new(expression), wanted.clone())),
    }
}

fn branches(mut case: Case, schema: &DFSchema) -> Result<Case> {
    let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
    let types = types_of(results, schema)?;
    if let Some(compared) = case.expr.take() {
        let mut parts = vec![*compared];
        parts.extend(case.when_then_expr.iter_mut().map(|(when, _)| std::mem::take(when.as_mut())));
        let mut parts = all_compared(parts, schema)?.into_iter();
        case.expr = parts.next().map(Box::new);
        for ((when, _), part) in case.when_then_expr.iter_mut().zip(parts) {
            **when = part;
        }
    }
    let Some(wanted) = common_type(&types) else { return Ok(case) };
    let results = case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr);
    for (result, given) in results.zip(&types) {
        **result = cast(std::mem::take(result.as_mut()), given, &wanted);
    }
    Ok(case)
}

fn compared<const N: usize>(parts: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let parts = all_compared(Vec::from(parts), schema)?;
    Ok(parts.try_into().expect("no part was added or taken away"))
}

/// What is compared has one type. Only the pairs that DataFusion compares otherwise are touched: casts
/// hide columns from its rules.
fn all_compared(parts: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = types_of(&parts, schema)?;
    check_compared(&types)?;
    let any = |wanted: fn(&DataType) -> bool| types.iter().any(wanted);
    let is_mixed = any(is_decimal) && any(DataType::is_floating)
        || any(|data_type| *data_type == DataType::Date32)
            && any(|data_type| matches!(data_type, DataType::Timestamp(_, _)));
    match common_type(&types) {
        Some(wanted) if is_mixed => {
            Ok(parts.into_iter().zip(&types).map(|(part, given)| cast(part, given, &wanted)).collect())
        }
        _ => Ok(parts),
    }
}

/// Rows of VALUES, each column with one type. DataFusion has found it by rules of its own
/// and cast to it what had another.
pub(super) fn values(rows: Vec<Vec<Expr>>) -> Result<LogicalPlan> {
    let schema = DFSchema::empty();
    let mut rows: Vec<Vec<Expr>> = rows.into_iter().map(|row| row.into_iter().map(unmarked).collect()).collect();
    for column in 0..rows.first().map_or(0, Vec::len) {
        let types = types_of(rows.iter().map(|row| &row[column]), &schema)?;
        check_texts("VALUES", &types)?;
        check_kinds("VALUES", &types)?;
        let Some(wanted) = common_type(&types) else { continue };
        for (row, given) in rows.iter_mut().zip(&types) {
            row[column] = cast(std::mem::take(&mut row[column]), given, &wanted);
        }
    }
    LogicalPlanBuilder::values(rows)?.build()
}

/// # Errors
/// If some of the types are numbers or conditions and others are times: DataFusion would make days of numbers.
fn check_kinds(what: &str, types: &[DataType]) -> Result<()> {
    let kind = |data_type: &DataType| match data_type {
        DataType::Boolean => Some(0),
        other if other.is_numeric() => Some(1),
        other if other.is_temporal() => Some(2),
        _ => None,
    };
    let known = || types.iter().filter_map(|data_type| Some((kind(data_type)?, data_type)));
    let Some((first, one)) = known().next() else { return Ok(()) };
    match known().find(|(other, _)| *other != first) {
        Some((_, other)) => {
            let error = SqlError::new(format!("{what} gives {} here and {} there", sql_type(one), sql_type(other)));
            Err(DataFusionError::External(Box::new(error.with_hint("cast one to the other's type"))))
        }
        None => Ok(()),
    }
}

/// The inputs of a UNION, each column with one type.
pub(super) fn union(union: Union) -> Result<LogicalPlan> {
    let mut wanted = Vec::new();
    for column in 0..union.schema.fields().len() {
        let types = union.inputs.iter().map(|input| input.schema().field(column).data_type().clone());
        let types: Vec<DataType> = types.collect();
        check_texts("UNION", &types)?;
        check_kinds("UNION", &types)?;
        wanted.push(common_type(&types));
    }
    let mut inputs = Vec::new();
    for input in union.inputs {
        let given = input.schema();
        let differs = given
            .fields()
            .iter()
            .zip(&wanted)
            .any(|(field, wanted)| wanted.as_ref().is_some_and(|wanted| wanted != field.data_type()));
        if !differs {
            inputs.push(input);
            continue;
        }
        let columns = given.columns().into_iter().zip(given.fields()).zip(&wanted).map(|((column, field), wanted)| {
            let name = column.name.clone();
            match wanted {
                Some(wanted) if wanted != field.data_type() => {
                    Expr::Cast(Cast::new(Box::new(Expr::Column(column)), wanted.clone())).alias(name)
                }
                _ => Expr::Column(column),
            }
        });
        let columns: Vec<Expr> = columns.collect();
        inputs.push(Arc::new(LogicalPlanBuilder::from(Arc::unwrap_or_clone(input)).project(columns)?.build()?));
    }
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// Marks a value of VALUES, so that a cast of the planner's is told from one that is written.
pub(super) fn mark(value: &mut ast::Expr) {
    let inner = std::mem::replace(value, ast::Expr::Value(ast::Value::Null.into()));
    *value = call(MARK, vec![inner]);
}

/// Whether an error of the planner goes away where casts are named.
pub(super) fn is_of_names(error: &DataFusionError) -> bool {
    error.find_root().strip_backtrace().contains("duplicate unqualified field name")
}

/// Gives casts names: to the planner `SUM(a)` and `SUM(CAST(a AS BIGINT))` are two columns of one name.
pub(super) fn name_casts(query: &mut ast::Query) {
    let _ = ast::visit_expressions_mut(query, |expression| {
        if let ast::Expr::Cast { data_type, .. } = expression {
            let data_type = text(&data_type.to_string());
            *expression = call(MARK, vec![expression.clone(), data_type]);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A cast without its name.
pub(super) fn unnamed_cast(mut call: ScalarFunction) -> Expr {
    match call.args.len() {
        2 if call.func.name() == MARK => call.args.swap_remove(0),
        _ => Expr::ScalarFunction(call),
    }
}

fn unmarked(expression: Expr) -> Expr {
    let inner = match &expression {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    match inner {
        Expr::ScalarFunction(call) if call.func.name() == MARK => call.args.first().cloned().unwrap_or(expression),
        _ => expression,
    }
}

/// The function that marks.
pub(super) fn marker() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Marker { signature: Signature::variadic_any(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    signature: Signature,
}

impl ScalarUDFImpl for Marker {
    fn name(&self) -> &str {
        MARK
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{MARK} of {} is left in the plan", arguments.args.len())
    }
}
