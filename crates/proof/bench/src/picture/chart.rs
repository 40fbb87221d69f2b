//! Two kinds of chart as SVG: horizontal bars, and lines with the spread of their points.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use ctc_bench::Failure;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const COLORS: [RGBColor; 4] = [
    RGBColor(27, 108, 168),
    RGBColor(209, 73, 91),
    RGBColor(82, 140, 110),
    RGBColor(141, 107, 148),
];
const WIDTH: u32 = 820;
const FONT: &str = "sans-serif";

/// The texts around a chart.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What is compared, and how to read it, in one line each.
    pub(super) notes: &'a [String],
    /// Machine and versions.
    pub(super) source: &'a str,
}

/// A measured value, and the quartiles around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) mid: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// The median of the values, and their quartiles.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| values.get(values.len() * part / 4).copied();
        let [low, mid, high] = [1, 2, 3].map(|part| at(part).unwrap_or_default());
        Self { low, mid, high }
    }

    pub(crate) fn exactly(value: f64) -> Self {
        Self {
            low: value,
            mid: value,
            high: value,
        }
    }
}

pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: Spread,
    /// The text behind the bar.
    pub(super) label: String,
    /// Whether it is one of ours.
    pub(super) ours: bool,
}

/// An axis with ticks at round values, which ends at the last one.
struct Axis {
    start: f64,
    ticks: Vec<f64>,
    logarithmic: bool,
}

impl Axis {
    fn linear(most: f64) -> Self {
        Self {
            start: 0.0,
            ticks: steps(most),
            logarithmic: false,
        }
    }

