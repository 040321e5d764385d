//! Classic result lines of cases of FlagPerf trees, as the cases mean them.

use std::collections::BTreeSet;

use flagperf_model::{Measurement, MetricName, NodeName, Unit};

use super::decl::{Decl, Number};
use super::remark::ResultRemark;
use super::{Dialect, Found, base, operation};
use crate::classic::{ClassicResult, parse_result_line};

/// Reads all result lines of a round, up to this many numbers. The flag is true if there are more.
pub(crate) fn read_lines(
    dialect: &Dialect,
    lines: &[(NodeName, u32, String)],
    most: usize,
) -> (Found, bool) {
    let mut found = Found::default();
    for (node, _, line) in lines {
        for result in parse_result_line(line) {
            if found.numbers.len() >= most {
                return (found, true);
            }
            let printed = printed_name(&result);
            let (number, decl, remark) = match dialect {
                Dialect::Base { case, program } => base::number(case, *program, &result, &printed),
                _ => plain(&result),
            };
            found.take(node, number.measurement(decl.as_ref()));
            found
                .remarks
                .extend(remark.map(|remark| (node.clone(), remark)));
        }
    }
    name_twins(&mut found);
    (found, false)
}

/// A number of an operator: its names are those of the table.
fn plain(result: &ClassicResult) -> (Number<'_>, Option<Decl>, Option<ResultRemark>) {
    let mut decls = operation::METRICS.iter();
    let decl = decls.find(|decl| decl.name == result.metric).copied();
    let number = Number {
        metric: result.metric.clone(),
        printed: &result.metric,
        value: result.value.unwrap_or(f64::NAN),
        unit: Unit::new(result.unit.as_str()),
        rank: result.rank,
        device: result.subject.clone(),
    };
    (number, decl, None)
}

/// The name with the words before it.
fn printed_name(result: &ClassicResult) -> String {
    match &result.subject {
        Some(subject) => format!("{subject} {}", result.metric),
        None => result.metric.clone(),
    }
}

/// Many cases print a bandwidth or a capacity in powers of ten and in powers of two. Both stay, but
/// not under one name: a table would take them for two numbers of one kind.
fn name_twins(found: &mut Found) {
    let decimals: BTreeSet<Twin> = found
        .numbers
        .iter()
        .filter(|(_, number)| decimal(&number.unit).is_none())
        .map(|(node, number)| twin(node, number, number.unit.as_str()))
        .collect();
    for (node, number) in &mut found.numbers {
        let Some(unit) = decimal(&number.unit) else {
            continue;
        };
        let name = MetricName::new(format!("{} in {}", number.metric, number.unit));
        if let Ok(name) = name
            && decimals.contains(&twin(node, number, unit))
        {
            number.definition = format!("`{}` in units of 2^30 bytes", number.metric);
            let before = std::mem::replace(&mut number.metric, name);
            number.printed.get_or_insert_with(|| before.into());
        }
    }
}

/// What a number and its twin have in common: node, rank, device, metric, and the unit of the one in
/// powers of ten.
type Twin = (NodeName, Option<u32>, Option<String>, MetricName, String);

fn twin(node: &NodeName, number: &Measurement, unit: &str) -> Twin {
    let device = number.device.clone();
    let metric = number.metric.clone();
    (node.clone(), number.rank, device, metric, unit.to_owned())
}

/// The unit in powers of ten for one in powers of two.
fn decimal(unit: &Unit) -> Option<&'static str> {
    match unit.as_str() {
        "GiB" => Some("GB"),
        "GiB/s" => Some("GB/s"),
        _ => None,
    }
}
