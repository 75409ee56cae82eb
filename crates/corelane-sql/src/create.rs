//! `CREATE TABLE` and `CREATE VIEW`: from declarations to checked catalog entries.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use corelane_stream::connector::LENGTH_KEY;
use corelane_stream::source::METADATA_POSITION;
use corelane_stream::{Connector, Error, SourceSpec, TableDefinition, TableOptions, sql_type};
use datafusion_common::DFSchema;
use datafusion_expr::ExprSchemable;
use sqlparser::ast::{Ident, ObjectName};

use crate::bind::{Functions, bind_expression, bind_query};
use crate::catalog::{
    Backing, Catalog, Column, ColumnSource, Relation, TIME_EVENT, TIME_PROCESSING, Table, TableWatermark, View,
    closest, is_event_time, is_processing_time, with_time, without_event_time,
};
use crate::error::SqlError;
use crate::parse::{
    ColumnDef, ColumnKind, CreateTable, CreateView, LikeClause, LikeFeature, LikeStrategy, WatermarkDef,
};
use crate::types::{arrow_type, declared_lengths, fewer_digits};

/// The last part of a name; a longer one must name the one database there is.
///
/// # Errors
/// If the name has other parts.
pub fn simple_name(name: &ObjectName) -> Result<String, SqlError> {
    let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [table] => Ok(table.value.clone()),
        [catalog, database, table] if catalog.value == "default_catalog" && database.value == "default_database" => {
            Ok(table.value.clone())
        }
        _ => Err(SqlError::new(format!("there is no database that holds {name}"))
            .with_hint("names have one part: there is one database")
            .at_node(name)),
    }
}

/// What a declaration says before its expressions are bound.
#[derive(Default)]
struct Declaration {
    columns: Vec<Column>,
    /// Computed columns to bind, by position in `columns`.
    watermark: Option<TableWatermark>,
    options: TableOptions,
    partitioned_by: Vec<String>,
    primary_key: Vec<String>,
    /// What the connector noted as it inferred the columns, and what types forget of declared ones.
    metadata: HashMap<String, String>,
}

/// Checks a declaration and makes the table.
///
/// # Errors
/// If a column, an expression or an option is wrong.
pub fn create_table(
    catalog: &Catalog,
    functions: &Functions,
    statement: &CreateTable,
    text: &str,
) -> Result<Table, SqlError> {
    let mut declaration = declared(catalog, statement)?;
    let connector = find_connector(catalog, &declaration.options, statement)?;
    if statement.columns.is_empty() && declaration.columns.is_empty() {
        let schema = connector
            .infer_schema(&declaration.options)
            .map_err(|error| SqlError::from(error).at_node(&statement.name))?;
        declaration.columns = physical_columns(&schema);
        declaration.metadata.clone_from(schema.metadata());
    }
    complete(catalog, functions, declaration, statement, Backing::Connector(connector), text)
}

/// The same for a table whose rows a program gives: columns, computed columns and watermark are
/// declared as ever, and there are no options. Without columns it has those of the source.
///
/// # Errors
/// If a column or an expression is wrong, an option is given, or the source lacks a column.
pub fn create_table_over(
    catalog: &Catalog,
    functions: &Functions,
    statement: &CreateTable,
    source: Arc<dyn SourceSpec>,
    text: &str,
) -> Result<Table, SqlError> {
    let mut declaration = declared(catalog, statement)?;
    if !declaration.options.is_empty() {
        return Err(SqlError::new(format!("table {} takes no options: its rows are given", statement.name))
            .with_hint("leave out WITH")
            .at_node(&statement.name));
    }
    let schema = source.schema();
    if statement.columns.is_empty() && declaration.columns.is_empty() {
        declaration.columns = physical_columns(&schema);
    }
    let table = complete(catalog, functions, declaration, statement, Backing::Source(source), text)?;
    for field in table.definition.schema.fields() {
        let name = field.name();
        let fault = match schema.field_with_name(name) {
            Ok(given) if given.data_type() == field.data_type() => continue,
            Ok(given) => format!("as {}, not {}", given.data_type(), field.data_type()),
            Err(_) => "in no column".to_owned(),
        };
        return Err(SqlError::new(format!("column {name:?} of table {} is given {fault}", statement.name))
            .at_node(&statement.name));
    }
    Ok(table)
}

