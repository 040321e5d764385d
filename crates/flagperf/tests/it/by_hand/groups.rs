//! Rounds in containers of their own, group by group, on nodes with a real engine.

use std::collections::BTreeSet;
use std::fs;

use flagperf_model::{
    ContainerPlan, EventKind, ImageBuild, ImageSource, Launcher, PrivateCopy, StepKind,
};
use flagperf_testkit::{Engine, TestBed, script};

use super::{ByHand, Done, RESULT, container, node, setup};
use crate::cluster::Cluster;

const IMAGE: &str = "flagperf-test/busybox:1";

/// Nodes with Docker, and a second image beside the first.
struct Bed {
    cluster: Cluster,
    logins: tempfile::NamedTempFile,
}

/// The name of the second image.
const OTHER: &str = "lab/other:1";

impl Bed {
    fn up(nodes: usize) -> Option<Self> {
        let bed = TestBed::hosts(nodes).engine(Engine::Docker).up()?;
        let cluster = Cluster::new(bed);
        for node in cluster.bed.node_names() {
            let made = format!(
                "docker create --name made {IMAGE} true && docker commit -c 'ENV WHICH=other' made {OTHER} && docker rm made"
            );
            let said = cluster.sh(node, &made);
            assert!(said.contains("sha256"), "{said}");
        }
        let logins = tempfile::NamedTempFile::new().unwrap();
        Some(Self { cluster, logins })
    }

    fn hand(&self) -> ByHand {
        let testbed = fs::canonicalize(script()).unwrap();
        let nodes = self.cluster.bed.node_names().iter().map(|name| {
            let enter = format!(
                "echo {name} >>{}; exec {} exec {} {name} \"$@\"",
                self.logins.path().display(),
                testbed.display(),
                self.cluster.bed.dir().display()
            );
            let words = ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec();
            node(name, Launcher::Exec { words })
        });
        ByHand::new(nodes.collect())
    }

    /// Names of the containers of a node.
    fn containers(&self, node: &str) -> Vec<String> {
        let found = self.cluster.bed.containers(node).into_iter();
        found.map(|container| container.name).collect()
    }

    /// Makes sure that nothing is left.
    #[track_caller]
    fn assert_gone(&self) {
        for node in self.cluster.bed.node_names() {
            assert_eq!(self.containers(node), [""; 0], "{node}");
        }
        self.cluster.await_clean();
    }
}

fn boxed(image: &str) -> Box<ContainerPlan> {
    Box::new(container(image))
}

/// The steps that a node's record has: group, step, and whether it went well.
fn steps(done: &Done, node: usize) -> Vec<(u32, &'static str, bool)> {
    let steps = done.record.nodes[node].steps.iter();
    let told = steps.map(|one| {
        let is_done = matches!(one.outcome, flagperf_model::StepOutcome::Done { .. });
        (one.group, one.step.slug(), is_done)
    });
    told.collect()
}

/// Prints where a case is.
const WHERE: &str =
    "echo which=$WHICH made=$(cat /made 2>/dev/null) container=$(test -e /.flagperf && echo yes)";

