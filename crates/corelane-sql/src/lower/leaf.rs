//! Rows written in the query itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use corelane_ops::ValuesSource;
use corelane_stream::dataflow::SourceNode;
use corelane_stream::{ChangelogMode, Node, NodeKind};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::{EmptyRelation, Expr, Values};

use super::calc::{no_table_policy, physical, position_field};
use super::{Lowering, Relation, Wanted, physical_schema, planning};
use crate::error::SqlError;

impl Lowering {
    /// `VALUES (1, 'a'), (2, 'b')`.
    pub(super) fn values(&mut self, values: &Values, wanted: Wanted) -> Result<Relation, SqlError> {
        let schema = physical_schema(&values.schema);
        let mut columns: Vec<Vec<ScalarValue>> = vec![Vec::new(); schema.fields().len()];
        for row in &values.values {
            for (column, expression) in columns.iter_mut().zip(row) {
                column.push(constant_value(expression)?);
            }
        }
        let arrays = columns
            .into_iter()
            .zip(schema.fields())
            .map(|(column, field)| {
                let array = ScalarValue::iter_to_array(column)?;
                Ok(arrow::compute::cast(&array, field.data_type())?)
            })
            .collect::<Result<Vec<ArrayRef>, datafusion_common::DataFusionError>>()
            .map_err(planning)?;
        let rows = RecordBatch::try_new(schema, arrays).map_err(|error| SqlError::new(error.to_string()))?;
        Ok(self.literal_rows(rows, wanted))
    }

    /// `SELECT 1`: one row without columns; or no row at all.
    pub(super) fn empty(&mut self, empty: &EmptyRelation, wanted: Wanted) -> Result<Relation, SqlError> {
        let rows =
            if empty.produce_one_row { one_row() } else { RecordBatch::new_empty(physical_schema(&empty.schema)) };
        Ok(self.literal_rows(rows, wanted))
    }

    fn literal_rows(&mut self, rows: RecordBatch, wanted: Wanted) -> Relation {
        let source = ValuesSource::new(rows);
        let mut schema: SchemaRef = corelane_stream::SourceSpec::schema(&source);
        let mut spec: Arc<dyn corelane_stream::SourceSpec> = Arc::new(source);
        let mut place = None;
        if wanted.position {
            let mut fields = schema.fields().to_vec();
            fields.push(position_field());
            place = Some(fields.len() - 1);
            schema = Arc::new(arrow::datatypes::Schema::new(fields));
            spec = spec.with_schema(schema.clone()).expect("literal rows have positions");
        }
        let node = self.dataflow.add(Node {
            kind: NodeKind::Source(SourceNode { table: "VALUES".to_owned(), spec, watermark: None }),
            inputs: Vec::new(),
            schema: schema.clone(),
            changelog: ChangelogMode::Append,
        });
        let policy = no_table_policy();
        let source = policy.table.as_str().into();
        Relation { node, schema, position: place, origin: None, mode: ChangelogMode::Append, policy, source }
    }
}

/// The value of an expression without columns.
///
/// # Errors
/// If it has none, such as `1 / 0`.
pub(crate) fn constant_value(expression: &Expr) -> Result<ScalarValue, SqlError> {
    let value = physical(expression, &DFSchema::empty())?.evaluate(&one_row()).and_then(|value| value.into_array(1));
    value.and_then(|array| ScalarValue::try_from_array(&array, 0)).map_err(planning)
}

fn one_row() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::empty()), Vec::new(), &options)
        .expect("a batch may have rows and no columns")
}