/// What the statement says before it is known what stands behind the table.
fn declared(catalog: &Catalog, statement: &CreateTable) -> Result<Declaration, SqlError> {
    if statement.as_query.is_some() {
        return Err(SqlError::new("CREATE TABLE .. AS SELECT is not supported yet")
            .with_hint("declare the table, then INSERT INTO it")
            .at_node(&statement.name));
    }
    let mut declaration = match &statement.like {
        Some(like) => inherited(catalog, like)?,
        None => Declaration::default(),
    };
    for option in &statement.options {
        let known = declaration.options.insert(option.key.clone(), option.value.clone());
        let overwrites = statement.like.is_some();
        if known.is_some() && !overwrites {
            return Err(SqlError::new(format!("option {:?} is given twice", option.key)).at(option.key_span));
        }
    }
    Ok(declaration)
}

/// Binds what is declared and makes the table.
fn complete(
    catalog: &Catalog,
    functions: &Functions,
    mut declaration: Declaration,
    statement: &CreateTable,
    backing: Backing,
    text: &str,
) -> Result<Table, SqlError> {
    let name = simple_name(&statement.name)?;
    add_columns(catalog, functions, &mut declaration, &statement.columns, &backing)?;
    if let Some(watermark) = &statement.watermark {
        declaration.watermark = Some(bind_watermark(catalog, functions, &declaration, watermark)?);
    }
    if let Some(watermark) = &declaration.watermark {
        let column = &mut declaration.columns[watermark.column];
        column.field = Arc::new(with_time(&column.field, TIME_EVENT));
    }
    let named_columns = |names: &[Ident], what: &str| named_columns(&declaration.columns, names, what);
    if let Some(first) = statement.partitioned_by.first() {
        if let Backing::Connector(connector) = &backing
            && !connector.can_be_partitioned()
        {
            let error = SqlError::new(format!("the connector '{}' has no partitions", connector.name()));
            return Err(error.with_hint("leave PARTITIONED BY out, or write to a 'filesystem'").at_ident(first));
        }
        declaration.partitioned_by = named_columns(&statement.partitioned_by, "PARTITIONED BY")?;
    }
    if !statement.primary_key.is_empty() {
        declaration.primary_key = named_columns(&statement.primary_key, "PRIMARY KEY")?;
        for (index, key) in statement.primary_key.iter().enumerate() {
            if statement.primary_key[..index].iter().any(|other| other.value == key.value) {
                return Err(SqlError::new(format!("PRIMARY KEY names column {:?} twice", key.value)).at_ident(key));
            }
            let computed = |column: &Column| matches!(column.source, ColumnSource::Computed { .. });
            if declaration.columns.iter().any(|column| *column.field.name() == key.value && computed(column)) {
                let error = SqlError::new(format!("PRIMARY KEY names column {:?}, which is computed", key.value));
                return Err(error.with_hint("name columns that the table itself has").at_ident(key));
            }
        }
    }
    let table = assemble(catalog, name, declaration, backing, text)
        .and_then(|table| check_values(&table).map(|()| table))
        .map_err(|error| option_named(statement, error).at(error_span(statement)))?;
    Ok(table)
}

/// Options are read when a table is used; a wrong value is told when it is declared. A table that
/// can only be read, or only be written, is fine.
fn check_values(table: &Table) -> Result<(), SqlError> {
    let of_option = |error: &Error| error.message().starts_with("option '");
    match (table.source(), table.sink()) {
        (Ok(_), Ok(_)) => Ok(()),
        (Err(error), Err(_)) => Err(error.into()),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) if of_option(&error) => Err(error.into()),
        (Err(_), Ok(_)) | (Ok(_), Err(_)) => Ok(()),
    }
}

/// Points at the value of the option that an error names.
fn option_named(statement: &CreateTable, error: SqlError) -> SqlError {
    let named = statement.options.iter().find(|option| error.message.contains(&format!("'{}'", option.key)));
    error.at(named.and_then(|option| option.value_span))
}

