//! A time series as a small picture: an SVG path in whole numbers, the measured window behind it.

use std::fmt::Write as _;

use flagperf_model::{Timestamp, Window};
use maud::{Markup, html};

use crate::number::{digits, short, statistic};
use crate::sampling::{Piece, downsample};
use crate::shown::Shown;
use crate::view::APART as APART_NODES;
use crate::{CaseSamples, RunData, Series, Stats, window_stats};

/// The picture's own coordinates; it is stretched to its place. One unit of height is a quarter of
/// a percent of the scale.
pub(super) const WIDTH: i64 = 1000;
pub(super) const HEIGHT: i64 = 400;

/// Bytes that the paths of all pictures of a page may take together, of the megabyte that a page
/// should stay below; a point takes about five.
const BUDGET: usize = 450_000;
const BYTES_A_POINT: usize = 5;

/// How many points each picture gets, so that the page stays small: at most 600. A band counts as
/// three lines.
pub(super) fn points_each(run: &RunData) -> usize {
    let lines = |samples| {
        bundles(samples)
            .iter()
            .filter(|bundle| bundle.len() == 1)
            .count()
    };
    let results = 0..run.record.results.len();
    let pictures: usize = results
        .map(|index| match run.samples_of(index).count() {
            nodes if nodes > APART_NODES => run.samples_of(index).map(lines).max().unwrap_or(0) * 3,
            _ => run.samples_of(index).map(lines).sum(),
        })
        .sum();
    (BUDGET / BYTES_A_POINT / pictures.max(1)).clamp(40, 600)
}

/// More instances of one series than this share one picture. Cores do from two on.
const APART: usize = 8;

/// Series that share a picture stand together; all others alone. Order is that of declaration.
pub(super) fn bundles(samples: &CaseSamples) -> Vec<Vec<Series<'_>>> {
    let key = |series: &Series<'_>| (series.decl.name.clone(), series.decl.scope);
    let mut bundles: Vec<Vec<Series<'_>>> = Vec::new();
    for series in samples.series() {
        let same = bundles.iter_mut().find(|bundle| {
            series.decl.instance.is_some()
                && bundle[0].decl.instance.is_some()
                && key(&bundle[0]) == key(&series)
        });
        match same {
            Some(bundle) => bundle.push(series),
            None => bundles.push(vec![series]),
        }
    }
    bundles
        .into_iter()
        .flat_map(|bundle| {
            let most = if bundle[0].decl.name.starts_with("cpu.") {
                1
            } else {
                APART
            };
            if bundle.len() > most {
                vec![bundle]
            } else {
                bundle.into_iter().map(|series| vec![series]).collect()
            }
        })
        .collect()
}

/// The stretch of time that all pictures of a case and node show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
    pub(super) window: Option<Window>,
}

impl Axis {
    /// From the first to the last sample, and the window if it reaches further.
    pub(super) fn of(times: &[Timestamp], window: Option<Window>) -> Option<Self> {
        let begin = times.iter().copied().chain(window.map(|w| w.begin)).min()?;
        let end = times.iter().copied().chain(window.map(|w| w.end)).max()?;
        (end > begin).then_some(Self { begin, end, window })
    }

    pub(super) fn seconds(&self) -> f64 {
        self.end.seconds_since(self.begin)
    }

    pub(super) fn x(&self, at: Timestamp) -> i64 {
        let share = at.seconds_since(self.begin) / self.seconds();
        (share.clamp(0.0, 1.0) * WIDTH as f64).round() as i64
    }

    /// The shading of the measured window, as high as asked.
    pub(super) fn shade(&self, height: i64) -> Markup {
        html! { @if let Some(window) = self.window {
            @let (from, to) = (self.x(window.begin), self.x(window.end));
            rect.w x=(from) width=((to - from).max(2)) height=(height) {}
        } }
    }
}

/// A series ready to be drawn.
pub(super) struct Chart<'a> {
    series: Series<'a>,
    shown: Shown,
    stats: Option<Stats>,
    pieces: Vec<Option<Piece>>,
    low: f64,
    high: f64,
}

