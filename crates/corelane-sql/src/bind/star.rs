//! `SELECT *, a FROM t`: a star beside other columns, where a name comes twice.
//!
//! Names are made unique before binding, but what a star stands for is known only in binding. So
//! where that fails, the stars are written out, with the help of the planner, and names given anew.

use datafusion_common::Result;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{Cte, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, With};

use super::rewrite::name_columns;

/// What the planner says of columns whose names come twice.
pub(super) const NAMES_TWICE: &str = "Projections require unique expression names";

/// Writes out the stars of a query that stand beside other columns. `columns_of` plans a query and
/// names its columns.
pub(super) fn write_out(query: &mut Query, columns_of: &dyn Fn(Query) -> Result<Vec<String>>) -> Result<()> {
    in_query(query, &[], columns_of)
}

fn in_query(query: &mut Query, outer: &[Cte], columns_of: &dyn Fn(Query) -> Result<Vec<String>>) -> Result<()> {
    let mut scope = outer.to_vec();
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        in_query(&mut cte.query, &scope, columns_of)?;
        scope.retain(|other| other.alias.name.value != cte.alias.name.value);
        scope.push(cte.clone());
    }
    in_body(&mut query.body, &scope, columns_of)
}

fn in_body(body: &mut SetExpr, scope: &[Cte], columns_of: &dyn Fn(Query) -> Result<Vec<String>>) -> Result<()> {
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

fn in_select(select: &mut Select, scope: &[Cte], columns_of: &dyn Fn(Query) -> Result<Vec<String>>) -> Result<()> {
    for from in &mut select.from {
        if let TableFactor::Derived { subquery, .. } = &mut from.relation {
            in_query(subquery, scope, columns_of)?;
        }
    }
    if select.projection.len() == 1 {
        return Ok(());
    }
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        if !matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(_, _)) {
            items.push(item);
            continue;
        }
        for name in columns_of(star_alone(select, item, scope))? {
            items.push(SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('`', name))));
        }
    }
    name_columns(&mut items);
    select.projection = items;
    Ok(())
}

/// `SELECT * FROM` what the select reads, with the names that it sees.
fn star_alone(select: &Select, star: SelectItem, scope: &[Cte]) -> Query {
    let alone = Select {
        distinct: None,
        projection: vec![star],
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
