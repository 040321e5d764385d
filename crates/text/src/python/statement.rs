//! The statements of a module, one after another.

use tree_sitter::Node;

use super::expression::truth;
use super::scope::Scope;
use super::syntax::{Finding, walk};
use super::touched::{Reach, Touched, reach, touched};
use super::{Binding, Unknown};

/// Deepest nesting of imports, and of `if` in `if`.
pub(super) const DEEPEST: usize = 8;

/// Methods that leave a value as it is.
const HARMLESS_METHODS: [&str; 10] = [
    "get", "items", "keys", "values", "copy", "index", "count", "join", "format", "split",
];

/// Functions that leave what they are given as it is.
const HARMLESS_FUNCTIONS: [&str; 22] = [
    "print",
    "len",
    "str",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "tuple",
    "set",
    "sorted",
    "sum",
    "min",
    "max",
    "any",
    "all",
    "zip",
    "enumerate",
    "range",
    "repr",
    "isinstance",
    "type",
];

/// Evaluates a module.
pub(super) struct Evaluator<'s, 'i> {
    pub(super) source: &'s str,
    pub(super) scope: Scope,
    /// The names with lists or mappings that the expression at hand has used.
    pub(super) shared: Vec<String>,
    /// How much has been made of values so far.
    pub(super) spent: usize,
    pub(super) remarks: Vec<Finding>,
    pub(super) import: &'i mut dyn FnMut(&str) -> Option<String>,
    pub(super) depth: usize,
    /// What the functions of the module can do.
    reach: Reach,
}

impl<'s, 'i> Evaluator<'s, 'i> {
    pub(super) fn new(
        source: &'s str,
        import: &'i mut dyn FnMut(&str) -> Option<String>,
        depth: usize,
    ) -> Self {
        Self {
            source,
            scope: Scope::default(),
            shared: Vec::new(),
            spent: 0,
            remarks: Vec::new(),
            import,
            depth,
            reach: Reach::default(),
        }
    }

    /// What is known when the module has come to its end.
    pub(super) fn finish(mut self) -> (Vec<Binding>, Option<Unknown>, Vec<Finding>) {
        for (name, span) in &self.reach.assigned {
            let unknown = Unknown {
                span: span.clone(),
                message: format!(
                    "a function may assign `{name}` here, and nothing is executed; assign it outside of functions only"
                ),
            };
            self.scope.lose(name, &unknown);
        }
        let (bindings, open) = self.scope.finish();
        (bindings, open, self.remarks)
    }