/// Errors of a table's options point at its options.
fn error_span(statement: &CreateTable) -> Option<crate::error::Span> {
    let first = statement.options.first().and_then(|option| option.key_span)?;
    let last = statement.options.last().and_then(|option| option.value_span)?;
    Some(first.to(last))
}

fn find_connector(
    catalog: &Catalog,
    options: &TableOptions,
    statement: &CreateTable,
) -> Result<&'static dyn Connector, SqlError> {
    let Some(name) = options.get("connector") else {
        let known: Vec<&str> = catalog.connectors.all().iter().map(|connector| connector.name()).collect();
        return Err(SqlError::new(format!("table {} has no 'connector' option", statement.name))
            .with_hint(format!("add WITH ('connector' = ..), one of {}", known.join(", ")))
            .at_node(&statement.name));
    };
    let option = statement.options.iter().find(|option| option.key == "connector");
    let connector = catalog
        .connectors
        .connector(name)
        .map_err(|error| SqlError::from(error).at(option.and_then(|option| option.value_span)))?;
    catalog.connectors.check_options(connector, options).map_err(|error| {
        let error = SqlError::from(error);
        let wrong = statement.options.iter().find(|option| {
            error.message.contains(&format!("{:?}", option.key)) || error.message.contains(&format!("'{}'", option.key))
        });
        error.at(wrong.and_then(|option| option.key_span)).at(error_span(statement))
    })?;
    Ok(connector)
}

fn physical_columns(schema: &SchemaRef) -> Vec<Column> {
    let column = |(index, field): (usize, &FieldRef)| Column {
        field: field.clone(),
        source: ColumnSource::Physical(index),
        digits: None,
    };
    schema.fields().iter().enumerate().map(column).collect()
}

fn add_columns(
    catalog: &Catalog,
    functions: &Functions,
    declaration: &mut Declaration,
    columns: &[ColumnDef],
    backing: &Backing,
) -> Result<(), SqlError> {
    let mut computed = Vec::new();
    for definition in columns {
        let name = &definition.name.value;
        if declaration.columns.iter().any(|column| column.field.name() == name)
            || computed.iter().any(|(_, other, _): &(usize, &ColumnDef, _)| other.name.value == *name)
        {
            return Err(SqlError::new(format!("column {name:?} is declared twice")).at_ident(&definition.name));
        }
        let field = |data_type: &sqlparser::ast::DataType, nullable: bool| -> Result<FieldRef, SqlError> {
            let data_type = arrow_type(data_type).map_err(|error| error.at(Some(definition.span)))?;
            Ok(Arc::new(Field::new(name, data_type, nullable)))
        };
        match &definition.kind {
            ColumnKind::Physical { data_type, not_null } => {
                let physical = declaration
                    .columns
                    .iter()
                    .filter(|column| matches!(column.source, ColumnSource::Physical(_)))
                    .count();
                let source = ColumnSource::Physical(physical);
                let digits = fewer_digits(data_type);
                declaration.columns.push(Column { field: field(data_type, !not_null)?, source, digits });
                let mut lengths = Vec::new();
                declared_lengths(name, data_type, &mut lengths);
                let noted = |(path, length): (String, u64)| (format!("{LENGTH_KEY}{path}"), length.to_string());
                declaration.metadata.extend(lengths.into_iter().map(noted));
            }
            ColumnKind::Metadata { data_type, not_null, from, is_virtual } => {
                let key = from.clone().unwrap_or_else(|| name.clone());
                let field = field(data_type, !not_null)?;
                check_metadata(&key, &field, backing).map_err(|error| error.at(Some(definition.span)))?;
                let source = ColumnSource::Metadata { key, is_virtual: *is_virtual };
                declaration.columns.push(Column { field, source, digits: fewer_digits(data_type) });
            }
            ColumnKind::Computed { expr, text, .. } => {
                computed.push((declaration.columns.len() + computed.len(), definition, (expr, text)))
            }
        }
    }
    let base = base_schema(&declaration.columns)?;
    for (index, definition, (expression, text)) in computed {
        let bound = bind_expression(catalog, functions, expression, &base)
            .map_err(|error| computed_hint(error, columns).at(Some(definition.span)))?;
        let (_, given) = bound.to_field(&base).map_err(crate::bind::sql_error)?;
        let mut field = Field::new(&definition.name.value, given.data_type().clone(), true);
        if is_processing_time(&given) {
            field = with_time(&field, TIME_PROCESSING);
        }
        let source = ColumnSource::Computed { expression: Box::new(bound), text: text.clone() };
        let column = Column { field: Arc::new(field), source, digits: None };
        declaration.columns.insert(index.min(declaration.columns.len()), column);
    }
    Ok(())
}

