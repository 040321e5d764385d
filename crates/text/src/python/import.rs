//! What comes from other modules.

use tree_sitter::Node;

use super::statement::{DEEPEST, Evaluator};
use super::touched::imported;
use super::{Binding, Unknown, read_nested};
use crate::data::{Data, Spanned};
use crate::nearest::shown;

impl Evaluator<'_, '_> {
    /// `import a, b.c as d`.
    pub(super) fn import_modules(&mut self, node: Node<'_>) {
        for name in imported(self.source, node) {
            let unknown = Unknown {
                span: node.byte_range(),
                message: format!(
                    "`{name}` is another module, and nothing is executed; write the value itself"
                ),
            };
            self.scope.import(&name, node.byte_range(), Err(unknown));
        }
    }

    /// `from module import a, b as c` and `from module import *`.
    pub(super) fn import_from(&mut self, node: Node<'_>) {
        let module = node
            .child_by_field_name("module_name")
            .map(|name| self.text(name))
            .unwrap_or_default();
        let span = node.byte_range();
        let cause = |name: &str, why: &str| Unknown {
            span: span.clone(),
            message: format!(
                "{name} comes from the module `{}`, {why}; write the value itself",
                shown(module)
            ),
        };
        let mut cursor = node.walk();
        let star = node
            .children(&mut cursor)
            .any(|child| child.kind() == "wildcard_import");
        let bindings = match self.read_import(module) {
            Ok(bindings) => bindings,
            Err(why) if star => {
                let unknown = cause("what is not assigned behind this", &why);
                self.scope.forget_all(&unknown);
                return;
            }
            Err(why) => {
                for name in imported(self.source, node) {
                    let unknown = cause(&format!("`{name}`"), &why);
                    self.scope.import(&name, span.clone(), Err(unknown));
                }
                return;
            }
        };
        let value = |binding: &Binding| match &binding.value {
            Ok(value) => Ok(value.value.clone()),
            Err(unknown) => Err(Unknown {
                span: span.clone(),
                message: format!("in the module `{}`: {}", shown(module), unknown.message),
            }),
        };
        if star {
            for binding in bindings.iter().filter(|it| is_public(it, &bindings)) {
                let name = &binding.name.value;
                self.scope.import(name, span.clone(), value(binding));
            }
            return;
        }
        let mut cursor = node.walk();
        let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
        for (name, alias) in names.into_iter().zip(imported(self.source, node)) {
            let wanted = self.text(name.child_by_field_name("name").unwrap_or(name));
            let found = bindings.iter().find(|it| it.name.value == wanted);
            let found = found.map_or_else(
                || Err(cause(&format!("`{wanted}`"), "which does not assign it")),
                value,
            );
            self.scope.import(&alias, span.clone(), found);
        }
    }

    /// The names of another module, or why they are not known, in words after its name.
    fn read_import(&mut self, module: &str) -> Result<Vec<Binding>, String> {
        if self.depth >= DEEPEST {
            return Err("behind too many other imports".to_owned());
        }
        let Some(text) = (self.import)(module) else {
            return Err("which is not read".to_owned());
        };
        match read_nested(&text, self.import, self.depth + 1) {
            Ok(module) => match module.open {
                None => Ok(module.bindings),
                Some(unknown) => Err(format!("not all of which is known: {}", unknown.message)),
            },
            Err(problems) => Err(problems.first().map_or_else(
                || "which cannot be read".to_owned(),
                |first| {
                    format!(
                        "which cannot be read, line {}: {}",
                        first.line, first.message
                    )
                },
            )),
        }
    }
}

/// Whether `from MODULE import *` brings a name.
fn is_public(binding: &Binding, all: &[Binding]) -> bool {
    let listed = all.iter().find(|known| known.name.value == "__all__");
    match listed.map(|listed| &listed.value) {
        Some(Ok(Spanned {
            value: Data::List(names),
            ..
        })) => names
            .iter()
            .any(|name| name.value.as_text() == Some(&binding.name.value)),
        _ => !binding.name.value.starts_with('_'),
    }
}
