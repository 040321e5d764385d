//! Assignments, and calls that change a value.

use tree_sitter::Node;

use super::Unknown;
use super::statement::Evaluator;
use super::touched::touched;
use crate::data::{Data, Spanned};

/// A value, or why it is not known.
type Known = Result<Spanned<Data>, Unknown>;

impl Evaluator<'_, '_> {
    pub(super) fn assignment(&mut self, node: Node<'_>) {
        let mut targets = Vec::new();
        let mut at = node;
        let right = loop {
            let Some(right) = at.child_by_field_name("right") else {
                // A type without a value.
                return;
            };
            targets.extend(at.child_by_field_name("left"));
            if right.kind() != "assignment" {
                break right;
            }
            at = right;
        };
        self.shared.clear();
        let value = self
            .expression(right, 0)
            .map(|value| Spanned::new(value, right.byte_range()));
        let mut shared = std::mem::take(&mut self.shared);
        if value.is_err() {
            self.not_followed(right, "the expression");
            shared.extend(touched(self.source, right).used);
        }
        // Made before any of these names gets its new value, and the same for all targets.
        let group = self.scope.tie(&shared);
        for target in targets {
            self.assign(target, value.clone(), group);
        }
    }

    /// Assigns to whatever is on the left.
    fn assign(&mut self, target: Node<'_>, value: Known, group: usize) {
        match target.kind() {
            "identifier" => {
                let name = self.text(target);
                self.scope.assign(name, target.byte_range(), value, group);
            }
            "pattern_list" | "tuple_pattern" | "list_pattern" => {
                self.assign_several(target, &value, group);
            }
            "subscript" if self.assign_element(target, &value, group).is_some() => {}
            _ => {
                self.not_followed(target, "the assignment");
                self.forget_root(target, group);
            }
        }
    }

    fn assign_several(&mut self, target: Node<'_>, value: &Known, group: usize) {
        let parts = super::expression::parts(target);
        let items = match value {
            Ok(Spanned {
                value: Data::List(items),
                ..
            }) if items.len() == parts.len() => Some(items.clone()),
            _ => None,
        };
        let mut items = items.into_iter().flatten();
        for part in parts {
            let item = match (items.next(), value) {
                (Some(item), _) => Ok(item),
                (None, Err(unknown)) => Err(unknown.clone()),
                (None, Ok(_)) => Err(Unknown::of(target, "this assignment to several names")),
            };
            self.assign(part, item, group);
        }
    }

    /// `NAME["key"] = value`; absent if it is something else.
    fn assign_element(&mut self, target: Node<'_>, value: &Known, group: usize) -> Option<()> {
        let object = target.child_by_field_name("value")?;
        if object.kind() != "identifier" {
            return None;
        }
        let key = target.child_by_field_name("subscript")?;
        let value = value.clone().ok()?;
        let span = key.byte_range();
        let key = self.expression(key, 0).ok()?;
        let change = |data: &mut Data| match (data, key) {
            (Data::Map(entries), Data::Text(key)) => {
                insert(entries, Spanned::new(key, span), value);
                true
            }
            (Data::List(items), Data::Int(at)) => {
                let at = usize::try_from(at).ok().filter(|at| *at < items.len());
                at.map(|at| items[at] = value).is_some()
            }
            _ => false,
        };
        self.change(object, target, change, group)
    }

    /// Changes the value of a name in place; absent if that is not known how.
    fn change(
        &mut self,
        object: Node<'_>,
        place: Node<'_>,
        change: impl FnOnce(&mut Data) -> bool,
        group: usize,
    ) -> Option<()> {
        let name = self.text(object);
        // A value within itself has no end.
        let known = self.scope.changeable(name) && !self.scope.is_of(name, group);
        if !known || !self.scope.change(name, &place.byte_range(), change) {
            return None;
        }
        self.scope.tie_to(name, group);
        Some(())
    }

