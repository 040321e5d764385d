use std::collections::BTreeMap;
use std::sync::LazyLock;

use flagperf_library::{Collected, Collector, Library, Summary, parse_record};
use flagperf_model::{
    Better, CaseRecord, CaseSpec, Entry, Limits, Measurement, MetricName, NodeName, NodeTask,
    Phase, PlannedCase, ProcessSpec, Spread, Unit, Verification,
};
use proptest::prelude::*;

fn node() -> NodeName {
    NodeName::new("node1").unwrap()
}

fn spec(name: &str) -> CaseSpec {
    static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::builtin().unwrap());
    LIBRARY.get(name).unwrap().clone()
}

/// One round of the case with the ranks 0 and 1 on the node.
fn planned(spec: &CaseSpec) -> PlannedCase {
    let process = |rank| ProcessSpec {
        rank,
        argv: vec!["case".to_owned()],
        env: BTreeMap::new(),
        cwd: None,
        cpus: Vec::new(),
    };
    PlannedCase {
        spec: spec.clone(),
        round: 1,
        rounds: 1,
        params: BTreeMap::new(),
        limits: Limits {
            timeout_s: 1.0,
            stall_s: 1.0,
            grace_s: 1.0,
        },
        expected_s: None,
        unsupported: None,
        skipped: None,
        left_out: Vec::new(),
        directory: None,
        named: false,
        container: None,
        setup: Vec::new(),
        drop_caches: false,
        remarks: Vec::new(),
        tasks: vec![NodeTask {
            node: node(),
            node_rank: 0,
            directory: String::new(),
            log: String::new(),
            rank_logs: BTreeMap::new(),
            processes: vec![process(0), process(1)],
            case_directory: None,
            copy: None,
        }],
    }
}

fn measurement(metric: &str, unit: &str) -> CaseRecord {
    CaseRecord::Measurement(Box::new(Measurement {
        metric: MetricName::new(metric).unwrap(),
        value: 2.5,
        unit: Unit::new(unit.to_owned()),
        better: Better::Higher,
        definition: "made up".to_owned(),
        rank: Some(0),
        device: None,
        spread: None,
        repetitions: vec![2.5],
        verification: Verification::Unchecked("made up".to_owned()),
    }))
}

fn line(record: &CaseRecord) -> String {
    format!(
        "[FlagPerf Record]{}\n",
        serde_json::to_string(record).unwrap()
    )
}

fn collect(spec: &CaseSpec, chunks: &[&[u8]]) -> (Vec<Collected>, Summary) {
    let mut collector = Collector::new(&planned(spec));
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend(collector.feed(&node(), 0, chunk));
    }
    let (last, summary) = collector.finish();
    out.extend(last.into_iter().map(|(_, one)| one));
    (out, summary)
}

fn warnings(collected: &[Collected]) -> Vec<&str> {
    collected
        .iter()
        .filter_map(|one| match one {
            Collected::Warning(text) => Some(text.as_str()),
            Collected::Record(_) => None,
        })
        .collect()
}

#[test]
fn a_record_is_read_from_its_line_only() {
    let phase = CaseRecord::Phase {
        rank: 1,
        phase: Phase::Measure,
        mono_ns: 12,
    };
    assert_eq!(parse_record(&line(&phase)), Some(Ok(phase.clone())));
    let overprinted = format!("  40 %\r 100 %\r{}", line(&phase).replace('\n', "\r\n"));
    assert_eq!(parse_record(&overprinted), Some(Ok(phase)));
    assert_eq!(parse_record("+ echo '[FlagPerf Record]{}'"), None);
    assert_eq!(parse_record("[FlagPerf Result]a=1 GB/s"), None);
    assert_eq!(
        parse_record("[FlagPerf Record]{\"phase\":"),
        Some(Err(
            "EOF while parsing a value at line 1 column 9".to_owned()
        ))
    );
}

#[test]
fn a_classic_line_counts_only_where_no_record_says_the_same() {
    let spec = spec("main_memory-bandwidth");
    let text = line(&measurement("main_memory-bandwidth", "GB/s"))
        + "[FlagPerf Result]Rank 0's main_memory-bandwidth=2.5GB/s\n"
        + "[FlagPerf Result]Rank 0's main_memory-bandwidth-triad=3GB/s\n"
        + "[FlagPerf Result]Rank 0's main_memory-bandwidth-triad=2.79GiB/s\n";
    let (collected, summary) = collect(&spec, &[text.as_bytes()]);
    assert_eq!(collected.len(), 1);
    assert_eq!(summary.result_lines.len(), 3);
    assert_eq!(summary.warnings, Vec::<String>::new());
    assert!(summary.reported);
    let [(_, triad)] = &summary.measurements[..] else {
        panic!("{summary:?}");
    };
    assert_eq!(triad.metric.as_str(), "main_memory-bandwidth-triad");
    assert_eq!((triad.value, triad.rank), (3.0, Some(0)));
    assert_eq!(triad.better, Better::Higher);
    assert!(triad.definition.contains("two arrays read and one written"));
}

