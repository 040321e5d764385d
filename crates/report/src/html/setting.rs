//! How the run was made, and on what.

use flagperf_model::{MachineFacts, NodeName, NodeRecord, fold};
use maud::{Markup, html};

use super::breakable;
use crate::RunData;
use crate::number::{bytes, count, duration, shell, short};
use crate::steps;
use crate::view::{APART, CaseView, chip_words};

/// The sections "How it was run" and "Machine".
pub(super) fn sections(run: &RunData, cases: &[CaseView<'_>]) -> Markup {
    let record = &run.record;
    html! {
        section #setting {
            h2 { "How it was run" }
            dl.pairs {
                dt { "Command" } dd { code { (shell(&record.command)) } }
                dt { "FlagPerf" } dd { (record.version) }
                dt { "Monitors" } dd { "every " (duration(record.plan.monitor.interval_ns as f64 / 1e9)) }
            }
            @if cases.iter().any(|case| case.planned.is_some()) {
                div.scroll tabindex="0" role="region" aria-label="Parameters and limits" {
                    table {
                        caption { "Parameters and limits. A case that runs longer than its time-out, or is silent and idle for its stall limit, is ended." }
                        thead { tr {
                            th scope="col" { "Case" }
                            th.n scope="col" { "Rounds" }
                            th.n scope="col" { "Time-out" }
                            th.n scope="col" { "Stall" }
                            th.n scope="col" { "Processes" }
                            th scope="col" { "Parameters" }
                        } }
                        tbody { @for case in cases { @if let Some(planned) = case.planned { tr {
                            th scope="row" { (case.name) }
                            td.n { (planned.rounds) }
                            td.n { (duration(planned.limits.timeout_s)) }
                            td.n { (duration(planned.limits.stall_s)) }
                            td.n { (planned.tasks.iter().map(|task| task.processes.len()).sum::<usize>()) }
                            td { @for (name, value) in &planned.params {
                                span.param { (name) "=" (&value.to_string()) } " "
                            } }
                        } } } }
                    }
                }
            }
            (steps(run))
        }
        section #machine {
            h2 { @if record.nodes.len() == 1 { "Machine" } @else { "Machines" } }
            @if record.nodes.is_empty() { p { "The record names no node." } }
            @for alike in alike(&record.nodes) { (machines(&alike)) }
        }
    }
}

/// What was done before the cases.
fn steps(run: &RunData) -> Markup {
    let lines = steps::lines(&run.record.nodes);
    html! { @if !lines.is_empty() {
        div.scroll tabindex="0" role="region" aria-label="Steps" {
            table {
                caption { "What was made ready for the cases, and taken away. Of several nodes the slowest counts." }
                thead { tr {
                    th scope="col" { "Step" }
                    th scope="col" { "Node" }
                    th.n scope="col" { "Time" }
                    th scope="col" { "What was done" }
                } }
                tbody { @for line in &lines { tr {
                    th scope="row" { (line.step) }
                    td { (line.nodes) }
                    td.n { (duration(line.seconds)) }
                    @if line.failed { td.bad { "✕ " (line.words) } } @else { td { (line.words) } }
                } } }
            }
        }
    } }
}

/// What differs from one of many machines that are alike to the next.
const OWN: [&str; 2] = ["Host name", AVAILABLE];
const AVAILABLE: &str = "Memory available at the start";

