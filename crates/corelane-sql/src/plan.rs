//! From a statement to a dataflow: the crate's front door.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use corelane_stream::{ChangelogMode, Dataflow, SinkSpec, sql_type};
use datafusion_common::{Column, ExprSchema};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::{Query, SelectItem, SetExpr};

use crate::bind::{CAST_TO_DIGITS, Functions, bind_casts, bind_query, blame, not_null, sql_error};
use crate::catalog::{Catalog, Column as CatalogColumn, Relation, Table, closest};
use crate::create::simple_name;
use crate::error::{Span, SqlError, span_of};
use crate::lower::{self, LowerOptions, Lowering, physical_schema};
use crate::parse::{Emit, Insert};

/// What the planner may assume of the run and of the session's options.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    pub workers: usize,
    /// `table.exec.source.idle-timeout`.
    pub idle_timeout_ms: Option<u64>,
    /// Whoever reads a query's result looks at it when its input has ended, and not before.
    pub final_results: bool,
    /// `table.exec.sink.not-null-enforcer` is DROP: rows with NULL for a NOT NULL column are left out.
    pub nulls_dropped: bool,
}

/// Plans statements against a catalog.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    pub catalog: &'a Catalog,
    pub functions: &'a Functions,
    pub options: PlanOptions,
}

/// A bound query: its schema is known before it has a destination.
pub struct BoundQuery {
    query: Box<Query>,
    plan: LogicalPlan,
    emit_changes: bool,
    /// The query says EMIT FINAL.
    only_final: bool,
}

impl BoundQuery {
    /// Results that change for as long as rows come are never final.
    fn check_final(&self, mode: &ChangelogMode) -> Result<(), SqlError> {
        if self.only_final && *mode != ChangelogMode::Append {
            return Err(SqlError::new("EMIT FINAL takes a query whose results are final")
                .with_hint("group by a window, or leave EMIT FINAL out"));
        }
        Ok(())
    }

    /// The columns of the result.
    pub fn schema(&self) -> SchemaRef {
        physical_schema(self.plan.schema())
    }
}

impl Planner<'_> {
    /// Checks a query's names and types.
    ///
    /// # Errors
    /// If something in it is unknown, ill-typed or not supported; the error points at it.
    pub fn bind(&self, query: &Query, emit: Option<Emit>) -> Result<BoundQuery, SqlError> {
        let plan = bind_query(self.catalog, self.functions, query)?;
        let emit_changes = emit == Some(Emit::Changes) || self.view_emits_changes(query);
        Ok(BoundQuery { query: Box::new(query.clone()), plan, emit_changes, only_final: emit == Some(Emit::Final) })
    }

    /// A view declared with EMIT CHANGES gives changes to whoever reads it.
    fn view_emits_changes(&self, query: &Query) -> bool {
        let mut found = false;
        let _ = sqlparser::ast::visit_relations(query, |name| {
            let relation = simple_name(name).ok().and_then(|name| self.catalog.get(&name));
            found |= matches!(relation, Some(Relation::View(view)) if view.emit_changes);
            std::ops::ControlFlow::<()>::Continue(())
        });
        found
    }

    /// The dataflow of one query into one sink, and the mode of its changelog.
    ///
    /// # Errors
    /// If the query cannot run as a stream.
    pub fn query(
        &self,
        query: &BoundQuery,
        name: &str,
        sink: Arc<dyn SinkSpec>,
    ) -> Result<(Dataflow, ChangelogMode), SqlError> {
        let lowered = |plan: &LogicalPlan| {
            let final_results = self.options.final_results;
            let mut lowering = Lowering::new(LowerOptions { final_results, ..self.lower_options() });
            let relation = lowering.query(plan, query.emit_changes)?;
            let mode = lowering.sink(vec![relation], name, sink.clone())?;
            query.check_final(&mode)?;
            Ok((lowering.finish(), mode))
        };
        lowered(&query.plan).map_err(|error| {
            blame(query.query.as_ref(), error, |query| {
                lowered(&bind_query(self.catalog, self.functions, query)?).map(drop)
            })
        })
    }

    /// One dataflow for all inserts of a statement set.
    ///
    /// # Errors
    /// If a table is unknown, or a query does not fit its table.
    pub fn inserts(&self, inserts: &[Insert]) -> Result<Dataflow, SqlError> {
        let mut lowering = Lowering::new(self.lower_options());
        let mut targets: Vec<Target> = Vec::new();
        for insert in inserts {
            let table = self.target(insert)?;
            let bound = self.bind(&insert.query, insert.emit)?;
            let plan = fitted(bound.plan.clone(), insert, &table, self)?;
            let lowered = lowering.query(&plan, bound.emit_changes).and_then(|relation| {
                bound.check_final(&relation.mode)?;
                Ok(relation)
            });
            let relation = lowered.map_err(|error| {
                let attempt = |query: &Query| {
                    let plan = bind_query(self.catalog, self.functions, query)?;
                    let plan = fitted(plan, insert, &table, self)?;
                    Lowering::new(self.lower_options()).query(&plan, bound.emit_changes).map(drop)
                };
                blame(bound.query.as_ref(), error, attempt).at(Some(insert.span))
            })?;
            match targets.iter_mut().find(|target| target.table.name() == table.name()) {
                Some(target) => target.relations.push(relation),
                None => targets.push(Target { table, insert, relations: vec![relation] }),
            }
        }
        for Target { table, insert, relations } in targets {
            let sink = table.sink().map_err(|error| SqlError::from(error).at_node(&insert.table))?;
            lowering.sink(relations, table.name(), sink).map_err(|error| error.at(Some(insert.span)))?;
        }
        Ok(lowering.finish())
    }

    fn lower_options(&self) -> LowerOptions {
        let PlanOptions { workers, idle_timeout_ms, .. } = self.options;
        LowerOptions { workers, idle_timeout_ms, final_results: false }
    }

    fn target(&self, insert: &Insert) -> Result<Arc<Table>, SqlError> {
        let name = simple_name(&insert.table)?;
        match self.catalog.get(&name) {
            Some(Relation::Table(table)) => Ok(table.clone()),
            Some(Relation::View(_)) => {
                Err(SqlError::new(format!("{name:?} is a view, and rows are inserted into tables"))
                    .at_node(&insert.table))
            }
            None => {
                let mut error = SqlError::new(format!("there is no table named {name:?}"));
                if let Some(close) = closest(&name, self.catalog.names()) {
                    error = error.with_hint(format!("did you mean {close:?}?"));
                }
                Err(error.at_node(&insert.table))
            }
        }
    }
}