impl<'a> Chart<'a> {
    pub(super) fn of(series: Series<'a>, axis: &Axis, threads: Option<u32>) -> Self {
        let pieces = series.pieces();
        let known = || pieces.iter().flatten().map(|piece| piece.value);
        let low = known().fold(f64::INFINITY, f64::min);
        let high = known().fold(f64::NEG_INFINITY, f64::max);
        let peak = if low <= high {
            low.abs().max(high.abs())
        } else {
            0.0
        };
        Self {
            series,
            shown: Shown::of(series.decl, threads, peak),
            stats: window_stats(&series, axis.window),
            low,
            high,
            pieces,
        }
    }

    /// True if the whole series is one value, which a line of text says better than a picture.
    pub(super) fn is_flat(&self) -> bool {
        self.low >= self.high
    }

    pub(super) fn family(&self) -> usize {
        crate::shown::family(self.series.decl)
    }

    /// The picture with its name and the statistics of the window.
    pub(super) fn draw(&self, axis: &Axis, points: usize) -> Markup {
        let decl = self.series.decl;
        let unit = self.shown.unit();
        let factor = self.shown.factor;
        let (from, to) = scale(self.low * factor, self.high * factor, unit);
        // A space that justified text does not stretch.
        let end = |value: f64| format!("{}\u{202f}{unit}", digits(value, 3));
        let y = |value: f64| {
            let share = (value * self.shown.factor - from) / (to - from);
            HEIGHT - (share.clamp(0.0, 1.0) * HEIGHT as f64).round() as i64
        };
        let path = path(&self.pieces, points, axis, y);
        html! {
            figure.c {
                figcaption {
                    b { (decl.name) @if let Some(instance) = &decl.instance { " " i { (instance) } } }
                    " " span { (unit) (self.shown.of) }
                }
                div.p data-l=(end(from)) data-h=(end(to)) data-u=(unit) {
                    @if path.is_empty() {
                        p.none { "no sample" }
                    } @else {
                        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(self.label(unit)) {
                            (axis.shade(HEIGHT))
                            path d=(path) {}
                        }
                    }
                }
                (self.statistics())
            }
        }
    }

    fn label(&self, unit: &str) -> String {
        let decl = self.series.decl;
        let name = match &decl.instance {
            Some(instance) => format!("{} {instance}", decl.name),
            None => decl.name.clone(),
        };
        match self.stats {
            None => format!("{name} over time; no sample in the window"),
            Some(stats) => format!(
                "{name} over time; mean {} {unit}",
                short(stats.mean * self.shown.factor)
            ),
        }
    }

    fn statistics(&self) -> Markup {
        html! { @match self.stats {
            None => p.s { "no sample in the window" },
            Some(stats) => {
                dl.s {
                    @for (name, value) in [("mean", stats.mean), ("max", stats.max), ("min", stats.min), ("std", stats.std)] {
                        @let value = value * self.shown.factor;
                        div { dt { (name) } dd { (if name == "std" { digits(value, 2) } else { statistic(value) }) } }
                    }
                }
            }
        } }
    }
}

/// The lower and upper end of the scale for values from `low` to `high`: from 0 where they are not
/// far above it, so that heights can be compared; for percentages near the whole up to 100.
pub(super) fn scale(low: f64, high: f64, unit: &str) -> (f64, f64) {
    if low > high {
        return (0.0, 1.0);
    }
    let range = high - low;
    let from = if low >= 0.0 && (range > 0.3 * high || low == high) {
        0.0
    } else {
        low - 0.1 * range.max(low.abs() * 1e-3)
    };
    let to = if unit == "%" && high > 50.0 && high <= 105.0 && from == 0.0 {
        high.max(100.0)
    } else if from == 0.0 {
        round_up(high)
    } else {
        high + 0.08 * (high - from)
    };
    (from, to)
}

/// The next round number, so that scales are easy to read; 1 for 0.
fn round_up(value: f64) -> f64 {
    const ROUND: [f64; 10] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(value.log10().floor());
    let found = ROUND.iter().map(|r| r * decade).find(|r| *r >= value);
    found.unwrap_or(10.0 * decade)
}

/// A gauge's samples further apart than this many usual distances are not joined: between them
/// nothing is known.
const FAR: i64 = 3;

