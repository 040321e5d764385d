use flagperf_library::{Collected, Dialect, TrainingStyle};
use flagperf_model::{Better, Phase};
use proptest::prelude::*;

use super::{numbers, only, read, second, summary};
use crate::collector::node;

fn dialect(model: &str) -> Dialect {
    Dialect::Training {
        model: model.to_owned(),
        style: TrainingStyle::Printed,
    }
}

fn finished(value: &str) -> String {
    format!(
        "[PerfLog] {{\"event\": \"FINISHED\", \"value\": {value}, \"metadata\": {{\"file\": \"run_pretraining.py\", \"lineno\": 136, \"time_ms\": 1714970000000, \"rank\": 0}}}}\n"
    )
}

#[test]
fn the_result_in_the_log() {
    let value = r#"{"e2e_time": 1200.5, "train_time": 1000.25, "train_no_eval_time": 900.5, "pure_training_computing_time": 800.5, "throughput(ips)_raw": 2500.5, "throughput(ips)_no_eval": 2600.5, "throughput(ips)_pure_compute": 2700.5, "converged": true, "final_acc1": 0.76, "final_loss": -5.5}"#;
    let text = format!(
        "[PerfLog] {{\"event\": \"STEP_END\", \"value\": {{\"loss\": 1}}}}\n{}",
        finished(value)
    );
    let summary = summary(&dialect("resnet50"), &text);
    assert_eq!(
        numbers(&summary),
        [
            ("throughput_raw", 2500.5, "items/s"),
            ("throughput_no_eval", 2600.5, "items/s"),
            ("throughput_pure_compute", 2700.5, "items/s"),
            ("e2e_time", 1200.5, "s"),
            ("train_time", 1000.25, "s"),
            ("train_no_eval_time", 900.5, "s"),
            ("pure_training_computing_time", 800.5, "s"),
            ("converged", 1.0, ""),
            ("final_acc1", 0.76, ""),
            ("final_loss", -5.5, ""),
        ]
    );
    for (_, number) in &summary.measurements {
        assert_eq!(number.rank, None);
        assert_ne!(number.better, Better::Neither, "{}", number.metric);
    }
    assert_eq!(summary.warnings, Vec::<String>::new());
}

#[test]
fn every_key_of_the_log() {
    // As the case libraries print them, with the names that they mean.
    for (key, metric, unit) in [
        ("throughput(sps)_raw", "throughput_raw", "sequences/s"),
        (
            "throughput(sps)_no_eval",
            "throughput_no_eval",
            "sequences/s",
        ),
        (
            "throughput(sps)_pure_compute",
            "throughput_pure_compute",
            "sequences/s",
        ),
        ("throuhgput(ips)_raw", "throughput_raw", "items/s"),
        ("throuhgput(ips)_no_eval", "throughput_no_eval", "items/s"),
        (
            "throuhgput(ips)_pure_compute",
            "throughput_pure_compute",
            "items/s",
        ),
        ("raw_train_time", "train_time", "s"),
        ("init_time", "init_time", "s"),
        (
            "training_sequences_per_second",
            "training_sequences_per_second",
            "sequences/s",
        ),
        (
            "training_images_per_second",
            "training_images_per_second",
            "images/s",
        ),
        (
            "training_items_per_second",
            "training_items_per_second",
            "items/s",
        ),
        (
            "training_tokens_per_second",
            "training_tokens_per_second",
            "tokens/s",
        ),
        (
            "training_ntokens_per_second",
            "training_ntokens_per_second",
            "tokens/s",
        ),
        (
            "effective_tokens_per_second",
            "effective_tokens_per_second",
            "tokens/s",
        ),
        ("val_items_per_sec", "val_items_per_sec", "items/s"),
        ("final_nuv", "final_nuv", "%"),
    ] {
        let summary = summary(&dialect("m"), &finished(&format!("{{\"{key}\": 2.5}}")));
        assert_eq!(numbers(&summary), [(metric, 2.5, unit)], "{key}");
        let printed = only(&summary).printed.as_deref();
        assert_eq!(printed, (key != metric).then_some(key));
        assert_ne!(only(&summary).better, Better::Neither, "{key}");
    }
    for key in [
        "acc",
        "best_auc",
        "best_validation_loss",
        "converged",
        "epoch",
        "final_acc",
        "final_acc1",
        "final_acc5",
        "final_accuracy",
        "final_auc",
        "final_loss",
        "final_mAP",
        "final_map_bbox",
        "final_map_segm",
        "final_mlm_accuracy",
        "final_ppl_accuracy",
        "global_steps",
        "num_trained_samples",
        "rouge1",
        "rouge2",
        "rougeL",
        "rougeLsum",
        "train_loss",
        "train_samples",
        "val_loss",
    ] {
        let summary = summary(&dialect("m"), &finished(&format!("{{\"{key}\": 0.5}}")));
        assert_eq!(numbers(&summary), [(key, 0.5, "")]);
        assert!(!only(&summary).definition.contains("not known"), "{key}");
    }
    let summary = summary(&dialect("m"), &finished("{\"new(x)\": 1}"));
    assert_eq!(numbers(&summary), [("new_x", 1.0, "")]);
    assert_eq!(only(&summary).printed.as_deref(), Some("new(x)"));
}

