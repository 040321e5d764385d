//! Files that a case left on a node.

use std::fs;

use flagperf_archive::pack;
use flagperf_model::{EventKind, Outcome, RunState};
use flagperf_store::read_run;

use crate::support::{begin, case, end_case, event, node, planned, start_case};

#[test]
fn files_come_to_the_output_of_their_node() {
    let place = tempfile::tempdir().unwrap();
    let left = place.path().join("left");
    fs::create_dir_all(left.join("sub")).unwrap();
    fs::write(left.join("sub/trace.json"), "{}").unwrap();
    fs::write(left.join("model.bin"), vec![7; 300_000]).unwrap();
    let mut stream = Vec::new();
    pack(&left, &mut stream).unwrap();

    let cases = vec![planned("x", 1, 1), planned("y", 1, 1), planned("z", 1, 1)];
    let mut recorder = begin(&place.path().join("results"), cases.clone(), 1);
    let directory = recorder.directory().to_owned();
    // Nothing is running, and nobody is node 7.
    recorder.files(0, vec![1]);
    assert_eq!(recorder.files_ended(0), (0, 0));
    start_case(&mut recorder, &cases[0], 2);
    recorder.files(7, vec![1]);
    for chunk in stream.chunks(10) {
        recorder.files(0, chunk.to_vec());
    }
    let (files, bytes) = recorder.files_ended(0);
    assert_eq!((files, bytes), (2, 300_002));
    recorder.event(&event(
        3,
        EventKind::Collected {
            case: case("x"),
            node: node(),
            files,
            bytes,
        },
    ));
    end_case(&mut recorder, &cases[0], 4, Outcome::Passed);
    assert_eq!(recorder.problems(), [""; 0]);

    // Cut off: what has come stays, and that something is missing is said.
    start_case(&mut recorder, &cases[1], 5);
    recorder.files(0, stream[..stream.len() / 2].to_vec());
    end_case(&mut recorder, &cases[1], 6, Outcome::Aborted);
    let problems = recorder.problems().to_vec();
    let at = "`y/127.0.0.1_noderank0/files`";
    assert!(
        problems[1].starts_with(&format!("{at}: the archive ends early or is damaged")),
        "{problems:?}"
    );
    assert_eq!(problems[0], format!("{at}: `model.bin` is not whole"));
    assert!(problems[2].starts_with(&format!(
        "{at} is not complete: the case ended before all files had arrived"
    )));

    // No archive at all.
    start_case(&mut recorder, &cases[2], 7);
    recorder.files(0, b"what is this?".to_vec());
    assert_eq!(recorder.files_ended(0), (0, 0));
    assert_eq!(recorder.problems().len(), 4);
    recorder.finish(RunState::Interrupted);

    let files = directory.join("x/127.0.0.1_noderank0/files");
    assert_eq!(
        fs::read_to_string(files.join("sub/trace.json")).unwrap(),
        "{}"
    );
    assert_eq!(fs::read(files.join("model.bin")).unwrap(), vec![7; 300_000]);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.results[0].collected, [(node(), 2, 300_002)]);
    assert_eq!(run.record.warnings.len(), 4);
}
