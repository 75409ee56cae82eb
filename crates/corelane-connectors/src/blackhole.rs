//! The sink that takes everything and keeps nothing: for measuring what comes before it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_stream::{
    ChangelogBatch, ChangelogMode, CheckpointId, Committable, Connector, Error, Exchange, OptionDef, Result, Sink,
    SinkContext, SinkSpec, SourceSpec, TableDefinition, TableOptions,
};

#[derive(Debug)]
pub struct BlackholeConnector;

impl Connector for BlackholeConnector {
    fn name(&self) -> &'static str {
        "blackhole"
    }

    fn help(&self) -> &'static str {
        "Takes every row and keeps none, for measuring."
    }

    fn options(&self) -> Vec<OptionDef> {
        Vec::new()
    }

    fn can_be_read(&self) -> bool {
        false
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>> {
        Err(Error::invalid(format!("table '{}' cannot be read: a blackhole keeps nothing", table.name)))
    }

    fn sink(&self, _: &TableDefinition) -> Result<Arc<dyn SinkSpec>> {
        Ok(Arc::new(BlackholeSpec))
    }

    fn infer_schema(&self, _: &TableOptions) -> Result<SchemaRef> {
        Err(Error::invalid("a blackhole has no columns of its own")
            .with_hint("declare the columns: CREATE TABLE t (a INT, ..) WITH ('connector' = 'blackhole')"))
    }
}

#[derive(Debug)]
pub struct BlackholeSpec;

impl SinkSpec for BlackholeSpec {
    fn name(&self) -> &'static str {
        "blackhole"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn exchange(&self) -> Exchange {
        Exchange::Forward
    }

    fn accept(&self, _: &ChangelogMode) -> Result<()> {
        Ok(())
    }

    fn open(&self, _: &SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Blackhole))
    }

    fn commit(&self, _: &[Committable]) -> Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

struct Blackhole;

impl Sink for Blackhole {
    fn write(&mut self, _: ChangelogBatch) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId) -> Result<Vec<Committable>> {
        Ok(Vec::new())
    }
}
