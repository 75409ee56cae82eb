//! Plots as SVG, written by hand: lines with their spread, in one panel or several.
//!
//! A plotting library would be the largest dependency of the benchmarks, for a few lines and
//! labels. The text is deterministic, so a plot can be checked against the results it shows.

use std::fmt::Write;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;
const TITLE: f64 = 34.0;
const LEGEND_LINE: f64 = 20.0;

/// Told apart also by those who do not tell red from green (Okabe and Ito, 2008).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00"];

/// One picture.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    pub title: String,
    pub panels: Vec<Panel>,
    /// Panels beside each other.
    pub columns: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, Default)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    /// Where lines of the grid are, and what they say; none: chosen from the marks.
    pub ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    #[default]
    Linear,
    Logarithmic,
}

/// Marks that belong together. A name has the same colour in all panels.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub name: String,
    pub marks: Vec<Mark>,
    /// A line that was not measured: an ideal, a projection.
    pub dashed: bool,
}

/// A median and its spread.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub x: f64,
    pub y: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Plot {
    pub fn svg(&self) -> String {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let lines = self.panels.len().div_ceil(columns);
        let names = self.names();
        let per_line = (columns * 2).max(1);
        let legend = names.len().div_ceil(per_line) as f64 * LEGEND_LINE + 8.0;
        let (width, height) = (columns as f64 * WIDTH, TITLE + lines as f64 * HEIGHT + legend);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        text(&mut svg, (width / 2.0, 22.0), "middle", 14.0, &self.title);
        for (index, panel) in self.panels.iter().enumerate() {
            let place = ((index % columns) as f64 * WIDTH, TITLE + (index / columns) as f64 * HEIGHT);
            panel.draw(&mut svg, place, &names);
        }
        for (index, name) in names.iter().enumerate() {
            let x = LEFT + (index % per_line) as f64 * (width - LEFT) / per_line.min(names.len()) as f64;
            let y = TITLE + lines as f64 * HEIGHT + (index / per_line) as f64 * LEGEND_LINE + 8.0;
            let dashed = self.panels.iter().flat_map(|panel| &panel.series).any(|it| it.name == *name && it.dashed);
            let dash = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let (end, middle, colour) = (x + 22.0, y - 4.0, colour(&names, name));
            // Writing to a string does not fail.
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{middle:.1}\" x2=\"{end:.1}\" y2=\"{middle:.1}\" stroke=\"{colour}\" \
                 stroke-width=\"2\"{dash}/>"
            );
            text(&mut svg, (x + 28.0, y), "start", 11.0, name);
        }
        svg + "</svg>\n"
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }
}

fn colour(names: &[&str], name: &str) -> &'static str {
    COLOURS[names.iter().position(|known| *known == name).unwrap_or(0) % COLOURS.len()]
}

/// How values become places on one axis.
struct Range {
    low: f64,
    high: f64,
    scale: Scale,
}

impl Range {
    fn of(axis: &Axis, values: impl Iterator<Item = f64>) -> Range {
        let ticks = axis.ticks.iter().map(|(at, _)| *at);
        let usable = |value: &f64| value.is_finite() && (axis.scale == Scale::Linear || *value > 0.0);
        let values: Vec<f64> = values.chain(ticks).filter(usable).collect();
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        match axis.scale {
            _ if values.is_empty() => Range { low: 0.0, high: 1.0, scale: Scale::Linear },
            Scale::Linear => Range { low: 0.0, high: if most > 0.0 { most * 1.06 } else { 1.0 }, scale: axis.scale },
            Scale::Logarithmic => Range { low: least / 1.2, high: most * 1.2, scale: axis.scale },
        }
    }

    /// 0 at the low end, 1 at the high one.
    fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => {
                let (low, high) = (self.low.ln(), self.high.ln());
                (value.max(self.low).ln() - low) / (high - low)
            }
        }
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = round_step((self.high - self.low) / 5.0);
                (0..).map(|index| index as f64 * step).take_while(|at| *at <= self.high).map(named).collect()
            }
            Scale::Logarithmic => {
                let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
                let within = |at: &f64| self.low <= *at && *at <= self.high;
                decades.map(|power| 10f64.powi(power)).filter(within).map(named).collect()
            }
        }
    }
}

fn named(at: f64) -> (f64, String) {
    (at, format!("{}", (at * 1e6).round() / 1e6))
}

/// 1, 2 or 5 times a power of ten: the first that is not smaller.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| least <= step * power);
    step.unwrap_or(10.0) * power
}

