//! Types as SQL writes them.

use arrow::array::ArrayRef;
use corelane_stream::sql_type;
use datafusion_common::Result;

use super::call::Call;

pub(super) fn type_of(call: &Call) -> Result<ArrayRef> {
    let name = sql_type(call.argument(0)?.array.data_type());
    call.write_texts(|_, out| {
        out.push_str(&name);
        Ok(true)
    })
}
