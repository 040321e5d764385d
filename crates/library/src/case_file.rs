//! `case.toml`: the text of a case's definition into a [`CaseSpec`], with all its mistakes at once.
//!
//! `docs/cases.md` describes the keys for the people who write them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use flagperf_model::{
    Better, CaseName, CaseSpec, Entry, Feature, MetricDecl, MetricName, NodeScope, ParamDecl,
    RankLayout, Suite, Unit,
};
use flagperf_text::{Problem, Reader, Section, quoted, read_document, shown};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::param_decl::read_param;

/// The measurements that the program's `case` command knows.
pub(crate) const KERNELS: [&str; 11] = [
    "gemm-fp64",
    "gemm-fp32",
    "gemm-bf16",
    "gemm-int8",
    "gemm-fp16",
    "memory-bandwidth",
    "memory-capacity",
    "p2p",
    "allreduce",
    "p2p-tcp",
    "allreduce-tcp",
];

/// Those that measure between nodes.
const SPANNING: [&str; 2] = ["p2p-tcp", "allreduce-tcp"];

/// Whether a case is measured by a kernel that needs at least two nodes.
pub(crate) fn spans_nodes(entry: &Entry) -> bool {
    matches!(entry, Entry::Kernel(kernel) if SPANNING.contains(&kernel.as_str()))
}

const KEYS: [&str; 8] = [
    "summary",
    "suite",
    "entry",
    "ranks",
    "nodes",
    "needs_any",
    "metric",
    "param",
];

const SUITES: [(&str, Suite); 4] = [
    ("base", Suite::Base),
    ("operation", Suite::Operation),
    ("inference", Suite::Inference),
    ("training", Suite::Training),
];

const LAYOUTS: [(&str, RankLayout); 4] = [
    ("node", RankLayout::Node),
    ("numa", RankLayout::Numa),
    ("pair", RankLayout::Pair),
    ("core", RankLayout::Core),
];

const SCOPES: [(&str, NodeScope); 2] = [("each", NodeScope::Each), ("all", NodeScope::All)];

const BETTER: [(&str, Better); 3] = [
    ("higher", Better::Higher),
    ("lower", Better::Lower),
    ("neither", Better::Neither),
];

/// Reads the definition of the case of that name.
pub(crate) fn read_case(name: CaseName, source: &str) -> Result<CaseSpec, Vec<Problem>> {
    read_document(source, |reader, table| read_root(reader, name, table))
}

/// Reads every part before it gives up, so that all mistakes are found in one go.
fn read_root(reader: &mut Reader<'_>, name: CaseName, table: &DeTable<'_>) -> Option<CaseSpec> {
    let root = reader.section(table, 0, "a case", &KEYS);
    let summary = root.require_text(reader, "summary", "what it measures, in one line");
    if let (Some(text), Some(value)) = (&summary, root.get("summary"))
        && text.contains('\n')
    {
        reader.wrong(value.span(), "the summary has more than one line");
    }
    let suite = match root.get("suite") {
        Some(value) => reader.word(value, &SUITES),
        None => Some(Suite::Base),
    };
    let ranks = match root.get("ranks") {
        Some(value) => reader.word(value, &LAYOUTS),
        None => Some(RankLayout::Node),
    };
    let nodes = match root.get("nodes") {
        Some(value) => reader.word(value, &SCOPES),
        None => Some(NodeScope::default()),
    };
    let params = read_params(reader, &root);
    let entry = read_entry(reader, &root, &params);
    let needs_any = read_needs(reader, &root);
    let metrics = read_metrics(reader, &root);
    if let Some(entry) = &entry {
        check_scope(reader, &root, entry, nodes, ranks);
    }
    Some(CaseSpec {
        name,
        suite: suite?,
        summary: summary?,
        entry: entry?,
        ranks: ranks?,
        nodes: nodes?,
        needs_any,
        metrics,
        params,
    })
}

