//! Tables as sources: what is read, what is computed, where event time comes from.
//!
//! Only what the query uses is read, inside of rows too: the read schema is the table's, pruned.
//! Computed columns are put in the place of their names, or computed once if used more than once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use corelane_ops::ColumnWatermark;
use corelane_stream::dataflow::SourceNode;
use corelane_stream::origin::origin_field;
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{ChangelogMode, Node, NodeKind, OriginDetail, SourceSpec, WatermarkStrategy};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::{Cast, Expr, Operator, TableScan};

use super::calc::{physical, position_field, replace_columns};
use super::origin::{can_fail, told_by};
use super::seeded::is_seeded;
use super::{Lowering, Relation, Wanted, physical_field, planning};
use crate::bind::as_scan;
use crate::catalog::{ColumnSource, Table};
use crate::error::SqlError;

/// The filter and projection right above a scan, over the scan's columns.
pub(super) struct ScanCalc {
    pub predicate: Option<Expr>,
    pub columns: Vec<(Expr, FieldRef)>,
}

impl Lowering {
    pub(super) fn scan(
        &mut self,
        scan: &TableScan,
        calc: Option<ScanCalc>,
        wanted: Wanted,
    ) -> Result<Relation, SqlError> {
        let source = as_scan(&scan.source).ok_or_else(|| SqlError::new("this table cannot be read as a stream"))?;
        let table = source.table.clone();
        let calc = calc.unwrap_or_else(|| identity(scan));

        let visible = |column: &Column| scanned_column(&table, scan, column);
        let calc = split_shared(calc, &table, visible)?;
        let watermark = match (&table.watermark, self.event_time) {
            (Some(watermark), Some(steps)) => {
                let full = |column: &Column| definition(&table, position_of(&table, &column.name)?);
                let time = definition(&table, watermark.column)
                    .ok_or_else(|| SqlError::new("the column of the watermark has no definition"))?;
                Some((replace_columns(&watermark.expression, full)?, time, steps, watermark.text.clone()))
            }
            _ => None,
        };

        let mut used = UsedColumns::default();
        calc.inner.iter().for_each(|(expression, _)| used.add(expression));
        calc.predicate.iter().for_each(|predicate| used.add(predicate));
        if let Some((expression, time, ..)) = &watermark {
            used.add(expression);
            used.add(time);
        }
        let whole = table.source().map_err(SqlError::from)?;
        let outer_fails = calc.outer.iter().flat_map(|(_, columns)| columns).any(|(column, _)| can_fail(column));
        let inner = calc.predicate.iter().chain(calc.inner.iter().map(|(column, _)| column));
        let inner: Vec<&Expr> = inner.collect();
        let fails = outer_fails || inner.iter().any(|expression| can_fail(expression));
        let outer = calc.outer.iter().flat_map(|(_, columns)| columns).map(|(column, _)| column);
        let position = wanted.position || inner.into_iter().chain(outer).any(is_seeded);
        let wanted = Wanted { position, ..wanted };
        let told = told_by(whole.as_ref(), table.policy(), wanted, fails || wanted.place);
        let read = read_schema(&table, &used, wanted.position, told);
        let names = DFSchema::try_from(read.as_ref().clone()).map_err(planning)?;

        let strategy = match watermark {
            Some((expression, time, steps, text)) => {
                let (expression, time) = (physical(&expression, &names)?, physical(&time, &names)?);
                let idle_timeout_ms = self.options.idle_timeout_ms;
                let strategy = ColumnWatermark::new(expression, time, steps, &read, text, idle_timeout_ms)?;
                Some(Arc::new(strategy) as Arc<dyn WatermarkStrategy>)
            }
            None => None,
        };
        let mut spec: Arc<dyn SourceSpec> = whole.with_schema(read.clone()).map_err(SqlError::from)?;
        let required = not_null(&table, &read);
        if !required.is_empty()
            && let Some(strict) = spec.refusing_nulls(&required)
        {
            spec = strict;
        }
        let node = self.dataflow.add(Node {
            kind: NodeKind::Source(SourceNode { table: table.name().to_owned(), spec, watermark: strategy }),
            inputs: Vec::new(),
            schema: read.clone(),
            changelog: ChangelogMode::Append,
        });
        let relation = Relation {
            node,
            position: wanted.position.then(|| read.fields().len() - 1 - usize::from(told.is_some())),
            origin: told.map(|_| read.fields().len() - 1),
            schema: read,
            mode: ChangelogMode::Append,
            policy: table.policy().clone(),
            source: table.name().into(),
        };
        // What an error says ends with the expressions right above the scan: it is not worth an exchange.
        let above = Wanted { origin: wanted.origin && (table.policy().keeps_rows() || wanted.place), ..wanted };
        let between = Wanted { origin: above.origin || outer_fails, ..wanted };
        match calc.outer {
            None => self.calc(relation, &names, calc.predicate.as_ref(), calc.inner, above),
            Some((outer, columns)) => {
                let inner = self.calc(relation, &names, calc.predicate.as_ref(), calc.inner, between)?;
                self.calc(inner, &outer, None, columns, above)
            }
        }
    }
}