/// Nodes of which the same is to be said stand together, where there are many.
fn alike(nodes: &[NodeRecord]) -> Vec<Vec<&NodeRecord>> {
    let said = |node: &NodeRecord| {
        let pairs = node.facts.as_ref().map_or_else(Vec::new, pairs);
        let same: Vec<_> = pairs
            .into_iter()
            .filter(|(name, _)| !OWN.contains(name))
            .collect();
        let features = node.facts.as_ref().map(|facts| facts.cpu.features.clone());
        let bad = node.bad.as_ref().map(|bad| bad.reason.clone());
        (same, features, bad, node.absent.clone())
    };
    let mut groups: Vec<(_, Vec<&NodeRecord>)> = Vec::new();
    for node in nodes {
        let said = said(node);
        let known = groups.iter_mut().find(|(known, _)| *known == said);
        match known.filter(|_| nodes.len() > APART) {
            Some((_, group)) => group.push(node),
            None => groups.push((said, vec![node])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn machines(alike: &[&NodeRecord]) -> Markup {
    let Some(node) = alike.first() else {
        return html! {};
    };
    let names: Vec<NodeName> = alike.iter().map(|node| node.name.clone()).collect();
    let own = |name: &str| alike.len() == 1 || !OWN.contains(&name);
    html! {
        h3 { (fold(&names)) @if alike.len() > 1 { " " small { (count(alike.len(), "node")) } } }
        @if let Some(bad) = &node.bad { p { "It cannot take part: " (&bad.reason) } }
        @match &node.facts {
            None => { @if node.bad.is_none() { p { "It did not answer; nothing is known of it." } } },
            Some(facts) => {
                dl.pairs { @for (name, value) in pairs(facts).into_iter().filter(|(name, _)| own(name)) {
                    dt { (name) } dd { (&value) }
                } }
                @if !facts.cpu.features.is_empty() {
                    details { summary { "Instruction set features (" (facts.cpu.features.len()) ")" }
                        p.features { (&facts.cpu.features.join(" ")) }
                    }
                }
            }
        }
        @if !node.absent.is_empty() {
            table.absent {
                caption { @if alike.len() > 1 { "Not recorded on these nodes, and why" } @else { "Not recorded on this node, and why" } }
                thead { tr { th scope="col" { "Series" } th scope="col" { "Reason" } } }
                tbody { @for absent in &node.absent { tr {
                    th scope="row" { (breakable(&absent.name)) }
                    td { (&absent.reason) }
                } } }
            }
        }
    }
}

/// What is known of a machine, as names and values. What it does not say is left out.
fn pairs(facts: &MachineFacts) -> Vec<(&'static str, String)> {
    let cpu = &facts.cpu;
    let mut pairs = vec![("Host name", facts.hostname.clone())];
    let mut add = |name, value: Option<String>| {
        pairs.extend(value.filter(|v| !v.is_empty()).map(|value| (name, value)));
    };
    add("Machine", facts.product.clone());
    add("Virtualisation", facts.virtualization.clone());
    add("System", facts.os.clone());
    let kernel = [facts.kernel.as_str(), facts.arch.as_str()].join(" ");
    add("Kernel", Some(kernel.trim().to_owned()));
    add("Processor", cpu.model.clone());
    add(
        "Cores",
        (cpu.threads > 0).then(|| {
            [
                count(cpu.sockets as usize, "socket"),
                count(cpu.cores as usize, "core"),
                count(cpu.threads as usize, "thread"),
                format!("{} usable", cpu.allowed.len()),
            ]
            .join(", ")
        }),
    );
    add("NUMA nodes", numa(facts));
    let caches: Vec<String> = cpu
        .caches
        .iter()
        .map(|cache| {
            let kind = match cache.kind.as_str() {
                "Data" => "d",
                "Instruction" => "i",
                _ => "",
            };
            format!(
                "L{}{kind} {} × {}",
                cache.level,
                cache.instances,
                bytes(cache.bytes)
            )
        })
        .collect();
    add("Caches", Some(caches.join(", ")));
    add("Governor", cpu.governor.clone());
    add(
        "Highest clock",
        cpu.max_mhz.map(|mhz| format!("{} MHz", short(mhz))),
    );
    add("Chips", Some(chip_words(&facts.chips).join("; ")));
    let memory = &facts.memory;
    add("Memory", (memory.total > 0).then(|| bytes(memory.total)));
    add(
        AVAILABLE,
        (memory.total > 0).then(|| bytes(memory.available)),
    );
    add(
        "Swap",
        Some(if memory.swap == 0 {
            "none".to_owned()
        } else {
            bytes(memory.swap)
        }),
    );
    add(
        "Transparent huge pages",
        memory.transparent_hugepages.clone(),
    );
    let group = &facts.cgroup;
    let cpu_limit = group.cpu_limit.map_or_else(
        || "no processor limit".to_owned(),
        |l| format!("at most {} cores", short(l)),
    );
    let memory_limit = group.memory_limit.map_or_else(
        || "no memory limit".to_owned(),
        |l| format!("at most {}", bytes(l)),
    );
    if !group.version.is_empty() {
        add(
            "Control group",
            Some(format!("{}, {cpu_limit}, {memory_limit}", group.version)),
        );
    }
    pairs
}

fn numa(facts: &MachineFacts) -> Option<String> {
    let nodes = &facts.cpu.numa;
    let described = nodes.iter().take(16).map(|node| {
        let memory = node
            .memory_bytes
            .map_or(String::new(), |b| format!(" with {}", bytes(b)));
        format!("{}: {}{memory}", node.id, count(node.cpus.len(), "thread"))
    });
    let text = described.collect::<Vec<_>>().join("; ");
    (!nodes.is_empty()).then(|| match nodes.len() {
        n if n > 16 => format!("{n} ({text}; …)"),
        n => format!("{n} ({text})"),
    })
}
