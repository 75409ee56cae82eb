//! What DataFusion's planner asks of us: tables, functions, types, and how to read operators.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use corelane_ops::Zone;
use corelane_stream::Clock;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, TableType, WindowUDF,
};
use datafusion_sql::planner::SqlToRel;
use sqlparser::ast::{self, Query};

use super::aggregates::aggregate_udfs;
use super::relation::WindowRelations;
use super::rewrite::rewrite_query;
use super::unify::{MARK, is_of_names, marker, name_casts};
use super::window_functions::window_udfs;
use super::{expressions, literals, parser_options, star, supported};
use crate::catalog::{Catalog, Relation, Table};
use crate::create::infer_table;
use crate::error::SqlError;
use crate::functions::scalar_functions;
use crate::types::arrow_type;

/// Views that stand on each other: each is planned within the plan of the next, on one stack.
const VIEW_DEPTH_MAX: usize = 32;

/// Every function a query can call; made once per session.
#[derive(Clone)]
pub struct Functions {
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    windows: HashMap<String, Arc<WindowUDF>>,
    /// The session's time zone, if it is not UTC.
    pub(crate) zone: Option<Zone>,
}

impl Functions {
    /// The clock gives `CURRENT_TIMESTAMP` and its kin, in a time zone: UTC if none is given.
    pub fn new(clock: Arc<dyn Clock>, time_zone: Option<&str>) -> Self {
        let aggregates = aggregate_udfs().map(|(name, udf)| (name.to_owned(), Arc::new(udf))).collect();
        Functions {
            scalars: scalar_functions(&clock, time_zone),
            aggregates,
            windows: window_udfs().map(|udf| (udf.name().to_owned(), udf)).collect(),
            zone: time_zone.and_then(Zone::parse).flatten(),
        }
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    /// True if there is a function of this name, in lower case, that is of rows OVER a window alone.
    pub(crate) fn is_of_window(&self, name: &str) -> bool {
        self.windows.contains_key(name)
    }

    /// True if there is an aggregate of this name, in lower case.
    pub(crate) fn is_aggregate(&self, name: &str) -> bool {
        self.aggregates.contains_key(name)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Functions({})", self.scalars.len() + self.aggregates.len() + self.windows.len())
    }
}

/// A table as a leaf of a logical plan.
#[derive(Debug)]
pub(crate) struct ScanSource {
    pub table: Arc<Table>,
    schema: SchemaRef,
}

impl TableSource for ScanSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// A view's plan, which the planner puts in the place of its name.
struct ViewSource {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// The planner's view of one session's catalog while it binds one statement.
pub(crate) struct BindContext<'a> {
    catalog: &'a Catalog,
    functions: &'a Functions,
    options: ConfigOptions,
    expression_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    windows: Arc<WindowRelations>,
    /// Tables made from paths in this statement: a file is looked at once.
    inferred: RefCell<HashMap<String, Arc<Table>>>,
    view_depth: RefCell<usize>,
}

impl<'a> BindContext<'a> {
    pub fn new(catalog: &'a Catalog, functions: &'a Functions) -> Self {
        let windows = Arc::new(WindowRelations::new(functions.zone));
        BindContext {
            catalog,
            functions,
            options: ConfigOptions::default(),
            expression_planners: expressions::planners(functions),
            relation_planners: vec![windows.clone()],
            windows,
            inferred: RefCell::default(),
            view_depth: RefCell::new(0),
        }
    }

    /// Names and types of a query, before coercion.
    pub fn plan_query(&self, query: &Query) -> Result<LogicalPlan> {
        let ours = |error| DataFusionError::External(Box::new(error));
        supported::check_query(query, self.functions).map_err(ours)?;
        let mut query = query.clone();
        rewrite_query(&mut query, &self.windows).map_err(ours)?;
        let plan = match self.plan_rewritten(query.clone()) {
            Err(error) if star::is_at_fault(&error) => {
                star::write_out(&mut query, &|star| {
                    let plan = self.plan_rewritten(star)?;
                    Ok(plan.schema().fields().clone())
                })?;
                self.plan_rewritten(query)?
            }
            Err(error) if is_of_names(&error) => {
                name_casts(&mut query);
                self.plan_rewritten(query)?
            }
            planned => planned?,
        };
        literals::narrow_plan(plan, self.functions)
    }

