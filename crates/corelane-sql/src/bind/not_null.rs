//! NOT NULL columns of a table that is written: a row with NULL there fails.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct NotNull {
    table: String,
    column: String,
    signature: Signature,
}

/// The value, or an error that names the column it is for.
pub(crate) fn not_null(value: Expr, table: &str, column: &str) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    let udf = NotNull { table: table.to_owned(), column: column.to_owned(), signature };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(udf)), vec![value]))
}

impl ScalarUDFImpl for NotNull {
    fn name(&self) -> &str {
        "not_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [data_type] => Ok(data_type.clone()),
            _ => internal_err!("one value is checked at a time"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = arguments.args.as_slice() else { return internal_err!("one value is checked at a time") };
        let nulls = match value {
            ColumnarValue::Array(array) => array.logical_null_count(),
            ColumnarValue::Scalar(scalar) => usize::from(scalar.is_null()),
        };
        if nulls == 0 {
            return Ok(value.clone());
        }
        exec_err!("column '{}' of table '{}' is NOT NULL, and the row has NULL for it", self.column, self.table)
    }
}