/// A table that rows are inserted into: one sink, whatever the number of inserts, so that they
/// share its files.
struct Target<'a> {
    table: Arc<Table>,
    /// The first insert that names it.
    insert: &'a Insert,
    relations: Vec<lower::Relation>,
}

/// The query's columns as the table's: in its order, with its types, nulls where none is given.
fn fitted(plan: LogicalPlan, insert: &Insert, table: &Table, planner: &Planner<'_>) -> Result<LogicalPlan, SqlError> {
    let writable = table.writable();
    let targets = targets(insert, &writable, table)?;
    let given = plan.schema().columns();
    if given.len() != targets.len() {
        return Err(SqlError::new(format!(
            "the query gives {} columns and table {:?} takes {}",
            given.len(),
            table.name(),
            targets.len()
        ))
        .with_hint(format!(
            "it takes {}",
            targets.iter().map(|index| writable[*index].field.name().as_str()).collect::<Vec<_>>().join(", ")
        ))
        .at(Some(insert.span)));
    }
    let keys = &table.definition.primary_key;
    let required = |field: &FieldRef| !field.is_nullable() || keys.contains(field.name());
    let mut without_nulls = Vec::new();
    let mut columns: Vec<Option<Expr>> = vec![None; writable.len()];
    for (place, (column, target)) in given.into_iter().zip(targets).enumerate() {
        let field = &writable[target].field;
        let found =
            ExprSchema::field_from_column(plan.schema().as_ref(), &column).map_err(sql_error)?.data_type().clone();
        let column = fitted_column(column, &found, field)
            .map_err(|error| error.at(item_span(&insert.query, place)).at(Some(insert.span)))?;
        let column = with_digits(column, writable[target].digits, planner.functions);
        let column = bind_casts(column, plan.schema(), planner.functions).map_err(sql_error)?;
        columns[target] = Some(if !required(field) || !column.nullable(plan.schema()).map_err(sql_error)? {
            column
        } else if planner.options.nulls_dropped {
            without_nulls.push(column.clone().is_not_null());
            column
        } else {
            not_null(column, table.name(), field.name())
        });
    }
    let fields = writable.iter().map(|column| &column.field);
    let missing = columns.iter().zip(fields.clone()).find(|(column, field)| column.is_none() && required(field));
    if let Some((_, field)) = missing {
        return Err(SqlError::new(format!("column {:?} is NOT NULL, and the INSERT gives it no value", field.name()))
            .with_hint("name it among the columns")
            .at_node(&insert.table));
    }
    let columns = columns.into_iter().zip(fields).map(|(column, field)| match column {
        Some(column) => column.alias(field.name()),
        None => Expr::Cast(Cast::new(Box::new(lit(datafusion_common::ScalarValue::Null)), field.data_type().clone()))
            .alias(field.name()),
    });
    let mut builder = LogicalPlanBuilder::from(plan);
    if let Some(predicate) = conjunction(without_nulls) {
        builder = builder.filter(predicate).map_err(sql_error)?;
    }
    builder.project(columns).and_then(LogicalPlanBuilder::build).map_err(sql_error)
}

