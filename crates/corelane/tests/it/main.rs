//! Whole jobs, from SQL text to rows, against oracles and goldens. One binary, so that it links once.

mod answers;
mod command_line;
mod equivalence;
mod faults;
mod harness;
mod inferred;
mod late;
mod nexmark;
mod program;
mod slt;
mod written_tables;
