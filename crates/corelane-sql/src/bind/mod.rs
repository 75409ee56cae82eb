//! Binding: names and types, by DataFusion's SQL planner over our catalog.
//!
//! The result is a logical plan whose expressions are typed and coerced and whose tables, windows
//! and time attributes are ours. Nothing of DataFusion's runtime is used.

mod aggregates;
mod arithmetic;
mod blame;
mod cast_rules;
mod casts;
mod constants;
mod context;
mod expressions;
mod float_comparisons;
mod guarded_columns;
mod guards;
mod literals;
mod marked_projections;
mod nested_cast;
mod not_null;
mod number_cast;
mod one_row;
mod patterns;
mod relation;
mod rewrite;
mod star;
mod supported;
mod text_cast;
mod time_cast;
mod unify;
mod window_functions;
mod window_node;
mod wording;

use std::ops::ControlFlow;
use std::sync::Arc;

use corelane_stream::wording::with_sql_types;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DataFusionError, Diagnostic, SchemaError};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion_optimizer::eliminate_filter::EliminateFilter;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::optimize_unions::OptimizeUnions;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion_optimizer::simplify_expressions::{ExprSimplifier, SimplifyExpressions};
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{
    self, Query, SelectItem, SelectItemQualifiedWildcardKind, Visit, Visitor, visit_expressions, visit_relations,
};
use sqlparser::tokenizer::{Location, Span as ParserSpan};

pub(crate) use aggregates::aggregate_function;
pub use context::Functions;
pub(crate) use context::{BindContext, as_scan};
pub(crate) use window_node::{WINDOW_END, WINDOW_START, WINDOW_TIME, WindowNode, is_window_column};

pub(crate) use self::blame::{blame, with_ints};
pub(crate) use self::casts::rewrite_expression as bind_casts;
pub(crate) use self::float_comparisons::{FLOAT_COMPARISON, float_comparison};
pub(crate) use self::guards::guarded;
pub(crate) use self::marked_projections::PROJECTION_KEY;
pub(crate) use self::not_null::not_null;
pub(crate) use self::rewrite::CAST_TO_DIGITS;
use self::rewrite::rewrite_expression;
use crate::catalog::Catalog;
use crate::error::{Span, SqlError, span_of};

/// Options of DataFusion's planner that make it speak Flink's dialect.
fn parser_options() -> ParserOptions {
    ParserOptions::default()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(false)
        .with_map_string_types_to_utf8view(true)
        .with_collect_spans(true)
        // NULL is the least value: first in ascending order, last in descending.
        .with_default_null_ordering(NullOrdering::NullsMin)
}

/// Binds, coerces and optimizes a query.
///
/// # Errors
/// If a name is unknown, a type does not fit, or the query has a part that is not supported.
pub fn bind_query(catalog: &Catalog, functions: &Functions, query: &Query) -> Result<LogicalPlan, SqlError> {
    let attempt = |query: &Query| bound(catalog, functions, query).map_err(|error| locate(sql_error(error), query));
    let tried = |query: &Query| attempt(query).map(drop);
    attempt(query).map_err(|error| with_ints(query, blame(query, error, tried), tried))
}

fn bound(catalog: &Catalog, functions: &Functions, query: &Query) -> Result<LogicalPlan, DataFusionError> {
    let plan = BindContext::new(catalog, functions).plan_query(query)?;
    cast_rules::check_plan(&plan)?;
    let plan = Analyzer::new().execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
    let plan = casts::rewrite_plan(plan, functions)?;
    constants::check_plan(&plan)?;
    // Last, because the optimizer computes what columns have in common below them.
    guarded_columns::guard_columns(optimize(guards::guard_filtered(marked_projections::marked(plan)?)?)?)
}

