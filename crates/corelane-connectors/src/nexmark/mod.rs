//! The Nexmark generator: an auction site's persons, auctions and bids in one stream.
//!
//! The queries of the suite lean on its proportions (1 : 3 : 46), on ids that count up from
//! 1,000, and on a few hot auctions, bidders and sellers that move as the stream goes on. All of
//! that is arithmetic on an event's number, so every event can be made without the ones before.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_stream::{Connector, Error, OptionDef, Result, SinkSpec, SourceSpec, TableDefinition, TableOptions};

use crate::generated::{GeneratedSpec, RowGenerator};

mod channels;
mod config;
mod events;
mod generator;
mod schema;

use config::NexmarkConfig;
use generator::NexmarkGenerator;

#[derive(Debug)]
pub struct NexmarkConnector;

impl Connector for NexmarkConnector {
    fn name(&self) -> &'static str {
        "nexmark"
    }

    fn help(&self) -> &'static str {
        "Generates the events of the Nexmark benchmark, the same for every seed."
    }

    fn options(&self) -> Vec<OptionDef> {
        config::OPTIONS.to_vec()
    }

    fn metadata(&self) -> &'static [&'static str] {
        &[corelane_stream::source::METADATA_POSITION]
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>> {
        let config = NexmarkConfig::new(&table.options)?;
        let volume = config.volume;
        let generator = NexmarkGenerator::new(config).pruned(Arc::clone(&table.schema))?;
        Ok(Arc::new(GeneratedSpec::new(self.name(), volume, generator)))
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkSpec>> {
        Err(Error::invalid(format!("table '{}' cannot be written: 'nexmark' is only a source", table.name)))
    }

    fn infer_schema(&self, _: &TableOptions) -> Result<SchemaRef> {
        Ok(schema::full())
    }
}

#[cfg(test)]
mod tests;
