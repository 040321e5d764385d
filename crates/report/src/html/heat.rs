//! Many series of one name, such as one a core, as one picture: a row each, darker is more.

use std::fmt::Write as _;

use flagperf_model::SeriesKind;
use maud::{Markup, html};

use super::chart::Axis;
use crate::number::short;
use crate::shown::Shown;
use crate::{Series, Stats, window_stats};

/// Most rows of a picture; of more series, neighbours share a row.
const ROWS: usize = 256;
/// Most cells of a picture, which bounds its bytes even when no two neighbours are alike.
const CELLS: usize = 6144;
/// Steps of darkness above "nothing".
const LEVELS: usize = 8;
/// Up to this many series get a row of numbers each; of more, only their distribution is told.
/// The JSON report has each.
const LISTED: usize = 64;

/// The picture, with the statistics of the window.
pub(super) fn draw(all: &[Series<'_>], axis: &Axis, threads: Option<u32>) -> Markup {
    let Some(decl) = all.first().map(|series| series.decl) else {
        return html! {};
    };
    let grid = Grid::of(all, axis);
    let shown = Shown::of(decl, threads, grid.peak);
    let share = shown.unit() == "%" && decl.kind == SeriesKind::Counter;
    // A processor is full at 100 %; of other quantities the largest seen is the full shade.
    let top = if share {
        100.0
    } else {
        grid.peak * shown.factor
    };
    let stats: Vec<(String, Option<Stats>)> = all
        .iter()
        .map(|series| {
            let name = series.decl.instance.clone().unwrap_or_default();
            (name, window_stats(series, axis.window))
        })
        .collect();
    let names: Vec<&str> = stats.iter().map(|(name, _)| name.as_str()).collect();
    let (first, last) = (names[0], names[names.len() - 1]);
    let rows = grid.cells.len();
    let height = (rows * 14).clamp(28, 256);
    let label = format!(
        "{} of {} instances over time, {first} at the top to {last} at the bottom; darker is more, full shade is {} {}",
        decl.name,
        all.len(),
        short(top),
        shown.unit()
    );
    html! {
        figure.c.heat {
            figcaption {
                b { (decl.name) } " "
                span { (shown.unit()) (shown.of) ", " (first) " (top) to " (last) }
                span.key aria-hidden="true" { "0 " @for level in 1..=LEVELS { i.(format_args!("h{level}")) {} } " " (short(top)) " " (shown.unit()) }
            }
            div.p style={ "height:" (height) "px" } data-l="0\u{202f}s" data-h="" data-top=(short(top)) data-u=(shown.unit()) data-i=(names.join(" ")) data-r=(rows) {
                svg viewBox={ "0 0 " (grid.columns) " " (rows) } preserveAspectRatio="none" role="img" aria-label=(label) {
                    @for (level, path) in grid.paths(shown.factor, top).iter().enumerate() {
                        @if !path.is_empty() { path.(format_args!("h{level}")) d=(path) {} }
                    }
                }
                @if let Some(window) = axis.window {
                    @let place = |at| axis.x(at) as f64 / 10.0;
                    div.wm style={ "left:" (place(window.begin)) "%;width:" (place(window.end) - place(window.begin)) "%" } {}
                }
            }
            (numbers(&stats, &shown))
        }
    }
}

fn numbers(stats: &[(String, Option<Stats>)], shown: &Shown) -> Markup {
    let number = |value: f64| short(value * shown.factor);
    let mut means: Vec<f64> = stats
        .iter()
        .filter_map(|(_, s)| s.map(|s| s.mean))
        .collect();
    means.sort_by(f64::total_cmp);
    let Some(last) = means.len().checked_sub(1) else {
        return html! { p.s { "no sample in the window" } };
    };
    let at = |share: f64| number(means[(last as f64 * share).round() as usize]);
    html! {
        dl.s.five {
            @for (name, value) in [("lowest mean", at(0.0)), ("lower quartile", at(0.25)), ("median", at(0.5)), ("upper quartile", at(0.75)), ("highest mean", at(1.0))] {
                div { dt { (name) } dd { (value) } }
            }
        }
        @if stats.len() <= LISTED {
            details {
                summary { "Each of " (stats.len()) }
                table.each {
                    thead { tr {
                        th scope="col" { "Instance" }
                        @for name in ["Mean", "Max", "Min", "Std"] { th.n scope="col" { (name) } }
                    } }
                    tbody { @for (name, stats) in stats { tr {
                        th scope="row" { (name) }
                        @match stats {
                            None => td colspan="4" { "no sample in the window" },
                            Some(s) => { @for value in [s.mean, s.max, s.min, s.std] { td.n { (number(value)) } } }
                        }
                    } } }
                }
            }
        }
    }
}

/// Means of cells: rows of series by columns of time.
struct Grid {
    columns: usize,
    cells: Vec<Vec<Option<f64>>>,
    peak: f64,
}

impl Grid {
    fn of(all: &[Series<'_>], axis: &Axis) -> Self {
        let a_row = all.len().div_ceil(ROWS).max(1);
        let rows = all.len().div_ceil(a_row);
        // No more columns than samples: a cell between two samples has nothing to say.
        let samples = all
            .iter()
            .map(|series| series.times.len())
            .max()
            .unwrap_or(0);
        let columns = (CELLS / rows.max(1)).min(240).min(samples.max(1)).max(8);
        let mut cells = Vec::with_capacity(rows);
        for group in all.chunks(a_row) {
            let mut sums = vec![(0.0, 0.0); columns];
            for series in group {
                add(series, axis, &mut sums);
            }
            cells.push(
                sums.into_iter()
                    .map(|(sum, weight)| (weight > 0.0).then(|| sum / weight))
                    .collect::<Vec<_>>(),
            );
        }
        let peak = cells
            .iter()
            .flatten()
            .flatten()
            .fold(0.0, |a: f64, b| a.max(*b));
        Self {
            columns,
            cells,
            peak,
        }
    }

    /// One path a level, each a list of horizontal runs.
    fn paths(&self, factor: f64, top: f64) -> Vec<String> {
        let mut paths = vec![String::new(); LEVELS + 1];
        for (y, row) in self.cells.iter().enumerate() {
            let levels: Vec<Option<usize>> = row
                .iter()
                .map(|value| value.map(|value| level(value * factor, top)))
                .collect();
            let mut x = 0;
            for run in levels.chunk_by(|a, b| a == b) {
                if let Some(level) = run[0] {
                    // Writing to a String cannot fail.
                    let _ = write!(paths[level], "M{x} {y}h{}", run.len());
                }
                x += run.len();
            }
        }
        paths
    }
}

/// 0 for nothing worth a shade (below half a percent of the top), else 1 to [`LEVELS`].
fn level(value: f64, top: f64) -> usize {
    let share = if top > 0.0 { value / top } else { 0.0 };
    if share < 0.005 {
        0
    } else {
        ((share * LEVELS as f64).ceil() as usize).clamp(1, LEVELS)
    }
}

/// Adds a series to the cells of a row: a rate to every cell its interval touches, weighted by the
/// time in it; a gauge to the cell of its moment and on to the next sample.
pub(super) fn add(series: &Series<'_>, axis: &Axis, sums: &mut [(f64, f64)]) {
    let columns = sums.len() as f64;
    let place =
        |at: flagperf_model::Timestamp| at.seconds_since(axis.begin) / axis.seconds() * columns;
    let pieces = series.pieces();
    for (i, piece) in pieces.iter().enumerate() {
        let Some(piece) = piece else { continue };
        let begin = place(piece.begin);
        let end = match series.decl.kind {
            SeriesKind::Counter => place(piece.end),
            SeriesKind::Gauge => match pieces.get(i + 1) {
                Some(Some(next)) => place(next.begin),
                _ => begin + 1e-6,
            },
        };
        let mut x = begin.max(0.0);
        while x < end.min(columns) {
            let cell = x as usize;
            let to = end.min((cell + 1) as f64);
            if let Some((sum, weight)) = sums.get_mut(cell) {
                *sum += piece.value * (to - x);
                *weight += to - x;
            }
            x = to.max(x + 1e-9);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_model::{Scope, SeriesDecl, Timestamp, Unit};

    #[test]
    fn cells_hold_the_mean_over_their_time_and_gaps_stay_empty() {
        let decl = SeriesDecl {
            name: "cpu.busy".into(),
            instance: Some("cpu0".into()),
            unit: Unit::SECONDS,
            kind: SeriesKind::Counter,
            scope: Scope::Machine,
            resolution: 1.0,
        };
        let times: Vec<Timestamp> = (0..9).map(|s| Timestamp(s * 1_000_000_000)).collect();
        let column = [0, 1, 2, 2, 2].map(Some).into_iter();
        let column: Vec<_> = column.chain([None, None, Some(9), Some(10)]).collect();
        let series = Series {
            decl: &decl,
            times: &times,
            column: &column,
        };
        let axis = Axis::of(&times, None).unwrap();
        let grid = Grid::of(&[series], &axis);
        assert_eq!(grid.columns, 9);
        let mut sums = vec![(0.0, 0.0); 4];
        add(&series, &axis, &mut sums);
        assert_eq!(sums[0], (1.0, 1.0), "a mean of 1 over one column");
        assert_eq!(sums[1].0, 0.0);
        assert_eq!(sums[2], (0.0, 0.0), "a gap");
        assert_eq!(sums[3], (0.5, 0.5));
        assert_eq!(level(0.001, 1.0), 0);
        assert_eq!(level(1.2, 1.0), LEVELS);
        assert_eq!(level(0.5, 1.0), 4);
    }
}
