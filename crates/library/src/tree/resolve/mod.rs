//! From case strings to cases: every string is checked against the tree before anything starts, and all that
//! is wrong is told together.

mod base;
mod inference;
mod lookup;
mod merged;
mod operation;
mod training;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use flagperf_model::{
    CaseName, CaseSpec, Entry, Limits, NodeScope, PlannedCase, RankLayout, Remark, RemarkKind,
    SetupCommand, Suite, TreeCase,
};
use flagperf_text::{nearest, quoted, shown};

use crate::Dialect;

use super::copy::CopyRules;
use super::find::suite_name;
use super::glob::{is_pattern, name_matches};
use super::{
    SuiteTree, TreeCatalogue, TreeEntry, TreeErrors, TreeKind, TreeProblem, TreeRequest,
    WantedCase, read, remarks,
};

/// Time between the request to end and the order, in seconds: as for other programs.
const GRACE_S: f64 = 5.0;

/// Most cases of a pattern of which it is told why they do not exist.
const MOST_REASONS: usize = 3;

/// Most rounds of a case: whoever asks for more has mistaken a field.
const MOST_ROUNDS: u32 = 10_000;

/// Finds the cases that a request means and what each needs. Nothing is planned on nodes yet: each round of
/// each case comes without tasks, and [`crate::replan`] gives it some.
///
/// The cases come in the order of the request, each once, with their rounds one after the other.
///
/// # Errors
///
/// Everything that is wrong with the request, at once.
pub fn resolve_cases(request: &TreeRequest<'_>) -> Result<Vec<PlannedCase>, TreeErrors> {
    let catalogue =
        TreeCatalogue::read(request.tree).map_err(|problem| TreeErrors(vec![problem]))?;
    let resolver = Resolver {
        request,
        catalogue: &catalogue,
    };
    resolver
        .check_request()
        .map_err(|problem| TreeErrors(vec![problem]))?;
    let mut problems = Vec::new();
    let mut found: Vec<Resolved> = Vec::new();
    for wanted in request.cases {
        match resolver.expand(wanted) {
            Ok(cases) => {
                for case in cases {
                    // A case that was named before, by itself or by a pattern, stays where it is.
                    if found.iter().all(|other| other.name != case.name) {
                        found.push(case);
                    }
                }
            }
            Err(mut wrong) => problems.append(&mut wrong),
        }
    }
    let rules = CopyRules::read(request, &found).map_err(|problem| problems.push(problem));
    match rules {
        Ok(rules) if problems.is_empty() => {
            rules.apply(&mut found);
            Ok(found
                .into_iter()
                .flat_map(|case| case.rounds(request))
                .collect())
        }
        _ => Err(TreeErrors(problems)),
    }
}

/// A case that was found.
pub(super) struct Resolved {
    pub(super) name: CaseName,
    pub(super) tree: TreeCase,
    /// What it is, for people.
    summary: String,
    nodes: NodeScope,
    rounds: u32,
    remarks: Vec<Remark>,
    setup: Vec<SetupCommand>,
}

impl Resolved {
    fn rounds(self, request: &TreeRequest<'_>) -> impl Iterator<Item = PlannedCase> {
        let suite = request.tree.suite;
        let rounds = request.rounds.unwrap_or(self.rounds);
        let (timeout_s, stall_s) = default_limits(suite);
        let entry = Entry::Tree(Box::new(self.tree));
        let metrics = Dialect::of(&entry).metrics();
        let first = PlannedCase {
            spec: CaseSpec {
                name: self.name,
                suite,
                summary: self.summary,
                entry,
                ranks: RankLayout::Node,
                nodes: self.nodes,
                needs_any: Vec::new(),
                metrics,
                params: BTreeMap::new(),
            },
            round: 1,
            rounds,
            params: BTreeMap::new(),
            limits: Limits {
                timeout_s: request.timeout_s.unwrap_or(timeout_s),
                stall_s: request.stall_s.unwrap_or(stall_s),
                grace_s: GRACE_S,
            },
            expected_s: None,
            unsupported: None,
            skipped: None,
            left_out: Vec::new(),
            directory: None,
            container: None,
            setup: self.setup,
            drop_caches: false,
            named: request.named,
            remarks: self.remarks,
            tasks: Vec::new(),
        };
        (1..=rounds).map(move |round| PlannedCase {
            round,
            ..first.clone()
        })
    }
}

