//! What a statement that is not followed may do to names.

use std::collections::BTreeSet;
use std::ops::Range;

use tree_sitter::Node;

use super::syntax::walk;

/// What a piece of syntax may do.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The names that it may assign.
    pub(super) assigned: BTreeSet<String>,
    /// The names that it uses in any other way, and whose lists and mappings it may thereby change.
    pub(super) used: BTreeSet<String>,
    /// True if it may do anything to any name.
    pub(super) anything: bool,
}

/// Functions through which every name of a module can be reached.
const REACH_ALL: [&str; 6] = ["globals", "locals", "vars", "exec", "eval", "setattr"];

/// What a statement may do to the names of its module. `source` is the text of the module.
pub(super) fn touched(source: &str, node: Node<'_>) -> Touched {
    let mut touched = Touched::default();
    let text = |node: Node<'_>| source[node.byte_range()].to_owned();
    walk(node, |node| {
        match node.kind() {
            "function_definition" | "class_definition" => {
                let name = node.child_by_field_name("name");
                touched.assigned.extend(name.map(text));
                // A function does something when it is called, see `reach`. A class does so here,
                // but what it assigns is its own.
                let now = match node.kind() {
                    "class_definition" => Some(node),
                    _ => node.child_by_field_name("parameters"),
                };
                if let Some(now) = now {
                    identifiers(source, now, &mut touched.used);
                }
                return false;
            }
            "lambda" => return false,
            "import_statement" | "import_from_statement" | "future_import_statement" => {
                touched.assigned.extend(imported(source, node));
                touched.anything |= has_child(node, "wildcard_import");
                return false;
            }
            "assignment" | "augmented_assignment" | "for_statement" => {
                if let Some(left) = node.child_by_field_name("left") {
                    identifiers(source, left, &mut touched.assigned);
                }
            }
            "named_expression" => {
                let name = node.child_by_field_name("name");
                touched.assigned.extend(name.map(text));
            }
            "as_pattern_target" | "delete_statement" | "case_pattern" => {
                identifiers(source, node, &mut touched.assigned);
            }
            "exec_statement" => touched.anything = true,
            "call" => {
                let function = node.child_by_field_name("function").map(text);
                touched.anything |= function.is_some_and(|name| REACH_ALL.contains(&&*name));
            }
            "identifier" => {
                touched.used.insert(text(node));
            }
            _ => {}
        }
        true
    });
    touched
}

fn has_child(node: Node<'_>, kind: &str) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.kind() == kind)
}

/// The names that an import gives.
pub(super) fn imported(source: &str, node: Node<'_>) -> Vec<String> {
    let mut cursor = node.walk();
    let names = node.children_by_field_name("name", &mut cursor);
    let text = |node: Node<'_>| source[node.byte_range()].to_owned();
    names
        .filter_map(|name| {
            if name.kind() == "aliased_import" {
                return name.child_by_field_name("alias").map(text);
            }
            // `import a.b` gives `a`.
            name.named_child(0).map(text)
        })
        .collect()
}

/// Every identifier in a piece of syntax. In the target of an assignment those are the names that
/// are assigned, and those of which an element is.
fn identifiers(source: &str, node: Node<'_>, names: &mut BTreeSet<String>) {
    walk(node, |node| {
        if node.kind() == "identifier" {
            names.insert(source[node.byte_range()].to_owned());
        }
        true
    });
}

/// What functions of a module can do, whenever they are called.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The names of the module that they may assign, each with the place that says so.
    pub(super) assigned: Vec<(String, Range<usize>)>,
    /// All names in them.
    pub(super) used: BTreeSet<String>,
}

/// What the functions of a module can do.
pub(super) fn reach(source: &str, root: Node<'_>) -> Reach {
    let mut reach = Reach::default();
    // Where the outermost function around a node ends.
    let mut end = 0;
    walk(root, |node| {
        match node.kind() {
            "function_definition" | "lambda" => end = end.max(node.end_byte()),
            "identifier" if node.start_byte() < end => {
                reach.used.insert(source[node.byte_range()].to_owned());
            }
            "global_statement" => {
                let mut names = BTreeSet::new();
                identifiers(source, node, &mut names);
                let placed = names.into_iter().map(|name| (name, node.byte_range()));
                reach.assigned.extend(placed);
            }
            _ => {}
        }
        true
    });
    reach
}
