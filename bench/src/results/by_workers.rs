//! Figures by number of workers, for plots.

use super::plot::{Axis, Mark, Scale};
use super::{Point, Results};

/// Numbers of workers, doubling from tick to tick.
pub fn workers_axis(results: &Results) -> Axis {
    let mut counts: Vec<usize> = results.points.iter().filter_map(Point::workers).collect();
    counts.sort_unstable();
    counts.dedup();
    Axis {
        label: "workers".to_owned(),
        scale: Scale::Logarithmic,
        ticks: counts.into_iter().map(|count| (count as f64, count.to_string())).collect(),
    }
}

/// A figure by number of workers.
pub fn marks<'a>(points: impl Iterator<Item = &'a Point>, figure: &str, scale: f64) -> Vec<Mark> {
    let mark = |point: &Point| {
        let figure = point.figures.get(figure)?;
        Some(Mark {
            x: point.workers()? as f64,
            y: figure.median()? / scale,
            least: figure.least()? / scale,
            greatest: figure.greatest()? / scale,
        })
    };
    points.filter_map(mark).collect()
}