#[test]
fn rounds_that_follow_each_other_share_a_container_and_others_have_their_own() {
    let Some(bed) = Bed::up(2) else { return };
    let mut hand = bed.hand();
    let mut first = container(IMAGE);
    first.setup = vec![setup("echo of the first >/made")];
    let mut other = container(OTHER);
    other.setup = vec![setup("echo of the other >/made")];
    let script = format!("{WHERE}; echo kept >>/kept; wc -l </kept; {RESULT}");
    for (name, plan) in [("a", &first), ("b", &first), ("c", &other), ("e", &first)] {
        hand.case(name, "all", &script).container = Some(Box::new(plan.clone()));
    }
    // This one runs on the nodes as they are, between two containers.
    let bare = hand.case("d", "all", &format!("{WHERE}; {RESULT}")).clone();
    hand.plan.cases.pop();
    hand.plan.cases.insert(3, bare);
    let mut names = BTreeSet::new();
    let done = hand.run_with(|event, _| {
        if matches!(event, EventKind::CaseEnded { .. }) {
            names.extend(bed.containers("node1"));
        }
    });
    done.assert_passed();
    let run = &hand.plan.run;
    let expected = ["0", "0-2", "0-4"].map(|end| format!("flagperf-{run}-{end}"));
    assert_eq!(names, expected.into());
    for (case, line) in [
        ("a", "which= made=of the first container=yes\n1\n"),
        ("b", "which= made=of the first container=yes\n2\n"),
        ("c", "which=other made=of the other container=yes\n1\n"),
        ("d", "which= made= container=\n"),
        ("e", "which= made=of the first container=yes\n1\n"),
    ] {
        for node in ["node1", "node2"] {
            let output = done.output(case, node);
            assert!(output.starts_with(line), "{case} {node}: {output}");
        }
    }
    let of_group = |group| {
        [
            "prepare-image",
            "start-container",
            "configure-container",
            "stop-container",
        ]
        .map(|step| (group, step, true))
    };
    for node in 0..2 {
        let expected = [of_group(1), of_group(2), of_group(4)].concat();
        assert_eq!(steps(&done, node), expected);
    }
    let log = |group: &str| {
        done.file(&format!(
            "container/{group}node2_noderank1/configure-container.log"
        ))
    };
    assert!(log("").contains("of the first"));
    assert!(log("group2/").contains("of the other"));
    let report = |format: &str| {
        let mut command = crate::support::flagperf(&["report", "--format", format]);
        let told = crate::support::ran(command.arg(&done.directory).output().unwrap());
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        told.stdout
    };
    let words = "prepare image (group 2), node\\[1-2\\]: docker has lab/other:1";
    let markdown = report("markdown");
    assert!(markdown.contains(words), "{markdown}");
    let json: serde_json::Value = serde_json::from_str(&report("json")).unwrap();
    let step = &json["nodes"][1]["steps"][6];
    let log = "container/group2/node2_noderank1/configure-container.log";
    assert_eq!((&step["group"], &step["log"]), (&2.into(), &log.into()));
    assert!(report("html").contains("prepare image (group 4)"));
    // Nobody has logged in again for it.
    let logins = fs::read_to_string(bed.logins.path()).unwrap();
    assert_eq!(logins.lines().count(), 2, "{logins}");
    bed.assert_gone();
}

#[test]
fn an_image_that_is_not_there_fails_its_cases_and_no_others() {
    let Some(bed) = Bed::up(2) else { return };
    let mut hand = bed.hand();
    hand.case("a", "each", RESULT).container = Some(boxed("lab/missing:1"));
    hand.case("b", "each", RESULT).container = Some(boxed("lab/missing:1"));
    hand.case("c", "each", RESULT).container = Some(boxed(OTHER));
    hand.case("d", "each", RESULT).container = Some(boxed("lab/missing:2"));
    let done = hand.run();
    let outcomes = done.outcomes();
    assert_eq!((done.totals.passed, done.totals.failed), (1, 3));
    for (place, image) in [
        (0, "lab/missing:1"),
        (1, "lab/missing:1"),
        (3, "lab/missing:2"),
    ] {
        let outcome = &outcomes[place];
        assert!(outcome.contains("prepare image: "), "{outcome}");
        assert!(outcome.contains(image), "{outcome}");
        assert!(outcome.contains("; also on node2"), "{outcome}");
    }
    assert_eq!(outcomes[2], "passed");
    bed.assert_gone();
}

