//! Tests of JSON decoding.