/// A column that is not found may be one that is computed as well.
fn computed_hint(error: SqlError, columns: &[ColumnDef]) -> SqlError {
    let is_meant = |column: &&ColumnDef| {
        let is_computed = matches!(column.kind, ColumnKind::Computed { .. });
        is_computed && error.message == format!("column '{}' not found", column.name.value)
    };
    match columns.iter().find(is_meant) {
        Some(column) => {
            let name = &column.name.value;
            error.with_hint(format!("column {name} is computed itself: write what it stands for, or use a view"))
        }
        None => error,
    }
}

/// What a source knows of its rows is only ever read, VIRTUAL or not.
fn check_metadata(key: &str, field: &Field, backing: &Backing) -> Result<(), SqlError> {
    let (what, known) = match backing {
        Backing::Connector(connector) => (format!("connector '{}'", connector.name()), connector.metadata()),
        Backing::Source(source) => (format!("a {}", source.name()), &[][..]),
    };
    if !known.contains(&key) {
        return Err(SqlError::new(format!("{what} has no metadata '{key}'")).with_hint(
            match closest(key, known.iter().copied()) {
                Some(close) => format!("did you mean '{close}'?"),
                None if known.is_empty() => "it has none".to_owned(),
                None => format!("it has {}", known.join(", ")),
            },
        ));
    }
    let data_type = field.data_type();
    if key == METADATA_POSITION && !data_type.is_numeric() && *data_type != DataType::Utf8View {
        return Err(SqlError::new(format!(
            "column {:?} is a {}, and the metadata '{key}' is a number",
            field.name(),
            sql_type(data_type)
        ))
        .with_hint("declare it as BIGINT"));
    }
    Ok(())
}

/// What computed columns may use: columns that are not computed themselves.
fn base_schema(columns: &[Column]) -> Result<DFSchema, SqlError> {
    let fields: Vec<FieldRef> = columns
        .iter()
        .filter(|column| !matches!(column.source, ColumnSource::Computed { .. }))
        .map(|column| column.field.clone())
        .collect();
    DFSchema::try_from(Schema::new(fields)).map_err(crate::bind::sql_error)
}

fn bind_watermark(
    catalog: &Catalog,
    functions: &Functions,
    declaration: &Declaration,
    watermark: &WatermarkDef,
) -> Result<TableWatermark, SqlError> {
    let name = &watermark.column.value;
    let Some(index) = declaration.columns.iter().position(|column| column.field.name() == name) else {
        let known = declaration.columns.iter().map(|column| column.field.name().as_str());
        let mut error = SqlError::new(format!("the watermark is for column {name:?}, which the table does not have"));
        if let Some(close) = closest(name, known) {
            error = error.with_hint(format!("did you mean {close:?}?"));
        }
        return Err(error.at_ident(&watermark.column));
    };
    let found = declaration.columns[index].field.data_type();
    if !matches!(found, DataType::Timestamp(_, _)) {
        return Err(SqlError::new(format!(
            "the watermark is for column {name:?}, which is a {} and not a TIMESTAMP",
            sql_type(found)
        ))
        .with_hint(format!("add a computed column, for example {name}_time AS TO_TIMESTAMP({name}), and take that"))
        .at_ident(&watermark.column));
    }
    let fields: Vec<FieldRef> = declaration.columns.iter().map(|column| column.field.clone()).collect();
    let schema = DFSchema::try_from(Schema::new(fields)).map_err(crate::bind::sql_error)?;
    let expression = bind_expression(catalog, functions, &watermark.expr, &schema)
        .map_err(|error| error.at(Some(watermark.span)))?;
    let (_, field) = expression.to_field(&schema).map_err(crate::bind::sql_error)?;
    if !matches!(field.data_type(), DataType::Timestamp(_, _)) {
        return Err(SqlError::new(format!(
            "the watermark of column {name:?} is a {} and not a TIMESTAMP",
            sql_type(field.data_type())
        ))
        .at_node(&watermark.expr));
    }
    Ok(TableWatermark { column: index, expression, text: watermark.text.clone() })
}

