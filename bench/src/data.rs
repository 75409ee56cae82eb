//! The rows of benchmarks as files, for other engines to read: the same rows, in the same order.
//!
//! They are written by the engine itself, as Parquet and as CSV.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use corelane_server::RowsInMemory;

use crate::bids::{Bids, TABLE};
use crate::measure::{execute, refused, session};

/// The columns of a table of bids, without event time.
const BID_COLUMNS: &str =
    "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), extra STRING";

/// Writes `bid.parquet` and `bid.csv`; says how many rows they have.
///
/// # Errors
/// If the folder cannot be written.
pub fn bids(folder: &Path, events: u64) -> Result<u64> {
    let bids = Bids::generate(events)?;
    write(folder, "bid", TABLE, BID_COLUMNS, &bids.dealt(1)?, bids.rows())?;
    Ok(bids.rows())
}

/// Writes one table in both formats.
pub fn write(
    folder: &Path,
    name: &str,
    declaration: &str,
    columns: &str,
    rows: &RowsInMemory,
    count: u64,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for format in ["parquet", "csv"] {
        let path = folder.join(format!("{name}.{format}"));
        let mut session = session(1)?;
        session.create_table(declaration, Arc::new(rows.clone())).map_err(refused)?;
        let script = format!(
            "CREATE TABLE file ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = '{format}', \
             'sink.mode' = 'overwrite'); INSERT INTO file SELECT * FROM {name}",
            path.display()
        );
        let Some(job) = execute(&mut session, &script)? else { bail!("nothing was written") };
        let report = job.wait().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
        ensure!(report.rows_in == count, "{} rows were written and not {count}", report.rows_in);
    }
    Ok(())
}
