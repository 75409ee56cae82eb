//! `LIKE .. ESCAPE` and `SIMILAR TO`, brought to what the kernels know.
//!
//! Arrow's LIKE takes a backslash for its escape, SQL none but the one that is declared; and
//! SQL's regular expressions have `%` and `_`, and match the whole text. Patterns are nearly
//! always literals, so they are translated as the query is read.

use sqlparser::ast::{Expr, UnaryOperator, Value, ValueWithSpan};

use super::rewrite::{call, text};
use crate::error::SqlError;

/// Rewrites one expression if it matches a pattern.
pub(super) fn rewrite(expression: &mut Expr) -> Result<(), SqlError> {
    match expression {
        Expr::Like { pattern, escape_char, .. } => {
            let escape = escape(escape_char.take())?;
            let Some(written) = literal(pattern) else {
                return match escape {
                    None => Ok(()),
                    Some(_) => {
                        Err(SqlError::new("LIKE .. ESCAPE with a pattern that is no literal is not supported yet")
                            .at_node(pattern.as_ref()))
                    }
                };
            };
            let like = like_pattern(&written, escape).map_err(|error| error.at_node(pattern.as_ref()))?;
            **pattern = text(&like);
            Ok(())
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let escape = escape(escape_char.take())?;
            let Some(written) = literal(pattern) else {
                return Err(SqlError::new("SIMILAR TO with a pattern that is no literal is not supported yet")
                    .at_node(pattern.as_ref()));
            };
            let regex = similar_pattern(&written, escape).map_err(|error| error.at_node(pattern.as_ref()))?;
            let matches = call("regexp", vec![expr.as_ref().clone(), text(&regex)]);
            *expression = if *negated {
                Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) }))
            } else {
                matches
            };
            Ok(())
        }
        _ => Ok(()),
    }
}

fn literal(pattern: &Expr) -> Option<String> {
    match pattern {
        Expr::Value(value) => value.clone().into_string(),
        _ => None,
    }
}

fn escape(given: Option<ValueWithSpan>) -> Result<Option<char>, SqlError> {
    let Some(given) = given else { return Ok(None) };
    let mut letters = match &given.value {
        Value::SingleQuotedString(letters) => letters.chars(),
        _ => "".chars(),
    };
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Ok(Some(letter)),
        _ => Err(SqlError::new("ESCAPE takes one character")),
    }
}

/// The characters of a pattern, each with whether it was escaped.
fn characters(pattern: &str, escape: Option<char>) -> Result<Vec<(char, bool)>, SqlError> {
    let mut characters = Vec::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) != escape {
            characters.push((letter, false));
            continue;
        }
        match letters.next() {
            Some(escaped) if matches!(escaped, '%' | '_') || Some(escaped) == escape => {
                characters.push((escaped, true));
            }
            _ => {
                return Err(SqlError::new(format!(
                    "in pattern '{pattern}' nothing that {letter:?} escapes follows it"
                )));
            }
        }
    }
    Ok(characters)
}

/// The same pattern with backslashes for its escapes.
fn like_pattern(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let mut like = String::with_capacity(pattern.len());
    for (letter, escaped) in characters(pattern, escape)? {
        if letter == '\\' || (escaped && matches!(letter, '%' | '_')) {
            like.push('\\');
        }
        like.push(letter);
    }
    Ok(like)
}

/// SQL's regular expression as one of the regex crate that matches the whole text.
fn similar_pattern(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let mut regex = String::from("^(?s:");
    for (letter, escaped) in characters(pattern, escape)? {
        match letter {
            '%' if !escaped => regex.push_str(".*"),
            '_' if !escaped => regex.push('.'),
            '.' | '$' | '\\' => regex.extend(['\\', letter]),
            '^' if !regex.ends_with('[') => regex.push_str("\\^"),
            _ if escaped && !letter.is_alphanumeric() => regex.extend(['\\', letter]),
            _ => regex.push(letter),
        }
    }
    regex.push_str(")$");
    Ok(regex)
}
