//! Pages of the reference, made from the tables that the program itself works by.

/// The page of connectors and their options, as Markdown.
pub fn connectors() -> String {
    String::new()
}

/// The page of functions, as Markdown.
pub fn functions() -> String {
    String::new()
}
