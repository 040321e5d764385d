use flagperf_library::{Collected, Dialect, Peaks};
use flagperf_model::{Better, CaseRecord, Phase};
use proptest::prelude::*;

use super::{numbers, read, summary};
use crate::collector::node;

const HEAD: &str = "2024-05-06 07:08:09.123 | Finish Info | __main__:<module>:159 - ";

const FIGURES: &str = "{'vendor': 'nvidia', 'compiler': 'tensorrt', 'precision': 'fp16', 'batchsize': 256, 'flops': 78000000000000.0, 'e2e_time(second)': 812.345, 'p_validation_whole(qps)': 1200.5, 'p_validation_core(qps)': None, 'p_inference_whole(qps)': 2000.25, '*p_inference_core(qps)': 18932.038, 'val_average_acc': 0.762, 'infer_average_acc': nan}";

fn dialect(fp16: Option<f64>) -> Dialect {
    Dialect::Inference(Peaks {
        fp32: Some(1e12),
        fp16,
    })
}

#[test]
fn all_key_figures() {
    let (collected, summary) = read(
        &dialect(Some(312e12)),
        &[(node(), 0, &format!("{HEAD}{FIGURES}\n"))],
    );
    assert_eq!(
        numbers(&summary),
        [
            ("p_inference_core", 18932.038, "qps"),
            ("p_inference_whole", 2000.25, "qps"),
            ("p_validation_whole", 1200.5, "qps"),
            ("MFU", 25.0, "%"),
            ("flops", 78e12, "op/s"),
            ("val_average_acc", 0.762, ""),
            ("e2e_time", 812.345, "s"),
            ("batchsize", 256.0, ""),
        ]
    );
    let core = &summary.measurements[0].1;
    assert_eq!(core.printed.as_deref(), Some("*p_inference_core(qps)"));
    assert_eq!((core.rank, core.better), (None, Better::Higher));
    assert_eq!(
        summary.warnings,
        ["`case` on node1: the tool printed no number for `infer_average_acc`"]
    );
    let notes = collected.iter().map(|one| match one {
        Collected::Record(CaseRecord::Note { key, value, .. }) => (key.as_str(), value.as_str()),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        notes.collect::<Vec<_>>(),
        [
            ("vendor", "nvidia"),
            ("compiler", "tensorrt"),
            ("precision", "fp16")
        ]
    );
}

#[test]
fn no_mfu_without_the_peak_of_this_chip() {
    for peak in [
        None,
        Some(0.0),
        Some(-1.0),
        Some(f64::NAN),
        Some(f64::INFINITY),
    ] {
        let summary = summary(&dialect(peak), &format!("{HEAD}{FIGURES}\n"));
        assert!(numbers(&summary).iter().all(|(name, _, _)| *name != "MFU"));
        let said =
            "`case` on node1: there is no MFU: the peak rate of this chip in fp16 is not known";
        assert!(
            summary.warnings.iter().any(|text| text == said),
            "{summary:?}"
        );
        assert!(!summary.reporters.is_empty());
    }
}

#[test]
fn the_precision_chooses_the_peak() {
    let figures = FIGURES.replace("fp16", "fp32");
    let summary = summary(&dialect(Some(312e12)), &format!("{HEAD}{figures}\n"));
    let mfu = numbers(&summary)
        .into_iter()
        .find(|(name, _, _)| *name == "MFU");
    assert_eq!(mfu, Some(("MFU", 7800.0, "%")));
}

#[test]
fn what_was_not_asked_for_is_no_gap() {
    let figures = "{'compiler': None, 'precision': 'fp16', 'flops': 1e12, '*p_inference_core(qps)': None, 'p_validation_core(qps)': np.float64(5.5)}";
    let summary = summary(&dialect(Some(2e12)), &format!("{HEAD}{figures}"));
    assert_eq!(
        numbers(&summary),
        [
            ("p_validation_core", 5.5, "qps"),
            ("MFU", 50.0, "%"),
            ("flops", 1e12, "op/s")
        ]
    );
    assert_eq!(summary.warnings, Vec::<String>::new());
}

#[test]
fn other_figures_are_kept_as_they_come() {
    let summary = summary(
        &dialect(None),
        &format!("{HEAD}{{'ttft(ms)': 3.5, 'odd': [1]}}"),
    );
    assert_eq!(numbers(&summary), [("ttft", 3.5, "ms")]);
    assert_eq!(
        summary.warnings,
        ["`case` on node1: the tool printed a list for `odd`, not a number; it is left out"]
    );
}

#[test]
fn a_line_that_cannot_be_read_is_told() {
    for (text, problem) in [
        ("nothing", "there is no `{` in it"),
        (
            "{'flops': 1.0, 'vendor': 'nvid",
            "expected the end of the text in quotes that begins here at byte 25",
        ),
        ("{'flops' 1}", "expected `:` at byte 9"),
    ] {
        let summary = summary(&dialect(None), &format!("{HEAD}{text}\n"));
        assert_eq!(
            summary.warnings,
            [format!(
                "`case` on node1: a line with results (`Finish Info`) cannot be read: {problem}"
            )]
        );
        assert!(summary.reporters.is_empty());
    }
}

#[test]
fn the_last_of_several_counts() {
    let text = format!("{HEAD}{{'flops': 1.0}}\n{HEAD}{{'batchsize': 2}}\n");
    let summary = summary(&dialect(None), &text);
    assert_eq!(numbers(&summary), [("batchsize", 2.0, "")]);
    assert_eq!(
        summary.warnings,
        ["`case` on node1: `Finish Info` was printed 2 times; the last one counts"]
    );
}

#[test]
fn the_compiled_model_is_measured() {
    let text = "2024-05-06 07:08:09.123 | Model Forward Begin | __main__:main:40 - \n\
                2024-05-06 07:08:10.123 | Vendor Inference Begin | __main__:main:70 - \n\
                2024-05-06 07:08:11.123 | Vendor Inference End | __main__:main:80 - \n";
    let (collected, _) = read(&dialect(None), &[(node(), 0, text)]);
    let entered = |phase| Collected::Entered { rank: 0, phase };
    assert_eq!(collected, [entered(Phase::Measure), entered(Phase::End)]);
}

proptest! {
    #[test]
    fn any_dictionary_is_answered(text in "(Finish Info ?\\{?('[a-z*()]{0,6}(precision|flops)?': ?(-?[0-9.e]{1,8}|nan|None|'[a-z0-9]{0,4}'|[\\[(]),? ?){0,4}\\}?\n?){0,3}") {
        let summary = summary(&dialect(Some(1.0)), &text);
        for (_, number) in &summary.measurements {
            prop_assert!(number.value.is_finite());
        }
    }
}
