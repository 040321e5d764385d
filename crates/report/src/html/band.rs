//! A series of many nodes as one picture: the median over the nodes as a line, all of them as a
//! band around it, and beside it by name which are lowest, highest and far from the others.

use maud::{Markup, html};

use super::chart::{Axis, HEIGHT, Pen, WIDTH, scale};
use super::heat::add;
use crate::across::NAMED;
use crate::nodewise::Nodewise;
use crate::number::{digits, statistic};

/// Lowest, middle and highest of the nodes in one stretch of time.
type Column = Option<[f64; 3]>;

/// A band ready to be drawn.
pub(super) struct Band<'a> {
    of: Nodewise<'a>,
    columns: Vec<Column>,
    low: f64,
    high: f64,
}

impl<'a> Band<'a> {
    /// With at most so many points.
    pub(super) fn of(of: Nodewise<'a>, axis: &Axis, points: usize) -> Self {
        // No more columns than samples: between two samples there is nothing to say.
        let samples = of.parts.iter().map(|part| part.series.times.len()).max();
        let count = samples.unwrap_or(0).clamp(1, points.max(1));
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); count];
        for part in &of.parts {
            let mut sums = vec![(0.0, 0.0); count];
            add(&part.series, axis, &mut sums);
            for (column, (sum, weight)) in values.iter_mut().zip(sums) {
                column.extend((weight > 0.0).then(|| sum / weight * part.factor));
            }
        }
        let columns: Vec<Column> = values.into_iter().map(ends).collect();
        let known = || columns.iter().flatten();
        Self {
            low: known().map(|c| c[0]).fold(f64::INFINITY, f64::min),
            high: known().map(|c| c[2]).fold(f64::NEG_INFINITY, f64::max),
            columns,
            of,
        }
    }

    /// True if it is one value on all nodes at all times, as far as sums of it are exact.
    pub(super) fn is_flat(&self) -> bool {
        self.low > self.high || self.high - self.low <= 1e-9 * self.high.abs()
    }

    pub(super) fn family(&self) -> usize {
        crate::shown::family(self.of.decl)
    }

    /// The picture with its name and what stands out.
    pub(super) fn draw(&self, axis: &Axis) -> Markup {
        let unit = self.of.shown.unit();
        let (from, to) = scale(self.low, self.high, unit);
        // A space that justified text does not stretch.
        let end = |value: f64| format!("{}\u{202f}{unit}", digits(value, 3));
        let y = |value: f64| {
            let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
            HEIGHT - (share * HEIGHT as f64).round() as i64
        };
        let (line, band) = self.paths(y);
        let name = self.of.name();
        html! {
            figure.c {
                figcaption {
                    b { (name) } " " span { (unit) (self.of.shown.of) ", " (self.of.count()) }
                }
                div.p data-l=(end(from)) data-h=(end(to)) data-u=(unit) {
                    @if line.is_empty() {
                        p.none { "no sample" }
                    } @else {
                        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ (name) " over time: median of " (self.of.count()) ", and the band of all" } {
                            (axis.shade(HEIGHT))
                            path d=(line) {}
                            path.b d=(band) {}
                        }
                    }
                }
                (self.statistics())
            }
        }
    }

    fn statistics(&self) -> Markup {
        html! { @match &self.of.means {
            None => p.s { "no sample in the window" },
            Some(means) => {
                dl.s {
                    div { dt { "median" } dd { (statistic(means.spread.median)) } }
                    @if means.spread.min < means.spread.max {
                        @for (end, member) in [("lowest", means.lowest()), ("highest", means.highest())] {
                            div { dt { (end) } dd { (statistic(member.value)) } dd.who { (member.name) } }
                        }
                    }
                }
                // Many that stand out are another kind of instance, such as cores that the case leaves idle.
                @if means.outlying.len() <= NAMED && let Some(words) = means.outlying_words() { p.s.far { b { "outlying" } " " (words) } }
            }
        } }
    }

    /// The median's line, and the outline of the band.
    fn paths(&self, y: impl Fn(f64) -> i64) -> (String, String) {
        let x = |place: usize| {
            let middle = (place as f64 + 0.5) / self.columns.len() as f64;
            (middle * WIDTH as f64).round() as i64
        };
        let (mut line, mut band) = (Pen::default(), Pen::default());
        let places: Vec<(usize, Column)> = self.columns.iter().copied().enumerate().collect();
        for run in places.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
            let known: Vec<(i64, [f64; 3])> = run
                .iter()
                .filter_map(|(place, column)| Some((x(*place), (*column)?)))
                .collect();
            for (i, (x, [low, middle, _])) in known.iter().enumerate() {
                line.go(*x, y(*middle), i > 0);
                band.go(*x, y(*low), i > 0);
            }
            for (x, [_, _, high]) in known.iter().rev() {
                band.go(*x, y(*high), true);
            }
        }
        (line.finish(), band.finish())
    }
}

fn ends(mut values: Vec<f64>) -> Column {
    values.sort_by(f64::total_cmp);
    let (low, high) = (*values.first()?, *values.last()?);
    Some([low, flagperf_model::median(&values)?, high])
}
