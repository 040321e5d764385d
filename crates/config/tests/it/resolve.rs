use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use flagperf_config::nodeset::{expand, fold};
use flagperf_config::{
    Choice, Inventory, LauncherKind, NodeSource, Settings, Timing, parse_settings, resolve,
};
use flagperf_model::{Environment, Launcher, NodeName, ProgramSource, SshTarget};
use proptest::prelude::*;

fn settings(text: &str) -> Settings {
    parse_settings(Path::new("cluster/flagperf.toml"), text)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn accept(settings: &Settings, choice: &Choice) -> Inventory {
    resolve(settings, choice).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refusal(settings: &Settings, choice: &Choice) -> Vec<String> {
    let errors = resolve(settings, choice).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

fn list(text: &str) -> Choice {
    Choice {
        nodes: Some(NodeSource::List(text.to_owned())),
        ..Choice::default()
    }
}

fn file(text: &str) -> Choice {
    Choice {
        nodes: Some(NodeSource::File {
            path: "hosts".to_owned(),
            text: text.to_owned(),
        }),
        ..Choice::default()
    }
}

fn output(text: &str) -> Choice {
    Choice {
        nodes: Some(NodeSource::Output {
            command: "nodeset -e @gpu".to_owned(),
            text: text.to_owned(),
        }),
        ..Choice::default()
    }
}

fn slurm(text: &str) -> Choice {
    Choice {
        nodes: Some(NodeSource::Slurm(text.to_owned())),
        ..Choice::default()
    }
}

fn named(inventory: &Inventory) -> String {
    let names: Vec<NodeName> = inventory
        .nodes
        .iter()
        .map(|node| node.name.clone())
        .collect();
    fold(&names)
}

fn words(inventory: &Inventory, rank: usize) -> String {
    match &inventory.nodes[rank].launcher {
        Launcher::Exec { words } => words.join(" "),
        other => panic!("{other:?}"),
    }
}

fn target(inventory: &Inventory, rank: usize) -> &SshTarget {
    match &inventory.nodes[rank].launcher {
        Launcher::Ssh(target) => target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_word_about_nodes_the_run_is_local() {
    let inventory = accept(&Settings::default(), &Choice::default());
    assert_eq!(
        inventory,
        Inventory {
            nodes: Vec::new(),
            settled: BTreeSet::new(),
            timing: Timing {
                connect: Duration::from_secs(20),
                heartbeat: Duration::from_secs(2),
                silent: Duration::from_secs(10),
                lost: Duration::from_secs(30),
            },
            master_port: None,
            max_parallel: 64,
            environment: Environment::Host,
            environment_reason: None,
            container: None,
        }
    );
}

#[test]
fn what_the_settings_say_of_a_nodes_launcher_or_host_is_settled() {
    let text = "nodes = \"n[1-5]\"\nlauncher = \"ssh\"\n[node.\"n[1-2]\"]\nlauncher = \"ssh\"\n[node.n3]\nhost = \"x\"\n[node.n4]\nuser = \"u\"\n";
    let inventory = accept(&settings(text), &list("n[2-5]"));
    let settled: Vec<&str> = inventory.settled.iter().map(NodeName::as_str).collect();
    assert_eq!(settled, ["n2", "n3"]);
}

#[test]
fn a_list_alone_is_reached_by_ssh_as_the_user_is_used_to() {
    let inventory = accept(&Settings::default(), &list("node[02,01],login"));
    assert_eq!(named(&inventory), "node[02,01],login");
    let node = &inventory.nodes[1];
    assert_eq!(node.name.as_str(), "node01");
    assert_eq!(node.address, None);
    assert_eq!(node.program, ProgramSource::Placed);
    assert!(node.env.is_empty());
    assert_eq!(
        *target(&inventory, 1),
        SshTarget {
            host: "node01".to_owned(),
            user: None,
            port: None,
            config: None,
            accept_new_host_keys: false,
        }
    );
}

#[test]
fn everything_a_file_says_reaches_its_node() {
    let settings = settings(
        r#"
nodes = "node[01-04]"
in_container = true
master_port = 1234
max_parallel = 2
[ssh]
config = "ssh_config"
accept_new_host_keys = true
[session]
connect = "1m"
heartbeat = "500ms"
silent = "1.5s"
lost = "1h"
[defaults]
user = "root"
port = 2222
env = { A = "default", B = "it's $(1)\n" }
directory = "/scratch"
[node."node[03-04]"]
env = { A = "late" }
user = "late"
[node."node[02-03]"]
env = { A = "later", C = "c" }
program = "/usr/bin/flagperf"
[node.node01]
launcher = "local"
[node.node03]
address = "10.0.0.3"
port = 22
[node.node04]
address = "10.0.0.4"
host = "alias4"
"#,
    );
    let inventory = accept(&settings, &Choice::default());
    assert_eq!(named(&inventory), "node[01-04]");
    assert_eq!(
        (inventory.master_port, inventory.max_parallel),
        (Some(1234), 2)
    );
    assert_eq!(inventory.environment, Environment::InContainer);
    assert_eq!(
        inventory.timing,
        Timing {
            connect: Duration::from_mins(1),
            heartbeat: Duration::from_millis(500),
            silent: Duration::from_millis(1500),
            lost: Duration::from_hours(1),
        }
    );
    assert_eq!(inventory.nodes[0].launcher, Launcher::Local);
    let config = Some("cluster/ssh_config".to_owned());
    let expected = |host: &str, user: &str, port| SshTarget {
        host: host.to_owned(),
        user: Some(user.to_owned()),
        port: Some(port),
        config: config.clone(),
        accept_new_host_keys: true,
    };
    assert_eq!(*target(&inventory, 1), expected("node02", "root", 2222));
    assert_eq!(*target(&inventory, 2), expected("10.0.0.3", "late", 22));
    assert_eq!(*target(&inventory, 3), expected("alias4", "late", 2222));
    let node = &inventory.nodes[2];
    assert_eq!(node.address.as_deref(), Some("10.0.0.3"));
    assert_eq!(
        node.env,
        BTreeMap::from(
            [("A", "later"), ("B", "it's $(1)\n"), ("C", "c")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        )
    );
    assert_eq!(inventory.nodes[3].env["A"], "late");
    let program = |rank: usize| &inventory.nodes[rank].program;
    let there = ProgramSource::Installed("/usr/bin/flagperf".to_owned());
    assert_eq!(*program(0), ProgramSource::PlacedIn("/scratch".to_owned()));
    assert_eq!(*program(1), there);
    assert_eq!(*program(2), there);
}

#[test]
fn the_command_line_chooses_from_the_file() {
    let settings = settings("nodes = \"node[01-64]\"\n[node.node03]\nuser = \"three\"");
    let inventory = accept(&settings, &list("node[05,03]"));
    assert_eq!(named(&inventory), "node[05,03]");
    assert_eq!(target(&inventory, 1).user.as_deref(), Some("three"));
    assert_eq!(
        refusal(&settings, &list("node[01,65]")),
        [
            "--nodes, column 1: `node65` is not among the nodes of flagperf.toml; did you mean `node05`?"
        ]
    );
    assert_eq!(
        refusal(&settings, &list("node01, login")),
        [
            "--nodes, column 9: `login` is not among the nodes of flagperf.toml; they are `node[01-64]`"
        ]
    );
    let many = refusal(&settings, &file("node01\nnode[70-99]\n"));
    assert_eq!(many.len(), 6);
    assert_eq!(
        many[5],
        "hosts:2:1: 25 more (`node[75-99]`) are not among them either"
    );
    assert_eq!(
        refusal(&settings, &slurm("node[64-65]"))[0],
        "SLURM_JOB_NODELIST, column 1: `node65` is not among the nodes of flagperf.toml; did you mean `node05`?"
    );
}

#[test]
fn files_and_the_output_of_commands() {
    let text = "# the rack\n\nnode[01-02]   # two\n  node07,node08\tlogin\n";
    for choice in [file(text), output(text)] {
        let inventory = accept(&Settings::default(), &choice);
        assert_eq!(named(&inventory), "node[01-02,07-08],login");
    }
    for (choice, expected) in [
        (
            file("node01\nnode[02-\nnode03;\n"),
            vec![
                "hosts:2:5: this `[` is never closed; expected a `]`",
                "hosts:3:7: `;` cannot stand in the name of a node; letters, digits and `_ - . :` can",
            ],
        ),
        (
            output("# nothing\n"),
            vec![
                "output of `nodeset -e @gpu`, line 1, column 1: no node is named; \
                 expected names such as `node1` or `node[01-16]`",
            ],
        ),
        (
            file("a\nb slots=8\nc slots = 8 max_slots=8\n"),
            vec![
                "hosts:2:3: `slots=8` belongs into a host file of MPI; here a line has names only, \
                 and a case decides about its ranks",
                "hosts:3:3: `slots` belongs into a host file of MPI; here a line has names only, \
                 and a case decides about its ranks",
            ],
        ),
        (
            file("a:8\nb:8\n"),
            vec![
                "hosts:1:1: `a:8` has a number behind its name; a port is set as `port` in flagperf.toml, \
                 and slots are not counted here",
            ],
        ),
        (
            file("a\nb\na\nb\n"),
            vec![
                "hosts:3:1: `a` is named twice; the first time in line 1, column 1; a file with a line \
                 for every slot is one of MPI, and here every node is named once",
                "hosts:4:1: `b` is named twice; the first time in line 2, column 1",
            ],
        ),
        (
            file("n[1-100000]\na\n"),
            vec![
                "hosts:2:1: with this there are more than 100,000 nodes, the most that can be named",
            ],
        ),
    ] {
        assert_eq!(refusal(&Settings::default(), &choice), expected);
    }
    // What is no list at all is not refused line by line.
    assert_eq!(
        refusal(&Settings::default(), &output(&"<html>\n".repeat(1000))).len(),
        5
    );
}

#[test]
fn a_mark_of_the_byte_order_is_no_part_of_a_name() {
    let inventory = accept(&Settings::default(), &file("\u{feff}node01\r\nnode02\r\n"));
    assert_eq!(named(&inventory), "node[01-02]");
    let refused = refusal(&Settings::default(), &file("\u{feff}a;\n"));
    assert!(refused[0].starts_with("hosts:1:2: `;`"), "{refused:?}");
}

#[test]
fn a_job_that_waits_has_no_nodes() {
    assert_eq!(
        refusal(&Settings::default(), &slurm("None assigned")),
        [
            "SLURM_JOB_NODELIST, column 1: Slurm has assigned no nodes to this job; start it where it has, from `sbatch` or `salloc`"
        ]
    );
}

#[test]
fn a_node_that_is_named_twice_is_refused_with_both_places() {
    assert_eq!(
        refusal(&Settings::default(), &list("a,n[1-3],b,n2,n[5,5]")),
        [
            "--nodes, column 12: `n2` is named twice; the first time in column 3",
            "--nodes, column 15: `n5` is named twice here",
        ]
    );
    let many = refusal(&Settings::default(), &slurm("n[1-9],n[1-9]"));
    assert_eq!(many.len(), 6);
    assert_eq!(
        many[5],
        "SLURM_JOB_NODELIST, column 8: 4 more (`n[6-9]`) are named twice"
    );
}

#[test]
fn names_that_could_be_syntax_are_refused_from_every_source() {
    for hostile in [
        "a'b",
        "a\"b",
        "-oProxyCommand=reboot",
        "$(reboot)",
        "`reboot`",
        "a;b",
        "a\u{1b}",
        "a|b",
        "a&b",
        "a\\b",
        "a/b",
        "~",
        "é",
        "a\0b",
    ] {
        for choice in [
            list(hostile),
            slurm(hostile),
            file(hostile),
            output(hostile),
        ] {
            let errors = refusal(&Settings::default(), &choice);
            assert_eq!(errors.len(), 1, "{hostile}: {errors:?}");
            assert!(errors[0].contains("the name of a node"), "{}", errors[0]);
            assert!(!errors[0].contains('\u{1b}'), "{}", errors[0]);
        }
    }
}

#[test]
fn in_slurm_the_nodes_are_reached_by_srun() {
    let choice = slurm("node[07-08]");
    let inventory = accept(&Settings::default(), &choice);
    assert_eq!(
        words(&inventory, 1),
        "srun --overlap --nodes=1 --ntasks=1 --nodelist=node08 --cpu-bind=none --unbuffered --quiet"
    );
    // What is said elsewhere counts more.
    let by_ssh = settings("launcher = \"ssh\"");
    assert_eq!(target(&accept(&by_ssh, &choice), 0).host, "node07");
    let by_command = settings("exec = \"docker exec -i {node}\"");
    assert_eq!(
        words(&accept(&by_command, &choice), 0),
        "docker exec -i node07"
    );
    let chosen = Choice {
        launcher: Some(LauncherKind::Ssh),
        ..choice.clone()
    };
    assert_eq!(target(&accept(&by_command, &chosen), 0).host, "node07");
    let chosen = Choice {
        launcher: Some(LauncherKind::Exec),
        ..choice
    };
    assert!(words(&accept(&Settings::default(), &chosen), 0).starts_with("srun "));
}

#[test]
fn a_command_gets_its_words_for_each_node() {
    let with_command = |command: &str| Choice {
        exec: Some(command.to_owned()),
        ..list("pod-[1-2]")
    };
    let choice = with_command("kubectl exec -i 'my {node}' -- env '{{}}'");
    let inventory = accept(&Settings::default(), &choice);
    assert_eq!(
        inventory.nodes[1].launcher,
        Launcher::Exec {
            words: ["kubectl", "exec", "-i", "my pod-2", "--", "env", "{}"]
                .map(str::to_owned)
                .to_vec()
        }
    );
    let settings = settings(
        "nodes = \"pod-[1-2]\"\nexec = [\"x\", \"{user}@{address}:{port}\"]\n[defaults]\nuser = \"u\"\n\
         [node.pod-1]\nport = 7\naddress = \"a\"\n[node.pod-2]\nport = 8\naddress = \"b\"",
    );
    assert_eq!(words(&accept(&settings, &Choice::default()), 1), "x u@b:8");
    let chosen = with_command("y {node}");
    assert_eq!(words(&accept(&settings, &chosen), 0), "y pod-1");
    for (command, expected) in [
        (
            "kubectl exec '{node}",
            "--exec: this cannot be split into words: a quote is not closed, or nothing follows the last `\\`",
        ),
        (
            "kubectl exec {pod}",
            "--exec, word 3: `{pod}` has no meaning here; expected one of `{node}`, `{address}`, `{user}`, `{port}`",
        ),
        (
            "kubectl exec pod",
            "--exec: this is the same for every node; expected `{node}` or `{address}` in it",
        ),
        (
            "",
            "--exec: there is no program to start; expected the program first",
        ),
        (
            "x {node} {port}",
            "the command has `{port}` in it, but there is no `port` for `pod-[1-2]`; set it in flagperf.toml",
        ),
    ] {
        assert_eq!(
            refusal(&Settings::default(), &with_command(command)),
            [expected],
            "{command}"
        );
    }
}

#[test]
fn options_that_do_not_go_together() {
    let none = Settings::default();
    let by_ssh = |change: fn(&mut Choice)| {
        let mut choice = list("a,b");
        change(&mut choice);
        choice
    };
    let chosen = by_ssh(|choice| {
        choice.ssh_config = Some("/etc/other".to_owned());
        choice.accept_new_host_keys = true;
    });
    let inventory = accept(&none, &chosen);
    assert_eq!(target(&inventory, 0).config.as_deref(), Some("/etc/other"));
    assert!(target(&inventory, 1).accept_new_host_keys);
    let local = accept(
        &none,
        &by_ssh(|choice| choice.launcher = Some(LauncherKind::Local)),
    );
    assert_eq!(local.nodes[1].launcher, Launcher::Local);

    let refused = |change: fn(&mut Choice), expected: &[&str]| {
        assert_eq!(refusal(&none, &by_ssh(change)), expected);
    };
    refused(
        |choice| {
            choice.exec = Some("x {node}".to_owned());
            choice.launcher = Some(LauncherKind::Ssh);
        },
        &["--exec gives a command, but --launcher ssh does not use one; leave one of them out"],
    );
    refused(
        |choice| choice.launcher = Some(LauncherKind::Exec),
        &["--launcher exec needs a command; expected --exec, or `exec` in flagperf.toml"],
    );
    refused(
        |choice| {
            choice.exec = Some("x {node}".to_owned());
            choice.ssh_config = Some("c".to_owned());
            choice.accept_new_host_keys = true;
        },
        &[
            "--ssh-config has no effect: no node is reached by ssh; leave it out",
            "--accept-new-host-keys has no effect: no node is reached by ssh; leave it out",
        ],
    );
    refused(
        |choice| choice.ssh_config = Some(String::new()),
        &["--ssh-config is no path; expected a configuration file of ssh"],
    );
    refused(
        |choice| {
            choice.nodes = None;
            choice.exec = Some("x {node}".to_owned());
        },
        &[
            "--exec has no effect: no nodes are named; expected --nodes, or `nodes` in flagperf.toml",
        ],
    );
    refused(
        |choice| {
            choice.nodes = None;
            choice.launcher = Some(LauncherKind::Ssh);
        },
        &[
            "--launcher has no effect: no nodes are named; expected --nodes, or `nodes` in flagperf.toml",
        ],
    );
}

#[test]
fn everything_that_is_wrong_comes_at_once() {
    let choice = Choice {
        exec: Some("x".to_owned()),
        exec_in_container: Some("maybe".to_owned()),
        ..list("a,a")
    };
    assert_eq!(
        resolve(&Settings::default(), &choice)
            .unwrap_err()
            .to_string(),
        "EXEC_IN_CONTAINER is `maybe`; expected `True`, `true` or `1` for in-container mode, \
         or `False`, `false`, `0` or nothing for none\n\
         --nodes, column 3: `a` is named twice; the first time in column 1\n\
         --exec: this is the same for every node; expected `{node}` or `{address}` in it"
    );
}

#[test]
fn the_variable_and_the_flag_reach_the_inventory() {
    let choice = Choice {
        exec_in_container: Some("True".to_owned()),
        ..Choice::default()
    };
    let inventory = accept(&Settings::default(), &choice);
    assert_eq!(inventory.environment, Environment::InContainer);
    assert_eq!(
        inventory.environment_reason.as_deref(),
        Some("EXEC_IN_CONTAINER=True: in-container mode")
    );
    let off = Choice {
        in_container: Some(false),
        ..choice
    };
    assert_eq!(
        accept(&Settings::default(), &off).environment,
        Environment::Host
    );
}

#[test]
fn launchers_by_name() {
    for kind in [LauncherKind::Local, LauncherKind::Ssh, LauncherKind::Exec] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let refusal = |text: &str| text.parse::<LauncherKind>().unwrap_err().to_string();
    assert_eq!(refusal("sh"), "`sh` is no launcher; did you mean `ssh`?");
    assert_eq!(
        refusal("kubectl"),
        "`kubectl` is no launcher; the launchers are `local`, `ssh`, `exec`"
    );
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let page = include_str!("../../../../docs/nodes.md");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() > 1);
    for example in examples {
        let inventory = accept(&settings(example), &Choice::default());
        assert!(!inventory.nodes.is_empty(), "{example}");
    }
}

#[test]
fn the_largest_cluster_is_read_in_a_moment() {
    let settings = settings(
        "nodes = \"n[000001-100000]\"\nexec = \"x {node} {port}\"\n[node.\"n[000001-100000]\"]\nport = 22",
    );
    let started = std::time::Instant::now();
    let inventory = accept(&settings, &file("n[099999-100000]\nn[000001-099998]\n"));
    assert_eq!(named(&inventory), "n[099999-100000,000001-099998]");
    assert_eq!(words(&inventory, 99_999), "x n099998 22");
    // Seconds at most even on a busy machine; anything quadratic takes minutes.
    assert!(started.elapsed() < Duration::from_secs(20));
}

proptest! {
    /// Whatever the order and the source, rank is place in the list and nobody is lost.
    #[test]
    fn rank_is_place_in_the_list(
        names in prop::collection::hash_set("n[0-9]{1,3}|[a-c]{1,3}", 1..40),
    ) {
        let all: Vec<NodeName> = names
            .iter()
            .map(|name| NodeName::new(name.clone()).unwrap())
            .collect();
        let lines: Vec<String> = names.into_iter().collect();
        for choice in [list(&fold(&all)), slurm(&fold(&all)), file(&lines.join("\n"))] {
            let inventory = accept(&Settings::default(), &choice);
            let found: Vec<NodeName> =
                inventory.nodes.into_iter().map(|node| node.name).collect();
            prop_assert_eq!(&found, &all);
        }
    }

    #[test]
    fn any_choice_is_answered(
        text in "\\PC{0,40}|[a-c0-3\\[\\],/ =:#\n-]{0,40}",
        command in "[a {}nodeport'\"\\\\]{0,20}",
        given in any::<bool>(),
    ) {
        for mut choice in [list(&text), slurm(&text), file(&text), output(&text)] {
            choice.exec = given.then(|| command.clone());
            match resolve(&Settings::default(), &choice) {
                Ok(inventory) => {
                    let names: Vec<NodeName> =
                        inventory.nodes.into_iter().map(|node| node.name).collect();
                    prop_assert_eq!(expand(&fold(&names)), Ok(names));
                }
                Err(errors) => prop_assert!(!errors.0.is_empty()),
            }
        }
    }
}
