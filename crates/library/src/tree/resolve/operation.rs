//! Case strings of suite operation: `<operator>:<format>[:<TFLOPS>]:<library>[:<chip>]`.

use flagperf_model::{CaseName, NodeScope, TreeProgram};
use flagperf_text::{quoted, shown};

use super::base::all;
use super::{Resolved, Resolver, did_you_mean, set_right, warning};
use crate::tree::copy::unix_lines;
use crate::tree::{TreeProblem, WantedCase, read};

/// The number formats that operators know.
const FORMATS: [&str; 6] = ["FP32", "FP16", "BF16", "INT32", "INT16", "BOOL"];

/// The libraries that cases are written for: one that has operators of its own, and the framework's.
const LIBRARIES: [&str; 2] = ["flaggems", "nativetorch"];

const FORM: &str = "`<operator>:<format>:<nominal TFLOPS>:<library>:<chip>`, where the rate and the chip may be left out";

impl Resolver<'_> {
    pub(super) fn operation(
        &self,
        wanted: &WantedCase,
        fields: &[&str],
    ) -> Result<Resolved, Vec<TreeProblem>> {
        let one = |problem| vec![problem];
        let wrong_form = || {
            vec![TreeProblem::Fields {
                case: shown(&wanted.name),
                found: fields.len(),
                expected: FORM.to_owned(),
            }]
        };
        let [operator, format, rest @ ..] = fields else {
            return Err(wrong_form());
        };
        // A rate is the only field that is a number.
        let (told, rest) = match rest {
            [rate, rest @ ..] if rate.parse::<f64>().is_ok() => (Some(*rate), rest),
            _ => (None, rest),
        };
        let (library, named) = match rest {
            [library] => (*library, None),
            [library, chip] => (*library, Some(*chip)),
            _ => return Err(wrong_form()),
        };
        let entry = self.entry(operator, |_| true).map_err(one)?;
        let chip = self.chip(wanted, entry, named, |chip| {
            let rate = told.map_or(String::new(), |rate| format!(":{rate}"));
            format!("{operator}:{format}{rate}:{library}:{chip}")
        });
        let chip = chip.and_then(|chip| {
            check_format(wanted, format)?;
            Ok(chip)
        });
        let framework = self.framework(wanted, wanted.value.as_deref()).map_err(one);
        let name = CaseName::new(wanted.name.clone()).map_err(|error| vec![error.into()]);
        let (chip, framework, name) = all(chip.map_err(one), framework, name)?;

        let mut remarks = Vec::new();
        let chip_name = chip.as_deref().unwrap_or_default();
        let told = told.map(str::to_owned);
        let spec_tflops = told.or_else(|| self.nominal(chip_name, format)).unwrap_or_else(|| {
            remarks.push(warning(
                Some(49),
                format!("no nominal rate of `{chip_name}` for {format} is known, so the utilisation that the case prints is no number; name it in the third field"),
            ));
            "nan".to_owned()
        });
        if !LIBRARIES.contains(&library) {
            let hint = did_you_mean(library, LIBRARIES.into_iter(), "there are");
            remarks.push(warning(
                None,
                format!(
                    "`{}` is no library of operators, so the framework's own are measured; {hint}",
                    shown(library)
                ),
            ));
        }
        let vendor = self.vendor();
        let mut tree = self.blank(
            entry,
            framework,
            TreeProgram::Operation {
                format: (*format).to_owned(),
                spec_tflops,
                library: library.to_owned(),
                device: self
                    .request
                    .settings
                    .device
                    .filter(|_| vendor == "iluvatar"),
            },
        );
        let place = match &chip {
            Some(chip) => format!("benchmarks/{operator}/{vendor}/{chip}"),
            None => format!("benchmarks/{operator}/{vendor}"),
        };
        tree.files.requirements = self.file(format!("{place}/requirements.txt"));
        tree.files.environment = self.file(format!("{place}/env.sh"));
        let scripts = tree
            .files
            .requirements
            .iter()
            .chain(&tree.files.environment);
        tree.copy.unix_lines = unix_lines(self.directory(), scripts.cloned()).map_err(one)?;
        if tree
            .copy
            .unix_lines
            .iter()
            .any(|path| read::is_script(path))
        {
            remarks.push(set_right(
                Some(59),
                "the script of variables ends its lines in CR LF, which would be part of their values; the copy that is read ends them in LF",
            ));
        }
        let summary = format!(
            "{operator} in {format} by {library}, {vendor} {}",
            chip.as_deref().unwrap_or_default()
        );
        tree.chip = chip;
        Ok(Resolved {
            name,
            summary: summary.trim_end().to_owned(),
            tree,
            nodes: NodeScope::Each,
            rounds: 1,
            remarks,
            setup: Vec::new(),
        })
    }

    /// The nominal rate of a chip where the case string does not tell it. What the adaptations have under
    /// `SPECTFLOPS` does not say for which format, and the cases do not look at it.
    fn nominal(&self, chip: &str, format: &str) -> Option<String> {
        let mut known = self.request.settings.nominal_tflops.iter();
        let rate = known.find(|(of, with, _)| of == chip && with == format);
        rate.map(|(_, _, rate)| rate.to_string())
    }
}

fn check_format(wanted: &WantedCase, format: &str) -> Result<(), TreeProblem> {
    if FORMATS.contains(&format) {
        return Ok(());
    }
    Err(TreeProblem::Field {
        case: shown(&wanted.name),
        field: shown(format),
        what: "number format",
        expected: quoted(FORMATS),
    })
}
