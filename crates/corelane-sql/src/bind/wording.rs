//! The planner's messages about types and names, in SQL's words.
//!
//! DataFusion speaks of coercion, schemas and plans. Whoever wrote the statement speaks of values
//! and what they can be used for; so what is said often is said anew.

use crate::error::SqlError;

/// The error with its message in SQL's words, if it is one of those known here.
pub(super) fn in_sql_words(mut error: SqlError) -> SqlError {
    if let Some((message, hint)) = reworded(&error.message) {
        error.message = message;
        error.hint = hint.map(str::to_owned).or(error.hint);
    }
    error
}

type Worded = (String, Option<&'static str>);

fn reworded(message: &str) -> Option<Worded> {
    let starting = |start: &str| message.strip_prefix(start);
    if let Some(rest) = starting("cannot coerce arithmetic expression ") {
        return arithmetic(rest.strip_suffix(" to valid types")?);
    }
    if let Some(rest) = starting("cannot get result type for temporal operation ") {
        return arithmetic(rest.split(": ").next()?);
    }
    if let Some(rest) = starting("cannot automatically convert ") {
        let (given, wanted) = rest.split_once(" to ")?;
        return Some((format!("{given} stands where {wanted} is wanted"), Some("write a CAST if that is meant")));
    }
    if let Some(rest) = starting("cannot infer common argument type for comparison operation ") {
        const COMPARISONS: [&str; 9] =
            [" = ", " != ", " <> ", " <= ", " >= ", " < ", " > ", " IS DISTINCT FROM ", " IS NOT DISTINCT FROM "];
        let (left, right) = COMPARISONS.iter().find_map(|comparison| rest.split_once(comparison))?;
        return Some(compared(left, right));
    }
    if let Some(rest) = starting("failed to coerce types ") {
        let (left, right) = rest.split(" in ").next()?.split_once(" and ")?;
        return Some(compared(left, right));
    }
    if let Some(rest) = starting("cannot infer common argument type for logical boolean operation ") {
        let (word, (left, right)) =
            ["AND", "OR"].iter().find_map(|word| Some((word, rest.split_once(&format!(" {word} "))?)))?;
        let given = if left == "BOOLEAN" { right } else { left };
        return Some((format!("{word} takes conditions, not {given}"), None));
    }
    if let Some(rest) = starting("there isn't a common type to coerce ") {
        let (left, right) = rest.split(" in ").next()?.split_once(" and ")?;
        let given = if left == "STRING" { right } else { left };
        return Some((format!("LIKE takes texts, not {given}"), Some("CAST(x AS STRING) makes a text of it")));
    }
    if let Some(qualifier) = starting("invalid qualifier ") {
        return Some((format!("there is no table {qualifier} in FROM"), None));
    }
    if let Some(rest) = starting("schema contains qualified field name ") {
        let (_, name) = rest.split_once(" and unqualified field name ")?;
        let name = name.split(" which would be ambiguous").next()?;
        return Some((format!("column '{name}' is not one of the result"), None));
    }
    if message.starts_with("UNION queries have different number of columns") {
        let hint = "give as many columns on one side as on the other";
        return Some(("the queries of a UNION have different numbers of columns".to_owned(), Some(hint)));
    }
    if let Some(rest) = starting("WITH query name ") {
        let name = rest.strip_suffix(" specified more than once")?;
        return Some((format!("a WITH inside another has its name {name} again"), Some("give it a name of its own")));
    }
    if let Some(rest) = starting("inconsistent data type across values list ") {
        let (one, other) = rest.split_once("Was ")?.1.split_once(" but found ")?;
        let hint = "cast one to the other's type";
        return Some((format!("VALUES gives {one} here and {other} there"), Some(hint)));
    }
    if message.starts_with("inconsistent data length across values list") {
        return Some(("the rows of VALUES have different numbers of values".to_owned(), None));
    }
    if let Some(rest) = starting("the window ") {
        return Some((format!("the window {}", rest.trim_end_matches('!')), None));
    }
    if let Some(rest) = starting("field ") {
        let name = rest.strip_suffix(" not found in struct")?;
        return Some((format!("there is no field '{name}' in the ROW"), None));
    }
    if let Some(rest) = starting("cannot access field at argument ") {
        let (_, given) = rest.split_once(": type ")?;
        let given = given.strip_suffix(" is not Struct, Map, or NULL")?;
        return Some((format!("{given} has no fields: a dot goes into a ROW"), None));
    }
    if message == "divide by zero error" {
        return Some(("division by zero".to_owned(), None));
    }
    if let Some(rest) = starting("arithmetic overflow: Overflow") {
        return Some((format!("overflow{rest}"), None));
    }
    if message.starts_with("physical plan does not support logical expression") {
        return Some(("an expression of this kind is not supported here".to_owned(), None));
    }
    None
}

/// `INT + STRING`: an operator that has no meaning for its operands.
fn arithmetic(operation: &str) -> Option<Worded> {
    let (operator, (left, right)) = ["+", "-", "*", "/", "%"]
        .into_iter()
        .find_map(|operator| Some((operator, operation.split_once(&format!(" {operator} "))?)))?;
    let hint = match (left, right) {
        ("STRING", "STRING") if operator == "+" => Some("texts are put together by ||"),
        ("STRING", _) | (_, "STRING") => Some("CAST the text to a number, or put texts together by ||"),
        _ => None,
    };
    Some((format!("{operator} does not go with {left} and {right}"), hint))
}

fn compared(left: &str, right: &str) -> Worded {
    (format!("{left} and {right} cannot be compared"), Some("cast one to the other's type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> String {
        in_sql_words(SqlError::new(message)).message
    }

    #[test]
    fn types_that_do_not_go_together() {
        assert_eq!(
            said("cannot coerce arithmetic expression DECIMAL(10, 2) - STRING to valid types"),
            "- does not go with DECIMAL(10, 2) and STRING"
        );
        assert_eq!(
            said("cannot get result type for temporal operation TIMESTAMP(3) + TIMESTAMP(3): invalid"),
            "+ does not go with TIMESTAMP(3) and TIMESTAMP(3)"
        );
        assert_eq!(
            said("cannot infer common argument type for comparison operation ARRAY<INT> = INT"),
            "ARRAY<INT> and INT cannot be compared"
        );
        assert_eq!(
            said("cannot infer common argument type for logical boolean operation BOOLEAN OR INT"),
            "OR takes conditions, not INT"
        );
        assert_eq!(
            said("inconsistent data type across values list at row 1 column 0. Was INT but found DATE"),
            "VALUES gives INT here and DATE there"
        );
        assert_eq!(said("field zz not found in struct"), "there is no field 'zz' in the ROW");
        assert_eq!(
            said("cannot access field at argument 1: type INT is not Struct, Map, or NULL"),
            "INT has no fields: a dot goes into a ROW"
        );
        assert_eq!(
            said("there isn't a common type to coerce INT and STRING in LIKE expression"),
            "LIKE takes texts, not INT"
        );
    }

    #[test]
    fn other_messages_stay() {
        assert_eq!(said("column 'x' not found"), "column 'x' not found");
    }
}