/// A built-in measurement is of a node or between nodes, and of no use the other way.
fn check_scope(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    entry: &Entry,
    nodes: Option<NodeScope>,
    ranks: Option<RankLayout>,
) {
    let Entry::Kernel(kernel) = entry else {
        return;
    };
    let mut wrong = |key: &str, message: String| {
        if let Some(value) = root.get(key).or_else(|| root.get("entry")) {
            reader.wrong(value.span(), message);
        }
    };
    let kernel = shown(kernel);
    if !spans_nodes(entry) {
        if nodes == Some(NodeScope::All) {
            let message = format!("`{kernel}` measures a node; expected `nodes = \"each\"`");
            wrong("nodes", message);
        }
        return;
    }
    if nodes == Some(NodeScope::Each) {
        let message = format!("`{kernel}` measures between nodes; expected `nodes = \"all\"`");
        wrong("nodes", message);
    }
    if ranks.is_some_and(|ranks| ranks != RankLayout::Node) {
        let message = format!("`{kernel}` has one rank on each node; expected `ranks = \"node\"`");
        wrong("ranks", message);
    }
}

fn read_entry(
    reader: &mut Reader<'_>,
    root: &Section<'_>,
    params: &BTreeMap<String, ParamDecl>,
) -> Option<Entry> {
    const EXPECTED: &str = r#"how it is started, `entry.argv = ["./main.sh"]` for a program"#;
    let value = root.require(reader, "entry", EXPECTED)?;
    let table = reader.table(value, "how the case is started")?;
    let at = value.span().start;
    let entry = reader.section(table, at, "`entry`", &["kernel", "argv"]);
    match (entry.get("kernel"), entry.get("argv")) {
        (Some(kernel), None) => {
            let kernels: Vec<(&str, &str)> = KERNELS.iter().map(|name| (*name, *name)).collect();
            let name = reader.word(kernel, &kernels)?;
            Some(Entry::Kernel(name.to_owned()))
        }
        (None, Some(argv)) => read_argv(reader, argv, params).map(Entry::Argv),
        (Some(_), Some(argv)) => {
            let message = "`entry` has both `kernel` and `argv`; a case is started in one way";
            reader.wrong(argv.span(), message);
            None
        }
        (None, None) => {
            let message = format!("`entry` is empty: expected {EXPECTED}");
            reader.wrong(value.span(), message);
            None
        }
    }
}

fn read_argv(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    params: &BTreeMap<String, ParamDecl>,
) -> Option<Vec<String>> {
    const EXPECTED: &str = r#"a list of texts such as ["./main.sh", "{param.size}"]"#;
    let items = reader.array(value, EXPECTED)?;
    let mut argv = Vec::new();
    for item in items {
        let Some(text) = item.get_ref().as_str() else {
            reader.mismatch(item, "a text; numbers go in quotes");
            continue;
        };
        for name in placeholders(text) {
            if !params.contains_key(name) {
                let declared = match params.len() {
                    0 => "it declares none".to_owned(),
                    _ => format!("it declares {}", quoted(params.keys().map(String::as_str))),
                };
                let message = format!(
                    "`{{param.{}}}` names a parameter that the case does not declare; {declared}",
                    shown(name)
                );
                reader.wrong(item.span(), message);
            }
        }
        if text.contains('\0') {
            reader.wrong(item.span(), "an argument cannot contain a NUL character");
        }
        argv.push(text.to_owned());
    }
    if argv.first().is_none_or(|program| program.trim().is_empty()) {
        reader.wrong(
            value.span(),
            "there is no program to start; expected the program first",
        );
        return None;
    }
    Some(argv)
}

