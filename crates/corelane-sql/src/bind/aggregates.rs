//! Aggregate functions as DataFusion's planner sees them: names, types and nothing else.
//!
//! The planner needs Flink's result types; the accumulators are the operators' own.

use arrow::datatypes::DataType;
use corelane_ops::{AGGREGATES, AggregateFunction};
use datafusion_common::{DataFusionError, Result, internal_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct StreamingAggregate {
    name: &'static str,
    function: AggregateFunction,
    signature: Signature,
}

impl AggregateUDFImpl for StreamingAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments).map_err(|error| DataFusionError::Plan(error.message().to_owned()))
    }

    fn is_nullable(&self) -> bool {
        !matches!(self.function, AggregateFunction::Count | AggregateFunction::ApproxCountDistinct)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("aggregates are computed by the streaming operators")
    }

    fn state_fields(&self, _: StateFieldsArgs<'_>) -> Result<Vec<arrow::datatypes::FieldRef>> {
        Ok(Vec::new())
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.return_type(arguments)?;
        let limit = match self.function {
            AggregateFunction::Count => usize::MAX,
            AggregateFunction::ListAgg { .. } => 2,
            _ => 1,
        };
        if arguments.len() > limit {
            return datafusion_common::plan_err!(
                "{} takes {limit} argument(s), not {}",
                self.function.name(),
                arguments.len()
            );
        }
        let coerced = |argument: &DataType| match self.function {
            AggregateFunction::StddevPop
            | AggregateFunction::StddevSamp
            | AggregateFunction::VarPop
            | AggregateFunction::VarSamp => DataType::Float64,
            AggregateFunction::ListAgg { .. } => DataType::Utf8View,
            AggregateFunction::Sum | AggregateFunction::Avg if *argument == DataType::Null => DataType::Int32,
            _ => argument.clone(),
        };
        Ok(arguments.iter().map(coerced).collect())
    }
}

/// Every aggregate by its lower-case name.
pub(super) fn aggregate_udfs() -> impl Iterator<Item = (&'static str, AggregateUDF)> {
    AGGREGATES.iter().map(|def| {
        let function = StreamingAggregate {
            name: def.name,
            function: (def.function)(),
            signature: Signature::user_defined(Volatility::Immutable),
        };
        (def.name, AggregateUDF::from(function))
    })
}

/// The function behind a bound aggregate.
pub(crate) fn aggregate_function(name: &str) -> Option<AggregateFunction> {
    AggregateFunction::from_name(name)
}
