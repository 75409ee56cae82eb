//! Functions that need OVER, as DataFusion's planner sees them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, internal_err};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

/// DataFusion's window functions, but for those whose type differs from Flink's.
pub(super) fn window_udfs() -> impl Iterator<Item = Arc<WindowUDF>> {
    let numbered = WindowUDF::from(RowNumber { signature: Signature::nullary(Volatility::Immutable) });
    let others = datafusion_functions_window::all_default_window_functions();
    others.into_iter().filter(|udf| udf.name() != "row_number").chain([Arc::new(numbered)])
}

/// `ROW_NUMBER()` is a BIGINT.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowNumber {
    signature: Signature,
}

impl WindowUDFImpl for RowNumber {
    fn name(&self) -> &str {
        "row_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        internal_err!("window functions are computed by the streaming operators")
    }

    fn field(&self, arguments: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(arguments.name(), DataType::Int64, false)))
    }
}