/// The names in the `{param.NAME}` of an argument.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split("{param.")
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn read_needs(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<Vec<Feature>> {
    const EXPECTED: &str = r#"a list of sets of features such as [["avx512f"], ["fma", "avx2"]]"#;
    let Some(value) = root.get("needs_any") else {
        return Vec::new();
    };
    let mut sets = Vec::new();
    for set in reader.array(value, EXPECTED).unwrap_or_default() {
        let Some(items) = reader.array(set, EXPECTED) else {
            continue;
        };
        if items.is_empty() {
            let message = "an empty set is present everywhere; leave `needs_any` out instead";
            reader.wrong(set.span(), message);
        }
        sets.push(
            items
                .iter()
                .filter_map(|item| reader.text(item, "a feature as /proc/cpuinfo names it"))
                .map(Feature)
                .collect(),
        );
    }
    sets
}

fn read_metrics(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<MetricDecl> {
    let Some(value) = root.get("metric") else {
        return Vec::new();
    };
    let items = reader.array(value, "tables that start with [[metric]]");
    let mut metrics: Vec<MetricDecl> = Vec::new();
    let mut names = BTreeSet::new();
    for item in items.unwrap_or_default() {
        let Some((metric, span)) = read_metric(reader, item) else {
            continue;
        };
        if !names.insert(metric.name.clone()) {
            reader.wrong(
                span,
                format!("the metric `{}` is declared twice", metric.name),
            );
        } else if metric.primary && metrics.iter().any(|other| other.primary) {
            reader.wrong(
                span,
                "there is a primary metric already; one stands for the case",
            );
        }
        metrics.push(metric);
    }
    if !metrics.iter().any(|metric| metric.primary)
        && let Some(first) = metrics.first_mut()
    {
        first.primary = true;
    }
    metrics
}

fn read_metric(
    reader: &mut Reader<'_>,
    item: &Spanned<DeValue<'_>>,
) -> Option<(MetricDecl, Range<usize>)> {
    let table = reader.table(item, "a metric")?;
    let keys = ["name", "unit", "better", "definition", "primary"];
    let metric = reader.section(table, item.span().start, "[[metric]]", &keys);
    let value = metric.require(reader, "name", "what the number is called");
    let span = value.map_or_else(|| item.span(), Spanned::span);
    let name = value
        .and_then(|value| reader.text(value, "what the number is called"))
        .and_then(|text| {
            MetricName::new(text)
                .map_err(|error| reader.wrong(span.clone(), error.to_string()))
                .ok()
        });
    let unit = metric
        .require(
            reader,
            "unit",
            r#"its unit such as "GB/s", or "" for a bare number"#,
        )
        .and_then(|value| {
            let text = value.get_ref().as_str();
            if text.is_none() {
                reader.mismatch(value, r#"a unit such as "GB/s""#);
            }
            text.map(Unit::new)
        });
    let better = metric
        .require(reader, "better", "`higher`, `lower` or `neither`")
        .and_then(|value| reader.word(value, &BETTER));
    let definition = metric.require_text(reader, "definition", "what is counted, in one sentence");
    let primary = match metric.get("primary") {
        None => false,
        Some(value) => reader.boolean(value).unwrap_or_default(),
    };
    let metric = MetricDecl {
        name: name?,
        unit: unit?,
        better: better?,
        definition: definition?,
        primary,
    };
    Some((metric, span))
}

fn read_params(reader: &mut Reader<'_>, root: &Section<'_>) -> BTreeMap<String, ParamDecl> {
    let Some(value) = root.get("param") else {
        return BTreeMap::new();
    };
    let Some(table) = reader.table(value, "[param.NAME]") else {
        return BTreeMap::new();
    };
    let mut params = BTreeMap::new();
    for (key, value) in table {
        let name: &str = key.get_ref();
        // Each becomes the variable FLAGPERF_PARAM_<NAME> in capitals: with small letters only, two
        // names never become the same variable.
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !valid {
            let message = format!(
                "`{}` cannot name a parameter; expected small letters, digits and `_`, a letter first",
                shown(name)
            );
            reader.wrong(key.span(), message);
        }
        if let Some(decl) = read_param(reader, name, key.span(), value) {
            params.insert(name.to_owned(), decl);
        }
    }
    params
}