    fn plan_rewritten(&self, query: Query) -> Result<LogicalPlan> {
        let is_values = matches!(query.body.as_ref(), ast::SetExpr::Values(_));
        let statement = ast::Statement::Query(Box::new(query));
        let plan = SqlToRel::new_with_options(self, parser_options()).sql_statement_to_plan(statement)?;
        if !is_values {
            return Ok(plan);
        }
        let columns = plan.schema().columns().into_iter().enumerate();
        let named = columns.map(|(index, column)| Expr::Column(column).alias(format!("EXPR${index}")));
        let named: Vec<Expr> = named.collect();
        LogicalPlanBuilder::from(plan).project(named)?.build()
    }

    fn view_plan(&self, view: &crate::catalog::View) -> Result<LogicalPlan> {
        if *self.view_depth.borrow() == VIEW_DEPTH_MAX {
            let error = SqlError::new(format!(
                "view {:?} is one of more than {VIEW_DEPTH_MAX} that stand on each other, which is the limit",
                view.name
            ));
            let hint =
                "write several of them as one query, or INSERT what one of them gives into a table and go on from that";
            return Err(DataFusionError::External(Box::new(error.with_hint(hint))));
        }
        *self.view_depth.borrow_mut() += 1;
        let plan = self.plan_query(&view.query);
        *self.view_depth.borrow_mut() -= 1;
        let plan = plan?;
        if view.columns.is_empty() {
            return Ok(plan);
        }
        let fields = plan.schema().columns();
        let renamed = fields.into_iter().zip(&view.columns).map(|(column, name)| Expr::Column(column).alias(name));
        LogicalPlanBuilder::from(plan).project(renamed)?.build()
    }

    fn table_named(&self, name: &str) -> Result<Arc<dyn TableSource>> {
        match self.catalog.get(name) {
            Some(Relation::Table(table)) => Ok(scan(table.clone())),
            Some(Relation::View(view)) => {
                let plan = self.view_plan(view)?;
                let schema = Arc::new(plan.schema().as_arrow().clone());
                Ok(Arc::new(ViewSource { plan, schema }))
            }
            None => {
                if let Some(table) = self.inferred.borrow().get(name) {
                    return Ok(scan(table.clone()));
                }
                if !looks_like_path(name) {
                    return Err(unknown_table(name, self.catalog));
                }
                let table =
                    infer_table(self.catalog, name).map_err(|error| DataFusionError::External(Box::new(error)))?;
                let table = Arc::new(table);
                self.inferred.borrow_mut().insert(name.to_owned(), table.clone());
                Ok(scan(table))
            }
        }
    }
}

fn scan(table: Arc<Table>) -> Arc<dyn TableSource> {
    let schema = table.schema();
    Arc::new(ScanSource { table, schema })
}

/// Only `FROM 'path'` can give a name with a dot or a slash in one piece.
fn looks_like_path(name: &str) -> bool {
    name == "-" || name.contains(['.', '/', '*'])
}

fn unknown_table(name: &str, catalog: &Catalog) -> DataFusionError {
    let mut error = SqlError::new(format!("there is no table or view named {name:?}"));
    error.hint = Some(match crate::catalog::closest(name, catalog.names()) {
        Some(close) => format!("did you mean {close:?}?"),
        None => "CREATE TABLE declares one, and FROM 'file.csv' reads a file without".to_owned(),
    });
    DataFusionError::External(Box::new(error))
}

impl ContextProvider for BindContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match &name {
            TableReference::Bare { table } => self.table_named(table),
            TableReference::Full { catalog, schema, table }
                if &**catalog == "default_catalog" && &**schema == "default_database" =>
            {
                self.table_named(table)
            }
            _ => plan_err!("there is no table named \"{name}\": there is one database, and names have one part"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expression_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(FlinkTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        match name {
            MARK => Some(marker()),
            name => self.functions.scalar(name),
        }
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.windows.get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<arrow::datatypes::DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(self.functions.scalars.keys())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(self.functions.aggregates.keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(self.functions.windows.keys())
    }
}

/// In an order that does not change: of two names as close to a misspelt one, the first is meant.
fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_unstable();
    names
}

#[derive(Debug)]
struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let data_type = arrow_type(sql_type).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Some(Arc::new(arrow::datatypes::Field::new("", data_type, true))))
    }
}

/// Sees through `Arc<dyn TableSource>` to our scan.
pub(crate) fn as_scan(source: &Arc<dyn TableSource>) -> Option<&ScanSource> {
    let source: &dyn Any = source.as_ref();
    source.downcast_ref()
}
