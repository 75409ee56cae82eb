//! Digests of text as lower-case hexadecimal digits.

use arrow::array::ArrayRef;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::call::Call;
use super::encoding::write_hex;
use super::function::constant_long;

fn write_digest<D: Digest>(text: &str, out: &mut String) {
    write_hex(&D::digest(text.as_bytes()), false, out);
}

fn digest<D: Digest>(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        write_digest::<D>(text.at(row), out);
        Ok(true)
    })
}

pub(super) fn md5(call: &Call) -> Result<ArrayRef> {
    digest::<Md5>(call)
}

pub(super) fn sha1(call: &Call) -> Result<ArrayRef> {
    digest::<Sha1>(call)
}

pub(super) fn sha224(call: &Call) -> Result<ArrayRef> {
    digest::<Sha224>(call)
}

pub(super) fn sha256(call: &Call) -> Result<ArrayRef> {
    digest::<Sha256>(call)
}

pub(super) fn sha384(call: &Call) -> Result<ArrayRef> {
    digest::<Sha384>(call)
}

pub(super) fn sha512(call: &Call) -> Result<ArrayRef> {
    digest::<Sha512>(call)
}

/// `SHA2(text, bits)`.
pub(super) fn sha2(call: &Call) -> Result<ArrayRef> {
    let (text, bits) = (call.text(0)?, call.longs(1)?);
    call.write_texts(|row, out| {
        let write = match bits.at(row) {
            224 => write_digest::<Sha224>,
            256 => write_digest::<Sha256>,
            384 => write_digest::<Sha384>,
            512 => write_digest::<Sha512>,
            other => return exec_err!("SHA2 makes 224, 256, 384 or 512 bits, not {other}"),
        };
        write(text.at(row), out);
        Ok(true)
    })
}

pub(super) fn check_bits(args: &ReturnFieldArgs) -> Result<()> {
    match constant_long(args, 1) {
        None | Some(224 | 256 | 384 | 512) => Ok(()),
        Some(other) => plan_err!("SHA2 makes 224, 256, 384 or 512 bits, not {other}"),
    }
}
