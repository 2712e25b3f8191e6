//! Plots as SVG. They have no colours of their own: each part has a class, and the page says what a class looks like, in the
//! light and in the dark.

use maud::{Markup, html};

/// How an axis divides its range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Equal distances are equal differences; it begins at 0.
    Linear,
    /// Equal distances are equal ratios.
    Log,
}

/// What a plot shows along one of its sides.
pub struct Axis {
    /// What is on it.
    pub label: &'static str,
    /// How it is divided.
    pub scale: Scale,
}

/// How a curve is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Straight lines between its points.
    Line,
    /// The points, with lines between them.
    Points,
    /// The points alone.
    Dots,
}

/// A curve.
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// What it looks like: a class of the page.
    pub class: &'static str,
    /// How it is drawn.
    pub shape: Shape,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A bar.
pub struct Bar {
    /// Whose it is: a class of the page.
    pub class: &'static str,
    /// How long it is.
    pub value: f64,
    /// What stands behind it.
    pub text: String,
}

/// Sizes, in the units of the drawing: a pixel where there is room for it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;
const LABEL: f64 = 170.0;
const VALUE: f64 = 62.0;

/// The range of an axis, and the place of a number within it, from 0 to 1.
struct Range {
    low: f64,
    high: f64,
    scale: Scale,
}

impl Range {
    /// One that holds these numbers.
    fn of(numbers: impl Iterator<Item = f64> + Clone, scale: Scale) -> Self {
        let high = numbers.clone().fold(f64::MIN_POSITIVE, f64::max);
        match scale {
            Scale::Linear => {
                let step = step(high);
                Self { low: 0.0, high: (high / step).ceil() * step, scale }
            }
            Scale::Log => {
                let low = numbers.filter(|&number| number > 0.0).fold(high, f64::min);
                let low = 10_f64.powf(low.log10().floor());
                // A range has some length, and what is largest some room.
                let high = 10_f64.powf((high.log10() * 10.0).floor() / 10.0 + 0.1).max(low * 10.0);
                Self { low, high, scale }
            }
        }
    }

    fn place(&self, number: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (number - self.low) / (self.high - self.low),
            Scale::Log => (number.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        place.clamp(0.0, 1.0)
    }

    /// Where marks stand: at round numbers.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high);
                (0..=(self.high / step).round() as usize).map(|number| number as f64 * step).collect()
            }
            Scale::Log => {
                let first = self.low.log10().round() as i32;
                let last = (self.high.log10() + 1e-9).floor() as i32;
                (first..=last).map(|power| 10_f64.powi(power)).collect()
            }
        }
    }
}

