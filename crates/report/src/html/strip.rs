//! Repetitions of a measurement as a strip of dots with their median and its interval.

use std::fmt::Write as _;

use flagperf_model::{Measurement, Spread};
use maud::{Markup, html};

use crate::across::Across;
use crate::number::significant;

/// More dots than this are thinned evenly: they would lie on each other.
const DOTS: usize = 300;
/// The picture's own coordinates; it is stretched to the width of its place.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 40.0;

/// What the dots are.
pub(super) struct Dots<'a> {
    pub(super) values: Vec<f64>,
    pub(super) spread: Option<Spread>,
    pub(super) unit: &'a str,
    /// `41 repetitions`.
    pub(super) count: String,
}

impl<'a> From<&'a Measurement> for Dots<'a> {
    fn from(m: &'a Measurement) -> Self {
        Self {
            values: m.repetitions.clone(),
            spread: m.spread,
            unit: m.unit.as_str(),
            count: format!("{} repetitions", m.spread.map_or(0, |spread| spread.n)),
        }
    }
}

impl<'a> From<&'a Across> for Dots<'a> {
    fn from(across: &'a Across) -> Self {
        Self {
            values: across.members.iter().map(|member| member.value).collect(),
            spread: Some(across.spread),
            unit: &across.unit,
            count: across.count.clone(),
        }
    }
}

/// The strip alone, for a row of a table.
pub(super) fn small<'a>(dots: impl Into<Dots<'a>>) -> Markup {
    draw(&dots.into(), "strip small")
}

/// The strip with its ends named.
pub(super) fn large<'a>(dots: impl Into<Dots<'a>>) -> Markup {
    let dots = dots.into();
    let Some(spread) = dots.spread.filter(|s| s.n > 1 && s.max > s.min) else {
        return html! {};
    };
    html! {
        div.strips {
            (draw(&dots, "strip"))
            div.ends aria-hidden="true" {
                span { (significant(spread.min)) }
                span { (dots.count) }
                span { (significant(spread.max)) }
            }
        }
    }
}

fn draw(of: &Dots<'_>, class: &str) -> Markup {
    let Some(spread) = of.spread.filter(|s| s.n > 1 && s.max > s.min) else {
        return html! {};
    };
    let range = spread.max - spread.min;
    let x = |value: f64| 15.0 + (WIDTH - 30.0) * ((value - spread.min) / range).clamp(0.0, 1.0);
    let step = of.values.len().div_ceil(DOTS).max(1);
    let shown: Vec<f64> = of
        .values
        .iter()
        .step_by(step)
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let mut dots = String::new();
    for (i, value) in shown.iter().enumerate() {
        let y = 4.0 + (HEIGHT - 8.0) * (i as f64 + 0.5) / shown.len() as f64;
        // Writing to a String cannot fail.
        let _ = write!(dots, "M{:.0} {y:.0}h0", x(*value));
    }
    let interval = spread.ci95;
    let mut label = format!(
        "{}, first at the top, from {} to {} {}; median {}",
        of.count,
        significant(spread.min),
        significant(spread.max),
        of.unit,
        significant(spread.median),
    );
    if let Some([low, high]) = interval {
        let (low, high) = (significant(low), significant(high));
        let _ = write!(label, ", 95 % interval {low} to {high}");
    }
    html! {
        svg.(class) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            @if let Some([low, high]) = interval {
                rect.ci x={ (format_args!("{:.0}", x(low))) } y="0" width={ (format_args!("{:.0}", (x(high) - x(low)).max(4.0))) } height=(HEIGHT) {}
            }
            path.dots d=(dots) {}
            path.median d={ (format_args!("M{:.0} 0v{HEIGHT}", x(spread.median))) } {}
        }
    }
}
