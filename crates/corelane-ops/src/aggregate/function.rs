//! The closed table of aggregate functions and their result types, which are Flink's.

use arrow::datatypes::{DataType, FieldRef, Schema};
use corelane_stream::sql_type::multiset_type;
use corelane_stream::{Error, Result, sql_type};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// `COUNT(*)` has no argument, `COUNT(x)` one, `COUNT(DISTINCT x, y)` several.
    Count,
    Sum,
    Avg,
    Min,
    Max,
    FirstValue,
    LastValue,
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    ListAgg {
        separator: String,
    },
    Collect,
    ApproxCountDistinct,
}

/// One row of the table: a name users write, and what it means.
#[derive(Clone, Debug)]
pub struct AggregateDef {
    pub name: &'static str,
    pub function: fn() -> AggregateFunction,
    pub usage: &'static str,
    pub help: &'static str,
}

/// Every aggregate function, by the names users write.
pub const AGGREGATES: &[AggregateDef] = &[
    AggregateDef {
        name: "count",
        function: || AggregateFunction::Count,
        usage: "COUNT(*) | COUNT([DISTINCT] x)",
        help: "Rows, or rows in which x is not null.",
    },
    AggregateDef {
        name: "sum",
        function: || AggregateFunction::Sum,
        usage: "SUM([DISTINCT] x)",
        help: "Sum of the values that are not null; exact for integers, DECIMAL and, until the last rounding, DOUBLE.",
    },
    AggregateDef {
        name: "avg",
        function: || AggregateFunction::Avg,
        usage: "AVG([DISTINCT] x)",
        help: "Mean of the values that are not null; of integers an integer, truncated.",
    },
    AggregateDef { name: "min", function: || AggregateFunction::Min, usage: "MIN(x)", help: "Smallest value." },
    AggregateDef { name: "max", function: || AggregateFunction::Max, usage: "MAX(x)", help: "Largest value." },
    AggregateDef {
        name: "first_value",
        function: || AggregateFunction::FirstValue,
        usage: "FIRST_VALUE(x)",
        help: "The value that came first; nulls are passed over.",
    },
    AggregateDef {
        name: "last_value",
        function: || AggregateFunction::LastValue,
        usage: "LAST_VALUE(x)",
        help: "The value that came last; nulls are passed over.",
    },
    AggregateDef {
        name: "stddev_pop",
        function: || AggregateFunction::StddevPop,
        usage: "STDDEV_POP(x)",
        help: "Population standard deviation.",
    },
    AggregateDef {
        name: "stddev_samp",
        function: || AggregateFunction::StddevSamp,
        usage: "STDDEV_SAMP(x)",
        help: "Sample standard deviation; null for one value.",
    },
    AggregateDef {
        name: "stddev",
        function: || AggregateFunction::StddevSamp,
        usage: "STDDEV(x)",
        help: "The same as STDDEV_SAMP.",
    },
    AggregateDef {
        name: "var_pop",
        function: || AggregateFunction::VarPop,
        usage: "VAR_POP(x)",
        help: "Population variance.",
    },
    AggregateDef {
        name: "var_samp",
        function: || AggregateFunction::VarSamp,
        usage: "VAR_SAMP(x)",
        help: "Sample variance; null for one value.",
    },
    AggregateDef {
        name: "variance",
        function: || AggregateFunction::VarSamp,
        usage: "VARIANCE(x)",
        help: "The same as VAR_SAMP.",
    },
    AggregateDef {
        name: "listagg",
        function: || AggregateFunction::ListAgg { separator: ",".to_owned() },
        usage: "LISTAGG(x [, separator])",
        help: "The strings that are not null, joined in order of arrival; those of DISTINCT in the order of their values.",
    },
    AggregateDef {
        name: "collect",
        function: || AggregateFunction::Collect,
        usage: "COLLECT([DISTINCT] x)",
        help: "The values that are not null, as a MULTISET: each with how often it came.",
    },
    AggregateDef {
        name: "approx_count_distinct",
        function: || AggregateFunction::ApproxCountDistinct,
        usage: "APPROX_COUNT_DISTINCT(x)",
        help: "About how many different values (HyperLogLog, error about 1 %).",
    },
];

impl AggregateFunction {
    /// Finds a function by the name a user wrote, in any case.
    pub fn from_name(name: &str) -> Option<AggregateFunction> {
        AGGREGATES.iter().find(|def| def.name.eq_ignore_ascii_case(name)).map(|def| (def.function)())
    }

