//! The connectors of `corelane-connectors` as the planner asks for them.

use corelane_connectors::filesystem::table_options_for_path;
use corelane_connectors::{CONNECTORS, check_options, connector, row_policy};
use corelane_sql::Connectors;
use corelane_stream::{Connector, Result, RowPolicy, TableOptions};

#[derive(Debug)]
pub struct World;

impl Connectors for World {
    fn connector(&self, name: &str) -> Result<&'static dyn Connector> {
        connector(name)
    }

    fn all(&self) -> Vec<&'static dyn Connector> {
        CONNECTORS.to_vec()
    }

    fn check_options(&self, connector: &dyn Connector, options: &TableOptions) -> Result<()> {
        check_options(connector, options)
    }

    fn row_policy(&self, table: &str, options: &TableOptions) -> Result<RowPolicy> {
        row_policy(table, options)
    }

    fn options_for_path(&self, path: &str) -> Result<TableOptions> {
        table_options_for_path(path)
    }
}