    pub(super) fn augmented(&mut self, node: Node<'_>) {
        let parts = (
            node.child_by_field_name("left"),
            node.child_by_field_name("operator"),
            node.child_by_field_name("right"),
        );
        let (Some(left), Some(operator), Some(right)) = parts else {
            return;
        };
        self.shared.clear();
        let operator = self.text(operator).trim_end_matches('=');
        let value = self.operation(node, operator, left, right, 0);
        let mut shared = std::mem::take(&mut self.shared);
        let name = (left.kind() == "identifier").then(|| self.text(left));
        // The name on the left is used as well, but only what is on the right becomes part of it.
        if let Some(place) = shared.iter().position(|used| Some(&**used) == name) {
            shared.remove(place);
        }
        if value.is_err() {
            self.not_followed(right, "the expression");
            shared.extend(touched(self.source, right).used);
        }
        let group = self.scope.tie(&shared);
        match (name, value) {
            (Some(name), Ok(value)) if self.scope.changeable(name) => {
                // A list keeps being the same object, so whoever shares it sees the change.
                let replace = |data: &mut Data| {
                    *data = value;
                    true
                };
                if self.change(left, node, replace, group).is_none() {
                    let unknown = Unknown::of(node, "this assignment");
                    self.scope.forget(name, &unknown);
                }
            }
            (Some(name), Ok(value)) => {
                let value = Ok(Spanned::new(value, node.byte_range()));
                self.scope.assign(name, left.byte_range(), value, group);
            }
            (name, value) => {
                if let (Some(name), Err(unknown)) = (name, value) {
                    self.scope.forget(name, &unknown);
                }
                self.forget_root(left, group);
            }
        }
    }

    /// `NAME.append(value)` and the like; any other call is not followed.
    pub(super) fn call_statement(&mut self, node: Node<'_>) {
        if self.known_change(node).is_none() {
            self.not_followed(node, "the call");
        }
    }

    fn known_change(&mut self, node: Node<'_>) -> Option<()> {
        let function = node.child_by_field_name("function")?;
        let object = function.child_by_field_name("object")?;
        let method = self.text(function.child_by_field_name("attribute")?);
        if object.kind() != "identifier" || !["append", "extend", "update"].contains(&method) {
            return None;
        }
        self.shared.clear();
        let (args, named) = self.arguments(node, 0).ok()?;
        let shared = std::mem::take(&mut self.shared);
        let group = self.scope.tie(&shared);
        let change = |data: &mut Data| match (data, method, &args[..]) {
            (Data::List(items), "append", [item]) if named.is_empty() => {
                items.push(item.clone());
                true
            }
            (
                Data::List(items),
                "extend",
                [
                    Spanned {
                        value: Data::List(more),
                        ..
                    },
                ],
            ) if named.is_empty() => {
                items.extend(more.iter().cloned());
                true
            }
            (Data::Map(entries), "update", more) => {
                let mut more = match more {
                    [] => Vec::new(),
                    [
                        Spanned {
                            value: Data::Map(more),
                            ..
                        },
                    ] => more.clone(),
                    _ => return false,
                };
                more.extend(named);
                for (key, value) in more {
                    insert(entries, key, value);
                }
                true
            }
            _ => false,
        };
        self.change(object, node, change, group)
    }

    /// Makes the name unknown of which a part is assigned.
    fn forget_root(&mut self, target: Node<'_>, group: usize) {
        let mut root = target;
        while let Some(object) = root
            .child_by_field_name("value")
            .or_else(|| root.child_by_field_name("object"))
        {
            root = object;
        }
        if root.kind() == "identifier" {
            let unknown = Unknown::of(target, "an assignment to this");
            let name = self.text(root);
            self.scope.forget(name, &unknown);
            self.scope.tie_to(name, group);
        }
    }
}

/// Puts a value into a mapping, in the place of one with the same key.
pub(super) fn insert(
    entries: &mut Vec<(Spanned<String>, Spanned<Data>)>,
    key: Spanned<String>,
    value: Spanned<Data>,
) {
    let old = entries
        .iter_mut()
        .find(|(known, _)| known.value == key.value);
    match old {
        Some(old) => *old = (key, value),
        None => entries.push((key, value)),
    }
}
