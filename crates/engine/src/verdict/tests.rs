//! Which of several failures is named.

use super::*;

const LIMITS: Limits = Limits {
    timeout_s: 60.0,
    stall_s: 30.0,
    grace_s: 5.0,
};

fn node(number: u32) -> NodeName {
    NodeName::new(format!("node{number}")).unwrap()
}

fn exit(number: u32, rank: u32, status: i32, asked: bool, at: i64) -> Exit {
    Exit {
        node: node(number),
        rank,
        end: ProcessEnd::Status(status),
        asked,
        at: Timestamp(at),
    }
}

fn said(number: u32, rank: u32, at: i64) -> Failure {
    Failure {
        node: node(number),
        rank,
        message: format!("I am node{number}"),
        at: Timestamp(at),
    }
}

fn outcome(story: &Story) -> Outcome {
    verdict(story, &LIMITS, None, true)
}

fn blamed(outcome: &Outcome) -> (String, String, Vec<String>) {
    let Outcome::Failed {
        node, cause, also, ..
    } = outcome
    else {
        panic!("{outcome}");
    };
    let also = also.iter().map(ToString::to_string).collect();
    (node.to_string(), cause.to_string(), also)
}

#[test]
fn no_node_speaks_for_another() {
    let mut story = Story::default();
    story.exited(exit(2, 1, 7, false, 10));
    // Its answer to SIGTERM.
    story.failed(said(1, 0, 30));
    story.exited(exit(1, 0, 3, true, 31));
    let (node, cause, also) = blamed(&outcome(&story));
    assert_eq!(node, "node2");
    assert_eq!(cause, "rank 1 ended with exit status 7");
    assert_eq!(also, [""; 0]);
}

#[test]
fn the_first_ranks_own_words_are_told() {
    let mut story = Story::default();
    story.failed(said(1, 0, 12));
    story.failed(said(2, 1, 9));
    story.exited(exit(1, 0, 1, false, 12));
    story.exited(exit(2, 1, 1, false, 10));
    let (node, cause, also) = blamed(&outcome(&story));
    assert_eq!(node, "node2");
    assert_eq!(cause, "rank 1: I am node2");
    assert_eq!(also, ["node1"]);
}

#[test]
fn a_node_lost_in_the_grace_of_a_failure_is_told_beside_it() {
    let mut story = Story::default();
    story.exited(exit(2, 1, 7, false, 10));
    story.befell(Timestamp(20), Blow::Lost(node(3), "gone".to_owned()));
    let (node, _, also) = blamed(&outcome(&story));
    assert_eq!(node, "node2");
    assert_eq!(also, ["node3"]);
}

#[test]
fn a_failure_after_a_loss_is_its_consequence() {
    let mut story = Story::default();
    story.exited(exit(2, 1, 1, false, 25));
    story.befell(Timestamp(20), Blow::Lost(node(3), "gone".to_owned()));
    assert!(matches!(outcome(&story), Outcome::Lost { node, .. } if node.as_str() == "node3"));
}

#[test]
fn the_answer_to_ctrl_c_or_a_timeout_is_no_failure() {
    for blow in [Blow::Aborted, Blow::TimedOut, Blow::Stalled(node(1))] {
        let mut story = Story::default();
        story.failed(said(1, 0, 30));
        story.exited(exit(1, 0, 3, true, 31));
        story.befell(Timestamp(20), blow);
        assert!(
            !matches!(outcome(&story), Outcome::Failed { .. }),
            "{story:?}"
        );
    }
}

#[test]
fn words_of_a_rank_that_ends_well_count() {
    let mut story = Story::default();
    story.failed(said(1, 0, 30));
    story.exited(exit(1, 0, 0, false, 31));
    assert_eq!(blamed(&outcome(&story)).1, "rank 0: I am node1");
}
