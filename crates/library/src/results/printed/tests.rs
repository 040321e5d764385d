use super::*;

fn figures(lines: &[&str]) -> Vec<(String, f64)> {
    let mut reader = Printed::default();
    let mut all = Vec::new();
    for line in lines {
        let read = reader.line(line);
        if !read.is_empty() {
            let mut marks = crate::results::training::MARKS.texts.iter();
            assert!(marks.any(|mark| line.contains(mark)), "{line}");
        }
        all.extend(read.into_iter().map(|figure| (figure.metric, figure.value)));
    }
    all
}

fn one(line: &str) -> (String, f64) {
    let mut all = figures(&[line]);
    assert_eq!(all.len(), 1, "{line}: {all:?}");
    all.remove(0)
}

fn is(metric: &str, value: f64) -> (String, f64) {
    (metric.to_owned(), value)
}

#[test]
fn megatron_and_deepspeed() {
    assert_eq!(
        figures(&[
            "System tokens per second:  41234.5",
            "Tokens/p/s:  5154.3125",
            "MFU:  0.25",
        ]),
        [
            is("tokens_per_second", 41234.5),
            is("tokens_per_chip_per_second", 5154.3125),
            is("MFU", 25.0),
        ]
    );
    // Behind the name of a node, as pdsh puts it, and the tag of a rank.
    assert_eq!(one("10.1.2.3: MFU:  0.5"), is("MFU", 50.0));
    assert_eq!(
        one("[rank0]: Tokens/p/s:  12"),
        is("tokens_per_chip_per_second", 12.0)
    );
    assert_eq!(one("Theory TFLOPS:  312"), is("theory_TFLOPS", 312.0));
    assert_eq!(one("Tokens/TFLOPS:  16.5"), is("tokens_per_TFLOP", 16.5));
}

#[test]
fn flagscale_prints_two_numbers_before_its_mfu() {
    let lines = ["[12.5, 12.4, 12.6]", "12.5 3276.8", "MFU: 0.43"];
    assert_eq!(
        figures(&lines),
        [
            is("step_time", 12.5),
            is("tokens_per_chip_per_second", 3276.8),
            is("MFU", 43.0),
        ]
    );
    assert_eq!(
        figures(&["12.5 3276.8", "", "MFU: 0.43"]),
        [is("MFU", 43.0)]
    );
    assert_eq!(figures(&["12.5 3276.8 1", "MFU: 0.43"]), [is("MFU", 43.0)]);
}

#[test]
fn cases_with_a_logger() {
    let before = "2024-05-06 07:08:09.123 | INFO     | __main__:<module>:137 - ";
    for (line, figure) in [
        (
            "Throughput(token per chip per second): 1234.5",
            is("tokens_per_chip_per_second", 1234.5),
        ),
        ("MFU: 0.5", is("MFU", 50.0)),
        (
            "Throughput(token per TFLOPS): 3.5",
            is("tokens_per_TFLOP", 3.5),
        ),
        ("MMLU5-shots Acc: 0.45", is("MMLU", 0.45)),
    ] {
        assert_eq!(one(&format!("{before}{line}")), figure);
    }
}

#[test]
fn stages_and_their_average() {
    let lines = [
        "pretrain time is 100.5",
        "tokens_pretrain is 714.25",
        "Pretrain stage",
        "Tokens/p/s:  100",
        "MFU:  0.25",
        "Finetune stage",
        "Tokens/p/s:  50",
        "two-stage average",
        "MFU:  0.5",
        "Actual computing power:  156.0",
    ];
    assert_eq!(
        figures(&lines),
        [
            is("pretrain-time", 100.5),
            is("pretrain-tokens_per_sample", 714.25),
            is("pretrain-tokens_per_chip_per_second", 100.0),
            is("pretrain-MFU", 25.0),
            is("finetune-tokens_per_chip_per_second", 50.0),
            is("average-MFU", 50.0),
            is("average-actual_TFLOPS", 156.0),
        ]
    );
    assert_eq!(declared("finetune-MFU").map(|decl| decl.name), Some("MFU"));
    assert_eq!(declared("pretrain-time").map(|decl| decl.unit), Some("s"));
}

#[test]
fn finetuning() {
    assert_eq!(one("avg_iter_time(s): 1.5"), is("step_time", 1.5));
    assert_eq!(
        one("Key: avg_train_loss, Value: tensor(1.25, device='cuda:0')"),
        is("avg_train_loss", 1.25)
    );
    assert_eq!(one("MMMU : 0.35"), is("MMMU", 0.35));
}

#[test]
fn a_missing_number_is_told_and_other_text_is_not() {
    for line in ["MFU: ", "MFU:  None", "MFU:  nan", "Key: a, Value: x y"] {
        assert!(one(line).1.is_nan(), "{line}");
    }
    for line in [
        "iteration 10/ 100 | MFU: 0.4 | lm loss: 1.0",
        "xMFU: 0.4",
        "MFU: high",
        "the System tokens per second",
        "1 2 3",
        "",
    ] {
        assert_eq!(figures(&[line]), [], "{line}");
    }
}

#[test]
fn every_shape_is_declared() {
    let marks = crate::results::training::MARKS.texts;
    let is_marked = |line: &str| marks.iter().any(|mark| line.contains(mark));
    for shape in SHAPES {
        assert!(declared(shape.metric).is_some(), "{}", shape.key);
        assert!(is_marked(&format!("{} 1", shape.key)), "{}", shape.key);
    }
    for (heading, _) in STAGES {
        assert!(is_marked(heading), "{heading}");
    }
}
