//! What of the syntax tree has a meaning here, checked before anything is bound.
//!
//! sqlparser reads the SQL of all systems, and DataFusion passes over what it does not know. So
//! every part of a query is named here: it is planned, or it is refused with its place and the
//! reason. Structures are taken apart without `..`, so that a new field of theirs asks for a decision.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Cte, Distinct, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, JoinOperator, LimitClause, NamedWindowDefinition, NamedWindowExpr, OrderBy, OrderByKind, Query,
    Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned,
    Subscript, TableFactor, TableWithJoins, UnaryOperator, Value, ValueWithSpan, Values, Visit, Visitor,
    WildcardAdditionalOptions, WindowSpec, WindowType, With, visit_expressions,
};

use super::context::Functions;
use crate::error::{Span, SqlError, span_of};
use crate::lower::no_frame;
use crate::types::DECIMAL_PRECISION_MAX;

/// # Errors
/// At the first part of a query that has no meaning here.
pub(super) fn check_query(query: &Query, functions: &Functions) -> Result<(), SqlError> {
    match query.visit(&mut Check { functions }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The same for an expression outside of a query.
pub(super) fn check_expression(expression: &Expr, functions: &Functions) -> Result<(), SqlError> {
    match expression.visit(&mut Check { functions }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Check<'a> {
    functions: &'a Functions,
}

impl Visitor for Check<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        stopped(clauses(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlError> {
        stopped(parts(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlError> {
        stopped(table(factor))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<SqlError> {
        if let Expr::Function(function) = expression {
            return stopped(call(function, self.functions));
        }
        stopped(part_of_expression(expression))
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<SqlError> {
        stopped(literal(value))
    }
}

fn stopped(result: Result<(), SqlError>) -> ControlFlow<SqlError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// What may come later.
fn not_yet(what: &str, why: &str, at: Option<Span>) -> Result<(), SqlError> {
    Err(SqlError::new(format!("{what} is not supported yet")).with_hint(why).at(at))
}

/// What is of another system's SQL.
fn foreign(what: &str, instead: &str, at: Option<Span>) -> Result<(), SqlError> {
    Err(SqlError::new(format!("{what} is not Flink's SQL")).with_hint(instead).at(at))
}

fn clauses(query: &Query) -> Result<(), SqlError> {
    let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
        query;
    let at = span_of(query);
    if let Some(With { with_token: _, recursive, cte_tables }) = with {
        if *recursive {
            return not_yet("WITH RECURSIVE", "recursive queries have no end on a stream", at);
        }
        for (index, cte) in cte_tables.iter().enumerate() {
            let Cte { alias, query: _, from, materialized, closing_paren_token: _ } = cte;
            if cte_tables[..index].iter().any(|other| other.alias.name.value == alias.name.value) {
                return Err(SqlError::new(format!("WITH has the name {} twice", alias.name))
                    .with_hint("give one of them another name")
                    .at(Span::from_parser(alias.name.span)));
            }
            if from.is_some() || materialized.is_some() {
                let instead = "write WITH name AS (SELECT ..)";
                return foreign("[NOT] MATERIALIZED in WITH", instead, Span::from_parser(alias.name.span));
            }
        }
    }
    if let Some(OrderBy { kind, interpolate }) = order_by {
        match kind {
            OrderByKind::All(_) => return foreign("ORDER BY ALL", "name the columns", at),
            OrderByKind::Expressions(terms) => {
                if let Some(term) = terms.iter().find(|term| term.with_fill.is_some()) {
                    return foreign("WITH FILL", "leave it out", span_of(&term.expr));
                }
            }
        }
        if interpolate.is_some() {
            return foreign("INTERPOLATE", "leave it out", at);
        }
    }
    match limit_clause {
        Some(LimitClause::LimitOffset { limit: _, offset: _, limit_by }) if !limit_by.is_empty() => {
            return foreign("LIMIT .. BY", "use ROW_NUMBER() OVER (PARTITION BY ..)", span_of(&limit_by[0]));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            return foreign("LIMIT with two numbers", &format!("write LIMIT {limit} OFFSET {offset}"), span_of(offset));
        }
        Some(LimitClause::LimitOffset { limit, offset, limit_by: _ }) => {
            row_count("LIMIT", limit.as_ref())?;
            row_count("OFFSET", offset.as_ref().map(|offset| &offset.value))?;
        }
        None => {}
    }
    row_count("FETCH", fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()))?;
    if !locks.is_empty() || for_clause.is_some() {
        return foreign("FOR UPDATE and its like", "leave it out: a stream has no locks", at);
    }
    if settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
        return foreign("SETTINGS, FORMAT or |>", "leave it out", at);
    }
    set_expression(body)
}

/// How many rows is a number that is written out.
fn row_count(clause: &str, count: Option<&Expr>) -> Result<(), SqlError> {
    let Some(count) = count else { return Ok(()) };
    if matches!(count, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits.parse::<u64>().is_ok()))
    {
        return Ok(());
    }
    let mut span = span_of(count);
    // The tree keeps no place of a sign.
    if let (Expr::UnaryOp { .. }, Some(span)) = (count, &mut span) {
        span.start.column = span.start.column.saturating_sub(1).max(1);
    }
    Err(SqlError::new(format!("{clause} takes a number of rows that is written out, not {count}")).at(span))
}

fn set_expression(body: &SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => Ok(()),
        SetExpr::Table(_) => foreign("TABLE t as a query", "write SELECT * FROM t", span_of(body)),
        SetExpr::Values(Values { explicit_row: _, value_keyword, rows: _ }) => match value_keyword {
            true => foreign("VALUE", "write VALUES", span_of(body)),
            false => Ok(()),
        },
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let at = span_of(right.as_ref());
            let why = "it needs the rows of both sides in one state; UNION and UNION ALL are supported";
            match op {
                SetOperator::Union => {}
                SetOperator::Except | SetOperator::Minus | SetOperator::Intersect => {
                    return not_yet(&op.to_string(), why, at);
                }
            }
            match set_quantifier {
                SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                    return foreign("UNION BY NAME", "put the columns in one order", at);
                }
            }
            set_expression(left)?;
            set_expression(right)
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            foreign("a statement that writes inside of a query", "write it on its own", span_of(body))
        }
    }
}

fn parts(select: &Select) -> Result<(), SqlError> {
    let Select {
        select_token,
        optimizer_hints: _,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let at = Span::from_parser(select_token.0.span);
    if let Some(Distinct::On(columns)) = distinct {
        let at = columns.first().and_then(span_of).or(at);
        return foreign("DISTINCT ON", "use ROW_NUMBER() OVER (PARTITION BY ..)", at);
    }
    let absent = "leave it out";
    let others = [
        (top.is_some(), "TOP", "write LIMIT at the end"),
        (select_modifiers.is_some(), "a word between SELECT and the columns", absent),
        (exclude.is_some(), "EXCLUDE", "name the columns"),
        (into.is_some(), "SELECT .. INTO", "write INSERT INTO t SELECT .."),
        (!lateral_views.is_empty(), "LATERAL VIEW", absent),
        (prewhere.is_some(), "PREWHERE", "write WHERE"),
        (!connect_by.is_empty(), "CONNECT BY", absent),
        (!cluster_by.is_empty(), "CLUSTER BY", absent),
        (!distribute_by.is_empty(), "DISTRIBUTE BY", absent),
        (!sort_by.is_empty(), "SORT BY", "write ORDER BY"),
        (value_table_mode.is_some(), "SELECT AS STRUCT or AS VALUE", absent),
        (*flavor != SelectFlavor::Standard, "FROM before SELECT", "write SELECT .. FROM .."),
    ];
    if let Some((_, what, instead)) = others.iter().find(|(found, _, _)| *found) {
        return foreign(what, instead, at);
    }
    if let Some(condition) = qualify {
        return not_yet("QUALIFY", "put the query into FROM (..) and filter with WHERE", span_of(condition));
    }
    for NamedWindowDefinition(_, window) in named_window {
        match window {
            NamedWindowExpr::WindowSpec(spec) => own_window(spec)?,
            NamedWindowExpr::NamedWindow(name) => return on_another(name),
        }
    }
    no_window("WHERE", selection)?;
    no_window("HAVING", having)?;
    match group_by {
        GroupByExpr::All(_) => return foreign("GROUP BY ALL", "name the columns", at),
        GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty() => {
            return not_yet("GROUP BY .. WITH ROLLUP, CUBE or TOTALS", "write one query for each grouping", at);
        }
        GroupByExpr::Expressions(groups, _) => {
            no_window("GROUP BY", groups)?;
            if groups.iter().any(|group| matches!(group, Expr::Tuple(parts) if parts.is_empty())) {
                return not_yet("GROUP BY ()", "leave it out: aggregates without GROUP BY are of all rows", at);
            }
        }
    }
    projection.iter().try_for_each(item)?;
    from.iter().try_for_each(joins)?;
    match from.get(1) {
        Some(second) => no_join("CROSS JOIN (a comma in FROM)", &second.relation),
        None => Ok(()),
    }
}

/// A window says all of itself: DataFusion passes over the one that it is built on.
fn own_window(spec: &WindowSpec) -> Result<(), SqlError> {
    spec.window_name.as_ref().map_or(Ok(()), on_another)
}

fn on_another(name: &Ident) -> Result<(), SqlError> {
    let why = format!("write out what {name} says, or OVER {name} alone");
    not_yet("a window that is built on another one", &why, Span::from_parser(name.span))
}

/// A function OVER a window is computed of the rows that these clauses leave.
fn no_window<T: Visit>(clause: &str, parts: &T) -> Result<(), SqlError> {
    let found = visit_expressions(parts, |part| match part {
        Expr::Function(Function { name, over: Some(_), .. }) => ControlFlow::Break(name.clone()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) => Err(SqlError::new(format!("{clause} takes no function OVER a window"))
            .with_hint("compute it in a subquery in FROM, and use its column")
            .at(span_of(&name))),
    }
}

fn item(item: &SelectItem) -> Result<(), SqlError> {
    let options = match item {
        SelectItem::UnnamedExpr(_) => return Ok(()),
        SelectItem::ExprWithAlias { expr, alias } => {
            return match alias.quote_style {
                Some('\'') => foreign(
                    "a name in single quotes",
                    "a name takes back-ticks; two texts are put together by ||",
                    Span::from_parser(alias.span).or(span_of(expr)),
                ),
                _ => Ok(()),
            };
        }
        SelectItem::ExprWithAliases { expr, aliases: _ } => {
            return foreign("AS with several names", "give each column its name", span_of(expr));
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
            return not_yet("(expression).*", "name the fields", span_of(expr));
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options)
        | SelectItem::Wildcard(options) => options,
    };
    let WildcardAdditionalOptions {
        wildcard_token,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let is_plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    match is_plain {
        true => Ok(()),
        false => foreign(
            "* with EXCEPT, EXCLUDE, REPLACE or RENAME",
            "name the columns",
            Span::from_parser(wildcard_token.0.span),
        ),
    }
}

fn joins(from: &TableWithJoins) -> Result<(), SqlError> {
    let Some(join) = from.joins.first() else { return Ok(()) };
    if let TableFactor::UNNEST { .. } = join.relation {
        // The more telling refusal is that of the table.
        return table(&join.relation);
    }
    let name = match &join.join_operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) => "JOIN",
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => "LEFT JOIN",
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => "RIGHT JOIN",
        JoinOperator::FullOuter(_) => "FULL JOIN",
        JoinOperator::CrossJoin(_) => "CROSS JOIN",
        _ => "this kind of JOIN",
    };
    no_join(name, &join.relation)
}

fn no_join(name: &str, second: &TableFactor) -> Result<(), SqlError> {
    not_yet(name, "a query reads one table; UNION ALL puts tables of the same columns together", span_of(second))
}

fn table(factor: &TableFactor) -> Result<(), SqlError> {
    let at = span_of(factor);
    match factor {
        TableFactor::Table {
            name: _,
            alias: _,
            args: _,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            if version.is_some() {
                return not_yet("FOR SYSTEM_TIME AS OF", "it belongs to joins, which are not supported yet", at);
            }
            if sample.is_some() {
                return not_yet("TABLESAMPLE", "WHERE RAND() < 0.1 takes a tenth of the rows", at);
            }
            let is_plain = with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty();
            match is_plain && json_path.is_none() && !with_ordinality {
                true => Ok(()),
                false => foreign("what follows the table's name", "leave it out", at),
            }
        }
        TableFactor::Derived { lateral, subquery: _, alias: _, sample } => {
            if *lateral {
                return not_yet("LATERAL", "it belongs to joins, which are not supported yet", at);
            }
            match sample {
                Some(_) => not_yet("TABLESAMPLE", "WHERE RAND() < 0.1 takes a tenth of the rows", at),
                None => Ok(()),
            }
        }
        TableFactor::Function { lateral: true, .. } => {
            not_yet("LATERAL TABLE", "it belongs to joins, which are not supported yet", at)
        }
        TableFactor::TableFunction { .. } | TableFactor::Function { .. } => Ok(()),
        TableFactor::NestedJoin { table_with_joins, alias: _ } => joins(table_with_joins),
        TableFactor::UNNEST { .. } => not_yet("UNNEST", "take elements by their place, as in a[1]", at),
        TableFactor::MatchRecognize { .. } => not_yet("MATCH_RECOGNIZE", "patterns of rows are not detected yet", at),
        TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
            foreign("PIVOT", "use aggregates with FILTER (WHERE ..)", at)
        }
        TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } | TableFactor::XmlTable { .. } => {
            foreign("a table of JSON or XML", "use JSON_VALUE and JSON_QUERY", at)
        }
        TableFactor::SemanticView { .. } => foreign("SEMANTIC_VIEW", "leave it out", at),
    }
}

fn part_of_expression(expression: &Expr) -> Result<(), SqlError> {
    let at = span_of(expression);
    let subquery = "put the subquery into FROM, or into a query of its own";
    match expression {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(_, _)
        | Expr::IsNotDistinctFrom(_, _)
        | Expr::InList { .. }
        | Expr::Between { .. }
        | Expr::SimilarTo { .. }
        | Expr::Extract { .. }
        | Expr::Position { .. }
        | Expr::Function(_)
        | Expr::Overlay { .. }
        | Expr::Nested(_)
        | Expr::Value(_)
        | Expr::TypedString(_)
        | Expr::Case { .. }
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Interval(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(_, _) => Ok(()),
        Expr::Substring { expr: _, substring_from, substring_for: _, special: _, shorthand: _ } => match substring_from
        {
            Some(_) => Ok(()),
            None => Err(SqlError::new("SUBSTRING lacks the place where it starts")
                .with_hint("write SUBSTRING(s, start[, length]) or SUBSTRING(s FROM start [FOR length])")
                .at(at)),
        },
        Expr::Trim { trim_where: _, trim_what: _, expr: _, trim_characters } => match trim_characters {
            Some(_) => foreign("TRIM with a list", "write TRIM(BOTH characters FROM s)", at),
            None => Ok(()),
        },
        Expr::Like { any, .. } => match any {
            true => foreign("LIKE ANY", "put several LIKEs together by OR", at),
            false => Ok(()),
        },
        Expr::CompoundFieldAccess { root: _, access_chain } => {
            let slice = |part: &AccessExpr| matches!(part, AccessExpr::Subscript(Subscript::Slice { .. }));
            match access_chain.iter().any(slice) {
                true => foreign("a slice of an array", "write ARRAY_SLICE(a, start, end)", at),
                false => Ok(()),
            }
        }
        Expr::BinaryOp { left: _, op, right } => operator(op, span_of(right.as_ref()).or(at)),
        Expr::UnaryOp { op, expr: _ } => match op {
            UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => Ok(()),
            _ => foreign(&format!("the operator {op}"), "the operators are +, - and NOT", at),
        },
        Expr::Cast { kind, expr: _, data_type: _, array, format } => {
            let is_known = matches!(kind, CastKind::Cast | CastKind::TryCast | CastKind::DoubleColon);
            match is_known && !array && format.is_none() {
                true => Ok(()),
                false => foreign("this form of a cast", "write CAST(x AS type) or TRY_CAST(x AS type)", at),
            }
        }
        Expr::Ceil { expr: _, field } | Expr::Floor { expr: _, field } => match field {
            CeilFloorKind::DateTimeField(_) => Ok(()),
            CeilFloorKind::Scale(scale) => {
                foreign("a number of digits here", "write ROUND or TRUNCATE", span_of(scale))
            }
        },
        Expr::InSubquery { .. } => not_yet("IN (SELECT ..)", subquery, at),
        Expr::Exists { .. } => not_yet("EXISTS (SELECT ..)", subquery, at),
        Expr::Subquery(_) => not_yet("a scalar subquery", subquery, at),
        Expr::AnyOp { .. } | Expr::AllOp { .. } => {
            not_yet("a comparison with ANY or ALL", "compare with each value, or write IN (..)", at)
        }
        Expr::GroupingSets(_) => not_yet("GROUPING SETS", "write one query for each grouping", at),
        Expr::Cube(_) => not_yet("CUBE", "write one query for each grouping", at),
        Expr::Rollup(_) => not_yet("ROLLUP", "write one query for each grouping", at),
        Expr::ILike { .. } => foreign("ILIKE", "write LOWER(x) LIKE ..", at),
        Expr::RLike { .. } => foreign("RLIKE", "write REGEXP(s, regex)", at),
        Expr::AtTimeZone { .. } => foreign("AT TIME ZONE", "write CONVERT_TZ(s, from, to)", at),
        Expr::IsNormalized { .. } => foreign("IS NORMALIZED", "leave it out", at),
        Expr::Collate { .. } => foreign("COLLATE", "texts compare by their characters' codes; leave it out", at),
        Expr::InUnnest { .. } => foreign("IN UNNEST", "write ARRAY_CONTAINS(a, x)", at),
        Expr::Convert { .. } => foreign("CONVERT", "write CAST(x AS type)", at),
        Expr::JsonAccess { .. } => foreign("a path behind :", "write JSON_VALUE(json, path)", at),
        Expr::Prefixed { .. } => foreign("a literal with this prefix", "write 'text'", at),
        Expr::Struct { .. } | Expr::Named { .. } => foreign("STRUCT", "write ROW(..)", at),
        Expr::Dictionary(_) | Expr::Map(_) => foreign("{..}", "write MAP[key, value, ..]", at),
        Expr::MatchAgainst { .. } => foreign("MATCH .. AGAINST", "write LIKE or REGEXP(s, regex)", at),
        Expr::OuterJoin(_) | Expr::Prior(_) => foreign("(+) and PRIOR", "leave it out", at),
        Expr::Lambda(_) => foreign("a lambda", "leave it out", at),
        Expr::MemberOf(_) => foreign("MEMBER OF", "write ARRAY_CONTAINS(a, x)", at),
    }
}

fn operator(operator: &BinaryOperator, at: Option<Span>) -> Result<(), SqlError> {
    use BinaryOperator::{And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus, StringConcat};
    match operator {
        And | Divide | Eq | Gt | GtEq | Lt | LtEq | Minus | Modulo | Multiply | NotEq | Or | Plus | StringConcat => {
            Ok(())
        }
        BinaryOperator::Xor => foreign("XOR", "write a <> b of two conditions", at),
        BinaryOperator::PGRegexMatch | BinaryOperator::PGRegexIMatch => {
            foreign(&format!("the operator {operator}"), "write REGEXP(s, regex)", at)
        }
        BinaryOperator::Overlaps => not_yet("OVERLAPS", "compare the ends: a_start <= b_end AND b_start <= a_end", at),
        other => foreign(&format!("the operator {other}"), "the operators are + - * / % || = <> < <= > >= AND OR", at),
    }
}

fn call(function: &Function, functions: &Functions) -> Result<(), SqlError> {
    let Function { name, uses_odbc_syntax, parameters, args, filter, null_treatment, over, within_group } = function;
    let at = span_of(name);
    let called = name.to_string();
    let of_one_row = functions.scalar(&called.to_ascii_lowercase()).is_some();
    if of_one_row && (filter.is_some() || over.is_some()) {
        return Err(SqlError::new(format!("{called} takes no FILTER and no OVER"))
            .with_hint("they belong to aggregates, and this is a function of one row")
            .at(at));
    }
    if let Some(WindowType::WindowSpec(spec)) = over {
        own_window(spec)?;
    }
    let is_framed = matches!(over, Some(WindowType::WindowSpec(spec)) if spec.window_frame.is_some());
    let lower = called.to_ascii_lowercase();
    if is_framed && functions.is_of_window(&lower) && !functions.is_aggregate(&lower) {
        return Err(no_frame(&called).at(at));
    }
    if *uses_odbc_syntax || *parameters != FunctionArguments::None {
        return foreign("this form of a call", "write f(x, ..)", at);
    }
    if null_treatment.is_some() {
        let why = "FIRST_VALUE and LAST_VALUE skip nulls as in Flink; LAG counts them";
        return not_yet("IGNORE NULLS and RESPECT NULLS", why, at);
    }
    if let Some(order) = within_group.first() {
        return not_yet("WITHIN GROUP", "LISTAGG puts values in the order in which they come", span_of(&order.expr));
    }
    let FunctionArgumentList { duplicate_treatment, args, clauses } = match args {
        FunctionArguments::None => return Ok(()),
        FunctionArguments::Subquery(_) => {
            return not_yet("a subquery as an argument", "put the subquery into FROM", at);
        }
        FunctionArguments::List(list) => list,
    };
    let is_distinct = *duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if of_one_row && duplicate_treatment.is_some() {
        return Err(SqlError::new(format!("{called} takes no DISTINCT and no ALL"))
            .with_hint("they belong to aggregates, and this is a function of one row")
            .at(at));
    }
    if args.is_empty() && called.eq_ignore_ascii_case("count") {
        return Err(SqlError::new("COUNT lacks its argument").with_hint("write COUNT(*) to count rows").at(at));
    }
    let is_star = |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    let takes_no_star = is_distinct || !called.eq_ignore_ascii_case("count");
    let is_known = of_one_row || functions.is_aggregate(&called.to_ascii_lowercase());
    if is_known && takes_no_star && args.iter().any(is_star) {
        return Err(SqlError::new("* is an argument of COUNT alone, without DISTINCT")
            .with_hint("name the columns")
            .at(at));
    }
    if let Some(clause) = clauses.first() {
        let what = match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(_) => "IGNORE NULLS and RESPECT NULLS",
            FunctionArgumentClause::OrderBy(_) => "ORDER BY inside of a call",
            FunctionArgumentClause::Limit(_) => "LIMIT inside of a call",
            FunctionArgumentClause::OnOverflow(_) => "ON OVERFLOW",
            FunctionArgumentClause::Having(_) => "HAVING inside of a call",
            FunctionArgumentClause::Separator(_) => "SEPARATOR",
            FunctionArgumentClause::JsonNullClause(_) => "ON NULL",
            FunctionArgumentClause::JsonReturningClause(_) => "RETURNING",
        };
        return foreign(&format!("{what} in {name}"), "leave it out", at);
    }
    let is_window =
        ["tumble", "hop", "cumulate", "session"].iter().any(|kind| name.to_string().eq_ignore_ascii_case(kind));
    let named = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(_) => false,
        FunctionArg::Named { operator, .. } | FunctionArg::ExprNamed { operator, .. } => {
            *operator != FunctionArgOperator::RightArrow || !is_window
        }
    };
    match args.iter().find(|argument| named(argument)) {
        Some(argument) => {
            foreign("an argument with a name", "give the arguments in their order", span_of(argument).or(at))
        }
        None => Ok(()),
    }
}

fn literal(value: &ValueWithSpan) -> Result<(), SqlError> {
    let at = Span::from_parser(value.span());
    match &value.value {
        Value::Number(digits, _) => number(digits, at),
        Value::SingleQuotedString(_)
        | Value::UnicodeStringLiteral(_)
        | Value::HexStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null => Ok(()),
        Value::Placeholder(name) => {
            foreign(&format!("the parameter {name}"), "statements have no parameters: write the value", at)
        }
        other => foreign(&format!("the literal {other}"), "texts are 'text', U&'\\0041' and X'41'", at),
    }
}

fn number(digits: &str, at: Option<Span>) -> Result<(), SqlError> {
    if digits.contains(['e', 'E']) {
        return match digits.parse::<f64>() {
            Ok(value) if value.is_infinite() => {
                Err(SqlError::new(format!("{digits} is out of the range of DOUBLE")).at(at))
            }
            Ok(_) | Err(_) => Ok(()),
        };
    }
    let count = digits.trim_start_matches('0').bytes().filter(u8::is_ascii_digit).count();
    if usize::from(DECIMAL_PRECISION_MAX) < count {
        return Err(SqlError::new(format!(
            "the number has {count} digits, more than the {DECIMAL_PRECISION_MAX} of a DECIMAL"
        ))
        .with_hint("write it as a DOUBLE, as in 1e40")
        .at(at));
    }
    Ok(())
}