    pub(super) fn text(&self, node: Node<'_>) -> &'s str {
        &self.source[node.byte_range()]
    }

    pub(super) fn module(&mut self, root: Node<'_>) {
        self.reach = reach(self.source, root);
        self.block(root, 0);
    }

    fn block(&mut self, block: Node<'_>, depth: usize) {
        let mut cursor = block.walk();
        for statement in block.named_children(&mut cursor) {
            self.statement(statement, depth);
        }
    }

    fn statement(&mut self, node: Node<'_>, depth: usize) {
        match node.kind() {
            "expression_statement" => {
                let mut cursor = node.walk();
                for part in node.named_children(&mut cursor) {
                    match part.kind() {
                        "assignment" => self.assignment(part),
                        "augmented_assignment" => self.augmented(part),
                        "call" => self.call_statement(part),
                        _ => self.not_followed(part, "what stands"),
                    }
                }
            }
            "import_from_statement" => self.import_from(node),
            "import_statement" | "future_import_statement" => self.import_modules(node),
            "if_statement" if depth < DEEPEST => self.if_statement(node, depth),
            "delete_statement" => self.delete(node),
            "pass_statement" | "comment" | "global_statement" => {}
            "function_definition" | "class_definition" | "decorated_definition" => {
                self.definition(node);
            }
            _ => self.not_followed(node, "the statement"),
        }
    }

    fn definition(&mut self, node: Node<'_>) {
        self.not_followed(node, "the definition");
        let inner = node.child_by_field_name("definition").unwrap_or(node);
        if let Some(name) = inner.child_by_field_name("name") {
            let text = self.text(name);
            let unknown = Unknown {
                span: name.byte_range(),
                message: format!("`{text}` is a function or a class; a value was expected"),
            };
            if inner.kind() == "class_definition" {
                // Its attributes may be what other names stand for.
                self.scope.lose(text, &unknown);
            } else {
                let group = self.scope.tie(&[]);
                self.scope
                    .assign(text, name.byte_range(), Err(unknown), group);
            }
        }
    }

    fn if_statement(&mut self, node: Node<'_>, depth: usize) {
        let mut branches = vec![(
            node.child_by_field_name("condition"),
            node.child_by_field_name("consequence"),
        )];
        let mut cursor = node.walk();
        for branch in node.children_by_field_name("alternative", &mut cursor) {
            let block = branch
                .child_by_field_name("consequence")
                .or_else(|| branch.child_by_field_name("body"));
            branches.push((branch.child_by_field_name("condition"), block));
        }
        for (condition, block) in branches {
            let taken = match condition {
                None => Some(true),
                Some(condition) => self.expression(condition, 0).ok().map(|it| truth(&it)),
            };
            match taken {
                Some(true) => {
                    if let Some(block) = block {
                        self.block(block, depth + 1);
                    }
                    return;
                }
                Some(false) => {}
                None => return self.not_followed(node, "the `if` with an unknown condition"),
            }
        }
    }

    fn delete(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        for target in node.named_children(&mut cursor) {
            if target.kind() == "identifier" {
                self.scope.remove(self.text(target));
            } else {
                self.not_followed(node, "the statement");
            }
        }
    }

    /// Makes unknown whatever a piece of syntax may touch that is not executed here.
    pub(super) fn not_followed(&mut self, node: Node<'_>, what: &str) {
        let Touched {
            assigned,
            used,
            anything,
        } = touched(self.source, node);
        let line = node.start_position().row + 1;
        let cause = |name: &str| Unknown {
            span: node.byte_range(),
            message: format!(
                "{name} may be changed by {what} in line {line}, which is not executed; write the value itself"
            ),
        };
        if anything {
            self.scope.forget_all(&cause("every name"));
        }
        for name in &assigned {
            self.scope.lose(name, &cause(&format!("`{name}`")));
        }
        self.scope.tie(assigned.iter().chain(&used));
        if !self.harmless(node) {
            let in_reach = self.reach.used.clone();
            for name in used.union(&in_reach) {
                if self.scope.shares(name) {
                    self.scope.forget(name, &cause(&format!("`{name}`")));
                }
            }
        }
    }

    /// Whether a piece of syntax leaves the lists and mappings that it uses as they are.
    fn harmless(&self, node: Node<'_>) -> bool {
        let mut harmless = true;
        walk(node, |node| {
            match node.kind() {
                "call" => {
                    let function = node.child_by_field_name("function");
                    harmless &= function.is_some_and(|function| self.harmless_function(function));
                }
                // An element of what a name stands for is changed, perhaps under another name.
                "assignment" => {
                    let left = node.child_by_field_name("left");
                    harmless &= left.is_some_and(|left| left.kind() == "identifier");
                }
                "augmented_assignment" | "with_statement" | "delete_statement" => harmless = false,
                _ => {}
            }
            harmless
        });
        harmless
    }

    fn harmless_function(&self, function: Node<'_>) -> bool {
        if function.kind() == "identifier" {
            let name = self.text(function);
            return HARMLESS_FUNCTIONS.contains(&name) && !self.scope.has(name);
        }
        // An object of the module may do anything under these names.
        function
            .child_by_field_name("attribute")
            .is_some_and(|name| HARMLESS_METHODS.contains(&self.text(name)))
            && self.reach.used.is_empty()
    }
}