/// The line: steps for a counter, whose rate holds over an interval, joined points for a gauge.
fn path(pieces: &[Option<Piece>], points: usize, axis: &Axis, y: impl Fn(f64) -> i64) -> String {
    let thin = downsample(pieces, points / 2);
    let exact = thin.len() == pieces.len();
    let far = usual_distance(&thin).saturating_mul(FAR);
    let mut pen = Pen::default();
    let mut last: Option<Piece> = None;
    for piece in thin {
        let Some(piece) = piece else {
            last = None;
            continue;
        };
        let joined = last.is_some_and(|last| piece.begin.0 - last.end.0 <= far);
        let height = y(piece.value);
        let (begin, end) = if exact {
            (axis.x(piece.begin), axis.x(piece.end))
        } else {
            (axis.x(piece.middle()), axis.x(piece.middle()))
        };
        pen.go(begin, height, joined);
        if end > begin {
            pen.go(end, height, true);
        }
        last = Some(piece);
    }
    pen.finish()
}

/// The middle of the distances from piece to piece, in nanoseconds.
fn usual_distance(pieces: &[Option<Piece>]) -> i64 {
    let known: Vec<&Piece> = pieces.iter().flatten().collect();
    let mut distances: Vec<i64> = known
        .windows(2)
        .map(|pair| pair[1].begin.0 - pair[0].begin.0)
        .collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().unwrap_or(0)
}

/// Writes SVG path data with relative whole numbers, which are short.
#[derive(Default)]
pub(super) struct Pen {
    out: String,
    at: (i64, i64),
    /// The letter that a further pair of numbers would repeat.
    letter: char,
}

impl Pen {
    pub(super) fn go(&mut self, x: i64, y: i64, joined: bool) {
        self.dot_if_alone(joined);
        let (dx, dy) = (x - self.at.0, y - self.at.1);
        // Writing to a String cannot fail.
        let _ = match (joined, dx, dy) {
            (false, ..) => {
                self.letter = 'M';
                write!(self.out, "M{x} {y}")
            }
            (true, 0, 0) => Ok(()),
            (true, _, 0) => {
                self.letter = 'h';
                write!(self.out, "h{dx}")
            }
            (true, 0, _) => {
                self.letter = 'v';
                write!(self.out, "v{dy}")
            }
            (true, ..) => {
                let letter = if self.letter == 'l' { " " } else { "l" };
                self.letter = 'l';
                let space = if dy < 0 { "" } else { " " };
                write!(self.out, "{letter}{dx}{space}{dy}")
            }
        };
        self.at = (x, y);
    }

    /// A point that nothing is joined to is drawn as a line of no length: a dot.
    fn dot_if_alone(&mut self, joined: bool) {
        if self.letter == 'M' && !joined {
            self.out.push_str("h0");
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.dot_if_alone(false);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (value, round) in [
            (0.0, 1.0),
            (6.72, 8.0),
            (8.4, 10.0),
            (100.0, 100.0),
            (0.034, 0.04),
        ] {
            assert!((round_up(value) / round - 1.0).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn paths_break_at_gaps_and_dot_lone_points() {
        let axis = Axis {
            begin: Timestamp(0),
            end: Timestamp(1000),
            window: None,
        };
        let at = |t: i64, value: f64| {
            Some(Piece {
                begin: Timestamp(t),
                end: Timestamp(t),
                value,
            })
        };
        let draw = |pieces: &[Option<Piece>]| path(pieces, 600, &axis, |v| v as i64);
        assert_eq!(
            draw(&[at(0, 5.0), at(100, 2.0), at(200, 7.0), at(300, 7.0)]),
            "M0 5l100-3 100 5h100"
        );
        assert_eq!(
            draw(&[at(0, 5.0), None, at(100, 2.0), at(200, 2.0)]),
            "M0 5h0M100 2h100"
        );
        // Far apart without a recorded gap.
        assert_eq!(
            draw(&[at(0, 1.0), at(100, 1.0), at(200, 1.0), at(900, 1.0)]),
            "M0 1h100h100M900 1h0"
        );
        let step = |t: i64, value: f64| {
            Some(Piece {
                begin: Timestamp(t),
                end: Timestamp(t + 100),
                value,
            })
        };
        assert_eq!(draw(&[step(0, 5.0), step(100, 9.0)]), "M0 5h100v4h100");
        assert_eq!(draw(&[None, None]), "");
    }
}
