//! Parentheses in a statement that does not parse, and what a subquery between them has wrong.
//!
//! sqlparser tries several readings of a parenthesis in FROM and tells the fault of the last one,
//! which is rarely the one that was meant. So the subquery that holds the fault is read on its own.

use std::ops::Range;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::words::is_word;

/// The innermost parenthesis that is never closed.
pub(super) fn unclosed(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(index),
            Token::RParen => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// The innermost subquery that holds the token at `fault`, with the parenthesis that closes it
/// if one does, where it opens behind `after`.
pub(super) fn subquery_around(tokens: &[TokenWithSpan], fault: usize, after: Option<usize>) -> Option<Range<usize>> {
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate().take(fault + 1) {
        match token.token {
            Token::LParen => open.push(index),
            Token::RParen if index < fault => drop(open.pop()),
            _ => {}
        }
    }
    let begins_query = |open: &usize| {
        tokens
            .get(open + 1)
            .is_some_and(|token| ["SELECT", "WITH", "VALUES"].iter().any(|word| is_word(&token.token, word)))
    };
    let open = open.into_iter().rev().find(begins_query).filter(|open| after.is_none_or(|after| after < *open))?;
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open + 1) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return Some(open..index + 1),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    Some(open..tokens.len())
}