/// Default bounds on a case, and on its silence without processor use, in seconds. They are bounds against
/// hanging and no estimates: cases of suite base measure for minutes, some wait for five in between, and their
/// packages may have to be installed first; a training may take days.
fn default_limits(suite: Suite) -> (f64, f64) {
    const HOUR: f64 = 3600.0;
    match suite {
        Suite::Base | Suite::Operation => (4.0 * HOUR, 0.25 * HOUR),
        Suite::Inference => (24.0 * HOUR, HOUR),
        Suite::Training => (7.0 * 24.0 * HOUR, HOUR),
    }
}

/// What strings are resolved against.
struct Resolver<'a> {
    request: &'a TreeRequest<'a>,
    catalogue: &'a TreeCatalogue,
}

impl Resolver<'_> {
    fn tree(&self) -> &SuiteTree {
        self.request.tree
    }

    fn directory(&self) -> &Path {
        &self.request.tree.directory
    }

    fn vendor(&self) -> &str {
        self.request.vendor
    }

    /// What can be said before any case is looked at.
    fn check_request(&self) -> Result<(), TreeProblem> {
        let mut vendors = self.catalogue.vendors();
        let engines;
        if self.tree().suite == Suite::Inference {
            // A vendor may be content with the common configuration of each case.
            engines = read::directories(&self.directory().join("inference_engine"))?;
            vendors.extend(engines.iter().map(String::as_str));
            vendors.sort_unstable();
            vendors.dedup();
        }
        let suite = suite_name(self.tree().suite);
        if !vendors.contains(&self.vendor()) {
            let hint = did_you_mean(self.vendor(), vendors.iter().copied(), "it has");
            return Err(TreeProblem::Vendor {
                suite,
                vendor: shown(self.vendor()),
                hint,
            });
        }
        if self.request.cases.is_empty() {
            let entries = self.catalogue.entries.iter();
            let mut names: Vec<&str> = entries
                .filter(|entry| entry.adaptation(self.vendor()).is_some())
                .map(|entry| entry.case.as_str())
                .collect();
            names.dedup();
            return Err(TreeProblem::NoCases {
                suite,
                vendor: self.vendor().to_owned(),
                there: quoted(names),
            });
        }
        Ok(())
    }

    /// The cases that a string stands for: one, or those whose names are as its first field says.
    fn expand(&self, wanted: &WantedCase) -> Result<Vec<Resolved>, Vec<TreeProblem>> {
        let (first, rest) = match wanted.name.split_once(':') {
            Some((first, rest)) => (first, Some(rest)),
            None => (&*wanted.name, None),
        };
        if !is_pattern(first) {
            return Ok(vec![self.resolve(wanted)?]);
        }
        let kind = self.kind_name();
        let entries = self.catalogue.of_kind(|kind| self.is_of_kind(kind));
        let mut names: Vec<&str> = entries
            .iter()
            .filter(|entry| name_matches(first, &entry.case))
            .map(|entry| entry.case.as_str())
            .collect();
        names.dedup();
        let mut found = Vec::new();
        let mut problems = Vec::new();
        let mut absent = Vec::new();
        for name in &names {
            let one = WantedCase {
                name: rest.map_or_else(|| (*name).to_owned(), |rest| format!("{name}:{rest}")),
                value: wanted.value.clone(),
            };
            match self.resolve(&one) {
                Ok(case) => found.push(case),
                Err(wrong) => {
                    // Who asks for all of a kind asks for those that exist.
                    let (is_absent, is_wrong) = wrong.into_iter().partition(is_absence);
                    absent.extend::<Vec<TreeProblem>>(is_absent);
                    problems.extend::<Vec<TreeProblem>>(is_wrong);
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let hint = if absent.is_empty() {
            let names = entries.iter().map(|entry| entry.case.as_str());
            format!("there are {}", quoted(names))
        } else {
            let first = absent.iter().take(MOST_REASONS).map(ToString::to_string);
            let mut text = first.collect::<Vec<String>>().join("; ");
            if absent.len() > MOST_REASONS {
                let _ = write!(text, "; and so on for {} more", absent.len() - MOST_REASONS);
            }
            text
        };
        Err(vec![TreeProblem::NoMatch {
            kind,
            vendor: self.vendor().to_owned(),
            pattern: shown(&wanted.name),
            hint,
        }])
    }

    fn resolve(&self, wanted: &WantedCase) -> Result<Resolved, Vec<TreeProblem>> {
        let fields: Vec<&str> = wanted.name.split(':').collect();
        if let Some(empty) = fields.iter().position(|field| field.is_empty()) {
            return Err(vec![TreeProblem::Field {
                case: shown(&wanted.name),
                field: String::new(),
                what: "field",
                expected: format!("something for field {}", empty + 1),
            }]);
        }
        let mut case = match self.tree().suite {
            Suite::Base => self.base(wanted, &fields)?,
            Suite::Operation => self.operation(wanted, &fields)?,
            Suite::Inference => self.inference(wanted, &fields)?,
            Suite::Training => self.training(wanted, &fields)?,
        };
        let more = remarks::of(self.request, &case.tree);
        let (more, env) = more.map_err(|problem| vec![problem])?;
        case.remarks.extend(more);
        case.tree.env.extend(env);
        let rounds = self.request.rounds.unwrap_or(case.rounds);
        if !(1..=MOST_ROUNDS).contains(&rounds) {
            return Err(vec![TreeProblem::Field {
                case: shown(&wanted.name),
                field: rounds.to_string(),
                what: "number of rounds",
                expected: format!("1 to {MOST_ROUNDS}"),
            }]);
        }
        Ok(case)
    }

    /// True for the kinds of case that the request is about.
    fn is_of_kind(&self, kind: TreeKind) -> bool {
        match kind {
            TreeKind::Benchmark => !self.request.toolkits,
            TreeKind::Toolkit => self.request.toolkits,
            _ => true,
        }
    }

    /// The request's kind of case in words.
    fn kind_name(&self) -> String {
        let name = match self.tree().suite {
            Suite::Base if self.request.toolkits => "toolkit",
            Suite::Base => "benchmark",
            Suite::Operation => "operator",
            Suite::Inference => "inference case",
            Suite::Training => "training case",
        };
        name.to_owned()
    }

    /// The path if there is such a file, relative to the suite's directory.
    fn file(&self, path: String) -> Option<String> {
        self.directory().join(&path).is_file().then_some(path)
    }

    /// The path if there is such a directory, relative to the suite's directory.
    fn subdirectory(&self, path: String) -> Option<String> {
        self.directory().join(&path).is_dir().then_some(path)
    }

    /// A case with what its request says of every case; the rest is as if the tree had nothing for it.
    fn blank(
        &self,
        entry: &TreeEntry,
        framework: String,
        program: flagperf_model::TreeProgram,
    ) -> TreeCase {
        TreeCase {
            suite_directory: self.directory().to_string_lossy().into_owned(),
            case: entry.case.clone(),
            vendor: self.vendor().to_owned(),
            chip: None,
            framework,
            program,
            nproc: self.request.nproc,
            nnodes: 1,
            pip_source: self.request.settings.pip_source.clone(),
            files: flagperf_model::TreeFiles::default(),
            env: BTreeMap::new(),
            copy: flagperf_model::PrivateCopy::default(),
            peaks: BTreeMap::new(),
        }
    }
}

/// True if a problem only says that the case does not exist for what was asked.
fn is_absence(problem: &TreeProblem) -> bool {
    matches!(
        problem,
        TreeProblem::NotFor { .. }
            | TreeProblem::NotWith { .. }
            | TreeProblem::Configuration { .. }
            | TreeProblem::NoChips { .. }
    )
}

fn did_you_mean<'a>(name: &str, there: impl Iterator<Item = &'a str> + Clone, are: &str) -> String {
    match nearest(name, there.clone()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("{are} {}", quoted(there)),
    }
}

/// A remark on something that was set right.
pub(super) fn set_right(defect: Option<u32>, text: impl Into<String>) -> Remark {
    Remark {
        kind: RemarkKind::SetRight,
        defect,
        text: text.into(),
    }
}

/// A remark on something that a result has to be read with.
pub(super) fn warning(defect: Option<u32>, text: impl Into<String>) -> Remark {
    Remark {
        kind: RemarkKind::Warning,
        defect,
        text: text.into(),
    }
}