impl Panel {
    fn draw(&self, svg: &mut String, place: (f64, f64), names: &[&str]) {
        let marks = || self.series.iter().flat_map(|series| &series.marks);
        let x_range = Range::of(&self.x, marks().map(|mark| mark.x));
        let y_range = Range::of(&self.y, marks().flat_map(|mark| [mark.y, mark.least, mark.greatest]));
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let x_at = |value: f64| place.0 + LEFT + x_range.share(value) * width;
        let y_at = |value: f64| place.1 + TOP + (1.0 - y_range.share(value)) * height;
        let (left, right, bottom) = (place.0 + LEFT, place.0 + LEFT + width, place.1 + TOP + height);
        text(svg, (left + width / 2.0, place.1 + TOP - 12.0), "middle", 12.0, &self.title);
        text(svg, (left + width / 2.0, bottom + 34.0), "middle", 11.0, &self.x.label);
        let y_ticks = if self.y.ticks.is_empty() { y_range.ticks() } else { self.y.ticks.clone() };
        for (value, label) in &y_ticks {
            line(svg, (left, y_at(*value)), (right, y_at(*value)), "stroke=\"#dddddd\"");
            text(svg, (left - 6.0, y_at(*value) + 4.0), "end", 10.0, label);
        }
        let x_ticks = if self.x.ticks.is_empty() { x_range.ticks() } else { self.x.ticks.clone() };
        for (value, label) in &x_ticks {
            line(svg, (x_at(*value), bottom), (x_at(*value), bottom + 4.0), "stroke=\"#444444\"");
            text(svg, (x_at(*value), bottom + 17.0), "middle", 10.0, label);
        }
        line(svg, (left, bottom), (right, bottom), "stroke=\"#444444\"");
        let (x, y) = (place.0 + 14.0, place.1 + TOP + height / 2.0);
        let label = escaped(&self.y.label);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {x:.1} {y:.1})\">{label}</text>"
        );
        for series in &self.series {
            let colour = colour(names, &series.name);
            let path: Vec<String> =
                series.marks.iter().map(|mark| format!("{:.1},{:.1}", x_at(mark.x), y_at(mark.y))).collect();
            let dash = if series.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
                path.join(" ")
            );
            for mark in series.marks.iter().filter(|_| !series.dashed) {
                let x = x_at(mark.x);
                let stroke = format!("stroke=\"{colour}\" stroke-width=\"1\"");
                line(svg, (x, y_at(mark.least)), (x, y_at(mark.greatest)), &stroke);
                let y = y_at(mark.y);
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), stroke: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {stroke}/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, place: (f64, f64), anchor: &str, size: f64, words: &str) {
    let words = escaped(words);
    let (x, y) = place;
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#222222\">{words}</text>"
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(x: f64, y: f64) -> Mark {
        Mark { x, y, least: y, greatest: y }
    }

    fn plot() -> Plot {
        let measured = Series {
            name: "S2 & co".to_owned(),
            marks: vec![Mark { x: 1.0, y: 50.0, least: 40.0, greatest: 60.0 }, mark(2.0, 100.0)],
            dashed: false,
        };
        let ideal = Series { name: "ideal".to_owned(), marks: vec![mark(1.0, 50.0), mark(2.0, 100.0)], dashed: true };
        let ticks = vec![(1.0, "1".to_owned()), (2.0, "2".to_owned())];
        let panel = Panel {
            title: "S2".to_owned(),
            x: Axis { label: "workers".to_owned(), scale: Scale::Logarithmic, ticks },
            y: Axis { label: "M rows/s".to_owned(), ..Axis::default() },
            series: vec![measured, ideal],
        };
        Plot { title: "Scaling <1>".to_owned(), panels: vec![panel.clone(), panel], columns: 2 }
    }

    #[test]
    fn a_plot_is_one_well_formed_picture() {
        let svg = plot().svg();
        assert_eq!(svg, plot().svg());
        assert_eq!(svg.matches("<svg").count(), 1);
        assert!(svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<polyline").count(), 4, "two series in two panels");
        assert_eq!(svg.matches("<circle").count(), 4, "a dashed line has no marks");
        assert!(svg.contains("S2 &amp; co") && svg.contains("Scaling &lt;1&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_plot_of_nothing_is_empty_and_not_broken() {
        let mut empty = plot();
        empty.panels[0].series.clear();
        empty.panels[1].series[0].marks.clear();
        let svg = empty.svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn steps_are_round() {
        let steps: Vec<f64> = [0.13, 1.0, 1.2, 3.0, 7.0, 450.0].into_iter().map(round_step).collect();
        for (step, expected) in steps.iter().zip([0.2, 1.0, 2.0, 5.0, 10.0, 500.0]) {
            assert!((step / expected - 1.0).abs() < 1e-9, "{steps:?}");
        }
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let range = Range::of(&Axis::default(), [90.0, 100.0].into_iter());
        assert_eq!(range.share(0.0), 0.0);
        assert!(range.share(100.0) < 1.0);
        let logarithmic = Axis { scale: Scale::Logarithmic, ..Axis::default() };
        let range = Range::of(&logarithmic, [1.0, 4.0].into_iter());
        assert!((range.share(2.0) - 0.5).abs() < 1e-9);
    }
}
