//! The judge: DataFusion, given all rows at once.
//!
//! It shares the planner's types and Arrow with Corelane but none of its operators, and knows
//! nothing of streams: what it gives for a table that is complete is what a stream must end with.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

/// Runs one query over one table, on the calling thread.
///
/// # Errors
/// If DataFusion refuses or fails.
pub fn answer(table: &str, schema: SchemaRef, parts: Vec<Vec<RecordBatch>>, query: &str) -> Result<Vec<RecordBatch>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start tokio")?;
    let run = async {
        // One partition: another thread would only wait for this one.
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let rows = MemTable::try_new(schema, vec![parts.into_iter().flatten().collect()])?;
        context.register_table(table, Arc::new(rows))?;
        context.sql(query).await?.collect().await
    };
    runtime.block_on(run).with_context(|| format!("DataFusion cannot answer {query}"))
}
