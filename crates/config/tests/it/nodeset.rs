use flagperf_config::nodeset::{MOST_NODES, expand, fold};
use flagperf_model::NodeName;
use proptest::prelude::*;

fn names(text: &str) -> Vec<String> {
    expand(text)
        .unwrap()
        .into_iter()
        .map(String::from)
        .collect()
}

fn refusal(text: &str) -> String {
    expand(text).unwrap_err().to_string()
}

fn folded(text: &str) -> String {
    fold(&expand(text).unwrap())
}

#[test]
fn names_as_slurm_and_clustershell_write_them() {
    for (text, expected) in [
        ("a", "a"),
        ("a,b,c", "a b c"),
        ("a b\nc , d,\n e\n", "a b c d e"),
        ("node[01-03]", "node01 node02 node03"),
        ("node[01-02,07,10-11]", "node01 node02 node07 node10 node11"),
        ("node[8-11]", "node8 node9 node10 node11"),
        ("node[08-11]", "node08 node09 node10 node11"),
        ("node[098-101]", "node098 node099 node100 node101"),
        ("node[98-101]", "node98 node99 node100 node101"),
        ("node[0-10/5]", "node0 node5 node10"),
        ("node[00-07/3]", "node00 node03 node06"),
        ("r[1-2]n[01-02]", "r1n01 r1n02 r2n01 r2n02"),
        ("n[1-2][3-4]", "n13 n14 n23 n24"),
        ("node[1-2]-ib", "node1-ib node2-ib"),
        ("node[1-2]-ib[0]", "node1-ib0 node2-ib0"),
        ("10.0.0.[9-11]", "10.0.0.9 10.0.0.10 10.0.0.11"),
        ("[1-2]", "1 2"),
        ("node1", "node1"),
        ("node[5,1]", "node5 node1"),
        ("a,a", "a a"),
        ("fe80::1,b_c.d-e", "fe80::1 b_c.d-e"),
    ] {
        assert_eq!(names(text).join(" "), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_column() {
    for (text, expected) in [
        (
            "",
            "column 1: no node is named; expected names such as `node1,node2` or `node[01-16]`",
        ),
        (
            " \n ",
            "column 1: no node is named; expected names such as `node1,node2` or `node[01-16]`",
        ),
        (
            ",a",
            "column 1: there is no node before this comma; expected a name",
        ),
        (
            "a,,b",
            "column 3: there is no node before this comma; expected a name",
        ),
        (
            "a,b,",
            "column 4: there is no node behind this comma; expected a name",
        ),
        (
            "a,node[1-4",
            "column 7: this `[` is never closed; expected a `]`",
        ),
        ("a,node1-4]", "column 10: this `]` has no `[` before it"),
        (
            "node[1-[2-3]]",
            "column 8: there is a bracket inside a bracket; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[]",
            "column 6: there is no number before this; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[1,]",
            "column 8: there is no number before this; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[1-]",
            "column 8: there is no number before this; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[1, 2]",
            "column 8: there is a blank inside a bracket; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[a-c]",
            "column 6: `a` cannot stand here in a bracket; expected numbers such as `01-16` or `1,4,7`",
        ),
        (
            "node[1-4/0]",
            "column 10: a step of 0 never arrives; expected 1 or more",
        ),
        (
            "node[4/2]",
            "column 7: a step needs a range before it; expected such as `0-10/2`",
        ),
        (
            "ok,node[05-01]",
            "column 9: `05-01` runs backwards; expected the smaller number first",
        ),
        (
            "node[1-02]",
            "column 6: the ends of `1-02` have different numbers of leading zeros; expected `01-02` or `1-2`",
        ),
        (
            "node[001-02]",
            "column 6: the ends of `001-02` have different numbers of leading zeros; expected `001-002` or `1-2`",
        ),
        (
            "node[1234567890123456789]",
            "column 6: this number has more than 18 digits",
        ),
        (
            "a\n b,n[3-1]\n",
            "line 2, column 6: `3-1` runs backwards; expected the smaller number first",
        ),
        (
            "é",
            "column 1: `é` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn names_that_could_be_syntax_or_options_are_refused() {
    for (text, expected) in [
        (
            "a'b",
            "column 2: `'` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "\"a b\"",
            "column 1: `\"` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "-oProxyCommand=reboot",
            "column 1: `-` cannot begin the name of a node; a letter or a digit can",
        ),
        (
            "a,$(reboot)",
            "column 3: `$` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "a;b",
            "column 2: `;` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "a\u{1b}[2J",
            "column 2: `\\u{1b}` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "a\0",
            "column 2: `\\0` cannot stand in the name of a node; letters, digits and `_ - . :` can",
        ),
        (
            "../a",
            "column 1: `.` cannot begin the name of a node; a letter or a digit can",
        ),
        (
            "root@a",
            "column 5: `@` cannot stand in the name of a node; the user is not part of a node's name; \
             set `user` in flagperf.toml or in the configuration of ssh",
        ),
        (
            "@rack1",
            "column 1: `@` cannot stand in the name of a node; groups are not known here; write out their nodes",
        ),
        (
            "a slots=4",
            "column 8: `=` cannot stand in the name of a node; a node is a name alone; \
             what is known about it goes into flagperf.toml",
        ),
        (
            "no 1",
            "column 4: a blank ends a name, so `1` would be a node of its own; expected `no1`, \
             or `no,1` if there are such nodes",
        ),
        (
            "a,node\t[01-16] b",
            "column 8: a blank ends a name, so `[01-16]` would be a node of its own; expected \
             `node[01-16]`, or `node,[01-16]` if there are such nodes",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
    // A blank or the end of a line separates; it never becomes part of a name.
    assert_eq!(names("a b\nc"), ["a", "b", "c"]);
    // Numbers are names too: of processes, for one.
    for text in ["12 34", "12 [34]", "a,12 34", "a\n12\n34", "a , 12 , 34"] {
        assert_eq!(names(text)[names(text).len() - 1], "34", "{text}");
    }
    let long = refusal(&format!("n[1-100000]{}", "x".repeat(200)));
    assert!(
        long.starts_with("column 1: node name `n100000xxx")
            && long.ends_with("is longer than 200 bytes"),
        "{long}"
    );
}

#[test]
fn too_many_nodes_are_refused_before_they_are_made() {
    let expected = "with this there are more than 100,000 nodes, the most that can be named";
    assert_eq!(expand("n[1-100000]").unwrap().len(), MOST_NODES);
    assert_eq!(refusal("a,n[1-100000]"), format!("column 3: {expected}"));
    for text in [
        "n[0-999999999999999999]",
        "a[0-999999999999999999]b[0-999999999999999999]",
        "a[0-999999999999999999,0-999999999999999999]",
        "a[1-1000][1-1000][1-1000][1-1000][1-1000][1-1000][1-1000]",
    ] {
        assert_eq!(refusal(text), format!("column 1: {expected}"), "{text}");
    }
}

#[test]
fn people_read_the_short_form() {
    for (text, expected) in [
        ("node01,node02,node03,node04,node07", "node[01-04,07]"),
        ("a,b,c", "a,b,c"),
        ("node1", "node1"),
        ("node1,node2", "node[1-2]"),
        ("node9,node10,node11", "node[9-11]"),
        ("node09,node10,node011", "node[09-10,011]"),
        ("r[1-2]n[01-03]", "r[1-2]n[01-03]"),
        ("r[1-2]n[01-03],r3n[01-02]", "r[1-2]n[01-03],r3n[01-02]"),
        ("r1n1,r2n1,r1n2,r2n2", "r[1-2]n1,r[1-2]n2"),
        ("node1-ib,node2-ib,login", "node[1-2]-ib,login"),
        ("10.0.0.[1-4]", "10.0.0.[1-4]"),
        ("node2,node1", "node[2,1]"),
        ("a1,a1", "a1,a1"),
        ("a[1-3,2]", "a[1-3,2]"),
        (
            "x12345678901234567891,x12345678901234567892",
            "x12345678901234567891,x12345678901234567892",
        ),
    ] {
        assert_eq!(folded(text), expected, "{text}");
    }
    assert_eq!(fold(&[]), "");
}

/// Names as clusters have them, so that neighbours often have much in common.
fn name() -> impl Strategy<Value = NodeName> {
    prop_oneof![
        "(node|r|n)[0-9]{1,3}",
        "r[0-2]n(0[0-9]|1[0-2])(-ib)?",
        "[a-z0-9][a-z0-9_.:-]{0,6}",
        "n[0-9]{16,20}",
    ]
    .prop_map(|text| NodeName::new(text).unwrap())
}

proptest! {
    #[test]
    fn what_is_folded_expands_again(mut all in prop::collection::vec(name(), 1..60)) {
        // The order is kept, whatever it is.
        prop_assert_eq!(&expand(&fold(&all)).unwrap(), &all);
        all.sort();
        all.dedup();
        let text = fold(&all);
        prop_assert_eq!(expand(&text).unwrap(), all, "{}", text);
    }

    #[test]
    fn ranges_fold_to_themselves(first in 0u32..2000, more in 1u32..50, width in 1usize..6) {
        let text = format!("n[{first:0width$}-{:0width$}]", first + more);
        prop_assert_eq!(folded(&text), text);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}|[a-c0-3\\[\\],/ \n-]{0,40}") {
        match expand(&text) {
            Ok(all) => prop_assert!(!all.is_empty()),
            Err(error) => {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
