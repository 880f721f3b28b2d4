//! A plot: lines in a frame with two axes, as SVG, and a legend beside it that nothing can cover.

use std::fmt::Write;

use super::axis::Axis;
use super::page::escape;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 56.0;

/// Colours of lines; the page says which they are, in light and in dark.
const COLOURS: usize = 8;

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Mixed,
    Dotted,
}

impl Dash {
    fn pattern(self) -> &'static str {
        match self {
            Self::Solid => "none",
            Self::Dashed => "7 4",
            Self::Mixed => "9 3 2 3",
            Self::Dotted => "2 4",
        }
    }
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    colour: usize,
    dash: Dash,
    is_marked: bool,
}

impl Series {
    pub(super) fn new(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let is_number = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        Self {
            name: name.to_owned(),
            points: points.into_iter().filter(is_number).collect(),
            colour: 0,
            dash: Dash::Solid,
            is_marked: false,
        }
    }

    /// Lines of one target have one colour, in all plots of a point, and differ in their dashes.
    pub(super) fn coloured(self, target: usize) -> Self {
        Self {
            colour: target % COLOURS,
            ..self
        }
    }

    pub(super) fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    /// With a dot at each point.
    pub(super) fn marked(self) -> Self {
        Self {
            is_marked: true,
            ..self
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    pub(super) fn xs(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|point| point.0)
    }

    pub(super) fn ys(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|point| point.1)
    }
}

/// A plot with its legend.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

impl Plot {
    /// None without a line.
    pub(super) fn new(title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Option<Self> {
        (!series.is_empty()).then(|| Self {
            title: title.to_owned(),
            x,
            y,
            series,
        })
    }

    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        let title = escape(&self.title);
        // Writing to a string does not fail.
        write!(
            out,
            "<figure>\n<figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\">\n"
        )
        .ok();
        self.draw_axes(&mut out);
        for series in &self.series {
            self.draw_line(&mut out, series);
        }
        out.push_str("</svg>\n<ul class=\"legend\">\n");
        for series in &self.series {
            let (name, dash, colour) = (escape(&series.name), series.dash.pattern(), series.colour);
            writeln!(
                out,
                "<li><svg viewBox=\"0 0 30 8\" class=\"key\"><line x1=\"0\" y1=\"4\" x2=\"30\" y2=\"4\" class=\"line \
                 c{colour}\" stroke-dasharray=\"{dash}\"/></svg>{name}</li>"
            )
            .ok();
        }
        out.push_str("</ul>\n</figure>\n");
        out
    }

    fn x_of(&self, value: f64) -> f64 {
        self.x.place(value).mul_add(WIDTH - LEFT - RIGHT, LEFT)
    }

    fn y_of(&self, value: f64) -> f64 {
        let bottom = HEIGHT - BOTTOM;
        bottom - self.y.place(value) * (bottom - TOP)
    }

    fn draw_axes(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, text) in self.x.ticks() {
            let x = self.x_of(value);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/><text class=\"tick\" \
                 x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escape(&text)
            )
            .ok();
        }
        for (value, text) in self.y.ticks() {
            let y = self.y_of(value);
            writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/><text class=\"tick\" \
                 x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(&text)
            )
            .ok();
        }
        writeln!(
            out,
            "<path class=\"frame\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\n<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>\n<text class=\"label\" transform=\"translate(16 {:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 10.0,
            escape(&self.x.label),
            f64::midpoint(TOP, bottom),
            escape(&self.y.label)
        )
        .ok();
    }

    fn draw_line(&self, out: &mut String, series: &Series) {
        let colour = series.colour;
        let places: Vec<(f64, f64)> = series
            .points
            .iter()
            .map(|&(x, y)| (self.x_of(x), self.y_of(y)))
            .collect();
        let points: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let dash = series.dash.pattern();
        writeln!(
            out,
            "<polyline class=\"line c{colour}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            points.join(" ")
        )
        .ok();
        if series.is_marked {
            for (x, y) in places {
                writeln!(
                    out,
                    "<circle class=\"dot c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
                )
                .ok();
            }
        }
    }
}