fn named_columns(columns: &[Column], names: &[Ident], what: &str) -> Result<Vec<String>, SqlError> {
    for name in names {
        if !columns.iter().any(|column| *column.field.name() == name.value) {
            let known = columns.iter().map(|column| column.field.name().as_str());
            let mut error =
                SqlError::new(format!("{what} names column {:?}, which the table does not have", name.value));
            if let Some(close) = closest(&name.value, known) {
                error = error.with_hint(format!("did you mean {close:?}?"));
            }
            return Err(error.at_ident(name));
        }
    }
    Ok(names.iter().map(|name| name.value.clone()).collect())
}

fn assemble(
    catalog: &Catalog,
    name: String,
    declaration: Declaration,
    backing: Backing,
    text: &str,
) -> Result<Table, SqlError> {
    let physical: Vec<FieldRef> = declaration
        .columns
        .iter()
        .filter(|column| matches!(column.source, ColumnSource::Physical(_)))
        .map(|column| column.field.clone())
        .collect();
    let policy = catalog.connectors.row_policy(&name, &declaration.options)?;
    let definition = TableDefinition {
        name,
        schema: Arc::new(Schema::new_with_metadata(physical, declaration.metadata)),
        options: declaration.options,
        partitioned_by: declaration.partitioned_by,
        primary_key: declaration.primary_key,
        policy: Arc::new(policy),
    };
    Ok(Table {
        columns: declaration.columns,
        definition,
        backing,
        watermark: declaration.watermark,
        text: text.to_owned(),
    })
}

/// What `LIKE` takes over: columns, and by Flink's defaults everything else as well.
fn inherited(catalog: &Catalog, like: &LikeClause) -> Result<Declaration, SqlError> {
    let name = simple_name(&like.table)?;
    let base = match catalog.get(&name) {
        Some(Relation::Table(table)) => table,
        _ => return Err(SqlError::new(format!("there is no table {name:?} to be LIKE")).at_node(&like.table)),
    };
    let included = |feature| like_strategy(like, feature) != LikeStrategy::Excluding;
    let mut declaration = Declaration::default();
    for column in &base.columns {
        let keep = match column.source {
            ColumnSource::Physical(_) => true,
            ColumnSource::Computed { .. } => included(LikeFeature::Generated),
            ColumnSource::Metadata { .. } => included(LikeFeature::Metadata),
        };
        if keep {
            // What is the time is for the watermark to say, if it is taken over or declared anew.
            let field = Arc::new(without_event_time(&column.field));
            declaration.columns.push(Column { field, ..column.clone() });
        }
    }
    if included(LikeFeature::Watermarks)
        && let Some(watermark) = &base.watermark
    {
        let name = base.columns[watermark.column].field.name();
        if let Some(column) = declaration.columns.iter().position(|column| column.field.name() == name) {
            declaration.watermark = Some(TableWatermark { column, ..watermark.clone() });
        }
    }
    if included(LikeFeature::Options) {
        declaration.options = base.definition.options.clone();
        declaration.metadata.clone_from(base.definition.schema.metadata());
    }
    // They are of the columns, whatever becomes of the options.
    let lengths = base.definition.schema.metadata().iter().filter(|(key, _)| key.starts_with(LENGTH_KEY));
    declaration.metadata.extend(lengths.map(|(key, length)| (key.clone(), length.clone())));
    if included(LikeFeature::Partitions) {
        declaration.partitioned_by = base.definition.partitioned_by.clone();
    }
    if included(LikeFeature::Constraints) {
        declaration.primary_key = base.definition.primary_key.clone();
    }
    Ok(declaration)
}

fn like_strategy(like: &LikeClause, feature: LikeFeature) -> LikeStrategy {
    like.strategy(feature)
}

