//! One piece of SQL in two dialects that grow together: Flink's for the engine, DataFusion's for the oracle.

/// One piece of SQL in both dialects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    pub ours: String,
    pub oracle: String,
}

/// Fills both dialects' text into one template.
macro_rules! sql {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::equivalence::dialects::filled($template, $template, &[$($part.clone()),*])
    };
}

/// Fills each dialect's text into its own template.
macro_rules! two {
    ($ours:literal, $oracle:literal $(, $part:expr)* $(,)?) => {
        $crate::equivalence::dialects::filled($ours, $oracle, &[$($part.clone()),*])
    };
}

pub(super) use {sql, two};

/// Puts the parts, which are drawn once for both dialects, in the places of `{}`.
pub fn filled(ours: &str, oracle: &str, parts: &[Sql]) -> Sql {
    let fill = |template: &str, side: fn(&Sql) -> &str| {
        let mut pieces = template.split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        let mut left = parts.iter();
        for piece in pieces {
            text += side(left.next().expect("a part for every place"));
            text += piece;
        }
        assert!(left.next().is_none(), "a place for every part");
        text
    };
    Sql { ours: fill(ours, |part| &part.ours), oracle: fill(oracle, |part| &part.oracle) }
}

pub fn same(text: impl Into<String>) -> Sql {
    let ours = text.into();
    Sql { oracle: ours.clone(), ours }
}

pub fn joined(parts: &[Sql], separator: &str) -> Sql {
    let join = |side: fn(&Sql) -> &str| parts.iter().map(side).collect::<Vec<_>>().join(separator);
    Sql { ours: join(|part| &part.ours), oracle: join(|part| &part.oracle) }
}
