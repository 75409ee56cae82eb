//! A scalar function as one line of a table, and the DataFusion function made from that line.
//!
//! The frame does what every function needs, once: checks and coerces arguments, lets nulls through,
//! evaluates constants as one row. Strings always reach a kernel as `Utf8View`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use corelane_stream::Clock;
use datafusion_common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Argument, Call};
use super::signature::{Arguments, Misfit, Takes, is_text};
use crate::catalog::{TIME_PROCESSING, with_time};
use corelane_stream::sql_type;

/// Where a function stands in the reference docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    String,
    Math,
    Datetime,
    Conditional,
    Json,
    Collection,
    Hash,
    Type,
}

impl Category {
    pub fn name(self) -> &'static str {
        match self {
            Category::String => "string",
            Category::Math => "math",
            Category::Datetime => "datetime",
            Category::Conditional => "conditional",
            Category::Json => "json",
            Category::Collection => "collection",
            Category::Hash => "hash",
            Category::Type => "type",
        }
    }
}

/// The type of the result.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Text,
    Texts,
    Bool,
    Int,
    Long,
    Double,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampLtz,
    /// A TIMESTAMP_LTZ that is a time attribute wherever it gets a name.
    ProcessingTime,
    /// The type of that argument, after coercion.
    Same(usize),
    /// Computed from the arguments' types and constants.
    By(fn(&ReturnFieldArgs) -> Result<DataType>),
}

/// How often a call with the same arguments is computed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Pure,
    PerBatch,
    PerRow,
}

pub(super) type Kernel = fn(&Call) -> Result<ArrayRef>;

/// One built-in function.
#[derive(Clone, Copy)]
pub struct FunctionDef {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub category: Category,
    pub usage: &'static str,
    pub help: &'static str,
    arguments: Arguments,
    /// Another way to call it.
    other: Option<Arguments>,
    gives: Gives,
    keeps_nulls: bool,
    freshness: Freshness,
    kernel: Kernel,
    null_needs_all: bool,
    check: Option<fn(&ReturnFieldArgs) -> Result<()>>,
    rewrite: Option<fn(Vec<Expr>) -> Result<Expr>>,
}

impl FunctionDef {
    pub(super) const fn new(
        name: &'static str,
        category: Category,
        takes: &'static [Takes],
        gives: Gives,
        kernel: Kernel,
        usage: &'static str,
        help: &'static str,
    ) -> Self {
        FunctionDef {
            name,
            aliases: &[],
            category,
            usage,
            help,
            arguments: Arguments { takes, optional: 0, repeated: 0 },
            other: None,
            gives,
            keeps_nulls: false,
            freshness: Freshness::Pure,
            kernel,
            null_needs_all: false,
            check: None,
            rewrite: None,
        }
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The last `count` arguments may be left out.
    pub(super) const fn optional(mut self, count: usize) -> Self {
        self.arguments.optional = count;
        self
    }

    /// The last argument may come any number of times.
    pub(super) const fn repeats(mut self) -> Self {
        self.arguments.repeated = 1;
        self
    }

    /// The last two arguments may come any number of times.
    pub(super) const fn repeats_pairs(mut self) -> Self {
        self.arguments.repeated = 2;
        self
    }

    /// It may also be called with these, of which the last `optional` may be left out.
    pub(super) const fn or_takes(mut self, takes: &'static [Takes], optional: usize) -> Self {
        self.other = Some(Arguments { takes, optional, repeated: 0 });
        self
    }

    /// The kernel sees null arguments; without this a null argument makes a null result.
    pub(super) const fn keeps_nulls(mut self) -> Self {
        self.keeps_nulls = true;
        self
    }

    /// The result is null only where every argument is.
    pub(super) const fn null_only_if_all(mut self) -> Self {
        self.keeps_nulls = true;
        self.null_needs_all = true;
        self
    }

    /// The result changes with the clock.
    pub(super) const fn per_batch(mut self) -> Self {
        self.freshness = Freshness::PerBatch;
        self
    }

    /// Every row gets a value of its own.
    pub(super) const fn per_row(mut self) -> Self {
        self.freshness = Freshness::PerRow;
        self
    }

    /// Rejects bad constants as the statement is planned.
    pub(super) const fn checked(mut self, check: fn(&ReturnFieldArgs) -> Result<()>) -> Self {
        self.check = Some(check);
        self
    }

    /// Evaluates lazily, by being rewritten to `CASE` where the plan is simplified.
    pub(super) const fn lazily(mut self, rewrite: fn(Vec<Expr>) -> Result<Expr>) -> Self {
        self.rewrite = Some(rewrite);
        self
    }

    /// The name, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// False if equal arguments may give different results.
    pub fn is_deterministic(&self) -> bool {
        self.freshness == Freshness::Pure
    }

    /// The function as DataFusion plans and calls it.
    pub fn udf(&'static self, clock: &Arc<dyn Clock>, time_zone: Option<&Arc<str>>) -> ScalarUDF {
        let volatility = if self.is_deterministic() { Volatility::Immutable } else { Volatility::Volatile };
        ScalarUDF::from(Builtin {
            definition: self,
            name: self.name.to_ascii_lowercase(),
            aliases: self.aliases.iter().map(|alias| alias.to_ascii_lowercase()).collect(),
            signature: Signature::user_defined(volatility),
            clock: Arc::clone(clock),
            time_zone: time_zone.cloned(),
        })
    }

    /// An argument as the kernel sees it.
    fn argument(&self, index: usize, value: &ColumnarValue) -> Result<Argument> {
        let mut argument = Argument::new(value)?;
        let takes = self.arguments.takes.get(index).or(self.arguments.takes.last());
        if takes == Some(&Takes::InstantOrText) && is_text(argument.array.data_type()) {
            // What is no time becomes NULL: the cast is a safe one.
            argument.array = cast(&argument.array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        }
        Ok(argument)
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let misfit = match self.arguments.fit(types) {
            Ok(fitted) => return Ok(fitted),
            Err(misfit) => misfit,
        };
        let misfit = match self.other.map(|other| other.fit(types)) {
            Some(Ok(fitted)) => return Ok(fitted),
            Some(Err(other)) => misfit.or(other),
            None => misfit,
        };
        let (name, usage) = (self.name, self.usage);
        match misfit {
            Misfit::Count => {
                plan_err!("{name} takes other arguments than the {} given: {usage}", types.len())
            }
            Misfit::Common => {
                let types: Vec<String> = types.iter().map(sql_type).collect();
                plan_err!("{name} takes values of one type, not {}", types.join(", "))
            }
            Misfit::Argument { index, accepted } => {
                let given = sql_type(&types[index]);
                plan_err!("{name} cannot take {given} as argument {}: {usage} takes {accepted} there", index + 1)
            }
        }
    }
}

impl Gives {
    fn resolve(self, args: &ReturnFieldArgs) -> Result<DataType> {
        Ok(match self {
            Gives::Text => DataType::Utf8View,
            Gives::Texts => DataType::new_list(DataType::Utf8View, true),
            Gives::Bool => DataType::Boolean,
            Gives::Int => DataType::Int32,
            Gives::Long => DataType::Int64,
            Gives::Double => DataType::Float64,
            Gives::Bytes => DataType::Binary,
            Gives::Date => DataType::Date32,
            Gives::Time => DataType::Time32(TimeUnit::Millisecond),
            Gives::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            Gives::TimestampLtz | Gives::ProcessingTime => {
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
            }
            Gives::Same(index) => match args.arg_fields.get(index) {
                Some(field) => field.data_type().clone(),
                None => return plan_err!("argument {} is missing", index + 1),
            },
            Gives::By(resolve) => return resolve(args),
        })
    }
}

/// A [`FunctionDef`] with the clock and the time zone it reads.
struct Builtin {
    definition: &'static FunctionDef,
    name: String,
    aliases: Vec<String>,
    signature: Signature,
    clock: Arc<dyn Clock>,
    time_zone: Option<Arc<str>>,
}

impl fmt::Debug for Builtin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.definition.name)
    }
}

