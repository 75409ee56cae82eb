//! Tables of results: as Markdown for the docs, as aligned text for a terminal.

/// Head and rows; the first column names, the others are figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Sentences below it.
    pub notes: Vec<String>,
}

impl Table {
    pub fn new<const N: usize>(head: [&str; N]) -> Table {
        Table { head: head.map(str::to_owned).to_vec(), ..Table::default() }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|---{}|\n", "|--:".repeat(self.head.len().saturating_sub(1)));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        self.with_notes(line(&self.head) + &rule + &rows)
    }

    pub fn text(&self) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut text = String::new();
        for cells in &lines {
            for (column, cell) in cells.iter().enumerate() {
                let width = width(column);
                text += &if column == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") };
            }
            text.push('\n');
        }
        self.with_notes(text)
    }

    fn with_notes(&self, text: String) -> String {
        if self.notes.is_empty() { text } else { format!("{text}\n{}\n", self.notes.join(" ")) }
    }
}

/// A figure that may be missing, with so many decimals.
pub fn decimals(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}"))
}

/// In millions, with three digits that mean something.
pub fn millions(value: Option<f64>) -> String {
    let places = match value.map(|value| value / 1e6) {
        Some(value) if value >= 100.0 => 0,
        Some(value) if value >= 10.0 => 1,
        _ => 2,
    };
    decimals(value.map(|value| value / 1e6), places)
}

/// A duration in the unit in which it is easily read.
pub fn duration(ns: Option<f64>) -> String {
    match ns {
        None => "-".to_owned(),
        Some(ns) if ns < 1e3 => format!("{ns:.0} ns"),
        Some(ns) if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        Some(ns) if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        Some(ns) => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_as_markdown_and_as_text() {
        let mut table = Table::new(["what", "M rows/s"]);
        table.row(["a|b".to_owned(), millions(Some(1.2345e8))]);
        table.row(["long name".to_owned(), millions(Some(1.2345e6))]);
        table.note("Medians.");
        table.note("Checked.");
        expect_test::expect![[r#"
            | what | M rows/s |
            |---|--:|
            | a\|b | 123 |
            | long name | 1.23 |

            Medians. Checked.
        "#]]
        .assert_eq(&table.markdown());
        expect_test::expect![[r#"
            what       M rows/s
            a|b             123
            long name      1.23

            Medians. Checked.
        "#]]
        .assert_eq(&table.text());
    }

    #[test]
    fn figures_are_short() {
        let told = [None, Some(12.0), Some(1_234.0), Some(1_234_567.0), Some(2.5e9)].map(duration);
        assert_eq!(told, ["-", "12 ns", "1.2 us", "1.23 ms", "2.50 s"]);
        assert_eq!([None, Some(45_000_000.0)].map(millions), ["-", "45.0"]);
    }
}