/// A table made from a path alone: `FROM 'trades.parquet'`.
///
/// # Errors
/// If the path names no format, or its schema cannot be read.
pub(crate) fn infer_table(catalog: &Catalog, path: &str) -> Result<Table, SqlError> {
    let options = catalog.connectors.options_for_path(path)?;
    let connector = catalog.connectors.connector("filesystem")?;
    let schema = connector.infer_schema(&options)?;
    let (columns, metadata) = (physical_columns(&schema), schema.metadata().clone());
    let declaration = Declaration { columns, options, metadata, ..Declaration::default() };
    assemble(catalog, path.to_owned(), declaration, Backing::Connector(connector), path)
}

/// Checks a view's query and makes the view.
///
/// # Errors
/// If the query is wrong, or its columns are not as many as the names.
pub fn create_view(
    catalog: &Catalog,
    functions: &Functions,
    statement: &CreateView,
    text: &str,
) -> Result<View, SqlError> {
    let name = simple_name(&statement.name)?;
    for (index, column) in statement.columns.iter().enumerate() {
        if statement.columns[..index].iter().any(|other| other.value == column.value) {
            return Err(
                SqlError::new(format!("view {name:?} has the column {:?} twice", column.value)).at_ident(column)
            );
        }
    }
    let plan = bind_query(catalog, functions, &statement.query)?;
    let columns: Vec<String> = statement.columns.iter().map(|column| column.value.clone()).collect();
    let found = plan.schema().fields().len();
    if !columns.is_empty() && columns.len() != found {
        return Err(SqlError::new(format!("view {name:?} names {} columns and its query has {found}", columns.len()))
            .at_node(&statement.name));
    }
    Ok(View {
        name,
        columns,
        query: statement.query.clone(),
        emit_changes: statement.emit == Some(crate::parse::Emit::Changes),
        text: text.to_owned(),
    })
}

/// A table's columns for `DESCRIBE`, as Flink shows them: name, type, null, key, extras, watermark.
pub fn describe_table(table: &Table) -> Vec<[String; 6]> {
    let keys = &table.definition.primary_key;
    let row = |(index, column): (usize, &Column)| {
        let name = column.field.name();
        let is_key = keys.contains(name);
        let extras = match &column.source {
            ColumnSource::Physical(_) => String::new(),
            ColumnSource::Computed { text, .. } => format!("AS {text}"),
            ColumnSource::Metadata { key, is_virtual } => {
                let from = if key == name { String::new() } else { format!(" FROM '{key}'") };
                format!("METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" })
            }
        };
        let watermark = table.watermark.as_ref().filter(|watermark| watermark.column == index);
        [
            name.clone(),
            described_type(&column.field, column.digits),
            // The columns of a key are never null.
            (column.field.is_nullable() && !is_key).to_string().to_uppercase(),
            if is_key { format!("PRI({})", keys.join(", ")) } else { String::new() },
            extras,
            watermark.map_or_else(String::new, |watermark| watermark.text.clone()),
        ]
    };
    table.columns.iter().enumerate().map(row).collect()
}

/// A view's columns for `DESCRIBE`.
pub fn describe_view(view: &View, schema: &Schema) -> Vec<[String; 6]> {
    let names = view.columns.iter().map(Some).chain(std::iter::repeat(None));
    let row = |(field, name): (&FieldRef, Option<&String>)| {
        let nullable = field.is_nullable().to_string().to_uppercase();
        let none = String::new;
        [name.unwrap_or(field.name()).clone(), described_type(field, None), nullable, none(), none(), none()]
    };
    schema.fields().iter().zip(names).map(row).collect()
}

fn described_type(field: &Field, digits: Option<u8>) -> String {
    let mut name = sql_type(field.data_type());
    if let Some(digits) = digits {
        let held = name.find('(').unwrap_or(name.len());
        name.replace_range(held.., &format!("({digits})"));
    }
    match field.data_type() {
        DataType::Timestamp(_, _) if is_event_time(field) => format!("{name} *ROWTIME*"),
        DataType::Timestamp(_, _) if is_processing_time(field) => format!("{name} *PROCTIME*"),
        _ => name,
    }
}