#[test]
fn what_is_odd_is_said_once_and_kept() {
    let spec = spec("main_memory-bandwidth");
    let text = line(&measurement("speed", "GB/s"))
        + &line(&measurement("speed", "GB/s"))
        + &line(&measurement("main_memory-bandwidth", "MB/s"))
        + "[FlagPerf Record]{\"nonsense\":1}\n"
        + "[FlagPerf Result]main_memory-bandwidth-add= GB/s\n"
        + "[FlagPerf Result]main_memory(2)=1 GB/s\n"
        + "[FlagPerf Result]other=1 GB/s";
    let (collected, summary) = collect(&spec, &[text.as_bytes()]);
    assert_eq!(
        warnings(&collected),
        [
            "`main_memory-bandwidth` reported the metric `speed`, which it does not declare",
            "`main_memory-bandwidth` declares `main_memory-bandwidth` in `GB/s` but reported it in `MB/s`",
            "a record of rank 0 on node1 cannot be read: unknown variant `nonsense`, expected one of `phase`, `live`, `measurement`, `unsupported`, `failure`, `note` at line 1 column 11",
        ]
    );
    assert_eq!(collected.len(), 6);
    assert_eq!(
        summary.warnings,
        [
            "result line `[FlagPerf Result]main_memory-bandwidth-add= GB/s`: there is no number for `main_memory-bandwidth-add`",
            "result line `[FlagPerf Result]main_memory(2)=1 GB/s`: metric name `main_memory(2)` contains a character that is not allowed in a name",
            "`main_memory-bandwidth` reported the metric `other`, which it does not declare",
        ]
    );
    assert_eq!(summary.measurements.len(), 1);
    assert_eq!(summary.measurements[0].1.rank, Some(0));
}

#[test]
fn a_flood_is_read_in_bounded_memory() {
    let spec = spec("computation-FP64");
    let mut collector = Collector::new(&planned(&spec));
    // Results without end: more than are kept, and a line of 4 MiB that begins as a record.
    let results = "[FlagPerf Result]computation-FP64=1 TFLOPS\n".repeat(1000);
    for _ in 0..101 {
        assert!(collector.feed(&node(), 0, results.as_bytes()).is_empty());
    }
    let mut long = b"[FlagPerf Record]".to_vec();
    long.resize(4 << 20, b'x');
    let said = collector.feed(&node(), 0, &long);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(warnings(&said)[0].contains("is longer than 1 MiB and was not read"));
    let record = measurement("computation-FP64", "TFLOPS");
    let said = collector.feed(&node(), 0, format!("\n{}", line(&record)).as_bytes());
    let [Collected::Record(CaseRecord::Measurement(read))] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        (read.metric.as_str(), read.value),
        ("computation-FP64", 2.5)
    );
    let (_, summary) = collector.finish();
    assert_eq!(summary.result_lines.len(), 100_000);
    assert_eq!(
        summary.warnings,
        ["1000 result lines of `computation-FP64` were not kept: more than 100000 lines or 32 MiB"]
    );
}

#[test]
fn notes_are_bounded_too() {
    let note = line(&CaseRecord::Note {
        rank: 0,
        key: "isa".to_owned(),
        value: "x".repeat(900_000),
    });
    let mut collector = Collector::new(&planned(&spec("computation-FP64")));
    let said: Vec<Collected> = (0..100)
        .flat_map(|_| collector.feed(&node(), 0, note.as_bytes()))
        .collect();
    assert_eq!(said.len(), 75);
    assert_eq!(
        warnings(&said),
        ["`computation-FP64` printed more than 64 MiB of records; later ones are not kept"]
    );
}

#[test]
fn warnings_are_bounded_too() {
    let spec = spec("computation-FP64");
    let records: Vec<String> = (0..1000)
        .map(|index| format!("[FlagPerf Record]{{\"x{index}\":1}}\n"))
        .collect();
    let text = records.concat();
    let (collected, summary) = collect(&spec, &[text.as_bytes()]);
    assert_eq!(collected.len(), 100);
    assert_eq!(
        summary.warnings,
        ["900 further warnings about the output of `computation-FP64` are left out"]
    );
    assert!(!summary.reported);
}

#[test]
fn streams_of_several_ranks_do_not_mix() {
    let spec = spec("computation-FP64");
    let mut collector = Collector::new(&planned(&spec));
    let record = line(&measurement("computation-FP64", "TFLOPS"));
    let (front, back) = record.as_bytes().split_at(30);
    assert!(collector.feed(&node(), 0, front).is_empty());
    assert!(collector.feed(&node(), 1, front).is_empty());
    assert_eq!(collector.feed(&node(), 0, back).len(), 1);
    assert_eq!(collector.feed(&node(), 1, back).len(), 1);
}

