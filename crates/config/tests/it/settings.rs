use std::path::Path;

use flagperf_config::{Settings, parse_settings};
use proptest::prelude::*;

/// The mistakes, each as `line:column: message`.
fn refusal(text: &str) -> Vec<String> {
    let errors = parse_settings(Path::new("flagperf.toml"), text).unwrap_err();
    errors
        .0
        .iter()
        .map(|error| format!("{}:{}: {}", error.line, error.column, error.message))
        .collect()
}

fn accept(text: &str) -> Settings {
    parse_settings(Path::new("flagperf.toml"), text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Checks texts that have exactly one mistake each.
fn single(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(refusal(text), [*expected], "{text}");
    }
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(accept(""), Settings::default());
    assert_eq!(
        accept("# only a comment\n[defaults]\n[ssh]\n"),
        Settings::default()
    );
}

#[test]
fn every_key_at_once() {
    let settings = accept(
        r#"
nodes = ["node[01-64]", "login"]
launcher = "ssh"
in_container = true
master_port = 29502
max_parallel = 8
[ssh]
config = "ssh/config"
accept_new_host_keys = true
[session]
connect = "1m"
heartbeat = "500ms"
silent = "1.5s"
lost = "1h"
[defaults]
user = "DOMAIN\\some.body"
port = 2222
env = { NCCL_IB_HCA = "mlx5", GREETING = "it's $(1) \"name\"\n", EMPTY = "" }
directory = "/scratch/flag perf"
[node."node[01-32]"]
env = { NCCL_IB_HCA = "mlx4" }
program = "/usr/bin/flagperf"
[node.login]
launcher = "local"
host = "login.example.org"
address = "fe80::1%eth0"
"#,
    );
    assert_ne!(settings, Settings::default());
    accept("exec = [\"docker\", \"exec\", \"-i\", \"c-{node}\"]");
    accept("exec = \"kubectl exec -i '{node}' --\"\nlauncher = \"exec\"");
    accept("exec = [\"ssh\", \"-p\", \"{port}\", \"{user}@{address}\", \"{{}}\"]");
    accept("exec = \"in {node}\"\nlauncher = \"ssh\"\nnodes = \"a,b\"\nnode.a.launcher = \"exec\"");
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    let errors = parse_settings(
        Path::new("cluster/flagperf.toml"),
        "nodes = \"node[01-16]\"\n[defaults]\nprot = 22\n",
    );
    assert_eq!(
        errors.unwrap_err().to_string(),
        "cluster/flagperf.toml:3:1: [defaults] has no key `prot`; did you mean `port`?\n  \
         |\n3 | prot = 22\n  | ^^^^"
    );
}

#[test]
fn all_mistakes_come_at_once() {
    assert_eq!(
        refusal(
            "nodes = \"node[1-4]\"\nluncher = \"ssh\"\nmax_parallel = 0\n\
             [session]\nsilent = \"soon\"\n[defaults]\nport = 0\nuser = \"-l\"\n[node.node5]\nport = \"x\"\n"
        ),
        [
            "2:1: flagperf.toml has no key `luncher`; did you mean `launcher`?",
            "3:16: 0 is out of range; expected a whole number from 1 to 4096",
            "5:10: `soon` is no duration; expected a duration such as \"2s\", \"500ms\" or \"1m\"",
            "7:8: 0 is out of range; expected a port from 1 to 65535",
            "8:8: `-l` begins with `-`, as an option does; expected the name of a user, of letters, digits and `_ - . @ + \\`",
            "9:7: `node5` is not among the `nodes`; did you mean `node1`?",
            "10:8: this is a string; expected a port from 1 to 65535",
        ]
    );
    assert_eq!(refusal("nodes = \n[x").len(), 2);
}

#[test]
fn keys_and_types() {
    single(&[
        (
            "hosts = 1",
            "1:1: flagperf.toml has no key `hosts`; the keys are `nodes`, `launcher`, `exec`, `in_container`, \
             `container`, `suite`, `master_port`, `max_parallel`, `ssh`, `session`, `defaults`, `node`",
        ),
        (
            "[ssh]\nkey = 1",
            "2:1: [ssh] has no key `key`; the keys are `config`, `accept_new_host_keys`",
        ),
        (
            "[session]\nheart_beat = \"1s\"",
            "2:1: [session] has no key `heart_beat`; did you mean `heartbeat`?",
        ),
        (
            "nodes = \"a\"\n[node.a]\nadress = \"b\"",
            "3:1: [node.NAME] has no key `adress`; did you mean `address`?",
        ),
        (
            "[defaults]\naddress = \"b\"",
            "2:1: [defaults] has no key `address`; the keys are `user`, `port`, `env`, `directory`, `program`",
        ),
        (
            "launcher = \"shh\"",
            "1:12: `shh` is none of `local`, `ssh`, `exec`; did you mean `ssh`?",
        ),
        (
            "in_container = \"True\"",
            "1:16: this is a string; expected true or false",
        ),
        (
            "master_port = 65536",
            "1:15: 65536 is out of range; expected a port from 1 to 65535",
        ),
        (
            "session = 3",
            "1:11: this is an integer; expected [session] as a table",
        ),
        (
            "[session]\nlost = 30",
            "2:8: this is an integer; expected a duration such as \"2s\", \"500ms\" or \"1m\"",
        ),
        (
            "[session]\nconnect = \"2 weeks\"",
            "2:11: `2 weeks` is no duration; expected a duration such as \"2s\", \"500ms\" or \"1m\"",
        ),
        (
            "[session]\nconnect = \"1ms\"",
            "2:11: this is out of range; expected between \"10ms\" and \"24h\"",
        ),
    ]);
}

#[test]
fn patience_grows_from_heartbeat_to_lost() {
    single(&[
        (
            "[session]\nheartbeat = \"10s\"",
            "2:13: `silent` (10s by default) must be longer than `heartbeat` (10s)",
        ),
        (
            "[session]\nlost = \"5s\"",
            "2:8: `lost` (5s) must be longer than `silent` (10s by default)",
        ),
        (
            "[session]\nheartbeat = \"2s\"\nsilent = \"1500ms\"",
            "3:10: `silent` (1500ms) must be longer than `heartbeat` (2s)",
        ),
    ]);
}

#[test]
fn nodes_of_the_file() {
    single(&[
        (
            "nodes = 3",
            "1:9: this is an integer; expected a text such as \"node[01-16]\", or a list of such texts",
        ),
        (
            "nodes = []",
            "1:9: no node is named; expected a text such as \"node[01-16]\", or a list of such texts",
        ),
        (
            "nodes = \"node[1-4],node[05-01]\"",
            "1:25: `05-01` runs backwards; expected the smaller number first",
        ),
        (
            "nodes = [\"a\",\n  \"b;reboot\"]",
            "2:5: `;` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "nodes = '''\na\nb $(x)'''",
            "3:3: `$` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        // Where an escape has moved the place, the whole text is marked.
        (
            "nodes = \"a\\u0020b,;\"",
            "1:9: `;` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "nodes = [\"n[1-100000]\", \"a\"]",
            "1:25: with this there are more than 100,000 nodes, the most that can be named",
        ),
        (
            "nodes = [\"node[1-3]\",\n  \"a,node2\"]",
            "2:6: `node2` is named twice; the first time in line 1, column 11",
        ),
        ("nodes = \"a,n[1-3,2]\"", "1:12: `n2` is named twice here"),
    ]);
    let many = refusal("nodes = \"n[1-100],n[1-100]\"");
    assert_eq!(many.len(), 6);
    assert_eq!(many[5], "1:19: 95 more (`n[6-100]`) are named twice");
}

#[test]
fn tables_about_nodes() {
    single(&[
        (
            "nodes = \"node[01-64]\"\n[node.\"node[60-66]\"]",
            "2:7: `node[65-66]` is not among the `nodes`; did you mean `node05`?",
        ),
        (
            "nodes = \"a\"\n[node.login]",
            "2:7: `login` is not among the `nodes`",
        ),
        (
            "nodes = \"a\"\n[node.\"a,[\"]",
            "2:10: this `[` is never closed; expected a `]`",
        ),
        (
            "[node.a]\nport = 22",
            "1:2: something is said about single nodes, but the nodes are not named; \
             expected `nodes = \"…\"` at the top",
        ),
        (
            "nodes = \"a,b\"\n[node.\"a,b\"]\naddress = \"c\"",
            "3:11: an address is that of one node, but the table is about 2 nodes",
        ),
        (
            "nodes = \"a\"\nnode.a = 3",
            "2:10: this is an integer; expected [node.NAME] as a table",
        ),
        (
            "[defaults]\ndirectory = \"/a\"\nprogram = \"/b\"",
            "3:11: the program is either placed in a `directory` or is there already as `program`; leave one of them out",
        ),
        (
            "[defaults]\ndirectory = \"scratch\"",
            "2:13: `scratch` does not begin with `/`; expected an absolute path on the node",
        ),
        (
            "[defaults]\nprogram = \"/a\\nb\"",
            "2:11: `/a\u{fffd}b` has a control character in it; expected an absolute path on the node",
        ),
    ]);
    // Mistakes in `nodes` say nothing about the tables.
    assert_eq!(
        refusal("nodes = \"node[1-4\"\n[node.node2]\nport = 1").len(),
        1
    );
    // A short text of many names takes no memory that grows with them.
    let greedy: Vec<String> = (0..200)
        .map(|number| format!("[node.\"x{number}y[1-100000]\"]\n"))
        .collect();
    let errors = refusal(&format!("nodes = \"a\"\n{}", greedy.concat()));
    assert_eq!(errors.len(), 11);
    assert_eq!(
        errors[10],
        "12:7: with this the keys of [node] name more than 1,000,000 nodes together"
    );
}

#[test]
fn what_could_be_syntax_or_an_option_is_refused() {
    let address = |value: &str, problem: &str| {
        let text = format!("nodes = \"a\"\nnode.a.address = {value}");
        let expected = format!(
            "2:18: `{problem}; expected a host name or an address such as \"10.0.0.1\", \
             of letters, digits and `_ - . : %`"
        );
        assert_eq!(refusal(&text), [expected], "{value}");
    };
    address(
        "'-oProxyCommand=reboot'",
        "-oProxyCommand=reboot` begins with `-`, as an option does",
    );
    address("\"a b\"", "a b` has the character ' ' in it");
    address("\"a'b\"", "a'b` has the character '\\'' in it");
    address("'a\"b'", "a\"b` has the character '\"' in it");
    address("\"a\\nb\"", "a\u{fffd}b` has the character '\\n' in it");
    address("\"$(reboot)\"", "$(reboot)` has the character '$' in it");
    address("\"a`b`\"", "a`b`` has the character '`' in it");
    address("\"a;b\"", "a;b` has the character ';' in it");
    address("\"a@b\"", "a@b` has the character '@' in it");
    address("\"bücher\"", "bücher` has the character 'ü' in it");
    single(&[
        (
            "nodes = \"a\"\nnode.a.host = \"a/b\"",
            "2:15: `a/b` has the character '/' in it; expected a host name or an address such as \"10.0.0.1\", \
             of letters, digits and `_ - . : %`",
        ),
        (
            "[defaults]\nuser = \"root;reboot\"",
            "2:8: `root;reboot` has the character ';' in it; expected the name of a user, \
             of letters, digits and `_ - . @ + \\`",
        ),
        (
            "[defaults.env]\n\"A B\" = \"1\"",
            "2:1: `A B` cannot name a variable; expected letters, digits and `_`, no digit first",
        ),
        (
            "[defaults.env]\n1A = \"1\"",
            "2:1: `1A` cannot name a variable; expected letters, digits and `_`, no digit first",
        ),
        (
            "[defaults.env]\n\"\" = \"1\"",
            "2:1: `` cannot name a variable; expected letters, digits and `_`, no digit first",
        ),
        (
            "[defaults.env]\nA = \"x\\u0000y\"",
            "2:5: a variable cannot contain a NUL character",
        ),
        (
            "[defaults.env]\nA = 1",
            "2:5: this is an integer; expected a text; numbers go in quotes",
        ),
        (
            "[ssh]\nconfig = \"a\\u0000b\"",
            "2:10: a path cannot contain a NUL character",
        ),
        (
            "[ssh]\nconfig = \"~/.ssh/other\"",
            "2:10: `~` is not replaced here; expected the whole path, or one relative to this file",
        ),
    ]);
}

#[test]
fn commands() {
    single(&[
        (
            "exec = 3",
            "1:8: this is an integer; expected a command such as [\"kubectl\", \"exec\", \"-i\", \"{node}\", \"--\"]",
        ),
        (
            "exec = [\"a\", 3]",
            "1:14: this is an integer; expected a text; numbers go in quotes",
        ),
        (
            "exec = []",
            "1:8: there is no program to start; expected the program first",
        ),
        (
            "exec = \" # nothing\"",
            "1:8: there is no program to start; expected the program first",
        ),
        (
            "exec = \"docker exec '{node}\"",
            "1:8: this cannot be split into words: a quote is not closed, or nothing follows the last `\\`",
        ),
        (
            "exec = [\"docker\", \"exec\", \"{nod}\"]",
            "1:27: `{nod}` has no meaning here; expected one of `{node}`, `{address}`, `{user}`, `{port}`; \
             did you mean `{node}`?",
        ),
        (
            "exec = [\"a\", \"{pod-name}\", \"{node}\"]",
            "1:14: `{pod-name}` has no meaning here; expected one of `{node}`, `{address}`, `{user}`, `{port}`",
        ),
        (
            "exec = [\"a\", \"{node\"]",
            "1:14: this `{` has no partner; `{{` stands for the character itself",
        ),
        (
            "exec = [\"a\", \"{node}}\"]",
            "1:14: this `}` has no partner; `}}` stands for the character itself",
        ),
        (
            "exec = [\"docker\", \"exec\", \"{{node}}\", \"{user}\"]",
            "1:8: this is the same for every node; expected `{node}` or `{address}` in it",
        ),
        (
            "exec = [\"a\", \"{node}\\u0000\"]",
            "1:14: an argument cannot contain a NUL character",
        ),
        (
            "exec = \"a {node}\"\nlauncher = \"ssh\"",
            "1:8: `exec` is never used: `launcher` says how nodes are reached; leave one of them out",
        ),
        (
            "launcher = \"exec\"",
            "1:12: there is no command for this launcher; expected `exec`, \
             a command such as [\"kubectl\", \"exec\", \"-i\", \"{node}\", \"--\"]",
        ),
        (
            "nodes = \"a\"\nnode.a.launcher = \"exec\"",
            "2:19: there is no command for this launcher of `a`; expected `exec` at the top, \
             a command such as [\"kubectl\", \"exec\", \"-i\", \"{node}\", \"--\"]",
        ),
    ]);
}

proptest! {
    #[test]
    fn any_text_is_answered(
        text in "\\PC{0,60}|(nodes|exec|launcher|node\\.a\\.(port|env)|ssh) = [\"'\\[{a-c0-3}\\]\\n]{0,20}",
    ) {
        if let Err(errors) = parse_settings(Path::new("f.toml"), &text) {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(errors.to_string().starts_with("f.toml:"));
        }
    }
}
