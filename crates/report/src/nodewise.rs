//! What the monitors of many nodes recorded, series by series beside each other.

use std::collections::{HashMap, HashSet};

use flagperf_model::{Better, Scope, SeriesDecl, Window};

use crate::across::{Across, Member};
use crate::number::count;
use crate::shown::Shown;
use crate::view::APART;
use crate::{CaseSamples, RunData, Series, window_stats};

/// A series as many nodes recorded it.
pub(crate) struct Nodewise<'a> {
    pub(crate) decl: &'a SeriesDecl,
    /// Which instance of it; absent where there is one, or all are taken together.
    instance: Option<&'a str>,
    /// Unit and prefix that all its numbers are shown in.
    pub(crate) shown: Shown,
    pub(crate) parts: Vec<Part<'a>>,
    /// Means over the window, as they are shown; `None` without a sample in it.
    pub(crate) means: Option<Across>,
}

/// The series on one node.
pub(crate) struct Part<'a> {
    pub(crate) series: Series<'a>,
    /// What its values are multiplied by to be shown: processors are a share of the node's own.
    pub(crate) factor: f64,
}

impl Nodewise<'_> {
    /// Its name, with the instance.
    pub(crate) fn name(&self) -> String {
        match self.instance {
            Some(instance) => format!("{} {instance}", self.decl.name),
            None => self.decl.name.clone(),
        }
    }

    /// On how much it was recorded: `64 nodes`, or `128 instances` where there are several a node.
    pub(crate) fn count(&self) -> String {
        let together = self.instance.is_none() && self.decl.instance.is_some();
        let word = if together { "instance" } else { "node" };
        count(self.parts.len(), word)
    }
}

/// The series of all nodes, in the order in which they were first declared. Instances that have no
/// meaning beyond their node, such as cores, and those of which there are many, are taken together.
pub(crate) fn all_nodewise<'a>(
    run: &RunData,
    samples: &[&'a CaseSamples],
    window: Option<Window>,
) -> Vec<Nodewise<'a>> {
    type Kind<'a> = (&'a str, Scope);
    let all = || {
        samples
            .iter()
            .flat_map(|samples| samples.series().map(|series| (*samples, series)))
    };
    let mut instances: HashMap<Kind<'a>, HashSet<&'a str>> = HashMap::new();
    for (_, series) in all() {
        let kind = (series.decl.name.as_str(), series.decl.scope);
        let known = instances.entry(kind).or_default();
        known.extend(series.decl.instance.as_deref());
    }
    let mut order: Vec<Vec<(&'a str, Series<'a>)>> = Vec::new();
    let mut places: HashMap<(Kind<'a>, Option<&'a str>, bool), usize> = HashMap::new();
    for (samples, series) in all() {
        let kind = (series.decl.name.as_str(), series.decl.scope);
        let many = kind.0.starts_with("cpu.") || instances[&kind].len() > APART;
        let has = series.decl.instance.is_some();
        let instance = series.decl.instance.as_deref().filter(|_| !many);
        let place = *places.entry((kind, instance, has)).or_insert_with(|| {
            order.push(Vec::new());
            order.len() - 1
        });
        order[place].push((samples.node.as_str(), series));
    }
    let found = order
        .into_iter()
        .filter_map(|members| nodewise(run, &members, window));
    found.collect()
}

fn nodewise<'a>(
    run: &RunData,
    members: &[(&'a str, Series<'a>)],
    window: Option<Window>,
) -> Option<Nodewise<'a>> {
    let (first_node, first) = *members.first()?;
    let mut nodes = HashSet::new();
    let together = members.iter().any(|(node, _)| !nodes.insert(*node));
    let stats: Vec<_> = members
        .iter()
        .map(|(_, series)| window_stats(series, window))
        .collect();
    let peak = stats
        .iter()
        .flatten()
        .fold(0.0, |peak: f64, s| peak.max(s.max.abs()).max(s.min.abs()));
    let shown = Shown::of(first.decl, run.threads_of(first_node), peak);
    let mut means = Vec::new();
    let mut parts = Vec::new();
    for ((node, series), stats) in members.iter().zip(stats) {
        let factor = Shown::of(series.decl, run.threads_of(node), peak).factor;
        let name = match &series.decl.instance {
            Some(instance) if together => format!("{node} {instance}"),
            _ => (*node).to_owned(),
        };
        means.extend(stats.map(|stats| Member {
            name,
            value: stats.mean * factor,
        }));
        parts.push(Part {
            series: *series,
            factor,
        });
    }
    let instance = first.decl.instance.as_deref();
    let of = count(means.len(), "node");
    Some(Nodewise {
        decl: first.decl,
        instance: instance.filter(|_| !together),
        means: Across::of(means, shown.unit(), Better::Neither, of),
        shown,
        parts,
    })
}
