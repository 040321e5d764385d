//! From text to syntax tree, and what is said about wrong syntax.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

use crate::nearest::shown;

/// Largest module that is read, in bytes. Those of the training suite have a few thousand.
const LARGEST: usize = 1 << 18;

/// Most mistakes of one module that are told. What follows the first ones is rarely a mistake of
/// its own.
const MOST: usize = 5;

/// A mistake and the bytes that it is about.
pub(super) type Finding = (Range<usize>, String);

/// Parses a module.
pub(super) fn parse(source: &str) -> Result<Tree, Vec<Finding>> {
    if source.len() > LARGEST {
        let message =
            format!("this is larger than {LARGEST} bytes, the most that a module may have");
        return Err(vec![(0..0, message)]);
    }
    let mut parser = Parser::new();
    let language = tree_sitter_python::LANGUAGE.into();
    let tree = parser
        .set_language(&language)
        .ok()
        .and_then(|()| parser.parse(source, None));
    let Some(tree) = tree else {
        return Err(vec![(
            0..0,
            "the parser for Python does not work".to_owned(),
        )]);
    };
    let wrong = mistakes(source, tree.root_node());
    if wrong.is_empty() {
        Ok(tree)
    } else {
        Err(wrong)
    }
}

/// Every node below this one in the order of the text, itself first. Not recursive, since the depth
/// of the tree is that of the text. `enter` says whether to go below a node.
pub(super) fn walk<'t>(root: Node<'t>, mut enter: impl FnMut(Node<'t>) -> bool) {
    let mut cursor = root.walk();
    let mut deeper = true;
    loop {
        if deeper && enter(cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        // The root of the walk has neighbours that are not its own.
        if cursor.node() == root {
            return;
        }
        deeper = cursor.goto_next_sibling();
        if !deeper && !cursor.goto_parent() {
            return;
        }
    }
}

fn mistakes(source: &str, root: Node<'_>) -> Vec<Finding> {
    let mut wrong = Vec::new();
    if root.has_error() {
        wrong = open_texts(source, root);
        if wrong.is_empty() {
            wrong = brackets(root);
        }
        if wrong.is_empty() {
            wrong = errors(source, root);
        }
    }
    if wrong.is_empty() {
        wrong = tolerated(source, root);
    }
    wrong.truncate(MOST);
    wrong
}

/// Texts in quotes that are not closed.
fn open_texts(source: &str, root: Node<'_>) -> Vec<Finding> {
    let mut open = Vec::new();
    let mut last: Option<Node<'_>> = None;
    walk(root, |node| {
        match node.kind() {
            "string_start" => {
                if let Some(before) = last.replace(node) {
                    open.push(before);
                }
            }
            "string_end" => last = None,
            // A text within braces of another; that one goes on behind it.
            "interpolation" => last = None,
            _ => {}
        }
        true
    });
    open.extend(last);
    let message = |node: Node<'_>| {
        let quote = source[node.byte_range()].trim_start_matches(|c: char| c.is_ascii_alphabetic());
        (
            node.byte_range(),
            format!("this text is not closed; expected {quote} at its end"),
        )
    };
    open.into_iter().map(message).collect()
}

/// Brackets without a partner.
fn brackets(root: Node<'_>) -> Vec<Finding> {
    let mut open: Vec<Node<'_>> = Vec::new();
    let mut wrong = Vec::new();
    walk(root, |node| {
        let kind = node.kind();
        if node.is_missing() {
            return false;
        }
        match kind {
            "(" | "[" | "{" => open.push(node),
            ")" | "]" | "}" => {
                let fits = open.last().is_some_and(|open| closes(open.kind()) == kind);
                if fits {
                    open.pop();
                } else if wrong.is_empty() {
                    let message = match open.last() {
                        Some(open) => format!(
                            "`{kind}` does not close the `{}` of line {}",
                            open.kind(),
                            open.start_position().row + 1
                        ),
                        None => format!("`{kind}` closes nothing"),
                    };
                    wrong.push((node.byte_range(), message));
                }
            }
            _ => {}
        }
        true
    });
    if wrong.is_empty() {
        wrong = open
            .into_iter()
            .take(1)
            .map(|node| {
                let kind = node.kind();
                let message = format!("this `{kind}` is not closed; expected `{}`", closes(kind));
                (node.byte_range(), message)
            })
            .collect();
    }
    wrong
}

fn closes(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// What the parser could not make sense of.
fn errors(source: &str, root: Node<'_>) -> Vec<Finding> {
    let mut wrong = Vec::new();
    walk(root, |node| {
        if node.is_missing() {
            let message = format!("`{}` is missing here", node.kind());
            wrong.push((node.byte_range(), message));
        } else if node.is_error() {
            let in_brackets = node.parent().is_some_and(|parent| {
                matches!(
                    parent.kind(),
                    "list" | "dictionary" | "tuple" | "set" | "argument_list" | "pair"
                )
            });
            let hint = if in_brackets {
                "is a comma missing?"
            } else {
                "expected assignments such as NAME = \"value\""
            };
            let range = node.byte_range();
            let text = source[range.clone()].lines().next().unwrap_or_default();
            let message = match text.trim() {
                "" => format!("this is not Python; {hint}"),
                text => format!("`{}` makes no sense here; {hint}", shown(text)),
            };
            wrong.push((range, message));
            return false;
        }
        node.has_error()
    });
    wrong
}

/// What the parser reads, but Python does not.
fn tolerated(source: &str, root: Node<'_>) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let mut cursor = root.walk();
    for statement in root.named_children(&mut cursor) {
        let range = statement.byte_range();
        let line = source[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let before = &source[line..range.start];
        if !before.is_empty() && before.trim_matches([' ', '\t', '\u{c}']).is_empty() {
            if statement.kind() != "comment" {
                let message = "this line is indented, but belongs to nothing; expected it at the beginning of the line";
                wrong.push((range, message.to_owned()));
            }
        } else if matches!(statement.kind(), "print_statement" | "exec_statement") {
            let message = "this is Python 2; expected brackets around what is printed or executed";
            wrong.push((range, message.to_owned()));
        }
    }
    wrong
}