fn identity(scan: &TableScan) -> ScanCalc {
    let columns = scan.projected_schema.iter().map(|(qualifier, field)| {
        (Expr::Column(Column::from((qualifier, field))), physical_field(field, field.name()))
    });
    ScanCalc { predicate: None, columns: columns.collect() }
}

fn position_of(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.field.name() == name)
}

/// The table's column behind a scan's, by name: a table's names are unique.
fn scanned_column(table: &Table, scan: &TableScan, column: &Column) -> Option<usize> {
    scan.projected_schema.maybe_index_of_column(column)?;
    position_of(table, &column.name)
}

/// A column in terms of what the source gives.
fn definition(table: &Table, index: usize) -> Option<Expr> {
    let column = &table.columns[index];
    Some(match &column.source {
        ColumnSource::Metadata { key, .. } if key == METADATA_POSITION => {
            let position = Expr::Column(Column::new_unqualified(column.field.name()));
            Expr::Cast(Cast::new(Box::new(position), column.field.data_type().clone()))
        }
        ColumnSource::Physical(_) | ColumnSource::Metadata { .. } => {
            Expr::Column(Column::new_unqualified(column.field.name()))
        }
        ColumnSource::Computed { expression, .. } => {
            replace_columns(expression, |column| definition(table, position_of(table, &column.name)?)).ok()?
        }
    })
}

/// A projection in one step over the source's columns, or in two.
struct SplitCalc {
    predicate: Option<Expr>,
    inner: Vec<(Expr, FieldRef)>,
    outer: Option<(DFSchema, Vec<(Expr, FieldRef)>)>,
}

/// Computes a computed column first if it is used more than once.
fn split_shared(
    calc: ScanCalc,
    table: &Table,
    visible: impl Fn(&Column) -> Option<usize>,
) -> Result<SplitCalc, SqlError> {
    let mut uses: BTreeMap<usize, usize> = BTreeMap::new();
    for (expression, _) in &calc.columns {
        for column in columns_of(expression) {
            if let Some(index) = visible(&column) {
                *uses.entry(index).or_default() += 1;
            }
        }
    }
    let resolve = |column: &Column| definition(table, visible(column)?);
    let predicate = calc.predicate.as_ref().map(|predicate| replace_columns(predicate, resolve)).transpose()?;
    let mut sure = Vec::new();
    calc.columns.iter().for_each(|(expression, _)| surely_read(expression, &mut sure));
    let sure: BTreeSet<usize> = sure.iter().filter_map(&visible).collect();
    let computed = |index: usize| matches!(table.columns[index].source, ColumnSource::Computed { .. });
    // What is read under conditions only may fail in rows for which they do not hold.
    let guarded = |index: usize| computed(index) && !sure.contains(&index) && definition_may_fail(table, index);
    let shared = uses.iter().any(|(index, count)| *count > 1 && computed(*index) && !guarded(*index));
    if !shared {
        let inner = calc
            .columns
            .iter()
            .map(|(expression, field)| Ok((replace_columns(expression, resolve)?, field.clone())))
            .collect::<Result<_, SqlError>>()?;
        return Ok(SplitCalc { predicate, inner, outer: None });
    }
    let (guarded, plain): (Vec<usize>, Vec<usize>) = uses.keys().partition(|index| guarded(**index));
    let below =
        guarded.iter().filter_map(|index| definition(table, *index)).flat_map(|expression| columns_of(&expression));
    let below: BTreeSet<usize> =
        below.filter_map(|column| position_of(table, &column.name)).chain(plain.iter().copied()).collect();
    let inner: Vec<(Expr, FieldRef)> = below
        .iter()
        .filter_map(|index| Some((definition(table, *index)?, table.columns[*index].field.clone())))
        .map(|(expression, field)| (expression, physical_field(&field, field.name())))
        .collect();
    let fields: Vec<FieldRef> = inner.iter().map(|(_, field)| field.clone()).collect();
    let names = DFSchema::try_from(Schema::new(fields)).map_err(planning)?;
    let unqualified = |column: &Column| match visible(column)? {
        index if guarded.contains(&index) => definition(table, index),
        index => Some(Expr::Column(Column::new_unqualified(table.columns[index].field.name()))),
    };
    let outer = calc
        .columns
        .iter()
        .map(|(expression, field)| Ok((replace_columns(expression, unqualified)?, field.clone())))
        .collect::<Result<_, SqlError>>()?;
    Ok(SplitCalc { predicate, inner, outer: Some((names, outer)) })
}

/// Whether computing a column from what the source gives may fail.
pub(crate) fn definition_may_fail(table: &Table, index: usize) -> bool {
    definition(table, index).is_some_and(|expression| can_fail(&expression))
}

