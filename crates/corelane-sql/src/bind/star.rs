//! `SELECT *, a FROM t`: a star beside other columns, where a name comes twice. And `SELECT r.*` of a ROW.
//!
//! Names are made unique before binding, but what a star stands for is known only in binding. So
//! where that fails, the stars are written out, with the help of the planner, and names given anew.

use arrow::datatypes::{DataType, Fields};
use datafusion_common::{DataFusionError, Result};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    With,
};

use super::rewrite::name_columns;

/// What the planner says of columns whose names come twice, and of `r.*` where `r` is no table.
const FAULTS: [&str; 2] = ["Projections require unique expression names", "Invalid qualifier"];

/// Plans a query and gives its columns.
type ColumnsOf<'a> = &'a dyn Fn(Query) -> Result<Fields>;

/// Whether an error of the planner goes away where stars are written out.
pub(super) fn is_at_fault(error: &DataFusionError) -> bool {
    let message = error.find_root().strip_backtrace();
    FAULTS.iter().any(|fault| message.contains(fault))
}

/// Writes out the stars of a query that stand beside other columns, and those of ROW columns.
pub(super) fn write_out(query: &mut Query, columns_of: ColumnsOf) -> Result<()> {
    in_query(query, &[], columns_of)
}

fn in_query(query: &mut Query, outer: &[Cte], columns_of: ColumnsOf) -> Result<()> {
    let mut scope = outer.to_vec();
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        in_query(&mut cte.query, &scope, columns_of)?;
        scope.retain(|other| other.alias.name.value != cte.alias.name.value);
        scope.push(cte.clone());
    }
    in_body(&mut query.body, &scope, columns_of)
}

fn in_body(body: &mut SetExpr, scope: &[Cte], columns_of: ColumnsOf) -> Result<()> {
    match body {
        SetExpr::Select(select) => in_select(select, scope, columns_of),
        SetExpr::Query(query) => in_query(query, scope, columns_of),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, scope, columns_of)?;
            in_body(right, scope, columns_of)
        }
        SetExpr::Values(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => Ok(()),
    }
}

fn in_select(select: &mut Select, scope: &[Cte], columns_of: ColumnsOf) -> Result<()> {
    for from in &mut select.from {
        if let TableFactor::Derived { subquery, .. } = &mut from.relation {
            in_query(subquery, scope, columns_of)?;
        }
    }
    if let [SelectItem::Wildcard(_)] = select.projection.as_slice() {
        return Ok(());
    }
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let columns = match &item {
            SelectItem::Wildcard(_) => columns_of(alone(select, item, scope))?,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let parts = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                match columns_of(alone(select, item, scope)) {
                    Ok(columns) => columns,
                    Err(error) => {
                        items.extend(fields_of(parts, select, scope, columns_of).ok_or(error)?);
                        continue;
                    }
                }
            }
            _ => {
                items.push(item);
                continue;
            }
        };
        let column = |name: &String| SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('`', name)));
        items.extend(columns.iter().map(|field| column(field.name())));
    }
    name_columns(&mut items);
    select.projection = items;
    Ok(())
}

/// The fields of a ROW column, each as a column; none if there is no such column.
fn fields_of(parts: Vec<Ident>, select: &Select, scope: &[Cte], columns_of: ColumnsOf) -> Option<Vec<SelectItem>> {
    let row = match parts.as_slice() {
        [column] => Expr::Identifier(column.clone()),
        _ => Expr::CompoundIdentifier(parts.clone()),
    };
    let row = SelectItem::UnnamedExpr(row);
    let columns = columns_of(alone(select, row, scope)).ok()?;
    let DataType::Struct(fields) = columns.first()?.data_type() else { return None };
    let field = |name: &String| {
        let parts = parts.iter().cloned().chain([Ident::with_quote('`', name)]);
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts.collect()))
    };
    Some(fields.iter().map(|named| field(named.name())).collect())
}

/// `SELECT` this one item `FROM` what the select reads, with the names that it sees.
fn alone(select: &Select, item: SelectItem, scope: &[Cte]) -> Query {
    let alone = Select {
        distinct: None,
        projection: vec![item],
        selection: None,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        named_window: Vec::new(),
        ..select.clone()
    };
    let with = With { with_token: AttachedToken::empty(), recursive: false, cte_tables: scope.to_vec() };
    Query {
        with: (!scope.is_empty()).then_some(with),
        body: Box::new(SetExpr::Select(Box::new(alone))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
