//! The bounds of what the parser takes, each with its reason.
//!
//! A script may come from a network peer. Without these a kilobyte of parentheses takes the
//! stack and a line of `a + a + a` builds a tree that cannot be dropped without recursion.

/// Bytes of one script. Far above what people write; generated scripts go in several files.
pub const SQL_BYTES_MAX: usize = 4 << 20;

/// Levels of nesting of expressions, subqueries and types. Each costs several kilobytes of
/// stack in the parser and again in the planner, whose threads have two megabytes.
pub const SQL_DEPTH_MAX: usize = 64;

/// Operators chained on one level, as in `a AND b AND c`. A chain is a tree as deep as it is
/// long, and dropping, printing and planning it recurse.
pub const SQL_CHAIN_MAX: usize = 1_024;

/// Doubled parentheses around a subquery, nested in each other. The parser tries two readings of
/// each before it can say what is wrong, so the cost of a mistake doubles with every level.
pub const SQL_DOUBLED_PARENTHESES_MAX: usize = 8;

/// Expressions the parser may try per token before it gives up. Backtracking tries a
/// few; a statement that needs more is built to waste time.
pub const SQL_ATTEMPTS_PER_TOKEN_MAX: usize = 64;

const _: () = assert!(SQL_DOUBLED_PARENTHESES_MAX < SQL_DEPTH_MAX);
