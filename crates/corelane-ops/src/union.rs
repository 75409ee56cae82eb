//! `UNION ALL`: rows of every port, as they come.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorSpec, Output, Progress, Result, StateBound,
};

/// Any number of ports whose columns have the same types; the names are those of `schema`.
#[derive(Clone, Debug)]
pub struct UnionSpec {
    pub schema: SchemaRef,
}

impl OperatorSpec for UnionSpec {
    fn name(&self) -> &'static str {
        "Union"
    }

    fn detail(&self) -> String {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        format!("all=[{}]", names.join(", "))
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn build(&self, _context: &OperatorContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Union { schema: Arc::clone(&self.schema) }))
    }
}

struct Union {
    schema: SchemaRef,
}

impl Operator for Union {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let (rows, kinds) = batch.into_parts();
        let rows = renamed(rows, &self.schema)?;
        out.emit(match kinds {
            Some(kinds) => ChangelogBatch::new(rows, kinds),
            None => ChangelogBatch::append(rows),
        });
        Ok(Progress::Done)
    }

    fn snapshot(&mut self, _state: &mut dyn StateWriter) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

/// The same columns under the names of another schema.
fn renamed(rows: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if Arc::ptr_eq(rows.schema_ref(), schema) {
        return Ok(rows);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), rows.columns().to_vec(), &options)
        .map_err(|error| Error::internal(format!("the inputs of a union differ: {error}")))
}
