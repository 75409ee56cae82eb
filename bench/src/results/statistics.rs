//! Several runs of one figure: median and spread, never a mean.
//!
//! A run can only be disturbed towards slower, and by any amount. A mean moves with the worst of
//! them; the median does not, and least and greatest show how far they were apart.

use serde::{Deserialize, Serialize};

/// One figure, measured several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Runs", into = "Summary")]
pub struct Figure {
    runs: Vec<f64>,
}

impl Figure {
    pub fn push(&mut self, value: f64) {
        self.runs.push(value);
    }

    pub fn runs(&self) -> &[f64] {
        &self.runs
    }

    /// The middle run; between the two in the middle where their number is even.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = sorted.get(middle)?;
        Some(if sorted.len() % 2 == 1 { *upper } else { (sorted[middle - 1] + upper) / 2.0 })
    }

    pub fn least(&self) -> Option<f64> {
        self.runs.iter().copied().min_by(f64::total_cmp)
    }

    pub fn greatest(&self) -> Option<f64> {
        self.runs.iter().copied().max_by(f64::total_cmp)
    }
}

impl FromIterator<f64> for Figure {
    fn from_iter<I: IntoIterator<Item = f64>>(runs: I) -> Figure {
        Figure { runs: runs.into_iter().collect() }
    }
}

/// How a figure is read: what follows from the runs is not believed but computed again.
#[derive(Deserialize)]
struct Runs {
    runs: Vec<f64>,
}

impl From<Runs> for Figure {
    fn from(read: Runs) -> Figure {
        Figure { runs: read.runs }
    }
}

/// How a figure is written, for readers without this program.
#[derive(Serialize)]
struct Summary {
    median: Option<f64>,
    least: Option<f64>,
    greatest: Option<f64>,
    runs: Vec<f64>,
}

impl From<Figure> for Summary {
    fn from(figure: Figure) -> Summary {
        Summary { median: figure.median(), least: figure.least(), greatest: figure.greatest(), runs: figure.runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(runs: &[f64]) -> Figure {
        runs.iter().copied().collect()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(figure(&[]).median(), None);
        assert_eq!(figure(&[3.0]).median(), Some(3.0));
        assert_eq!(figure(&[9.0, 1.0, 2.0]).median(), Some(2.0));
        assert_eq!(figure(&[9.0, 1.0, 2.0, 4.0]).median(), Some(3.0));
    }

    #[test]
    fn one_slow_run_moves_the_spread_alone() {
        let steady = figure(&[10.0, 10.5, 11.0]);
        let disturbed = figure(&[10.0, 10.5, 1100.0]);
        assert_eq!(steady.median(), disturbed.median());
        assert_eq!((disturbed.least(), disturbed.greatest()), (Some(10.0), Some(1100.0)));
    }
}
