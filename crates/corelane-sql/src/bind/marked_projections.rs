//! Marks that tell projections apart, because two that look alike need not be one.
//!
//! In `SELECT q + 1 AS q FROM (SELECT q + 1 AS q FROM t)` both projections have the same expressions, and
//! DataFusion's rule that merges projections (55.2, `merge_consecutive_projections`) takes the second for
//! needless. So every named expression carries the number of its projection until the plan is lowered.

use std::collections::BTreeMap;

use datafusion_common::Result;
use datafusion_common::metadata::FieldMetadata;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::{Expr, LogicalPlan, Projection};

/// Field metadata with the number of a projection.
pub(crate) const PROJECTION_KEY: &str = "corelane.projection";

/// Numbers the projections of a plan.
pub(super) fn marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut number = 0_u32;
    let marked = plan.transform_up(|plan| {
        let LogicalPlan::Projection(projection) = plan else { return plan.recompute_schema().map(Transformed::yes) };
        number += 1;
        let mark = |expression: &Expr| match expression {
            Expr::Alias(alias) => {
                let mut metadata =
                    alias.metadata.as_ref().map_or_else(BTreeMap::new, |metadata| metadata.inner().clone());
                metadata.insert(PROJECTION_KEY.to_owned(), number.to_string());
                Expr::Alias(alias.clone().with_metadata(Some(FieldMetadata::new(metadata))))
            }
            other => other.clone(),
        };
        let expressions = projection.expr.iter().map(mark).collect();
        Projection::try_new(expressions, projection.input).map(LogicalPlan::Projection).map(Transformed::yes)
    });
    marked.map(|plan| plan.data)
}
