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
use datafusion_expr::type_coercion::binary::type_union_resolution;
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Argument, Call};
use crate::supertype::common_type;
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

/// What an argument may be, and what it is cast to before the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Long,
    Double,
    Bool,
    Bytes,
    /// Any number, as it is.
    Number,
    /// A date, a time or a timestamp, as it is.
    Instant,
    /// A date, a time or a timestamp as it is, or text that is read as a timestamp: null if it is none.
    InstantOrText,
    List,
    Map,
    /// What the first argument, an array or a map, is looked into with: a position or a key.
    Key,
    /// An element of the first argument, an array.
    Item,
    /// Alternating: the common type of every other argument.
    Pairs,
    Any,
    /// The common type of all arguments so marked.
    Common,
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
    takes: &'static [Takes],
    optional: usize,
    repeats: bool,
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
            takes,
            optional: 0,
            repeats: false,
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
        self.optional = count;
        self
    }

    /// The last argument may come any number of times.
    pub(super) const fn repeats(mut self) -> Self {
        self.repeats = true;
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
        let takes = self.takes.get(index).or(self.takes.last());
        if takes == Some(&Takes::InstantOrText) && is_text(argument.array.data_type()) {
            // What is no time becomes NULL: the cast is a safe one.
            argument.array = cast(&argument.array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        }
        Ok(argument)
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let required = self.takes.len() - self.optional;
        let most = if self.repeats { usize::MAX } else { self.takes.len() };
        if types.len() < required || most < types.len() {
            return plan_err!("{} takes other arguments than the {} given: {}", self.name, types.len(), self.usage);
        }
        let takes = |index: usize| self.takes[index.min(self.takes.len() - 1)];
        let common = |wanted: Takes, step: usize, first: usize| {
            let indexes = (first..types.len()).step_by(step);
            let alike = indexes.filter(|index| takes(*index) == wanted && !types[*index].is_null());
            let alike: Vec<DataType> = alike.map(|index| types[index].clone()).collect();
            let texts = alike.iter().filter(|data_type| is_text(data_type)).count();
            match alike.len() {
                0 => Some(DataType::Null),
                // A text among others would become what they are, or fail to.
                all if 0 < texts && texts < all => None,
                _ => common_type(&alike).or_else(|| type_union_resolution(&alike)),
            }
        };
        let mut coerced = Vec::with_capacity(types.len());
        for (index, given) in types.iter().enumerate() {
            let wanted = match takes(index) {
                Takes::Common => common(Takes::Common, 1, 0).map(widen_text),
                Takes::Pairs => common(Takes::Pairs, 2, index % 2).map(widen_text),
                Takes::Key => key_type(&types[0]),
                Takes::Item => match &types[0] {
                    DataType::List(item) if !item.data_type().is_null() => Some(item.data_type().clone()),
                    _ => Some(widen_text(given.clone())),
                },
                other => other.coerce(given),
            };
            let Some(wanted) = wanted else {
                if matches!(takes(index), Takes::Common | Takes::Pairs) {
                    let types: Vec<String> = types.iter().map(sql_type).collect();
                    return plan_err!("{} takes values of one type, not {}", self.name, types.join(", "));
                }
                let given = sql_type(given);
                return plan_err!("{} cannot take {given} as argument {}: {}", self.name, index + 1, self.usage);
            };
            coerced.push(wanted);
        }
        // A null, or an empty array, takes the type of the element it is used with.
        if let [DataType::List(item), other, ..] = coerced.as_slice()
            && item.data_type().is_null()
            && takes(1) == Takes::Item
        {
            coerced[0] = DataType::new_list(other.clone(), true);
        }
        Ok(coerced)
    }
}

/// What an array or a map is looked into with.
fn key_type(container: &DataType) -> Option<DataType> {
    match container {
        DataType::List(_) => Some(DataType::Int64),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.first().map(|key| key.data_type().clone()),
            _ => None,
        },
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn widen_text(data_type: DataType) -> DataType {
    match data_type {
        DataType::List(item) if matches!(item.data_type(), DataType::Utf8 | DataType::LargeUtf8) => {
            DataType::new_list(DataType::Utf8View, item.is_nullable())
        }
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        other => other,
    }
}

impl Takes {
    fn coerce(self, given: &DataType) -> Option<DataType> {
        use DataType::{Binary, BinaryView, Boolean, Float64, Int64, LargeBinary, Null, Timestamp, Utf8View};
        let given = if let DataType::Dictionary(_, value) = given { value.as_ref() } else { given };
        let is_text = is_text(given);
        let is_instant = matches!(given, Timestamp(_, _) | DataType::Date32 | DataType::Time32(_));
        let milliseconds = Timestamp(TimeUnit::Millisecond, None);
        match self {
            Takes::Text => (is_text || given.is_null()).then_some(Utf8View),
            Takes::Long => (given.is_integer() || given.is_null()).then_some(Int64),
            Takes::Double => (given.is_numeric() || given.is_null()).then_some(Float64),
            Takes::Bool => matches!(given, Boolean | Null).then_some(Boolean),
            Takes::Bytes => match given {
                Binary | LargeBinary | BinaryView | DataType::FixedSizeBinary(_) | Null => Some(Binary),
                _ => None,
            },
            Takes::Number if given.is_null() => Some(Int64),
            Takes::Number => match given {
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    Some(DataType::Decimal128(*precision, *scale))
                }
                DataType::Decimal256(_, _) => None,
                DataType::Float16 => Some(DataType::Float32),
                other => other.is_numeric().then(|| other.clone()),
            },
            Takes::Instant | Takes::InstantOrText if is_instant => Some(given.clone()),
            Takes::Instant => given.is_null().then_some(milliseconds),
            Takes::InstantOrText if is_text => Some(Utf8View),
            Takes::InstantOrText => given.is_null().then_some(milliseconds),
            Takes::List => match given {
                DataType::List(_) => Some(given.clone()),
                DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _) => {
                    Some(DataType::List(Arc::clone(item)))
                }
                Null => Some(DataType::new_list(Null, true)),
                _ => None,
            },
            Takes::Map => matches!(given, DataType::Map(_, _)).then(|| given.clone()),
            Takes::Any | Takes::Common | Takes::Pairs | Takes::Key | Takes::Item => Some(widen_text(given.clone())),
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
            Gives::TimestampLtz => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
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
        Ok(Arc::new(Field::new(self.definition.name, data_type, nullable)))
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
