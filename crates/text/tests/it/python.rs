use flagperf_text::python::{Module, evaluate, read};
use flagperf_text::{Data, Spanned, locate};
use proptest::prelude::*;

fn accept(text: &str) -> Module {
    read(text, &mut |_| None).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// The mistakes of syntax, each as `line:column: message`.
fn refusal(text: &str) -> Vec<String> {
    let problems = read(text, &mut |_| None).expect_err(text);
    problems
        .iter()
        .map(|problem| format!("{}:{}: {}", problem.line, problem.column, problem.message))
        .collect()
}

/// A value in the form in which Python would show it, with lists for tuples.
fn shown(data: &Data) -> String {
    let all = |items: &[Spanned<Data>]| {
        let items: Vec<String> = items.iter().map(|item| shown(&item.value)).collect();
        items.join(", ")
    };
    match data {
        Data::None => "None".to_owned(),
        Data::Bool(true) => "True".to_owned(),
        Data::Bool(false) => "False".to_owned(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => format!("{number:?}"),
        Data::Text(text) => format!("{text:?}"),
        Data::List(items) => format!("[{}]", all(items)),
        Data::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{:?}: {}", key.value, shown(&value.value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The value of `X`, or `line:column: why it is unknown`.
fn value_of_x(text: &str) -> String {
    match accept(text).get("X") {
        None => "missing".to_owned(),
        Some(Ok(value)) => shown(&value.value),
        Some(Err(unknown)) => {
            let at = locate(text, unknown.span.clone(), String::new());
            format!("{}:{}: {}", at.line, at.column, unknown.message)
        }
    }
}

#[test]
fn expressions_have_the_values_that_python_gives_them() {
    for (expression, expected) in [
        ("None", "None"),
        ("True", "True"),
        ("-12_000", "-12000"),
        ("0x1F + 0b11 + 0o17", "49"),
        ("1e3", "1000.0"),
        (".5", "0.5"),
        ("4.12e9 * 2", "8240000000.0"),
        ("6 * 1024 ** 3", "6442450944"),
        ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"),
        ("7 // 2, -7 // 2, -7 % 3, 7 / 2", "[3, -4, 2, 3.5]"),
        ("1 << 4 | 3 & 2 ^ 1", "19"),
        ("~5", "-6"),
        ("'a' \"b\" r'\\n' u'c'", r#""ab\\nc""#),
        ("'tab\\t\\x41\\u00e9\\101\\q'", r#""tab\tAéA\\q""#),
        ("'''two\nlines'''", r#""two\nlines""#),
        (
            "\"\"\"with \"quotes\" in it\"\"\"",
            r#""with \"quotes\" in it""#,
        ),
        ("'one \\\nline'", r#""one line""#),
        (
            "(\" --a\" + \\\n  \" --b\"\n  \" --c\")  # comment",
            r#"" --a --b --c""#,
        ),
        ("'ab' * 2", r#""abab""#),
        ("'%s-%03d' % ('x', 7)", r#""x-007""#),
        ("'%s' % 1.0", r#""1.0""#),
        ("'{}/{n}'.format('a', n=2)", r#""a/2""#),
        ("','.join(['a', 'b'])", r#""a,b""#),
        ("'A b'.lower().split()", r#"["a", "b"]"#),
        ("[1, 'a', (2, 3), *[4]]", r#"[1, "a", [2, 3], 4]"#),
        ("{'b', 'a', 'b'}", r#"["b", "a"]"#),
        ("1,", "[1]"),
        ("()", "[]"),
        ("{'a': 1, **{'a': 2, 'b': 3}}", r#"{"a": 2, "b": 3}"#),
        ("dict(a=1, b='x')", r#"{"a": 1, "b": "x"}"#),
        ("dict({'a': 1}, b=2)", r#"{"a": 1, "b": 2}"#),
        ("{'a': 1} | {'b': 2}", r#"{"a": 1, "b": 2}"#),
        ("list((1, 2)) + [3] * 2", "[1, 2, 3, 3]"),
        ("list(range(3))", "[0, 1, 2]"),
        ("{'a': [1, 2]}['a'][-1]", "2"),
        ("{'a': 1}.get('b', 5)", "5"),
        ("str(1e16) + str(True) + str(None)", r#""1e+16TrueNone""#),
        ("int('8') + int(2.9) + len('äb')", "12"),
        ("'a' if 1 > 2 else 'b'", r#""b""#),
        ("not '' and ('x' or 'y')", r#""x""#),
        (
            "1 == 1.0, 'a' in ['b'], 'a' in 'ba', 1 in [True], None is None",
            "[True, False, True, True, True]",
        ),
    ] {
        assert_eq!(
            value_of_x(&format!("X = {expression}\n")),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn statements_follow_one_another() {
    for (text, expected) in [
        ("A = 'a'\nX = A + '/b'\nA = 'c'\n", r#""a/b""#),
        ("X = 1\nX = 2", "2"),
        ("X = Y = 3\n", "3"),
        ("A, X = 1, 2\n", "2"),
        ("(A, [B, X]) = 1, (2, 3)\n", "3"),
        ("X: int = 4\n", "4"),
        ("X: int\n", "missing"),
        ("X = 1; X += 2\n", "3"),
        ("X = 'a'\nX += 'b'\n", r#""ab""#),
        (
            "X = ['a']\nX += ['b']\nX.append('c')\nX.extend(['d'])\n",
            r#"["a", "b", "c", "d"]"#,
        ),
        (
            "X = {'a': 1}\nX['b'] = 2\nX['a'] = 3\nX.update({'c': 4}, d=5)\n",
            r#"{"a": 3, "b": 2, "c": 4, "d": 5}"#,
        ),
        ("X = ['a', 'b']\nX[0] = 'c'\n", r#"["c", "b"]"#),
        (
            "\"\"\"docs\"\"\"\n# -*- coding: utf-8 -*-\nimport sys\nX = 1\n",
            "1",
        ),
        (
            "if __name__ == '__main__':\n    X = 1\nelse:\n    X = 2\n",
            "2",
        ),
        (
            "N = 8\nif N > 8:\n    X = 'big'\nelif N == 8:\n    X = 'eight'\n",
            r#""eight""#,
        ),
        ("X = 1\ndel X\n", "missing"),
        (
            "import os\nD = '/data'\nX = os.path.join(D, 'a', 'b/')\n",
            r#""/data/a/b/""#,
        ),
        (
            "D = 3\nX = f'{D}{D + 1:03d} {{}} {\"q\"!s}'\n",
            r#""3004 {} q""#,
        ),
        (
            "X = ['a']\nfor i in X:\n    print(i)\nprint(len(X))\n",
            r#"["a"]"#,
        ),
        ("def f(a):\n    return a\nX = [1]\n", "[1]"),
        ("X = ['a']\nY = X\ndef Y():\n    pass\nY()\n", r#"["a"]"#),
        ("X = 'é'\r\nY = 'b'\r\n", r#""é""#),
        ("X = '''a\r\nb'''\r\n", r#""a\nb""#),
    ] {
        assert_eq!(value_of_x(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_executed_is_unknown_and_says_where() {
    const ITSELF: &str = "; write the value itself";
    const NOT: &str = " is not evaluated, since nothing is executed; write the value itself";
    for (text, expected) in [
        ("import os\nX = os.getenv('HOME')\n", format!("2:5: `os.getenv` looks at the environment, which{NOT}")),
        ("import os\nX = os.environ['A']\n", format!("2:5: `os` is another module, and nothing is executed{ITSELF}")),
        ("from a.b import X\n", format!("1:1: `X` comes from the module `a.b`, which is not read{ITSELF}")),
        ("from .a import y as z\nX = z + 'b'\n", format!("1:1: `z` comes from the module `.a`, which is not read{ITSELF}")),
        ("X = 1\nfrom a import *\n", format!("2:1: what is not assigned behind this comes from the module `a`, which is not read{ITSELF}")),
        ("X = nvidia\n", "1:5: `nvidia` is not assigned before this; a text goes in quotes".to_owned()),
        ("X = true\n", "1:5: `true` is not assigned before this; did you mean `True`?".to_owned()),
        ("X = f(1)\n", format!("1:5: the call of `f`{NOT}")),
        ("X = [x for x in 'ab']\n", format!("1:5: a comprehension{NOT}")),
        ("X = 'abc'[1:]\n", format!("1:5: a slice{NOT}")),
        ("X = lambda: 1\n", format!("1:5: a function{NOT}")),
        ("X = b'a'\n", format!("1:5: these are bytes and no text{NOT}")),
        ("X = '\\N{DASH}'\n", "1:6: `\\N` in this text cannot be read; write the character itself".to_owned()),
        ("X = 'a' + 1\n", "1:5: `+` does not go together with a text and a whole number".to_owned()),
        ("X = 1 / 0\n", format!("1:5: a division by zero{NOT}")),
        ("X = 2 ** 64\n", format!("1:5: the number is larger than 64 bits{NOT}")),
        ("X = 9223372036854775808\n", "1:5: the number is larger than 64 bits".to_owned()),
        ("X = 010\n", "1:5: a whole number cannot begin with 0; expected it without, or 0o before the digits of an octal one".to_owned()),
        ("X = {1: 2}\n", "1:6: this key is a whole number; expected a text".to_owned()),
        ("X = {'a': 1}['b']\n", "1:5: there is no key `b`".to_owned()),
        ("X = [1][1]\n", "1:5: the list has only 1 items".to_owned()),
        ("X = f'{[1]}'\n", format!("1:7: this format{NOT}")),
        ("X = 3\nX = X if unknown else 2\n", "2:10: `unknown` is not assigned before this; a text goes in quotes".to_owned()),
        ("def X():\n    pass\n", "1:5: `X` is a function or a class; a value was expected".to_owned()),
        ("X = 'a' * 10 ** 9\n", format!("1:5: a module that makes such large values{NOT}")),
    ] {
        assert_eq!(value_of_x(text), expected, "{text}");
    }
}

#[test]
fn a_value_that_may_have_changed_is_unknown() {
    for text in [
        "X = ['a']\nf(X)\n",
        "X = ['a']\nX.pop()\n",
        "X = ['a']\nY = X.pop()\n",
        "X = ['a']\nY = X\nY.append('b')\n",
        "X = Y = ['a']\nY += ['b']\n",
        "X = ['a']\nY = {'k': X}\nY['k'].append('b')\n",
        "X = ['a']\nY, Z = X, 1\nY[0] = 'b'\n",
        "X = ['a']\nY = g(X)\nY.append('b')\n",
        "X = ['a']\nfor i in [X]:\n    i.append('b')\n",
        "X = {'a': 1}\nfor k in X:\n    X[k] = 2\n",
        "X = 1\nfor X in [1, 2]:\n    pass\n",
        "X = 1\nwhile unknown:\n    X = 2\n",
        "X = 1\nif unknown:\n    X = 2\n",
        "X = 1\ntry:\n    X = 2\nexcept E:\n    pass\n",
        "X = 1\nwith open('f') as X:\n    pass\n",
        "X = ['a']\nX = Y = X\nY.append('b')\n",
        "X = 1\nexec('X = 2')\n",
        "X = 1\nglobals()['X'] = 2\n",
        "X = 1\ndef f():\n    global X\n    X = 2\nf()\n",
        "X = ['a']\ndef f():\n    X.append('b')\nf()\n",
        "X = ['a']\nclass C:\n    X.append('b')\n",
        "X = 1\nY = (X := 2)\n",
        "X = ['a']\nX[unknown] = 'b'\n",
        "X = ['a']\nX.b.c = 'b'\n",
        "X = {'a': 1}\nX['x'] = X\n",
        "X = {'a': 1}\ndel X['a']\n",
        "X = ['a']\nY = [i.append('b') for i in [X]]\n",
        "def X():\n    pass\nX = g(X)\n",
    ] {
        let found = value_of_x(text);
        let line = text.lines().count();
        assert!(
            found.contains(':') && !found.starts_with(['[', '{']),
            "{text} gives {found}"
        );
        let at: usize = found.split(':').next().unwrap().parse().unwrap();
        assert!((1..=line).contains(&at), "{text} gives {found}");
    }
}

#[test]
fn other_modules_are_read_if_their_text_is_given() {
    let mut asked = Vec::new();
    let mut import = |name: &str| {
        asked.push(name.to_owned());
        match name {
            "common" => Some("import os\nX = 1\nY = [2]\n_Z = 3\nW = os.getcwd()\n".to_owned()),
            "listed" => Some("__all__ = ['_a']\n_a = 1\nb = 2\n".to_owned()),
            "broken" => Some("X = [\n".to_owned()),
            "itself" => Some("from itself import *\n".to_owned()),
            _ => None,
        }
    };
    let text =
        "from common import *\nfrom common import _Z as Z, Q\nfrom listed import *\nX = X + 1\n";
    let module = read(text, &mut import).unwrap();
    let value = |name: &str| {
        module.get(name).map(|value| {
            value
                .map(|value| shown(&value.value))
                .map_err(|it| it.message.clone())
        })
    };
    assert_eq!(value("X"), Some(Ok("2".to_owned())));
    assert_eq!(value("Y"), Some(Ok("[2]".to_owned())));
    assert_eq!(value("Z"), Some(Ok("3".to_owned())));
    assert_eq!(value("_Z"), None);
    assert_eq!(value("_a"), Some(Ok("1".to_owned())));
    assert_eq!(value("b"), None);
    assert!(
        value("W")
            .unwrap()
            .unwrap_err()
            .starts_with("in the module `common`: `os")
    );
    assert!(
        value("Q")
            .unwrap()
            .unwrap_err()
            .contains("which does not assign it")
    );
    assert!(module.binding("Y").unwrap().imported);
    assert!(!module.binding("X").unwrap().imported);
    for name in ["broken", "itself", "absent"] {
        let module = read(
            &format!("A = 1\nfrom {name} import *\nB = 2\n"),
            &mut import,
        )
        .unwrap();
        assert!(module.get("A").unwrap().is_err(), "{name}");
        assert!(module.get("C").unwrap().is_err(), "{name}");
        assert!(module.get("B").unwrap().is_ok(), "{name}");
    }
    assert!(asked.len() < 100, "{} imports", asked.len());
}

#[test]
fn a_key_that_is_there_twice_is_remarked() {
    let module = accept("X = {\n    'a': 1,\n    # 'a': 2,\n    'a': 3,\n}\n");
    assert_eq!(
        shown(&module.get("X").unwrap().unwrap().value),
        r#"{"a": 3}"#
    );
    let [remark] = &module.remarks[..] else {
        panic!("{module:?}");
    };
    assert_eq!((remark.line, remark.column), (4, 5));
    assert_eq!(
        remark.message,
        "`a` is there twice, the first time in line 2; Python takes the last"
    );
}

#[test]
fn names_know_whether_they_are_used() {
    let module = accept("A = 1\nB = A\nC = 2\n");
    let used: Vec<bool> = module
        .bindings()
        .iter()
        .map(|binding| binding.used)
        .collect();
    assert_eq!(used, [true, false, false]);
}

#[test]
fn mistakes_of_syntax_are_shown_where_they_stand() {
    for (text, expected) in [
        (
            "HOSTS = [\"a\", \"b\"\nPORT = \"2\"\n",
            "1:9: this `[` is not closed; expected `]`",
        ),
        (
            "A = 1\nCASES = {\n    \"a\": \"b\",\n\nB = (2)\n",
            "2:9: this `{` is not closed; expected `}`",
        ),
        ("A = (1]\n", "1:7: `]` does not close the `(` of line 1"),
        ("A = 1)\n", "1:6: `)` closes nothing"),
        (
            "A = \"b\nC = 1\n",
            "1:5: this text is not closed; expected \" at its end",
        ),
        (
            "A = 1\nB = '''c\nd\n",
            "2:5: this text is not closed; expected ''' at its end",
        ),
        (
            "X = {\"a\": \"b\" 1}\n",
            "1:15: `1` makes no sense here; is a comma missing?",
        ),
        (
            "X = 1\n  Y = 2\n",
            "2:3: this line is indented, but belongs to nothing; expected it at the beginning of the line",
        ),
        (
            "print \"a\"\n",
            "1:1: this is Python 2; expected brackets around what is printed or executed",
        ),
    ] {
        assert_eq!(refusal(text), [expected], "{text}");
    }
    assert!(!refusal("X = = 1\n").is_empty());
    assert!(!refusal("X: \"a\"\nY - z: 3\n<html>\n").is_empty());
}

#[test]
fn a_single_expression() {
    let value = |text: &str| evaluate(text).map(|value| shown(&value.value));
    assert_eq!(value(" '22'"), Ok("\"22\"".to_owned()));
    assert_eq!(value("['a',\n 'b'] # c"), Ok("[\"a\", \"b\"]".to_owned()));
    assert_eq!(value("1, 2"), Ok("[1, 2]".to_owned()));
    for text in ["", "a", "32G", "x = 1", "1)\nimport os\n(2", "f()", "[a"] {
        assert!(evaluate(text).is_err(), "{text}");
    }
    let problem = evaluate("'a' + b").unwrap_err();
    assert_eq!((problem.line, problem.column), (1, 7));
}

/// Neither the parser nor what walks its tree may take more stack for a deeper text.
#[test]
fn depth_is_bounded() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{'a': ", "}"),
        ("f(", ")"),
        ("-", ""),
        ("not ", ""),
        ("1 + (", ")"),
        ("1 if 0 else ", ""),
        ("lambda: ", ""),
        ("f'{", "}'"),
        ("2 ** ", ""),
        ("a.", ""),
    ] {
        let text = format!("X = {}b{}\nY = 1\n", open.repeat(5000), close.repeat(5000));
        if let Ok(module) = read(&text, &mut |_| None) {
            assert!(module.get("X").unwrap().is_err(), "{open}");
        }
    }
    let sum = format!("X = 1{}\n", " + 1".repeat(5000));
    assert_eq!(value_of_x(&sum), "5001");
    let chain = format!("X = {}1\n", "X = ".repeat(5000));
    assert_eq!(value_of_x(&chain), "1");
    let ifs = (0..200).map(|depth| format!("{}if 1:\n", " ".repeat(depth)));
    let ifs: Vec<String> = ifs.collect();
    let ifs = ifs.concat();
    assert!(read(&format!("{ifs}{}X = 1\n", " ".repeat(200)), &mut |_| None).is_ok());
    assert_eq!(refusal(&" ".repeat((1 << 20) + 1)).len(), 1);
}

proptest! {
    #[test]
    fn any_text_gives_names_or_places(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("X"), Just(" = "), Just("\n"), Just("\r\n"), Just("    "), Just("["), Just("]"), Just("("), Just(")"),
                Just("{"), Just("}"), Just(", "), Just("\""), Just("'''"), Just("f'"), Just("'"), Just("#"), Just(": "), Just("é"),
                Just("1"), Just(" + "), Just("*"), Just("if "), Just("for "), Just(" in "), Just("def "), Just("lambda"), Just("\\"),
                Just("import "), Just("from "), Just(" % "), Just("."), Just("append"), Just("!r"), Just("**"), Just("else"), Just(";"),
            ],
            0..40,
        ),
    ) {
        let text = parts.concat();
        match read(&text, &mut |_| None) {
            Ok(module) => {
                for binding in module.bindings() {
                    prop_assert!(text.get(binding.name.span.clone()).is_some());
                    match &binding.value {
                        Ok(value) => prop_assert!(text.get(value.span.clone()).is_some()),
                        Err(unknown) => prop_assert!(text.get(unknown.span.clone()).is_some() && !unknown.message.is_empty()),
                    }
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn texts_come_back_as_they_were(text in "\\PC{0,20}") {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let source = format!("X = \"{quoted}\"\n");
        let module = accept(&source);
        prop_assert_eq!(&module.get("X").unwrap().unwrap().value, &Data::Text(text));
    }
}
