//! `CAST(row AS ROW<a INT, b STRING>)`: fields are matched by place, as in SQL.
//!
//! DataFusion matches them by name, so a `ROW(1, 'x')`, whose fields have no names of their own,
//! could not be given any.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowCast {
    wanted: DataType,
    signature: Signature,
}

/// True if a cast must go by the places of fields.
pub(super) fn goes_by_place(given: &DataType, wanted: &DataType) -> bool {
    match (given, wanted) {
        (DataType::Struct(given), DataType::Struct(wanted)) => {
            given.len() == wanted.len()
                && given.iter().zip(wanted).any(|(given, wanted)| {
                    given.name() != wanted.name() || goes_by_place(given.data_type(), wanted.data_type())
                })
        }
        _ => false,
    }
}

/// The function that casts rows to a type.
pub(super) fn row_cast(wanted: &DataType) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(RowCast { wanted: wanted.clone(), signature }))
}

impl ScalarUDFImpl for RowCast {
    fn name(&self) -> &str {
        "cast_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [rows] = rows.as_slice() else { return internal_err!("a row is cast by itself") };
        Ok(ColumnarValue::Array(by_place(rows, &self.wanted)?))
    }
}

fn by_place(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    match (array.data_type(), wanted) {
        (DataType::Struct(given), DataType::Struct(fields)) if given.len() == fields.len() => {
            let rows = array.as_struct();
            let columns = rows.columns().iter().zip(fields).map(|(column, field)| by_place(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, rows.nulls().cloned())?))
        }
        _ => Ok(cast_with_options(array, wanted, &CastOptions { safe: false, ..Default::default() })?),
    }
}
