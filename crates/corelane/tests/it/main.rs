//! Whole jobs, from SQL text to rows, against oracles and goldens. One binary, so that it links once.

mod answers;
mod equivalence;
mod harness;
mod nexmark;