/// Where a column of a query's result is written, if each has its place in one SELECT.
fn item_span(query: &Query, place: usize) -> Option<Span> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let expression = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
            Some(span_of(expression))
        }
        _ => None,
    };
    let spans: Vec<Option<Span>> = select.projection.iter().map(expression).collect::<Option<_>>()?;
    spans.get(place).copied().flatten()
}

fn targets(insert: &Insert, writable: &[&CatalogColumn], table: &Table) -> Result<Vec<usize>, SqlError> {
    if insert.columns.is_empty() {
        return Ok((0..writable.len()).collect());
    }
    let mut targets = Vec::with_capacity(insert.columns.len());
    for column in &insert.columns {
        let found = writable.iter().position(|known| *known.field.name() == column.value);
        match found {
            Some(index) if !targets.contains(&index) => targets.push(index),
            Some(_) => return Err(SqlError::new(format!("column {:?} is given twice", column.value)).at_ident(column)),
            None => {
                let known = writable.iter().map(|known| known.field.name().as_str());
                let mut error =
                    SqlError::new(format!("table {:?} has no column {:?} to insert into", table.name(), column.value));
                if let Some(close) = closest(&column.value, known) {
                    error = error.with_hint(format!("did you mean {close:?}?"));
                }
                return Err(error.at_ident(column));
            }
        }
    }
    Ok(targets)
}

fn fitted_column(column: Column, found: &DataType, field: &FieldRef) -> Result<Expr, SqlError> {
    let wanted = field.data_type();
    let name = column.name.clone();
    let expression = Expr::Column(column);
    if found == wanted {
        return Ok(expression);
    }
    if fits(found, wanted) {
        return Ok(Expr::Cast(Cast::new(Box::new(expression), wanted.clone())));
    }
    let (found, wanted) = (sql_type(found), sql_type(wanted));
    let what = if name.starts_with("EXPR$") { ".." } else { &name };
    let hint = format!("CAST({what} AS {wanted}) if that is meant");
    Err(SqlError::new(format!(
        "column {name:?} of the query is of type {found}, and column {:?} of the table of type {wanted}",
        field.name()
    ))
    .with_hint(hint))
}

/// A time with no more digits behind its second than its column has.
fn with_digits(column: Expr, digits: Option<u8>, functions: &Functions) -> Expr {
    match (digits, functions.scalar(CAST_TO_DIGITS)) {
        (Some(digits), Some(cast)) => {
            Expr::ScalarFunction(ScalarFunction::new_udf(cast, vec![column, lit(i64::from(digits))]))
        }
        _ => column,
    }
}

/// Flink's implicit casts into a sink: within a family of types, never from text to a number, nor from a
/// number to a whole one that may not hold it.
fn fits(found: &DataType, wanted: &DataType) -> bool {
    use DataType as T;
    let text = |t: &T| matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let bytes = |t: &T| matches!(t, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_));
    let number = |found: &T, wanted: &T| {
        let holds = |wanted: &T| {
            !wanted.is_integer() || found.is_integer() && found.primitive_width() <= wanted.primitive_width()
        };
        found.is_numeric() && wanted.is_numeric() && holds(wanted) && !(*found == T::Float64 && *wanted == T::Float32)
    };
    let time = |t: &T| matches!(t, T::Timestamp(_, _));
    match (found, wanted) {
        (T::Null, _) => true,
        (found, wanted) if text(found) && text(wanted) => true,
        (found, wanted) if bytes(found) && bytes(wanted) => true,
        (found, wanted) if number(found, wanted) => true,
        (found, wanted) if time(found) && time(wanted) => true,
        (T::Date32, wanted) if time(wanted) => true,
        (T::Timestamp(_, None), T::Date32 | T::Time32(_)) => true,
        (T::Struct(from), T::Struct(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| fits_or_is(from, to))
        }
        (T::List(from), T::List(to)) => fits_or_is(from, to),
        (T::Map(from, _), T::Map(to, _)) => fits_or_is(from, to),
        _ => false,
    }
}

fn fits_or_is(found: &FieldRef, wanted: &FieldRef) -> bool {
    found.data_type() == wanted.data_type() || fits(found.data_type(), wanted.data_type())
}