fn measurements(collected: Vec<Collected>) -> Vec<Measurement> {
    collected
        .into_iter()
        .filter_map(|one| match one {
            Collected::Record(CaseRecord::Measurement(number)) => Some(*number),
            _ => None,
        })
        .collect()
}

#[test]
fn a_record_of_a_rank_that_is_not_there_is_left_out() {
    let mut stray = measurement("computation-FP64", "TFLOPS");
    if let CaseRecord::Measurement(number) = &mut stray {
        number.rank = Some(7);
    }
    let failure = |rank| CaseRecord::Failure {
        rank,
        message: "wrong product".to_owned(),
    };
    let phase = CaseRecord::Phase {
        rank: 2,
        phase: Phase::Measure,
        mono_ns: 1,
    };
    let text = line(&stray) + &line(&phase) + &line(&failure(9));
    let (collected, summary) = collect(&spec("computation-FP64"), &[text.as_bytes()]);
    assert!(!summary.reported);
    assert_eq!(
        warnings(&collected),
        [
            "rank 0 on node1 reported something of rank 7, which that node does not have; it is left out",
            "rank 0 on node1 reported something of rank 2, which that node does not have; it is left out",
            "rank 0 on node1 reported something of rank 9, which that node does not have; it is taken to be its own",
        ]
    );
    assert_eq!(collected.len(), 4);
    assert_eq!(collected[3], Collected::Record(failure(0)));
}

#[test]
fn a_spread_that_is_none_is_computed_anew() {
    let mut record = measurement("computation-FP64", "TFLOPS");
    if let CaseRecord::Measurement(number) = &mut record {
        let spread = Spread::of(&[2.5]).unwrap();
        number.spread = Some(Spread {
            min: 3.0,
            max: 1.0,
            ..spread
        });
    }
    let (collected, _) = collect(&spec("computation-FP64"), &[line(&record).as_bytes()]);
    assert_eq!(
        warnings(&collected),
        [
            "rank 0 on node1: the spread of `computation-FP64` cannot be one; it is computed anew from the repetitions"
        ]
    );
    assert_eq!(measurements(collected)[0].spread, Spread::of(&[2.5]));
}

#[test]
fn a_value_beyond_all_numbers_is_left_out() {
    let text = line(&measurement("computation-FP64", "TFLOPS")).replacen("2.5", "1e999", 1);
    let (collected, summary) = collect(&spec("computation-FP64"), &[text.as_bytes()]);
    assert_eq!(warnings(&collected).len(), 1);
    assert_eq!(collected.len(), 1);
    assert!(!summary.reported);
}

#[test]
fn the_declared_definition_is_the_one_that_is_kept() {
    let mut spec = spec("computation-FP64");
    let mut record = measurement("computation-FP64", "TFLOPS");
    if let CaseRecord::Measurement(number) = &mut record {
        number.better = Better::Lower;
    }
    let text = line(&record);
    let (collected, _) = collect(&spec, &[text.as_bytes()]);
    assert_eq!(warnings(&collected), Vec::<&str>::new());
    let kept = &measurements(collected)[0];
    assert_eq!(kept.definition, spec.metrics[0].definition);
    assert_eq!(kept.better, Better::Higher);

    spec.entry = Entry::Argv(vec!["program".to_owned()]);
    let (collected, _) = collect(&spec, &[text.as_bytes()]);
    assert_eq!(
        warnings(&collected),
        [
            "`computation-FP64` reported `computation-FP64` with another definition than it declares; the declared one is kept",
            "`computation-FP64` reported another direction of `computation-FP64` than it declares; the declared one is kept",
        ]
    );
    assert_eq!(measurements(collected)[0], *kept);
}

#[test]
fn warnings_do_not_steer_a_terminal() {
    let text = "[FlagPerf Record]{\"\\u001b[2Jx\":1}\n[FlagPerf Result]\u{1b}]0;t\u{7}a= GB/s\n";
    let (collected, summary) = collect(&spec("computation-FP64"), &[text.as_bytes()]);
    let said = warnings(&collected).concat() + &summary.warnings.concat();
    assert!(said.contains("�[2Jx") && said.contains("�]0;t�"), "{said}");
    assert!(!said.contains(char::is_control), "{said}");
}

proptest! {
    #[test]
    fn output_may_be_cut_anywhere(
        text in "(\\[FlagPerf (Result|Record)\\](a=1 GB/s|Rank 0's b=2TFLOPS|\\{\"unsupported\":\\{\"feature\":\"x\"\\}\\}|\\PC{0,20})[\r\n]{1,2}){0,12}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let spec = spec("computation-FP64");
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let bytes = text.as_bytes();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(collect(&spec, &chunks), collect(&spec, &[bytes]));
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (_, summary) = collect(&spec("computation-FP64"), &[&bytes]);
        prop_assert!(summary.measurements.len() <= bytes.len());
    }
}
