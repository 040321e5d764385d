//! Metrics that cases of FlagPerf trees report, as data.

use flagperf_model::{Better, Measurement, MetricDecl, MetricName, Unit, Verification};

use super::remark::ResultRemark;

/// A metric of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decl {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) definition: &'static str,
    /// True if it can be less than nothing, as a loss can.
    pub(crate) signed: bool,
}

/// A metric of which more is better.
pub(crate) const fn more(name: &'static str, unit: &'static str, definition: &'static str) -> Decl {
    decl(name, unit, Better::Higher, definition)
}

/// A metric of which less is better.
pub(crate) const fn less(name: &'static str, unit: &'static str, definition: &'static str) -> Decl {
    decl(name, unit, Better::Lower, definition)
}

/// A metric that describes.
pub(crate) const fn fact(name: &'static str, unit: &'static str, definition: &'static str) -> Decl {
    decl(name, unit, Better::Neither, definition)
}

/// A loss, of which less is better, and which may be negative.
pub(crate) const fn loss(name: &'static str, definition: &'static str) -> Decl {
    Decl {
        signed: true,
        ..decl(name, "", Better::Lower, definition)
    }
}

const fn decl(
    name: &'static str,
    unit: &'static str,
    better: Better,
    definition: &'static str,
) -> Decl {
    Decl {
        name,
        unit,
        better,
        definition,
        signed: false,
    }
}

/// Declarations for a plan; the first is the primary metric.
pub(crate) fn declare<'a>(decls: impl IntoIterator<Item = &'a Decl>) -> Vec<MetricDecl> {
    let named = decls.into_iter().filter_map(|decl| {
        Some(MetricDecl {
            name: MetricName::new(decl.name).ok()?,
            unit: Unit::new(decl.unit),
            better: decl.better,
            definition: decl.definition.to_owned(),
            primary: false,
        })
    });
    let mut declared: Vec<MetricDecl> = named.collect();
    if let Some(first) = declared.first_mut() {
        first.primary = true;
    }
    declared
}

/// What an undeclared metric counts.
pub(crate) const UNDECLARED: &str = "as the case printed it; what it counts is not known";

/// A number that a case printed.
#[derive(Debug, Clone)]
pub(crate) struct Number<'a> {
    /// The name of its metric, as the case means it.
    pub(crate) metric: String,
    /// What the case called it.
    pub(crate) printed: &'a str,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    pub(crate) rank: Option<u32>,
    pub(crate) device: Option<String>,
}

impl Number<'_> {
    /// The number as a measurement, described as declared.
    ///
    /// # Errors
    ///
    /// What is to be said in its place.
    pub(crate) fn measurement(self, decl: Option<&Decl>) -> Result<Measurement, ResultRemark> {
        let Some(metric) = metric_name(&self.metric) else {
            let printed = self.printed.to_owned();
            return Err(ResultRemark::NoName { printed });
        };
        if !self.value.is_finite() {
            let metric = self.printed.to_owned();
            return Err(ResultRemark::NoNumber { metric });
        }
        if self.value < 0.0 && decl.is_some_and(|decl| !decl.signed) {
            let metric = self.printed.to_owned();
            return Err(ResultRemark::Negative { metric });
        }
        Ok(Measurement {
            printed: (metric.as_str() != self.printed).then(|| self.printed.to_owned()),
            metric,
            value: self.value,
            unit: self.unit,
            better: decl.map_or(Better::Neither, |decl| decl.better),
            definition: decl.map_or(UNDECLARED, |decl| decl.definition).to_owned(),
            rank: self.rank,
            device: self.device,
            spread: None,
            repetitions: Vec::new(),
            verification: Verification::Unchecked(
                "read from what the case printed, which does not say".to_owned(),
            ),
        })
    }
}

/// A printed name as that of a metric: each run of characters that such a name cannot have becomes one
/// `_`. Absent if no letter or digit is left.
pub(crate) fn metric_name(printed: &str) -> Option<MetricName> {
    if let Ok(name) = MetricName::new(printed) {
        return Some(name);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:+/ ".contains(c);
    let parts = printed
        .split(|c| !is_name(c))
        .filter(|part| !part.is_empty());
    let name = parts.collect::<Vec<&str>>().join("_");
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    MetricName::new(name.trim_end_matches(['_', ' '])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_name_becomes_one_of_a_metric() {
        for (printed, name) in [
            ("computation-FP16", Some("computation-FP16")),
            (
                "power-full_load(core-power)",
                Some("power-full_load_core-power"),
            ),
            ("*p(qps)", Some("p_qps")),
            ("一 a", Some("a")),
            ("(((", None),
            ("", None),
        ] {
            let made = metric_name(printed);
            assert_eq!(made.as_ref().map(MetricName::as_str), name, "{printed}");
        }
        assert_eq!(metric_name(&"x".repeat(300)), None);
    }
}