    fn logarithmic(start: f64, ticks: Vec<f64>) -> Self {
        Self {
            start,
            ticks,
            logarithmic: true,
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let Range { start, end } = self.range();
        let part = (scale(*value) - scale(start)) / (scale(end) - scale(start));
        from + (part * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.start..self.ticks.last().copied().unwrap_or(1.0)
    }
}

/// Draws horizontal bars, the first on top: from zero, or from a half if the axis is logarithmic.
pub(super) fn bars(
    file: &Path,
    frame: &Frame<'_>,
    axis: &str,
    bars: &[Bar],
    logarithmic: bool,
) -> Result<(), Failure> {
    let most = bars.iter().map(|bar| bar.value.high).fold(1.0, f64::max);
    let values = if logarithmic {
        Axis::logarithmic(0.5, decades(most))
    } else {
        Axis::linear(most)
    };
    let start = values.start;
    let height = 34 * u32::try_from(bars.len())? + 60;
    draw(file, frame, &[], height, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_right(130)
            .x_label_area_size(46)
            .y_label_area_size(240)
            .build_cartesian_2d(values, (0..bars.len() - 1).into_segmented())
            .map_err(text)?;
        let name = |row: &SegmentValue<usize>| match row {
            SegmentValue::CenterOf(row) => bars
                .iter()
                .rev()
                .nth(*row)
                .map_or("", |bar| &bar.name)
                .to_owned(),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc(axis)
            .x_label_formatter(&f64::to_string)
            .y_labels(bars.len())
            .y_label_formatter(&name)
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 14))
            .draw()
            .map_err(text)?;
        for (row, bar) in bars.iter().rev().enumerate() {
            let color = COLORS[usize::from(!bar.ours)];
            let (top, bottom) = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
            let mut shape = Rectangle::new([(start, top), (bar.value.mid, bottom)], color.filled());
            shape.set_margin(6, 6, 0, 0);
            let (low, high) = (bar.value.low, bar.value.high);
            let middle = SegmentValue::CenterOf(row);
            let ends = [(low, middle.clone()), (high, middle.clone())];
            let style = TextStyle::from((FONT, 14)).pos(Pos::new(HPos::Left, VPos::Center));
            let label =
                EmptyElement::at((high, middle)) + Text::new(bar.label.clone(), (6, 0), style);
            chart.plotting_area().draw(&shape).map_err(text)?;
            chart
                .plotting_area()
                .draw(&PathElement::new(ends, BLACK))
                .map_err(text)?;
            chart.plotting_area().draw(&label).map_err(text)?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, Spread)>,
}

/// Draws lines over a logarithmic axis, with ticks at the points of the first line.
pub(super) fn lines(
    file: &Path,
    frame: &Frame<'_>,
    (x_axis, y_axis): (&str, &str),
    lines: &[Line<'_>],
) -> Result<(), Failure> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let marks = lines
        .iter()
        .take(1)
        .flat_map(|line| &line.points)
        .map(|point| point.0);
    let x = Axis::logarithmic(1.0, marks.collect());
    let y = Axis::linear(points().map(|point| point.1.high).fold(0.0, f64::max));
    let key: Vec<_> = lines.iter().map(|line| line.name).collect();
    draw(file, frame, &key, 340, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_left(12)
            .margin_right(30)
            .x_label_area_size(46)
            .y_label_area_size(70)
            .build_cartesian_2d(x, y)
            .map_err(text)?;
        chart
            .configure_mesh()
            .x_desc(x_axis)
            .y_desc(y_axis)
            .x_label_formatter(&f64::to_string)
            .y_label_formatter(&f64::to_string)
            .light_line_style(TRANSPARENT)
            .label_style((FONT, 14))
            .axis_desc_style((FONT, 14))
            .draw()
            .map_err(text)?;
        for (line, color) in lines.iter().zip(COLORS) {
            let mids = line.points.iter().map(|(x, y)| (*x, y.mid));
            chart
                .draw_series(LineSeries::new(mids, color.stroke_width(2)).point_size(3))
                .map_err(text)?;
            let spreads = line
                .points
                .iter()
                .map(|(x, y)| ErrorBar::new_vertical(*x, y.low, y.mid, y.high, color.filled(), 8));
            chart.draw_series(spreads).map_err(text)?;
        }
        Ok(())
    })
}

/// Draws the frame with the key to the lines, and calls `inside` to fill it.
fn draw(
    file: &Path,
    frame: &Frame<'_>,
    key: &[&str],
    height: u32,
    inside: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let notes = 42 + 20 * i32::try_from(frame.notes.len())?;
    let head = notes + 10 + 20 * i32::try_from(key.len().div_ceil(2))?;
    let below = head + i32::try_from(height)?;
    let size = (WIDTH, u32::try_from(below)? + 26);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE).map_err(text)?;
    let gray = BLACK.mix(0.65);
    root.draw(&Text::new(frame.title, (20, 14), (FONT, 19)))
        .map_err(text)?;
    for (y, note) in (42..).step_by(20).zip(frame.notes) {
        root.draw(&Text::new(
            &**note,
            (20, y),
            (FONT, 14).into_font().color(&gray),
        ))
        .map_err(text)?;
    }
    for ((number, name), color) in (0..).zip(key).zip(COLORS) {
        let (x, y) = (20 + number % 2 * 390, notes + 8 + number / 2 * 20);
        let line = PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3));
        root.draw(&line).map_err(text)?;
        root.draw(&Text::new(*name, (x + 32, y - 6), (FONT, 14)))
            .map_err(text)?;
    }
    let source = (FONT, 12).into_font().color(&gray);
    root.draw(&Text::new(frame.source, (20, below + 6), source))
        .map_err(text)?;
    let (_, rest) = root.split_vertically(head);
    let (area, _) = rest.split_vertically(height);
    inside(&area)?;
    root.present().map_err(text)?;
    Ok(())
}

/// Returns round ticks from zero to at least `most`: four to nine steps of 1, 2 or 5 times a power
/// of ten.
fn steps(most: f64) -> Vec<f64> {
    let power = 10_f64.powf((most.max(1e-9) / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| most / step <= 8.0)
        .unwrap_or(power);
    let count = (most / step).ceil().max(1.0) as u32;
    (0..=count).map(|tick| f64::from(tick) * step).collect()
}

/// Returns 1, 10, 100 and so on, to at least `most`.
fn decades(most: f64) -> Vec<f64> {
    let last = most.log10().ceil().max(1.0) as i32;
    (0..=last).map(|power| 10_f64.powi(power)).collect()
}

/// Turns the error into text, because the error type of a backend borrows.
fn text(error: impl Error) -> Failure {
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_highest_value() {
        assert_eq!(steps(8.03), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            steps(337.0),
            [0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0]
        );
        assert_eq!(steps(1.0).last(), Some(&1.0));
        assert_eq!(decades(80.9), [1.0, 10.0, 100.0]);
    }

    #[test]
    fn a_spread_is_median_and_quartiles() {
        let Spread { low, mid, high } = Spread::of(vec![4.0, 1.0, 3.0, 5.0, 2.0]);
        assert_eq!((low, mid, high), (2.0, 3.0, 4.0));
    }
}