#[test]
fn what_is_no_number_in_the_log() {
    let value = r#"{"e2e_time": 5.5, "final_loss": NaN, "train_time": -Infinity, "converged": false, "final_acc": null, "val_loss": [1.0], "init_time": -1}"#;
    let summary = summary(&dialect("m"), &finished(value));
    assert_eq!(
        numbers(&summary),
        [("e2e_time", 5.5, "s"), ("converged", 0.0, "")]
    );
    assert_eq!(
        summary.warnings,
        [
            "`case` on node1: the tool printed no number for `final_loss`",
            "`case` on node1: the tool printed no number for `train_time`",
            "`case` on node1: the tool printed no number for `final_acc`",
            "`case` on node1: the tool printed a list for `val_loss`, not a number; it is left out",
            "`case` on node1: the tool printed a number below zero for `init_time`, which cannot be; it is left out",
        ]
    );
}

#[test]
fn the_first_rank_speaks_for_all_nodes() {
    let line = |rank: u32, time: f64| {
        finished(&format!("{{\"e2e_time\": {time}}}"))
            .replace("\"rank\": 0", &format!("\"rank\": {rank}"))
    };
    let (first, other, odd) = (line(0, 1.0), line(0, 2.0), line(1, 3.0));
    // The first rank of every node prints it; within a pipe of several ranks the line tells whose it is.
    let (_, summary) = read(
        &dialect("m"),
        &[
            (second(), 8, &other),
            (node(), 1, &odd),
            (node(), 0, &odd),
            (node(), 0, &first),
            (node(), 0, &odd),
        ],
    );
    assert_eq!(numbers(&summary), [("e2e_time", 1.0, "s")]);
    assert_eq!(summary.measurements[0].0, node());
}

#[test]
fn a_log_that_cannot_be_read_is_told() {
    let cut = "[PerfLog] {\"event\": \"FINISHED\", \"value\": {\"e2e_time\": 5.5\n";
    let summary = summary(&dialect("m"), cut);
    assert_eq!(
        summary.warnings,
        [
            "`case` on node1: a line with results (`[PerfLog]`) cannot be read: expected `,` or the end of the list at byte 48"
        ]
    );
    assert!(summary.reporters.is_empty());
}

#[test]
fn the_log_behind_a_progress_bar() {
    let text = format!("10%|#\r20%|##\r 30%|###{}", finished("{\"e2e_time\": 5.5}"));
    assert_eq!(
        numbers(&summary(&dialect("m"), &text)),
        [("e2e_time", 5.5, "s")]
    );
}

#[test]
fn phases_in_the_log() {
    let event = |name: &str| {
        format!("[PerfLog] {{\"event\": \"{name}\", \"metadata\": {{\"rank\": 0}}}}\n")
    };
    let text = [
        "INIT_START",
        "INIT_END",
        "TRAIN_START",
        "EPOCH_BEGIN",
        "TRAIN_END",
    ]
    .map(event);
    let (collected, _) = read(&dialect("m"), &[(node(), 1, &text.concat())]);
    let entered = |phase| Collected::Entered { rank: 1, phase };
    assert_eq!(
        collected,
        [
            entered(Phase::Prepare),
            entered(Phase::Measure),
            entered(Phase::End)
        ]
    );
}

#[test]
fn printed_lines() {
    let text = "loading\nSystem tokens per second:  41234.5\nTokens/p/s:  5154.3125\nMFU:  0.25\n";
    let summary = summary(&dialect("llama3_8B"), text);
    assert_eq!(
        numbers(&summary),
        [
            ("tokens_per_chip_per_second", 5154.3125, "tokens/s"),
            ("tokens_per_second", 41234.5, "tokens/s"),
            ("MFU", 25.0, "%"),
        ]
    );
    assert_eq!(
        summary.measurements[1].1.printed.as_deref(),
        Some("System tokens per second")
    );
    assert!(
        summary.measurements[2]
            .1
            .definition
            .contains("printed as a share of 1")
    );
    assert_eq!(summary.warnings, Vec::<String>::new());
}