/// The columns that an expression reads in any row, whatever its conditions say.
fn surely_read(expression: &Expr, read: &mut Vec<Column>) {
    match expression {
        Expr::Column(column) => read.push(column.clone()),
        Expr::Case(case) => {
            let first = case.when_then_expr.first().map(|(when, _)| when);
            case.expr.iter().chain(first).for_each(|part| surely_read(part, read));
        }
        Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or) => {
            surely_read(&binary.left, read);
        }
        Expr::ScalarFunction(call) => match call.func.conditional_arguments(&call.args) {
            Some((sure, _)) => sure.into_iter().for_each(|part| surely_read(part, read)),
            None => call.args.iter().for_each(|part| surely_read(part, read)),
        },
        other => {
            let walked = other.apply_children(|part| {
                surely_read(part, read);
                Ok(TreeNodeRecursion::Continue)
            });
            walked.expect("collecting columns cannot fail");
        }
    }
}

fn columns_of(expression: &Expr) -> Vec<Column> {
    let mut columns = Vec::new();
    let walked = expression.apply(|part| {
        if let Expr::Column(column) = part {
            columns.push(column.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.expect("collecting columns cannot fail");
    columns
}

/// Which columns, and which fields of row columns, expressions read.
#[derive(Default)]
struct UsedColumns {
    /// Column -> paths below it; an empty path is the whole column.
    paths: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl UsedColumns {
    fn add(&mut self, expression: &Expr) {
        let walked = expression.apply(|part| {
            if let Some((column, path)) = field_path(part) {
                self.paths.entry(column).or_default().insert(path);
                return Ok(TreeNodeRecursion::Jump);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.expect("collecting columns cannot fail");
    }

    /// The column's type without what no one reads; `None` if no one reads it at all.
    fn prune(&self, field: &Field) -> Option<Field> {
        let paths = self.paths.get(field.name())?;
        let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
        Some(field.clone().with_data_type(pruned_type(field.data_type(), &paths)))
    }
}

fn pruned_type(data_type: &DataType, paths: &[&[String]]) -> DataType {
    let DataType::Struct(fields) = data_type else { return data_type.clone() };
    if paths.iter().any(|path| path.is_empty()) {
        return data_type.clone();
    }
    let kept = fields.iter().filter_map(|field| {
        let below: Vec<&[String]> =
            paths.iter().filter(|path| path[0] == *field.name()).map(|path| &path[1..]).collect();
        (!below.is_empty())
            .then(|| Arc::new(field.as_ref().clone().with_data_type(pruned_type(field.data_type(), &below))))
    });
    DataType::Struct(Fields::from_iter(kept))
}

/// `get_field(get_field(c, 'a'), 'b')` is the path `a, b` below column `c`.
fn field_path(expression: &Expr) -> Option<(String, Vec<String>)> {
    match expression {
        Expr::Column(column) => Some((column.name.clone(), Vec::new())),
        Expr::ScalarFunction(call) if call.func.name() == "get_field" => {
            let (base, names) = call.args.split_first()?;
            let (column, mut path) = field_path(base)?;
            for name in names {
                let Expr::Literal(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)), _) = name else {
                    return None;
                };
                path.push(name.clone());
            }
            Some((column, path))
        }
        _ => None,
    }
}

/// The columns read that are declared NOT NULL. The plan counts on it, so the source has to see to it.
fn not_null<'a>(table: &'a Table, read: &Schema) -> Vec<&'a str> {
    let declared = table
        .columns
        .iter()
        .filter(|column| matches!(column.source, ColumnSource::Physical(_)) && !column.field.is_nullable());
    let names = declared.map(|column| column.field.name().as_str());
    names.filter(|name| read.fields().find(name).is_some()).collect()
}

/// What the source is asked for: used columns in the table's order, then the position, then the origin.
fn read_schema(table: &Table, used: &UsedColumns, position: bool, origin: Option<OriginDetail>) -> SchemaRef {
    let mut fields: Vec<FieldRef> = Vec::new();
    for column in &table.columns {
        match &column.source {
            ColumnSource::Computed { .. } => {}
            ColumnSource::Physical(_) => {
                fields.extend(used.prune(&column.field).map(|field| Arc::new(field.with_nullable(true))));
            }
            ColumnSource::Metadata { key, .. } => {
                if let Some(field) = used.prune(&column.field) {
                    let mut metadata = field.metadata().clone();
                    metadata.insert(METADATA_KEY.to_owned(), key.clone());
                    // Sources number rows without a sign; the column has the type that was declared.
                    let field = match key == METADATA_POSITION {
                        true => field.with_data_type(DataType::UInt64),
                        false => field,
                    };
                    fields.push(Arc::new(field.with_nullable(true).with_metadata(metadata)));
                }
            }
        }
    }
    if position {
        fields.push(position_field());
    }
    fields.extend(origin.map(origin_field));
    Arc::new(Schema::new(fields))
}