// A function is its name: the table holds each once, and one session has one clock.
impl PartialEq for Builtin {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Builtin {}

impl Hash for Builtin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Builtin {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.definition.coerce(types)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} needs its constants", self.definition.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(check) = self.definition.check {
            check(&args)?;
        }
        let data_type = self.definition.gives.resolve(&args)?;
        let mut nullables = args.arg_fields.iter().map(|field| field.is_nullable());
        let nullable = match self.definition.freshness {
            _ if self.definition.null_needs_all => nullables.all(|nullable| nullable),
            // A kernel may give null for what it cannot compute.
            Freshness::Pure => !args.arg_fields.is_empty(),
            Freshness::PerBatch | Freshness::PerRow => nullables.any(|nullable| nullable),
        };
        let field = Field::new(self.definition.name, data_type, nullable);
        Ok(Arc::new(match self.definition.gives {
            Gives::ProcessingTime => with_time(&field, TIME_PROCESSING),
            _ => field,
        }))
    }

    fn is_strict(&self) -> bool {
        !self.definition.keeps_nulls
    }

    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.definition.rewrite {
            Some(rewrite) => Ok(ExprSimplifyResult::Simplified(rewrite(args)?)),
            None => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn short_circuits(&self) -> bool {
        self.definition.rewrite.is_some()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let definition = self.definition;
        let constants = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let once = constants && definition.freshness != Freshness::PerRow;
        let rows = if once { 1 } else { args.number_rows };
        let arguments = args.args.iter().enumerate().map(|(index, value)| definition.argument(index, value));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let null_constant = arguments.iter().any(|argument| argument.is_constant() && argument.is_null(0));
        if null_constant && !definition.keeps_nulls {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?));
        }
        let nulls = if definition.keeps_nulls { None } else { union_of_nulls(&arguments) };
        let call = Call {
            name: definition.name,
            arguments,
            rows,
            returns: args.return_field.data_type(),
            nulls,
            clock: self.clock.as_ref(),
            time_zone: self.time_zone.as_deref(),
        };
        let column = (definition.kernel)(&call)?;
        if column.len() != rows {
            return internal_err!("{} gave {} rows for {rows}", definition.name, column.len());
        }
        if column.data_type() != call.returns {
            return internal_err!("{} gave {} for {}", definition.name, column.data_type(), call.returns);
        }
        if once && rows == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }
}

fn union_of_nulls(arguments: &[Argument]) -> Option<NullBuffer> {
    arguments
        .iter()
        .filter(|argument| !argument.is_constant())
        .fold(None, |nulls, argument| NullBuffer::union(nulls.as_ref(), argument.array.logical_nulls().as_ref()))
}

/// The text of a constant argument, if it is one and not null.
pub(super) fn constant_text<'a>(args: &ReturnFieldArgs<'a>, index: usize) -> Option<&'a str> {
    args.scalar_arguments.get(index).copied().flatten().and_then(|value| value.try_as_str()).flatten()
}

/// The number a constant argument is, if it is one and not null.
pub(super) fn constant_long(args: &ReturnFieldArgs, index: usize) -> Option<i64> {
    match args.scalar_arguments.get(index).copied().flatten()?.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        Ok(_) | Err(_) => None,
    }
}

/// For a function that [`FunctionDef::lazily`] rewrote away and that must still be called.
pub(super) fn missing<T>(name: &str, index: usize) -> Result<T> {
    exec_err!("{name} lacks argument {}", index + 1)
}