/// Finds the name that an error speaks of in the query's text.
fn locate(error: SqlError, query: &Query) -> SqlError {
    if error.span.is_some() {
        return error;
    }
    let quoted: Vec<&str> = error.message.split(['"', '\'']).skip(1).step_by(2).collect();
    let mut span = None;
    let _ = visit_relations(query, |name| {
        let last = name.0.last().and_then(|part| part.as_ident());
        if last.is_some_and(|ident| quoted.contains(&ident.value.as_str())) {
            span = span_of(name);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if span.is_none() {
        span = place_of_star(query, &error);
    }
    if span.is_none() {
        let _ = visit_expressions(query, |expression| {
            if let ast::Expr::Function(function) = expression
                && quoted.iter().any(|word| function.name.to_string().eq_ignore_ascii_case(word))
            {
                span = span_of(&function.name);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
    }
    error.at(span)
}

/// The star of a table that is not there.
fn place_of_star(query: &Query, error: &SqlError) -> Option<Span> {
    struct Stars<'a> {
        table: &'a str,
    }
    impl Visitor for Stars<'_> {
        type Break = Option<Span>;

        fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<Option<Span>> {
            for item in &select.projection {
                if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                    && name.to_string() == self.table
                {
                    return ControlFlow::Break(span_of(name));
                }
            }
            ControlFlow::Continue(())
        }
    }
    let table = error.message.strip_prefix("there is no table ")?.strip_suffix(" in FROM")?;
    query.visit(&mut Stars { table }).break_value().flatten()
}

/// Binds one expression over a table's columns, as in a computed column or a watermark.
///
/// # Errors
/// As for `bind_query`.
pub fn bind_expression(
    catalog: &Catalog,
    functions: &Functions,
    expression: &ast::Expr,
    schema: &DFSchema,
) -> Result<Expr, SqlError> {
    let context = BindContext::new(catalog, functions);
    one_row::check(expression, functions)?;
    let attempt = |expression: &ast::Expr| {
        supported::check_expression(expression, functions)?;
        let mut expression = expression.clone();
        rewrite_expression(&mut expression)?;
        SqlToRel::new_with_options(&context, parser_options())
            .sql_to_expr(expression, schema, &mut PlannerContext::new())
            .and_then(|expression| coerce(expression, schema, functions))
            .map_err(sql_error)
    };
    let tried = |expression: &ast::Expr| attempt(expression).map(drop);
    attempt(expression).map_err(|error| with_ints(expression, blame(expression, error, tried), tried))
}

/// Inserts the casts that make an expression's types fit, and folds its constants.
fn coerce(expression: Expr, schema: &DFSchema, functions: &Functions) -> Result<Expr, DataFusionError> {
    let expression = literals::narrow(expression, schema, functions)?;
    cast_rules::check_expression(&expression, schema)?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = casts::rewrite_expression(simplifier.coerce(expression, schema)?, schema, functions)?;
    constants::check(&coerced)?;
    simplifier.simplify(coerced)
}

/// The rules that hold for streams. Left out are those that rewrite to joins, that split DISTINCT
/// aggregates in two (retraction must see one operator) and that count on bounded input.
fn optimize(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ];
    let context = OptimizerContext::new().with_skip_failing_rules(false).without_query_execution_start_time();
    Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {})
}

/// Turns DataFusion's error into ours: its message without ceremony, its place and its suggestions.
pub(crate) fn sql_error(error: DataFusionError) -> SqlError {
    let diagnostic = error.diagnostic().cloned();
    let place = diagnostic.as_ref().and_then(|diagnostic| diagnostic.span).and_then(parser_span);
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(ours) = inner.downcast_ref::<SqlError>()
    {
        return ours.clone().at(place);
    }
    let found = SqlError::new(clean_message(&error.find_root().strip_backtrace())).at(place);
    let mut found = match diagnostic {
        Some(diagnostic) => explained(found, &diagnostic),
        None => found,
    };
    if found.hint.is_none()
        && let DataFusionError::SchemaError(schema_error, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref()
    {
        // DataFusion takes names that differ in their case only for the same, and says nothing.
        let alike = valid_fields.iter().find(|known| known.name.eq_ignore_ascii_case(&field.name));
        found.hint = alike.map(|known| format!("did you mean {}? Names are case-sensitive", known.name));
    }
    wording::in_sql_words(found)
}

/// Takes over what DataFusion has to say beyond its message: a shorter one, and suggestions.
fn explained(mut found: SqlError, Diagnostic { message, notes, helps, .. }: &Diagnostic) -> SqlError {
    const COLUMN: &str = "possible column ";
    const FUNCTION: &str = "possible function ";
    // Its short form leaves out the types that do not fit.
    if !message.is_empty() && !message.starts_with("expressions have incompatible types") {
        found.message = with_sql_types(&lower_first(message));
    }
    if let Some(name) = found.message.strip_prefix("invalid function ") {
        found.message = format!("there is no function {}", name.trim_matches('\'').to_uppercase());
    }
    let suggestions: Vec<String> = notes
        .iter()
        .map(|note| &note.message)
        .chain(helps.iter().map(|help| &help.message))
        .map(|text| lower_first(text))
        .collect();
    let columns: Vec<&str> = suggestions.iter().filter_map(|text| text.strip_prefix(COLUMN)).map(last_part).collect();
    let function = suggestions.iter().find_map(|text| text.strip_prefix(FUNCTION));
    let hint = match (function, columns.as_slice()) {
        (Some(function), _) => Some(format!("did you mean {}?", function.trim_matches('\'').to_uppercase())),
        (None, [column]) => Some(format!("did you mean {column}?")),
        (None, [_, ..]) => Some(format!("did you mean one of {}?", columns.join(", "))),
        (None, []) => {
            let texts = suggestions.iter().filter(|text| !text.starts_with("has type "));
            texts.map(|text| with_sql_types(text).replace("ANY_VALUE", "FIRST_VALUE")).next()
        }
    };
    if let Some(hint) = hint {
        found.hint.get_or_insert(hint);
    }
    found
}

/// The column of `table.column`; a table's name may be a path, with dots.
fn last_part(column: &str) -> &str {
    column.rsplit_once('.').map_or(column, |(_, last)| last)
}

fn parser_span(span: datafusion_common::Span) -> Option<Span> {
    let location = |at: datafusion_common::Location| Location::new(at.line, at.column);
    Span::from_parser(ParserSpan::new(location(span.start), location(span.end)))
}

fn clean_message(message: &str) -> String {
    const PREFIXES: [&str; 11] = [
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "SQL error: ",
        "Parser error: ",
        "Internal error: ",
        "Arrow error: ",
        "Cast error: ",
        "Compute error: ",
        "Invalid argument error: ",
    ];
    let mut rest = message;
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    // What follows is not for users of this program.
    rest = rest.split(".\nThis issue was likely caused by a bug").next().unwrap_or(rest);
    // A misspelt column has its hint; the list of all of them is no help.
    rest = rest.split(".\nValid fields are").next().unwrap_or(rest);
    // What a function says of its arguments stands in the midst of what is said of functions.
    if let Some((_, of_arguments)) = rest.split_once("user-defined coercion failed with: Error during planning: ") {
        rest = of_arguments.split(" No function matches").next().unwrap_or(of_arguments);
    }
    with_sql_types(&lower_first(rest.trim_end_matches('.')))
}

/// Messages start in lower case, unless they start with a keyword or a name in capitals.
fn lower_first(message: &str) -> String {
    let mut letters = message.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(message[first.len_utf8()..].chars()).collect()
        }
        _ => message.to_owned(),
    }
}