#[test]
fn flagscale_has_two_numbers_in_a_line() {
    let text = "[12.5, 12.25]\n12.25 3276.8\nMFU: 0.4375";
    assert_eq!(
        numbers(&summary(&dialect("llama3_70B"), text)),
        [
            ("tokens_per_chip_per_second", 3276.8, "tokens/s"),
            ("MFU", 43.75, "%"),
            ("step_time", 12.25, "s"),
        ]
    );
}

#[test]
fn stages_have_their_average_first() {
    let text = "Pretrain stage\nTokens/p/s:  100\nTheory TFLOPS:  312\nFinetune stage\nTokens/p/s:  50\nTokens/TFLOPS:  0.5\ntwo-stage average\nMFU:  0.5\nActual computing power:  156.0\n";
    assert_eq!(
        numbers(&summary(&dialect("llava1.5_7b"), text)),
        [
            ("average-MFU", 50.0, "%"),
            ("average-actual_TFLOPS", 156.0, "TFLOPS"),
            ("finetune-tokens_per_chip_per_second", 50.0, "tokens/s"),
            ("finetune-tokens_per_TFLOP", 0.5, "tokens/TFLOP"),
            ("pretrain-tokens_per_chip_per_second", 100.0, "tokens/s"),
            ("pretrain-theory_TFLOPS", 312.0, "TFLOPS"),
        ]
    );
}

#[test]
fn finetuning_calls_the_tokens_of_a_step_those_of_a_second() {
    let text = "System tokens per second:  8192\navg_iter_time(s): 1.5\nTokens/p/s:  682.5\nMFU:  0.031\nKey: avg_train_loss, Value: 1.25\n";
    let summary = summary(&dialect("llama2_7b_finetune"), text);
    assert_eq!(
        numbers(&summary),
        [
            ("tokens_per_chip_per_second", 682.5, "tokens/s"),
            ("MFU", 3.1, "%"),
            ("step_time", 1.5, "s"),
            ("tokens_per_step", 8192.0, "tokens"),
            ("avg_train_loss", 1.25, ""),
        ]
    );
}

#[test]
fn a_case_that_found_no_time_of_a_step() {
    let text = "System tokens per second:  -4194304.0\nTokens/p/s:  -524288.0\nMFU:  -63.0\n";
    let summary = summary(&dialect("llama3_8B"), text);
    assert_eq!(summary.measurements, []);
    assert!(summary.reporters.is_empty());
    assert_eq!(
        summary.warnings[0],
        "`case` on node1: the tool printed a number below zero for `MFU`, which cannot be; it is left out"
    );
    assert_eq!(summary.warnings.len(), 3);
    assert_eq!(summary.blank[&node()], "MFU");
}

#[test]
fn what_is_printed_after_every_epoch_counts_at_the_end() {
    let summary = summary(&dialect("chatglm3_6b"), "MFU:  0.25\nMFU:  0.5\n");
    assert_eq!(numbers(&summary), [("MFU", 50.0, "%")]);
    assert_eq!(
        summary.warnings,
        ["`case` on node1: `MFU` was printed 2 times; the last one counts"]
    );
}

#[test]
fn a_flood_of_figures_is_read_in_bounded_memory() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for index in 0..10_000 {
        writeln!(text, "Key: k{index}, Value: {index}").unwrap();
    }
    let keys: Vec<String> = (0..10_000)
        .map(|index| format!("\"f{index}\": 1"))
        .collect();
    text += &finished(&format!("{{{}}}", keys.join(", ")));
    let summary = summary(&dialect("m"), &text);
    assert_eq!(summary.measurements.len(), 512);
}

proptest! {
    #[test]
    fn any_lines_are_answered_however_they_are_cut(
        text in "((\\[PerfLog\\] ?)?(\\{\"event\": ?\"(FINISHED|TRAIN_START)\", \"value\": \\{\"(e2e_time|a)\": ?[-0-9.eNa]{1,5}\\}?\\}?|MFU: ?|Tokens/p/s: ?|Pretrain stage|Key: a, Value: |[0-9. -]{0,8}|\\PC{0,8})[\r\n ]{0,2}){0,10}",
        at in any::<prop::sample::Index>(),
    ) {
        let (front, back) = {
            let mut at = at.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.split_at(at)
        };
        let whole = read(&dialect("m"), &[(node(), 0, &text)]);
        prop_assert_eq!(read(&dialect("m"), &[(node(), 0, front), (node(), 0, back)]), whole.clone());
        for (_, number) in &whole.1.measurements {
            prop_assert!(number.value.is_finite());
        }
    }
}
