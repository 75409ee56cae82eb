//! Tests of CSV decoding.
