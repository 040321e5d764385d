//! `[PerfLog]`: lines of JSON in which training with PyTorch, PaddlePaddle and TensorFlow tells what
//! happens, and at its end the result.

use flagperf_model::Phase;

use super::decl::{Decl, fact, less, loss, more};
use super::literal::{Literal, LiteralError, read};

/// Stands before the JSON.
pub(crate) const MARK: &str = "[PerfLog]";

/// Something that the log tells and that is of interest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    /// A phase of the training begins.
    Entered(Phase),
    /// The result, from this rank of its node.
    Finished(u32, Vec<(String, Literal)>),
}

/// All that a line tells; ranks that share a pipe may glue theirs together. Most lines are about single
/// steps and are not even read.
pub(crate) fn told(line: &str) -> impl Iterator<Item = Result<Told, LiteralError>> + '_ {
    const INTEREST: [(&str, Option<Phase>); 4] = [
        ("\"INIT_START\"", Some(Phase::Prepare)),
        ("\"TRAIN_START\"", Some(Phase::Measure)),
        ("\"TRAIN_END\"", Some(Phase::End)),
        ("\"FINISHED\"", None),
    ];
    line.split(MARK).skip(1).filter_map(|json| {
        let (name, phase) = INTEREST.into_iter().find(|(name, _)| json.contains(name))?;
        let members = match read(json) {
            Ok((Literal::Map(members), _)) => members,
            Ok(_) => return None,
            Err(error) => return phase.is_none().then_some(Err(error)),
        };
        let named = member(&members, "event")?;
        if !matches!(named, Literal::Text(event) if *event == name.trim_matches('"')) {
            return None;
        }
        Some(Ok(match phase {
            Some(phase) => Told::Entered(phase),
            None => finished(members),
        }))
    })
}

fn finished(mut members: Vec<(String, Literal)>) -> Told {
    let rank = match member(&members, "metadata") {
        Some(Literal::Map(metadata)) => match member(metadata, "rank") {
            Some(Literal::Number(rank)) => *rank as u32,
            _ => 0,
        },
        _ => 0,
    };
    let value = members.iter_mut().find(|(key, _)| key == "value");
    let figures = match value {
        Some((_, Literal::Map(figures))) => std::mem::take(figures),
        _ => Vec::new(),
    };
    Told::Finished(rank, figures)
}

fn member<'a>(members: &'a [(String, Literal)], key: &str) -> Option<&'a Literal> {
    let mut found = members.iter().filter(|(name, _)| name == key);
    found.next().map(|(_, value)| value)
}

/// Under which names figures are printed that have another one in the table.
const NAMES: &[(&str, &str)] = &[
    ("throughput(ips)_raw", "throughput_raw"),
    ("throughput(ips)_no_eval", "throughput_no_eval"),
    ("throughput(ips)_pure_compute", "throughput_pure_compute"),
    ("throughput(sps)_raw", "throughput_raw"),
    ("throughput(sps)_no_eval", "throughput_no_eval"),
    ("throughput(sps)_pure_compute", "throughput_pure_compute"),
    ("throuhgput(ips)_raw", "throughput_raw"),
    ("throuhgput(ips)_no_eval", "throughput_no_eval"),
    ("throuhgput(ips)_pure_compute", "throughput_pure_compute"),
    ("raw_train_time", "train_time"),
];

/// The metric that a printed name means, with its unit where the name itself tells another.
pub(crate) fn meant(printed: &str) -> (&str, Option<&'static str>) {
    let mut names = NAMES.iter();
    match names.find(|(name, _)| *name == printed) {
        Some((_, metric)) => (metric, printed.contains("(sps)").then_some("sequences/s")),
        None => (printed, None),
    }
}

