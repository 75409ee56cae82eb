//! Comparisons of FLOAT and DOUBLE, as a function that the optimizer does not see through.
//!
//! It would turn `NOT (x > 1)` into `x <= 1` and `x = x` into `x IS NOT NULL`, which NaN refutes, and
//! compute those of constants in Arrow's total order. See `corelane_ops::FloatComparison`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use corelane_ops::{FloatComparison, compare_floats};
use datafusion_common::{DFSchema, Result, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    BinaryExpr, Case, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// The function's name, which no user's function can have.
pub(crate) const FLOAT_COMPARISON: &str = "float comparison";

/// The expression with such functions in place of its own comparisons, if it compares floats.
///
/// # Errors
/// If a part has no type.
pub(super) fn rewritten(expression: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let float = |part: &Expr| -> Result<Option<DataType>> {
        let data_type = part.get_type(schema)?;
        Ok(data_type.is_floating().then_some(data_type))
    };
    let alike = |value: &Expr, others: &mut dyn Iterator<Item = &Expr>| -> Result<bool> {
        // A value that is another each time is computed once.
        let Some(wanted) = float(value)?.filter(|_| !value.is_volatile()) else { return Ok(false) };
        for other in others {
            if other.get_type(schema)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if FloatComparison::compares(*op) => {
            let both = float(left)?.is_some() && float(left)? == float(right)?;
            both.then(|| compared(left, *op, right))
        }
        Expr::Between(between) if alike(&between.expr, &mut [&*between.low, &*between.high].into_iter())? => {
            let within = compared(&between.expr, Operator::GtEq, &between.low).and(compared(
                &between.expr,
                Operator::LtEq,
                &between.high,
            ));
            Some(negated_if(between.negated, within))
        }
        Expr::InList(list) if alike(&list.expr, &mut list.list.iter())? => {
            let equal = list.list.iter().map(|item| compared(&list.expr, Operator::Eq, item)).reduce(Expr::or);
            equal.map(|equal| negated_if(list.negated, equal))
        }
        Expr::Case(case) => match &case.expr {
            Some(value) if alike(value, &mut case.when_then_expr.iter().map(|(when, _)| when.as_ref()))? => {
                let branches = case.when_then_expr.iter();
                let branches = branches
                    .map(|(when, then)| (Box::new(compared(value, Operator::Eq, when)), then.clone()))
                    .collect();
                Some(Expr::Case(Case::new(None, branches, case.else_expr.clone())))
            }
            Some(_) | None => None,
        },
        _ => None,
    })
}

fn negated_if(negated: bool, condition: Expr) -> Expr {
    if negated { Expr::Not(Box::new(condition)) } else { condition }
}

fn compared(left: &Expr, operator: Operator, right: &Expr) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    let function = Arc::new(ScalarUDF::from(Compare { operator, signature }));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left.clone(), right.clone()]))
}

/// The physical comparison that such a function stands for, if it is one.
pub(crate) fn float_comparison(expression: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let call = expression.downcast_ref::<ScalarFunctionExpr>()?;
    let operator = call.fun().inner().downcast_ref::<Compare>()?.operator;
    match call.args() {
        [left, right] => Some(Arc::new(FloatComparison::new(Arc::clone(left), operator, Arc::clone(right)))),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Compare {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Compare {
    fn name(&self) -> &str {
        FLOAT_COMPARISON
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments {
            [left, right] => Ok(format!("{left} {} {right}", self.operator)),
            _ => internal_err!("a comparison has two sides"),
        }
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments {
            [left, right] => Ok(format!("{} {} {}", left.schema_name(), self.operator, right.schema_name())),
            _ => internal_err!("a comparison has two sides"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.as_slice() {
            [left, right] => compare_floats(self.operator, left, right, arguments.number_rows),
            _ => internal_err!("a comparison has two sides"),
        }
    }
}