    /// The result type for arguments of these types; results are nullable except for counts.
    ///
    /// # Errors
    /// If the function does not take these arguments.
    pub fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        use AggregateFunction as F;
        use DataType as T;
        let argument = arguments.first();
        let refuse = |takes: &str| {
            let given = argument.map_or_else(|| "nothing".to_owned(), sql_type);
            Err(Error::invalid(format!("{} takes {takes}, not {given}", self.name())))
        };
        match self {
            F::Count | F::ApproxCountDistinct => Ok(T::Int64),
            F::Min | F::Max => match argument {
                Some(T::List(_) | T::Map(_, _) | T::Struct(_)) | None => refuse("a value that has an order"),
                Some(argument) => Ok(argument.clone()),
            },
            F::FirstValue | F::LastValue => match argument {
                Some(argument) => Ok(argument.clone()),
                None => refuse("an argument"),
            },
            F::Sum => match argument {
                Some(T::Decimal128(_, scale)) => Ok(T::Decimal128(38, *scale)),
                Some(number) if number.is_numeric() => Ok(number.clone()),
                Some(T::Null) => Ok(T::Int32),
                _ => refuse("a number"),
            },
            F::Avg => match argument {
                Some(T::Decimal128(_, scale)) => Ok(T::Decimal128(38, (*scale).max(6))),
                Some(number) if number.is_numeric() => Ok(number.clone()),
                Some(T::Null) => Ok(T::Int32),
                _ => refuse("a number"),
            },
            F::Collect => match argument {
                Some(argument) => Ok(multiset_type(argument.clone())),
                None => refuse("an argument"),
            },
            F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => match argument {
                Some(number) if number.is_numeric() || *number == T::Null => Ok(T::Float64),
                _ => refuse("a number"),
            },
            F::ListAgg { .. } => match argument {
                Some(T::Utf8 | T::Utf8View | T::LargeUtf8 | T::Null) => Ok(T::Utf8View),
                _ => refuse("a string"),
            },
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            AggregateFunction::Count => "COUNT",
            AggregateFunction::Sum => "SUM",
            AggregateFunction::Avg => "AVG",
            AggregateFunction::Min => "MIN",
            AggregateFunction::Max => "MAX",
            AggregateFunction::FirstValue => "FIRST_VALUE",
            AggregateFunction::LastValue => "LAST_VALUE",
            AggregateFunction::StddevPop => "STDDEV_POP",
            AggregateFunction::StddevSamp => "STDDEV_SAMP",
            AggregateFunction::VarPop => "VAR_POP",
            AggregateFunction::VarSamp => "VAR_SAMP",
            AggregateFunction::ListAgg { .. } => "LISTAGG",
            AggregateFunction::Collect => "COLLECT",
            AggregateFunction::ApproxCountDistinct => "APPROX_COUNT_DISTINCT",
        }
    }
}

/// One aggregate of a plan, over columns of its input (expressions are computed before).
#[derive(Clone, Debug)]
pub struct AggregateCall {
    pub function: AggregateFunction,
    /// Columns of the input; all arguments have the types that `output` was derived from.
    pub arguments: Vec<usize>,
    pub distinct: bool,
    /// A boolean column: only rows in which it is true count (`FILTER (WHERE ..)`).
    pub filter: Option<usize>,
    /// Columns that give FIRST_VALUE, LAST_VALUE and LISTAGG their order of arrival (event time
    /// if there is one, then the row's position): compared lexicographically.
    pub order: Vec<usize>,
    pub output: FieldRef,
}

impl AggregateCall {
    /// True if it can be computed in two phases, partial states going from one to the other.
    /// DISTINCT cannot: its partial state would be every value.
    pub fn splittable(&self) -> bool {
        !self.distinct
    }

    /// What of all its rows a group keeps, for `EXPLAIN`; `retracting` if rows may be taken away. `None` if that
    /// does not grow with the rows.
    pub fn keeps(&self, input: &Schema, retracting: bool) -> Option<String> {
        use AggregateFunction as F;
        let kept = match &self.function {
            F::ListAgg { .. } if !self.distinct => "all values",
            F::FirstValue | F::LastValue if retracting => "all values",
            F::ListAgg { .. } | F::Collect => "distinct values",
            F::Min | F::Max | F::ApproxCountDistinct if retracting => "distinct values",
            F::Min | F::Max | F::ApproxCountDistinct | F::FirstValue | F::LastValue => return None,
            F::Count | F::Sum | F::Avg | F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp if self.distinct => {
                "distinct values"
            }
            F::Count | F::Sum | F::Avg | F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => return None,
        };
        let names: Vec<&str> = self.arguments.iter().map(|column| input.field(*column).name().as_str()).collect();
        Some(format!("{kept} of {}", names.join(", ")))
    }

    /// The call as a user would write it: `COUNT(DISTINCT user)`.
    pub fn describe(&self, input: &Schema) -> String {
        let names = |columns: &[usize]| {
            columns.iter().map(|column| input.field(*column).name().clone()).collect::<Vec<_>>().join(", ")
        };
        let arguments = if self.arguments.is_empty() { "*".to_owned() } else { names(&self.arguments) };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let filter = self.filter.map(|filter| format!(" FILTER (WHERE {})", input.field(filter).name()));
        format!("{}({distinct}{arguments}){}", self.function.name(), filter.unwrap_or_default())
    }
}

/// What a state grows with: values of its keys, and for each of them what its calls keep. `None` if with nothing.
pub(crate) fn growth(keys: &[&str], kept: impl IntoIterator<Item = String>) -> Option<String> {
    let mut distinct: Vec<String> = Vec::new();
    for kept in kept {
        if !distinct.contains(&kept) {
            distinct.push(kept);
        }
    }
    let (keys, kept) = (keys.join(", "), distinct.join(" and "));
    match (keys.is_empty(), kept.is_empty()) {
        (true, true) => None,
        (true, false) => Some(kept),
        (false, true) => Some(format!("distinct values of {keys}")),
        (false, false) => Some(format!("distinct values of {keys}, each with {kept}")),
    }
}

/// Keys and calls, for `EXPLAIN`.
pub(crate) fn describe(input: &Schema, keys: &[usize], calls: &[AggregateCall]) -> String {
    let keys: Vec<&str> = keys.iter().map(|key| input.field(*key).name().as_str()).collect();
    let calls: Vec<String> = calls.iter().map(|call| call.describe(input)).collect();
    format!("keys=[{}], aggregates=[{}]", keys.join(", "), calls.join(", "))
}