#[test]
fn a_build_of_one_group_has_its_own_directory() {
    let Some(bed) = Bed::up(1) else { return };
    let mut hand = bed.hand();
    for name in ["one", "two"] {
        let directory = bed.cluster.place.path(name);
        fs::create_dir_all(&directory).unwrap();
        let dockerfile = format!("FROM {IMAGE}\nRUN echo {name} >/made\n");
        fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
        let mut packed = Vec::new();
        flagperf_archive::pack(&directory, &mut packed).unwrap();
        let directory = directory.to_str().unwrap();
        let content = flagperf_archive::digest(&packed).unwrap();
        hand.trees.add(directory, None, packed.into());
        let plan = ContainerPlan {
            source: ImageSource::Built(ImageBuild {
                directory: directory.to_owned(),
                install: None,
                content,
                policy: flagperf_model::BuildPolicy::Auto,
                once: false,
            }),
            ..container(&format!("lab/{name}:1"))
        };
        let case = hand.case(name, "each", &format!("{WHERE}; {RESULT}"));
        case.container = Some(Box::new(plan));
    }
    let done = hand.run();
    done.assert_passed();
    for name in ["one", "two"] {
        let output = done.output(name, "node1");
        assert!(output.contains(&format!("made={name} ")), "{output}");
    }
    let logs = ["", "group2/"].map(|group| {
        done.file(&format!(
            "container/{group}node1_noderank0/prepare-image.log"
        ))
    });
    assert!(logs[0].contains("echo one") && !logs[0].contains("echo two"));
    assert!(logs[1].contains("echo two") && !logs[1].contains("echo one"));
    bed.assert_gone();
}

#[test]
fn each_container_has_its_copy_and_is_made_ready_by_itself() {
    let Some(bed) = Bed::up(1) else { return };
    let suite = tempfile::tempdir().unwrap();
    fs::write(suite.path().join("requirements.txt"), "torch\n").unwrap();
    let mut hand = bed.hand();
    let script = format!("pwd; cat installed; {WHERE}; {RESULT}");
    for (name, image) in [("a", IMAGE), ("b", IMAGE), ("c", OTHER)] {
        let case = hand.case(name, "each", &script);
        case.container = Some(boxed(image));
        case.setup = vec![setup(
            "cat {copy}/requirements.txt >>installed; echo made >/made",
        )];
        case.drop_caches = true;
    }
    hand.copy(suite.path(), &PrivateCopy::default());
    let done = hand.run();
    done.assert_passed();
    for case in ["a", "b", "c"] {
        let output = done.output(case, "node1");
        assert_eq!(output.matches("torch\n").count(), 1, "{case}: {output}");
        assert!(output.contains("made=made container=yes"), "{output}");
    }
    let cases: Vec<String> = done.record.nodes[0]
        .steps
        .iter()
        .filter_map(|one| Some(one.case.as_ref()?.to_string()))
        .collect();
    assert_eq!(cases, ["a", "c"]);
    // Below a container that may not it is done by its node.
    assert_eq!(done.warnings(), [""; 0]);
    assert!(!suite.path().join("installed").exists());
    bed.assert_gone();
}

#[test]
fn ctrl_c_while_a_later_group_is_made() {
    let Some(bed) = Bed::up(1) else { return };
    for at in [
        StepKind::PrepareImage,
        StepKind::StartContainer,
        StepKind::ConfigureContainer,
    ] {
        let mut hand = bed.hand();
        hand.case("a", "each", RESULT).container = Some(boxed(IMAGE));
        let mut other = container(OTHER);
        other.setup = vec![setup("sleep 66")];
        hand.case("b", "each", RESULT).container = Some(Box::new(other));
        hand.case("c", "each", RESULT);
        hand.case("d", "each", RESULT).container = Some(boxed(IMAGE));
        let done = hand.run_with(|event, interrupt| {
            if matches!(event, EventKind::StepStarted { step, group: 2 } if *step == at) {
                interrupt.send(()).unwrap();
            }
        });
        let outcomes = done.outcomes();
        assert_eq!(outcomes[0], "passed", "{at}");
        for outcome in &outcomes[1..] {
            assert!(outcome.contains("not run"), "{at} {outcomes:?}");
        }
        let groups: BTreeSet<u32> = steps(&done, 0).iter().map(|step| step.0).collect();
        assert!(groups.is_subset(&[1, 2].into()), "{at} {groups:?}");
        bed.assert_gone();
    }
}

