//! Classic results beside what a case declares: which of them count, and as what measurement.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{
    Better, CaseName, Measurement, MetricDecl, MetricName, NodeName, RankLayout, Unit, Verification,
};

use crate::classic::{ClassicResult, parse_result_line};

/// Node, rank, metric, unit.
pub(crate) type ResultKey = (NodeName, Option<u32>, String, &'static str);

/// FlagPerf's cases print a bandwidth or a capacity twice, in powers of ten and in powers of two.
/// It is one number: the second is left out where the first is there, lest a table mix them.
pub(crate) fn is_twin(
    decimal: &BTreeSet<ResultKey>,
    node: &NodeName,
    result: &ClassicResult,
) -> bool {
    let unit = match result.unit.as_str() {
        "GiB" => "GB",
        "GiB/s" => "GB/s",
        _ => return false,
    };
    decimal.contains(&(node.clone(), result.rank, result.metric.clone(), unit))
}

/// The classic results that are given in powers of ten.
pub(crate) fn decimal_results(lines: &[(NodeName, u32, String)]) -> BTreeSet<ResultKey> {
    let mut found = BTreeSet::new();
    for (node, _, line) in lines {
        for result in parse_result_line(line) {
            let unit = match result.unit.as_str() {
                "GB" => "GB",
                "GB/s" => "GB/s",
                _ => continue,
            };
            if result.value.is_some() {
                found.insert((node.clone(), result.rank, result.metric, unit));
            }
        }
    }
    found
}

/// A classic result as a measurement, with what its declaration adds to it.
pub(crate) fn measurement(
    result: ClassicResult,
    layout: RankLayout,
    printed_by: u32,
    declared: &BTreeMap<MetricName, MetricDecl>,
) -> Result<Measurement, String> {
    let metric = MetricName::new(result.metric).map_err(|error| error.to_string())?;
    let Some(value) = result.value else {
        return Err(format!("there is no number for `{metric}`"));
    };
    let decl = declared.get(&metric);
    let unit = match decl {
        Some(decl) if result.unit.is_empty() => decl.unit.clone(),
        _ => Unit::new(result.unit),
    };
    // Where there are several processes on a node, whose number it is shows from whose output it
    // stood in. Where there is one, the line alone says whether it is a rank's or the node's.
    let printed_by = (layout != RankLayout::Node).then_some(printed_by);
    Ok(Measurement {
        printed: None,
        value,
        unit,
        better: decl.map_or(Better::Neither, |decl| decl.better),
        definition: decl.map_or_else(
            || "as the case printed it; the case does not declare this metric".to_owned(),
            |decl| decl.definition.clone(),
        ),
        rank: result.rank.or(printed_by),
        device: result.subject,
        spread: None,
        repetitions: Vec::new(),
        verification: Verification::Unchecked(
            "read from a classic result line, which does not say".to_owned(),
        ),
        metric,
    })
}

/// What is odd about a measurement, given what the case declares. A case that declares no metrics
/// may report anything.
pub(crate) fn check_declared(
    case: &CaseName,
    declared: &BTreeMap<MetricName, MetricDecl>,
    number: &Measurement,
) -> Option<String> {
    let metric = &number.metric;
    match declared.get(metric) {
        None if declared.is_empty() => None,
        None => Some(format!(
            "`{case}` reported the metric `{metric}`, which it does not declare"
        )),
        Some(decl) if decl.unit != number.unit => Some(format!(
            "`{case}` declares `{metric}` in `{}` but reported it in `{}`",
            decl.unit, number.unit
        )),
        Some(_) => None,
    }
}

/// Gives a measurement the definition and the direction that the case declares, so that one text
/// says what a metric counts wherever it stands. The texts say where the case reported others. The
/// unit stays: it belongs to the number, see [`check_declared`].
pub(crate) fn adopt_declared(
    case: &CaseName,
    declared: &BTreeMap<MetricName, MetricDecl>,
    number: &mut Measurement,
) -> Vec<String> {
    let metric = &number.metric;
    let Some(decl) = declared.get(metric) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    if number.definition != decl.definition {
        texts.push(format!(
            "`{case}` reported `{metric}` with another definition than it declares; the declared one is kept"
        ));
        number.definition.clone_from(&decl.definition);
    }
    if number.better != decl.better {
        texts.push(format!(
            "`{case}` reported another direction of `{metric}` than it declares; the declared one is kept"
        ));
        number.better = decl.better;
    }
    texts
}