/// A round number of which some four to eight are in `high`.
fn step(high: f64) -> f64 {
    let rough = high / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// A number as short as it can be told.
pub fn short(number: f64) -> String {
    let (number, suffix) = match number {
        number if number >= 1e6 => (number / 1e6, "M"),
        number if number >= 1e4 => (number / 1e3, "k"),
        number => (number, ""),
    };
    let digits = match number {
        number if number >= 100.0 || number == number.round() => 0,
        number if number >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
    text + suffix
}

/// A coordinate.
fn at(number: f64) -> String {
    format!("{number:.1}")
}

/// Curves in one field; the legend stands below.
pub fn curves(name: &str, x: &Axis, y: &Axis, curves: &[Curve]) -> Markup {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let xs = Range::of(points().map(|point| point.0), x.scale);
    let ys = Range::of(points().map(|point| point.1), y.scale);
    let across = |number: f64| LEFT + xs.place(number) * (WIDTH - LEFT - RIGHT);
    let down = |number: f64| TOP + (1.0 - ys.place(number)) * (HEIGHT - TOP - BOTTOM);
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let path = |curve: &Curve| {
        let points = curve.points.iter().enumerate();
        let command = |number| if number == 0 { "M" } else { "L" };
        points
            .map(|(number, &(x, y))| format!("{}{} {}", command(number), at(across(x)), at(down(y))))
            .collect::<String>()
    };
    html! {
        div.scroll {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(name) {
                @for tick in ys.ticks() {
                    line.grid x1=(LEFT) x2=(right) y1=(at(down(tick))) y2=(at(down(tick))) {}
                    text.tick.end x=(LEFT - 6.0) y=(at(down(tick) + 4.0)) { (short(tick)) }
                }
                @for tick in xs.ticks() {
                    line.grid x1=(at(across(tick))) x2=(at(across(tick))) y1=(TOP) y2=(bottom) {}
                    text.tick.middle x=(at(across(tick))) y=(bottom + 16.0) { (short(tick)) }
                }
                text.label.middle x=(at((LEFT + right) / 2.0)) y=(HEIGHT - 8.0) { (x.label) }
                text.label.middle transform={ "translate(14 " (at((TOP + bottom) / 2.0)) ") rotate(-90)" } { (y.label) }
                @for curve in curves {
                    g class=(curve.class) {
                        @if curve.shape != Shape::Dots { path.curve d=(path(curve)) {} }
                        @if curve.shape != Shape::Line {
                            @for &(x, y) in &curve.points {
                                circle cx=(at(across(x))) cy=(at(down(y))) r=(if curve.shape == Shape::Dots { "2.2" } else { "3.2" }) {
                                    title { (curve.name) ": " (short(x)) ", " (short(y)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        (legend(curves.iter().map(|curve| (curve.class, curve.name.as_str()))))
    }
}

/// Groups of bars, one below the other, from the left or from where `one` is.
pub fn bars(name: &str, x: &Axis, one: Option<f64>, groups: &[(String, Vec<Bar>)]) -> Markup {
    let values = || groups.iter().flat_map(|(_, bars)| bars.iter()).map(|bar| bar.value);
    let range = Range::of(values().chain(one), x.scale);
    let across = |number: f64| LABEL + range.place(number) * (WIDTH - LABEL - VALUE);
    // Where bars begin.
    let from = one.map_or(LABEL, across);
    let mut y = TOP;
    let mut places = Vec::new();
    for (_, bars) in groups {
        places.push(y);
        y += bars.len() as f64 * BAR + GAP;
    }
    let (bottom, height) = (y, y + BOTTOM);
    html! {
        div.scroll {
            svg.plot viewBox={ "0 0 " (WIDTH) " " (at(height)) } role="img" aria-label=(name) {
                @for tick in range.ticks() {
                    line.grid x1=(at(across(tick))) x2=(at(across(tick))) y1=(TOP) y2=(at(bottom)) {}
                    text.tick.middle x=(at(across(tick))) y=(at(bottom + 16.0)) { (short(tick)) }
                }
                text.label.middle x=(at((LABEL + WIDTH - VALUE) / 2.0)) y=(at(height - 8.0)) { (x.label) }
                @for ((label, bars), y) in groups.iter().zip(places) {
                    text.op.end x=(LABEL - 8.0) y=(at(y + bars.len() as f64 * BAR / 2.0 + 4.0)) { (label) }
                    @for (number, bar) in bars.iter().enumerate() {
                        g class=(bar.class) {
                            rect.bar x=(at(across(bar.value).min(from))) y=(at(y + number as f64 * BAR)) height=(BAR - 2.0) width=(at((across(bar.value) - from).abs().max(1.0))) {}
                        }
                        text.tick x=(at(across(bar.value).max(from) + 4.0)) y=(at(y + number as f64 * BAR + 9.5)) { (bar.text) }
                    }
                }
                @if let Some(one) = one {
                    line.one x1=(at(across(one))) x2=(at(across(one))) y1=(TOP - 4.0) y2=(at(bottom)) {}
                }
            }
        }
    }
}

/// What looks how.
pub fn legend<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>) -> Markup {
    html! {
        p.legend {
            @for (class, name) in parts {
                span { span.swatch.(class) {} (name) } " "
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_numbers() {
        let linear = Range::of([3.0, 97.0].into_iter(), Scale::Linear);
        assert_eq!((linear.low, linear.high, linear.ticks().len()), (0.0, 100.0, 6));
        assert_eq!(linear.place(50.0), 0.5);
        let log = Range::of([0.3, 250.0].into_iter(), Scale::Log);
        assert_eq!(log.ticks(), [0.1, 1.0, 10.0, 100.0]);
        assert!(log.high >= 250.0 && log.place(250.0) <= 1.0 && log.place(0.1) == 0.0);
        let one = Range::of([1.0].into_iter(), Scale::Log);
        assert_eq!(one.ticks(), [1.0, 10.0]);
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.28, "0.28"),
            (1.0, "1"),
            (13.9, "13.9"),
            (0.1, "0.1"),
            (3_700_000.0, "3.7M"),
            (48_060.0, "48.1k"),
            (100.0, "100"),
            (20.0, "20"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn what_is_plotted_is_in_the_picture() {
        let axis = |scale| Axis { label: "l", scale };
        let points = vec![(1.0, 2.0), (10_000.0, 3.0)];
        let curve = Curve { name: "a<b".to_owned(), class: "ours", shape: Shape::Points, points };
        let text = curves("n", &axis(Scale::Log), &axis(Scale::Linear), &[curve]).into_string();
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains("a&lt;b") && !text.contains("NaN"));
        let bar = Bar { class: "ours", value: 0.0, text: "0".to_owned() };
        let text = bars("n", &axis(Scale::Log), Some(1.0), &[("op".to_owned(), vec![bar])]).into_string();
        assert!(text.contains("<rect") && !text.contains("NaN"));
    }
}
