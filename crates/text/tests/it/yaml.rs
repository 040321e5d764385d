use flagperf_text::yaml::{Document, read};
use flagperf_text::{Data, Spanned};
use proptest::prelude::*;

/// One scalar a line, with the kind and the value that PyYAML 6.0.3 gives it.
const SCALARS: &str = include_str!("../data/yaml_scalars.tsv");

fn value(text: &str) -> Data {
    accept(text).root.value
}

fn accept(text: &str) -> Document {
    read(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The mistakes, each as `line:column: message`.
fn refusal(text: &str) -> Vec<String> {
    let problems = read(text).expect_err(text);
    problems
        .iter()
        .map(|problem| format!("{}:{}: {}", problem.line, problem.column, problem.message))
        .collect()
}

/// A value as the table writes it.
fn shown(data: &Data) -> String {
    let nested = |value: &Spanned<Data>| shown(&value.value).replace('\t', ":");
    match data {
        Data::None => "none\t".to_owned(),
        Data::Bool(flag) => format!("bool\t{flag}"),
        Data::Int(number) => format!("int\t{number}"),
        Data::Float(number) => format!("float\t{number}"),
        Data::Text(text) => {
            let text = text.replace('\\', "\\\\").replace('\t', "\\t");
            format!("text\t{}", text.replace('\n', "\\n"))
        }
        Data::List(items) => {
            format!(
                "list\t{}",
                items.iter().map(nested).collect::<Vec<_>>().join(" ")
            )
        }
        Data::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{}={}", key.value, nested(value)));
            format!("map\t{}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

#[test]
fn scalars_are_what_pyyaml_makes_of_them() {
    let mut lines = 0;
    for line in SCALARS.lines() {
        let fields: Vec<&str> = line.splitn(3, '\t').collect();
        let [scalar, kind, expected] = fields[..] else {
            panic!("{line} has no three fields");
        };
        let text = format!("a: {}", scalar.replace("\\n", "\n").replace("\\\\", "\\"));
        let found = match read(&text) {
            Err(_) => "error\t".to_owned(),
            Ok(document) => {
                let value = &document.root.value.get("a").expect(line).value;
                if document.remarks.is_empty() {
                    shown(value)
                } else {
                    "time\t".to_owned()
                }
            }
        };
        let same_float = |text: &str| {
            text.strip_prefix("float\t")
                .and_then(|n| n.to_lowercase().parse::<f64>().ok())
        };
        let wanted = format!("{kind}\t{expected}");
        let equal = match (same_float(&found), same_float(&wanted)) {
            (Some(a), Some(b)) => a.to_bits() == b.to_bits(),
            _ => found == wanted,
        };
        assert!(equal, "{text:?} is {found:?}, not {wanted:?}");
        lines += 1;
    }
    assert!(lines > 200, "only {lines} scalars");
}

/// The table above asked of PyYAML itself.
#[test]
#[ignore = "needs python3 with PyYAML"]
fn the_table_is_what_pyyaml_says() {
    const ASK: &str = r#"
import sys, yaml, datetime, math
def show(v):
    if v is None: return "none", ""
    if isinstance(v, bool): return "bool", str(v).lower()
    if isinstance(v, int): return "int", str(v)
    if isinstance(v, float): return "float", "nan" if math.isnan(v) else repr(v)
    if isinstance(v, str): return "text", v.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    if isinstance(v, list): return "list", " ".join("%s:%s" % show(x) for x in v)
    if isinstance(v, dict): return "map", " ".join("%s=%s:%s" % ((k,) + show(x)) for k, x in v.items())
    if isinstance(v, datetime.date): return "time", ""
for line in open(sys.argv[1], newline="\n"):
    scalar = line.split("\t")[0]
    text = "a: " + scalar.replace("\\n", "\n").replace("\\\\", "\\")
    try: kind, value = show(yaml.safe_load(text)["a"])
    except Exception: kind, value = "error", ""
    print(scalar, kind, value, sep="\t")
"#;
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/yaml_scalars.tsv");
    let output = std::process::Command::new("python3")
        .args(["-c", ASK, table])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), SCALARS);
}

#[test]
fn numbers_beyond_64_bits_are_refused() {
    for text in [
        "9223372036854775808",
        "-0x8000000000000001",
        "999999999999999999:59",
    ] {
        assert_eq!(
            refusal(text),
            ["1:1: this number is larger than 64 bits"],
            "{text}"
        );
    }
}

#[test]
fn a_file_as_editors_of_windows_leave_it() {
    let text = "# é\r\nHOSTS: [\"a\", 'b']\r\nPORT: \"22\" # text\r\nCASES: \r\n    # \"x\": y\r\n    \"k:1\": \"v\"\r\n\r\nEMPTY:\r\n";
    let root = value(text);
    assert_eq!(
        shown(&root.get("HOSTS").unwrap().value),
        "list\ttext:a text:b"
    );
    assert_eq!(root.get("PORT").unwrap().value, Data::Text("22".to_owned()));
    assert_eq!(shown(&root.get("CASES").unwrap().value), "map\tk:1=text:v");
    assert_eq!(root.get("EMPTY").unwrap().value, Data::None);
    assert_eq!(root.get("NONE"), None);
}

#[test]
fn every_value_knows_its_place() {
    let text = "é: [a, 'b']\nmap:\n  key: value # c\n\nnext: |\n  text\n";
    let root = accept(text).root;
    let at = |data: &Spanned<Data>| text[data.span.clone()].to_owned();
    let Data::Map(entries) = &root.value else {
        panic!("{root:?}");
    };
    let keys: Vec<&str> = entries
        .iter()
        .map(|(key, _)| &text[key.span.clone()])
        .collect();
    assert_eq!(keys, ["é", "map", "next"]);
    assert_eq!(at(&entries[0].1), "[a, 'b']");
    assert_eq!(at(&entries[1].1), "key: value");
    let Data::List(items) = &entries[0].1.value else {
        panic!("{root:?}");
    };
    assert_eq!(at(&items[1]), "'b'");
}

#[test]
fn lists_in_every_form() {
    let forms = [
        "- a\n- 1\n",
        "[a, 1]",
        "[a,\n 1,\n]",
        "[\na,\n1\n]\n",
        "[ # comment\n'a', # another\n1]#last\n",
        "---\n[a, !!int '1']\n...\n",
    ];
    for form in forms {
        assert_eq!(shown(&value(form)), "list\ttext:a int:1", "{form}");
    }
    assert_eq!(
        shown(&value("k:\n- a\n- 1\n").get("k").unwrap().value),
        "list\ttext:a int:1"
    );
    assert_eq!(value(""), Data::None);
    assert_eq!(value("# nothing\n"), Data::None);
}

#[test]
fn anchors_and_merges() {
    let text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\na: {<<: *b, x: 5}\nb:\n  <<: [*b, *o]\nc:\n  <<: *b\n  <<: *o\nd: *b\n";
    let root = value(text);
    let field = |name: &str| shown(&root.get(name).unwrap().value);
    assert_eq!(field("a"), "map\ty=int:2 x=int:5");
    assert_eq!(field("b"), "map\tx=int:1 y=int:2 z=int:4");
    assert_eq!(field("c"), "map\tx=int:1 y=int:3 z=int:4");
    assert_eq!(field("d"), "map\tx=int:1 y=int:2");
    assert_eq!(refusal("a: &a [*a]"), ["1:8: this value contains itself"]);
    assert_eq!(
        refusal("a: {<<: b}"),
        ["1:5: `<<` merges mappings, but this is a text"]
    );
    let levels = (1..40).map(|level| {
        let below = level - 1;
        format!("a{level}: &a{level} [*a{below}, *a{below}]\n")
    });
    let bomb = format!("a0: &a0 [x, x]\n{}", levels.collect::<String>());
    let problems = refusal(&bomb);
    assert!(problems[0].contains("become too large"), "{problems:?}");
}

#[test]
fn dates_stay_texts_with_a_remark() {
    let document = accept("a: 2026-11-24\nb: \"2026-11-24\"\n");
    assert_eq!(
        shown(&document.root.value),
        "map\ta=text:2026-11-24 b=text:2026-11-24"
    );
    let [remark] = &document.remarks[..] else {
        panic!("{document:?}");
    };
    assert_eq!((remark.line, remark.column), (1, 4));
    assert!(remark.message.contains("PyYAML makes a date of this"));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    for (text, expected) in [
        (
            "a: 1\nb: 2\na: 3\n",
            "3:1: `a` is said twice, the first time in line 1; PyYAML would take the last without a word, so leave one out",
        ),
        (
            "1: x",
            "1:1: the key `1` is read as a whole number; put it in quotes if it is a text",
        ),
        (
            "é: x\non: x",
            "2:1: the key `on` is read as true or false; put it in quotes if it is a text",
        ),
        ("[a]: x", "1:1: a list cannot be a key; expected a text"),
        (
            "a:\n\t- b\n",
            "2:2: a tab is not allowed here; indent and separate with blanks",
        ),
        (
            "\ta: b\n",
            "1:1: a tab is not allowed here; indent and separate with blanks",
        ),
        ("a:\tb\n", "1:4: after `:` a blank is expected, and no tab"),
        (
            "a: 1\n---\nb: 2\n",
            "2:1: a second document begins here; expected only one in a file",
        ),
        (
            "a: =",
            "1:4: `=` has a meaning of its own; put it in quotes",
        ),
        ("a: 0b_", "1:4: this number has no digits"),
        (
            "a: !foo b",
            "1:4: the tag `!foo` means nothing for this value; leave it out",
        ),
        (
            "a: !!set {b}",
            "1:4: the tag `tag:yaml.org,2002:!set` means nothing here; leave it out",
        ),
        (
            "a: b: c\n",
            "1:5: `:` with a blank behind it is not allowed here; a text with one in it goes in quotes, and keys of one mapping are indented alike",
        ),
        (
            "CASES:\n    x: y\n   z: y\n",
            "3:4: this does not go on with the mapping before it; expected a key that is indented like the others",
        ),
        (
            "a: @b\n",
            "1:4: no value begins with this character; put the text in quotes",
        ),
        (
            "a: [b, c\n",
            "1:9: the `[` of line 1 is not closed; expected `,` or `]` here",
        ),
        (
            "a: \"b\nc: d\n",
            "1:4: something is wrong with this text in quotes: it may not be closed, or something follows it",
        ),
        (
            "a: *b",
            "1:4: there is no anchor of this name before; a text that begins with `*` goes in quotes",
        ),
        (
            "a: \u{1b}",
            "1:4: the character U+001B is not allowed here; remove it, or write it as an escape in double quotes",
        ),
    ] {
        assert_eq!(refusal(text), [expected], "{text}");
    }
    assert_eq!(
        refusal("é: {b: c\nd: e\n"),
        ["2:2: the `{` of line 1 is not closed; expected `,` or `}` here"]
    );
    assert_eq!(refusal("a: 1\na: 2\nb: =\n1: 2\n").len(), 3);
    let deep = "[".repeat(100);
    assert_eq!(refusal(&deep).len(), 1);
    let deep = "- ".repeat(100);
    assert_eq!(
        refusal(&deep),
        ["1:123: this is nested deeper than 60 levels"]
    );
}

proptest! {
    #[test]
    fn any_text_gives_a_value_or_places(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("a"), Just("é"), Just(": "), Just("- "), Just("\n"), Just("\r\n"), Just("  "), Just("["), Just("]"),
                Just("{"), Just("}"), Just(", "), Just("\""), Just("'"), Just("#"), Just("&a "), Just("*a"), Just("<<: "),
                Just("|"), Just("1:30"), Just("\t"), Just("!"), Just("!!str "), Just("---"), Just("? "), Just("\\"),
            ],
            0..40,
        ),
    ) {
        let text = parts.concat();
        match read(&text) {
            Ok(document) => prop_assert!(text.get(document.root.span).is_some()),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn any_scalar_is_read(text in "[-+0-9.:_eExXbTnfa~ ]{0,14}") {
        let _ = read(&format!("a: {text}\n"));
    }
}