/// The figures, the primary one first, then in the order in which they stand for a case that has no
/// better one.
pub(crate) const METRICS: &[Decl] = &[
    more(
        "throughput_raw",
        "items/s",
        "What was trained on, in the items that the case counts (images, sequences, tokens), divided by train_time",
    ),
    more(
        "throughput_no_eval",
        "items/s",
        "The same items divided by train_no_eval_time",
    ),
    more(
        "throughput_pure_compute",
        "items/s",
        "The same items divided by pure_training_computing_time",
    ),
    more(
        "effective_tokens_per_second",
        "tokens/s",
        "Tokens trained on, by the sizes of the batches and whatever they hold, divided by the time of training",
    ),
    more(
        "training_sequences_per_second",
        "sequences/s",
        "Sequences trained on divided by the time of training",
    ),
    more(
        "training_images_per_second",
        "images/s",
        "Images trained on divided by the time of training",
    ),
    more(
        "training_items_per_second",
        "items/s",
        "Items trained on, as the case counts them, divided by the time of training",
    ),
    more(
        "training_tokens_per_second",
        "tokens/s",
        "Tokens trained on divided by the time of training",
    ),
    more(
        "training_ntokens_per_second",
        "tokens/s",
        "Tokens in the last epoch divided by the time of training, as the case counts them",
    ),
    more(
        "val_items_per_sec",
        "items/s",
        "Items evaluated divided by the time of evaluating",
    ),
    less(
        "e2e_time",
        "s",
        "Seconds from the start of the program to its end",
    ),
    less(
        "train_time",
        "s",
        "Seconds of training, evaluations included",
    ),
    less(
        "train_no_eval_time",
        "s",
        "Seconds of training without evaluations",
    ),
    less(
        "pure_training_computing_time",
        "s",
        "Seconds of computing alone, without loading of data and evaluations",
    ),
    less("init_time", "s", "Seconds until training could begin"),
    more(
        "converged",
        "",
        "1 if the quality that is the case's goal was reached, else 0",
    ),
    more(
        "final_acc1",
        "",
        "Share of answers that were right at the end",
    ),
    more(
        "final_acc5",
        "",
        "Share of answers at the end of which one of the first five was right",
    ),
    more(
        "final_accuracy",
        "",
        "Quality at the end, as the case defines it",
    ),
    more(
        "final_acc",
        "",
        "Quality at the end, as the case defines it",
    ),
    more("acc", "", "Share of answers that were right at the end"),
    more(
        "final_mlm_accuracy",
        "",
        "Share of masked words that were found at the end",
    ),
    more("final_mAP", "", "Mean average precision at the end"),
    more(
        "final_map_bbox",
        "",
        "Mean average precision of the boxes at the end",
    ),
    more(
        "final_map_segm",
        "",
        "Mean average precision of the masks at the end",
    ),
    more(
        "final_auc",
        "",
        "Area under the receiver operating characteristic at the end",
    ),
    more(
        "best_auc",
        "",
        "Largest area under the receiver operating characteristic",
    ),
    more(
        "final_nuv",
        "%",
        "Share of generated molecules that are new, unique and valid at the end",
    ),
    less("final_ppl_accuracy", "", "Perplexity at the end"),
    more("rouge1", "", "Overlap of single words with the references"),
    more(
        "rouge2",
        "",
        "Overlap of pairs of words with the references",
    ),
    more(
        "rougeL",
        "",
        "Longest common subsequence with the references",
    ),
    more(
        "rougeLsum",
        "",
        "Longest common subsequence with the references, over sentences",
    ),
    loss("final_loss", "Loss at the end"),
    loss("train_loss", "Loss in training at the end"),
    loss("val_loss", "Loss in evaluation at the end"),
    loss("best_validation_loss", "Smallest loss in evaluation"),
    fact("num_trained_samples", "", "Items trained on"),
    fact("train_samples", "", "Items trained on"),
    fact("global_steps", "", "Steps of training"),
    fact("epoch", "", "Passes over the data"),
];

/// The place of a metric in the table.
pub(crate) fn place(metric: &str) -> Option<usize> {
    METRICS.iter().position(|decl| decl.name == metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_model::MetricName;

    fn all(line: &str) -> Vec<Result<Told, LiteralError>> {
        told(line).collect()
    }

    #[test]
    fn every_name_has_its_metric() {
        for decl in METRICS {
            assert!(MetricName::new(decl.name).is_ok(), "{}", decl.name);
            let same = METRICS.iter().filter(|other| other.name == decl.name);
            assert_eq!(same.count(), 1, "{}", decl.name);
        }
        for (printed, name) in NAMES {
            assert_eq!(meant(printed).0, *name);
            assert!(METRICS.iter().any(|decl| decl.name == *name), "{printed}");
        }
    }

    #[test]
    fn lines_about_steps_are_passed_over() {
        for line in [
            r#"[PerfLog] {"event": "STEP_END", "value": {"loss": NaN}, "metadata": {"rank": 0}}"#,
            r#"[PerfLog] {"event": "STEP_BEGIN", "step": 100, "metadata""#,
            r#"[PerfLog] {"event": "EVALUATE", "value": {"word": "FINISHED"}}"#,
            r#"[PerfLog] {"event": "TRAIN_START""#,
            r#"[PerfLog] ["FINISHED"]"#,
            r#"{"event": "FINISHED"}"#,
        ] {
            assert_eq!(all(line), [], "{line}");
        }
    }

    #[test]
    fn phases_of_training() {
        let line = r#"[PerfLog] {"event": "TRAIN_START", "metadata": {"rank": 3}}[PerfLog] {"event": "TRAIN_END"}"#;
        assert_eq!(
            all(line),
            [
                Ok(Told::Entered(Phase::Measure)),
                Ok(Told::Entered(Phase::End))
            ]
        );
    }

    #[test]
    fn the_result() {
        let line = r#"40%|####[PerfLog] {"event": "FINISHED", "value": {"e2e_time": 12.5}, "metadata": {"file": "a", "rank": 2}}"#;
        let value = vec![("e2e_time".to_owned(), Literal::Number(12.5))];
        assert_eq!(all(line), [Ok(Told::Finished(2, value))]);
        let bare = r#"[PerfLog] {"event": "FINISHED"}"#;
        assert_eq!(all(bare), [Ok(Told::Finished(0, Vec::new()))]);
        assert!(all(&line[..line.len() - 20])[0].is_err());
    }
}
