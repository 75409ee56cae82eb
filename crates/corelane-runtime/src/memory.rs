//! A worker's share of the job's memory.
//!
//! State that outgrows the share fails the job, and that while the machine still has room: an
//! allocation that fails, or the kernel's choice of a victim, would take the process and say
//! nothing. Workers look when they publish their counters, so the bound is met within a tenth of
//! a second and costs the hot loops nothing.

use corelane_stream::{Error, Result};

use crate::metrics::NodeMetrics;

/// The operators that are named: the one to blame is nearly always the first.
const NAMED_MAX: usize = 3;

/// Checks the state of one worker, by node, against its share.
///
/// # Errors
/// If the state is larger; names the largest operators.
pub fn check(worker: usize, share_bytes: u64, names: &[String], nodes: &[NodeMetrics]) -> Result<()> {
    let total_bytes: u64 = nodes.iter().map(|node| node.operator.state_bytes).sum();
    if total_bytes <= share_bytes {
        return Ok(());
    }
    let mut holders: Vec<(&String, &NodeMetrics)> =
        names.iter().zip(nodes).filter(|(_, node)| node.operator.state_bytes > 0).collect();
    holders.sort_by_key(|(_, node)| std::cmp::Reverse(node.operator.state_bytes));
    let named = holders.iter().take(NAMED_MAX).map(|(name, node)| {
        let operator = &node.operator;
        format!("{name} {} for {} keys", mebibytes(operator.state_bytes), operator.state_keys)
    });
    let (total, share) = (mebibytes(total_bytes), mebibytes(share_bytes));
    Err(Error::data(format!(
        "cannot keep {total} of state on worker {worker}, whose share of the memory is {share}: {}",
        named.collect::<Vec<_>>().join(", ")
    ))
    .with_hint(
        "give more with --memory, leave less with --reserve-memory, or bound the state: fewer keys, or a window",
    ))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(state_bytes: u64, state_keys: u64) -> NodeMetrics {
        let mut metrics = NodeMetrics::default();
        (metrics.operator.state_bytes, metrics.operator.state_keys) = (state_bytes, state_keys);
        metrics
    }

    #[test]
    fn the_largest_come_first() {
        let names = ["source t (datagen)", "LocalAggregate", "GroupAggregate"].map(str::to_owned);
        let nodes = [node(0, 0), node(1 << 20, 100), node(3 << 20, 300)];
        assert!(check(0, 4 << 20, &names, &nodes).is_ok());
        expect_test::expect![
            "cannot keep 4.0 MiB of state on worker 1, whose share of the memory is 3.0 MiB: \
             GroupAggregate 3.0 MiB for 300 keys, LocalAggregate 1.0 MiB for 100 keys"
        ]
        .assert_eq(&check(1, 3 << 20, &names, &nodes).unwrap_err().to_string());
    }
}
