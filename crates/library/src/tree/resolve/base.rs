//! Case strings of suite base: `<case>` and `<case>:<chip>`.

use flagperf_model::{CaseName, NodeScope, TreeProgram};
use flagperf_text::shown;

use super::{Resolved, Resolver, set_right};
use crate::tree::copy::unix_lines;
use crate::tree::credentials::changes;
use crate::tree::{TreeEntry, TreeKind, TreeProblem, WantedCase, read};

impl Resolver<'_> {
    pub(super) fn base(
        &self,
        wanted: &WantedCase,
        fields: &[&str],
    ) -> Result<Resolved, Vec<TreeProblem>> {
        let one = |problem| vec![problem];
        let (case, named) = match fields {
            [case] => (*case, None),
            [case, chip] => (*case, Some(*chip)),
            _ => {
                return Err(vec![TreeProblem::Fields {
                    case: shown(&wanted.name),
                    found: fields.len(),
                    expected: "`<case>` or `<case>:<chip>`".to_owned(),
                }]);
            }
        };
        let entry = self.entry(case, |_| true).map_err(one)?;
        let chip = self.chip(wanted, entry, named, |chip| format!("{case}:{chip}"));
        let chip = chip.map_err(one);
        let framework = self.framework(wanted, wanted.value.as_deref()).map_err(one);
        let name = CaseName::new(wanted.name.clone()).map_err(|error| vec![error.into()]);
        let (chip, framework, name) = all(chip, framework, name)?;
        let mut tree = self.blank(
            entry,
            framework,
            if self.request.toolkits {
                TreeProgram::Toolkit
            } else {
                TreeProgram::Benchmark
            },
        );
        let adapted = match &chip {
            Some(chip) => format!("{}/{chip}", self.vendor()),
            None => self.vendor().to_owned(),
        };
        tree.chip = chip;
        // Requirements and variables of a case stand with its benchmark, and hold for its toolkit too.
        let place = format!("benchmarks/{case}/{adapted}");
        tree.files.requirements = self.file(format!("{place}/requirements.txt"));
        tree.files.environment = self.file(format!("{place}/env.sh"));
        let mut scripts: Vec<String> = tree
            .files
            .requirements
            .iter()
            .chain(&tree.files.environment)
            .cloned()
            .collect();
        let mut remarks = Vec::new();
        if self.request.toolkits {
            let directory = format!("toolkits/{case}/{adapted}");
            let names = read::files(&self.directory().join(&directory)).map_err(one)?;
            let names = names.iter().filter(|name| read::is_script(name));
            let of_toolkit: Vec<String> = names.map(|name| format!("{directory}/{name}")).collect();
            self.check_credentials(wanted, &of_toolkit).map_err(one)?;
            scripts.extend(of_toolkit);
        }
        tree.copy.unix_lines = unix_lines(self.directory(), scripts).map_err(one)?;
        if tree
            .copy
            .unix_lines
            .iter()
            .any(|path| read::is_script(path))
        {
            remarks.push(set_right(
                Some(59),
                "scripts of the case end their lines in CR LF, which shells do not understand; the copies that run end them in LF",
            ));
        }
        if tree.chip.is_none() && tree.program == TreeProgram::Benchmark {
            remarks.push(set_right(
                Some(53),
                format!(
                    "what the vendor has for the case is not for single chips, so it is told `--vendor={}` and finds its configuration",
                    self.vendor()
                ),
            ));
        }
        let (nodes, nnodes) = self.span(entry);
        if nodes == NodeScope::Each
            && self.request.nodes > 1
            && tree.program == TreeProgram::Benchmark
        {
            remarks.push(set_right(
                Some(41),
                "the case measures inside a server; over several nodes its ranks would wait for each other or measure the network, so each node runs it by itself",
            ));
        }
        tree.nnodes = nnodes;
        Ok(Resolved {
            name,
            summary: format!("{case}, {} of {}", entry.kind, adapted.replace('/', " ")),
            tree,
            nodes,
            rounds: 1,
            remarks,
            setup: Vec::new(),
        })
    }

    /// Whether a case spans the nodes, and over how many. Benchmarks do, but those inside a server: nothing in
    /// them keeps a node's ranks to themselves. Toolkits run by themselves, but those between servers.
    fn span(&self, entry: &TreeEntry) -> (NodeScope, u32) {
        let nodes = self.request.nodes;
        let alone = match entry.kind {
            TreeKind::Toolkit => !entry.case.ends_with("interserver"),
            _ => entry.case.ends_with("intraserver") && nodes > 1,
        };
        if alone {
            (NodeScope::Each, 1)
        } else {
            (NodeScope::All, nodes)
        }
    }

    fn check_credentials(
        &self,
        wanted: &WantedCase,
        scripts: &[String],
    ) -> Result<(), TreeProblem> {
        if self.request.allow_credential_changes {
            return Ok(());
        }
        for script in scripts {
            let path = self.directory().join(script);
            let text = read::text(&path)?.unwrap_or_default();
            if let Some(what) = changes(&text) {
                return Err(TreeProblem::Credentials {
                    case: shown(&wanted.name),
                    path,
                    what,
                });
            }
        }
        Ok(())
    }
}

/// All of them, or all that is wrong with any.
pub(super) fn all<A, B, C>(
    a: Result<A, Vec<TreeProblem>>,
    b: Result<B, Vec<TreeProblem>>,
    c: Result<C, Vec<TreeProblem>>,
) -> Result<(A, B, C), Vec<TreeProblem>> {
    match (a, b, c) {
        (Ok(a), Ok(b), Ok(c)) => Ok((a, b, c)),
        (a, b, c) => {
            let problems = [a.err(), b.err(), c.err()];
            Err(problems.into_iter().flatten().flatten().collect())
        }
    }
}