#[test]
fn a_container_that_is_lost_ends_its_group_and_the_next_begins_anew() {
    let Some(bed) = Bed::up(2) else { return };
    let mut hand = bed.hand();
    hand.case("a", "all", "sleep 20").container = Some(boxed(IMAGE));
    hand.case("b", "all", RESULT).container = Some(boxed(IMAGE));
    hand.case("c", "all", RESULT).container = Some(boxed(OTHER));
    hand.case("d", "all", RESULT);
    let killing = |event: &EventKind, _: &_| {
        if matches!(event, EventKind::TaskStarted { case, .. } if case.as_str() == "a") {
            let names = bed.containers("node2");
            bed.cluster
                .sh("node2", &format!("docker kill {}", names[0]));
        }
    };
    let done = hand.run_with(killing);
    let outcomes = done.outcomes();
    assert!(outcomes[0].starts_with("lost: node node2"), "{outcomes:?}");
    assert!(outcomes[1].starts_with("not run"), "{outcomes:?}");
    assert_eq!(outcomes[2..], ["passed", "passed"], "{outcomes:?}");
    bed.assert_gone();
}

#[test]
fn a_node_that_is_lost_stays_lost() {
    let Some(bed) = Bed::up(2) else { return };
    for tolerant in [false, true] {
        let mut hand = bed.hand();
        hand.tolerant = tolerant;
        hand.case("a", "each", "sleep 30").container = Some(boxed(IMAGE));
        hand.case("b", "each", RESULT).container = Some(boxed(OTHER));
        hand.case("c", "all", RESULT).container = Some(boxed(IMAGE));
        hand.case("d", "each", RESULT);
        let done = hand.run_with(|event, _| {
            if matches!(event, EventKind::TaskStarted { .. }) {
                for agent in bed.cluster.bed.processes("node2") {
                    if agent.args.ends_with("flagperf agent") {
                        crate::support::signal(agent.pid, "KILL");
                    }
                }
                for agent in bed.cluster.bed.processes("node1") {
                    if agent.args.contains("sleep 30") {
                        crate::support::signal(agent.pid, "TERM");
                    }
                }
            }
        });
        let outcomes = done.outcomes();
        assert!(outcomes[0].contains("node2"), "{outcomes:?}");
        let ran = |place: usize| done.record.results[place].measurements.len();
        assert_eq!(
            [1, 2, 3].map(ran),
            if tolerant { [1, 0, 1] } else { [0, 0, 0] }
        );
        assert!(outcomes[2].starts_with("not run"), "{outcomes:?}");
        let lost = done
            .events
            .iter()
            .filter(|event| matches!(event.what, EventKind::NodeLost { .. }));
        assert_eq!(lost.count(), 1, "{tolerant}");
        // Files of an agent that was killed stay until the next one comes.
        bed.cluster.await_idle();
        let mut next = bed.hand();
        next.case("next", "all", RESULT).container = Some(boxed(IMAGE));
        let suite = tempfile::tempdir().unwrap();
        next.copy(suite.path(), &PrivateCopy::default());
        next.run().assert_passed();
        bed.assert_gone();
    }
}

#[test]
fn kept_containers_of_all_groups_stay() {
    let Some(bed) = Bed::up(1) else { return };
    let mut hand = bed.hand();
    for (name, image) in [("a", IMAGE), ("b", OTHER)] {
        let plan = ContainerPlan {
            keep: true,
            ..container(image)
        };
        let case = hand.case(name, "each", &format!("touch /of-{name}; {RESULT}"));
        case.container = Some(Box::new(plan));
    }
    let done = hand.run();
    done.assert_passed();
    let run = &hand.plan.run;
    for (name, end) in [("a", "0"), ("b", "0-2")] {
        let look = format!("docker exec flagperf-{run}-{end} ls -d /of-{name}");
        assert_eq!(bed.cluster.sh("node1", &look), format!("/of-{name}\n"));
        let stopped = done.record.nodes[0].steps.iter().any(|one| {
            matches!(&one.outcome, flagperf_model::StepOutcome::Done { what }
                if what.contains("left running") && what.contains(&format!("-{end} sh")))
        });
        assert!(stopped, "{end}");
    }
    for name in bed.containers("node1") {
        bed.cluster
            .sh("node1", &format!("docker rm --force {name}"));
    }
    bed.assert_gone();
}
