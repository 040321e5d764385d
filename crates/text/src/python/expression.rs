//! Expressions of constants and of names that are known.

use tree_sitter::Node;

use super::assign::insert;
use super::format::strip_brackets;
use super::number::{float, integer};
use super::operator::same;
use super::statement::Evaluator;
use super::{Unknown, scope};
use crate::data::{Data, Spanned};
use crate::nearest::shown;
use crate::toml_reader::locate;

/// Deepest nesting of an expression.
const DEEPEST: usize = 60;

/// Most values and bytes that a module may make, so that a short one cannot fill the memory.
const MOST: usize = 16 << 20;

/// Whether a value counts as true.
pub(super) fn truth(value: &Data) -> bool {
    match value {
        Data::None => false,
        Data::Bool(flag) => *flag,
        Data::Int(number) => *number != 0,
        Data::Float(number) => *number != 0.0,
        Data::Text(text) => !text.is_empty(),
        Data::List(items) => !items.is_empty(),
        Data::Map(entries) => !entries.is_empty(),
    }
}

impl Evaluator<'_, '_> {
    /// The value of an expression.
    pub(super) fn expression(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        if depth > DEEPEST {
            return Err(Unknown::of(
                node,
                &format!("what is nested deeper than {DEEPEST} levels"),
            ));
        }
        let value = self.value(node, depth + 1)?;
        self.spend(node, value.size())?;
        Ok(value)
    }

    /// Counts what is made, before or after it is.
    pub(super) fn spend(&mut self, node: Node<'_>, size: usize) -> Result<(), Unknown> {
        self.spent = self.spent.saturating_add(size);
        if self.spent > MOST {
            return Err(Unknown::of(node, "a module that makes such large values"));
        }
        Ok(())
    }

    fn placed(&mut self, node: Node<'_>, depth: usize) -> Result<Spanned<Data>, Unknown> {
        let value = self.expression(node, depth)?;
        Ok(Spanned::new(value, node.byte_range()))
    }

    fn value(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        match node.kind() {
            "none" => Ok(Data::None),
            "true" => Ok(Data::Bool(true)),
            "false" => Ok(Data::Bool(false)),
            "integer" => integer(self.text(node)).map_err(|message| Unknown::wrong(node, message)),
            "float" => float(self.text(node)).map_err(|message| Unknown::wrong(node, message)),
            "string" => self.string(node, depth),
            "concatenated_string" => {
                let mut text = String::new();
                for part in parts(node) {
                    if let Data::Text(part) = self.string(part, depth)? {
                        text.push_str(&part);
                    }
                }
                Ok(Data::Text(text))
            }
            "identifier" => self.name(node),
            "parenthesized_expression" => match strip_brackets(node) {
                inner if inner == node => Err(Unknown::of(node, "this")),
                inner => self.expression(inner, depth),
            },
            "list" | "tuple" | "expression_list" | "set" => self.items(node, depth),
            "dictionary" => self.dictionary(node, depth),
            "binary_operator" => self.chain(node, depth),
            "unary_operator" => self.unary(node, depth),
            "not_operator" => {
                let value = self.argument(node, depth)?;
                Ok(Data::Bool(!truth(&value)))
            }
            "boolean_operator" => self.boolean(node, depth),
            "comparison_operator" => self.comparison(node, depth),
            "conditional_expression" => match parts(node)[..] {
                [then, condition, otherwise] => {
                    let condition = self.expression(condition, depth)?;
                    self.expression(if truth(&condition) { then } else { otherwise }, depth)
                }
                _ => Err(Unknown::of(node, "this")),
            },
            "subscript" => self.subscript(node, depth),
            "call" => self.call(node, depth),
            "attribute" => {
                // Of a name that is unknown anyway, the reason helps more.
                self.root(node, node)?;
                Err(Unknown::of(node, &format!("`{}`", shown(self.text(node)))))
            }
            "list_comprehension"
            | "dictionary_comprehension"
            | "set_comprehension"
            | "generator_expression" => Err(Unknown::of(node, "a comprehension")),
            "lambda" => Err(Unknown::of(node, "a function")),
            _ => Err(Unknown::of(node, &format!("`{}`", shown(self.text(node))))),
        }
    }

    pub(super) fn name(&mut self, node: Node<'_>) -> Result<Data, Unknown> {
        let name = self.text(node);
        if name == "__name__" && self.scope.get(name).is_none() {
            // The module is imported, not started.
            return Ok(Data::Text("module".to_owned()));
        }
        let value = self
            .scope
            .get(name)
            .map(|known| known.binding.value.clone());
        match value {
            Some(Ok(value)) => {
                if scope::can_change(&value.value) {
                    self.shared.push(name.to_owned());
                }
                Ok(value.value)
            }
            Some(Err(unknown)) => Err(unknown),
            None => match self.scope.open() {
                Some(open) => Err(open.clone()),
                None => Err(Unknown::wrong(node, not_assigned(name))),
            },
        }
    }

    /// What is wrong with the name at the root of an attribute, if something is. `whole` is the place that
    /// shows it if the name is that of a module.
    pub(super) fn root(&mut self, node: Node<'_>, whole: Node<'_>) -> Result<(), Unknown> {
        let mut root = node;
        while let Some(object) = root.child_by_field_name("object") {
            root = object;
        }
        if root.kind() != "identifier" {
            return Ok(());
        }
        let known = self.scope.get(self.text(root));
        let imported = known.is_some_and(|known| known.binding.imported);
        self.name(root).map(drop).map_err(|unknown| Unknown {
            span: if imported {
                whole.byte_range()
            } else {
                unknown.span
            },
            message: unknown.message,
        })
    }

    pub(super) fn argument(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        match node.child_by_field_name("argument") {
            Some(argument) => self.expression(argument, depth),
            None => Err(Unknown::of(node, "this")),
        }
    }

    /// The items of a list, a tuple or a set.
    fn items(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let mut items: Vec<Spanned<Data>> = Vec::new();
        for part in parts(node) {
            if part.kind() != "list_splat" {
                items.push(self.placed(part, depth)?);
                continue;
            }
            match part
                .named_child(0)
                .map(|inner| self.expression(inner, depth))
            {
                Some(Ok(Data::List(more))) => items.extend(more),
                Some(Err(unknown)) => return Err(unknown),
                _ => return Err(Unknown::of(part, "`*` before what is no list")),
            }
        }
        if node.kind() == "set" {
            let mut once: Vec<Spanned<Data>> = Vec::new();
            for item in items {
                if !once.iter().any(|known| same(&known.value, &item.value)) {
                    once.push(item);
                }
            }
            items = once;
        }
        Ok(Data::List(items))
    }

    fn dictionary(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let mut entries = Vec::new();
        for part in parts(node) {
            if part.kind() == "dictionary_splat" {
                match part
                    .named_child(0)
                    .map(|inner| self.expression(inner, depth))
                {
                    Some(Ok(Data::Map(more))) => {
                        for (key, value) in more {
                            insert(&mut entries, key, value);
                        }
                    }
                    Some(Err(unknown)) => return Err(unknown),
                    _ => return Err(Unknown::of(part, "`**` before what is no dictionary")),
                }
                continue;
            }
            let pair = (
                part.child_by_field_name("key"),
                part.child_by_field_name("value"),
            );
            let (Some(key), Some(value)) = pair else {
                return Err(Unknown::of(part, "this"));
            };
            let span = key.byte_range();
            let key = match self.expression(key, depth)? {
                Data::Text(key) => Spanned::new(key, span),
                other => {
                    let message = format!("this key is {}; expected a text", other.kind());
                    return Err(Unknown::wrong(key, message));
                }
            };
            let value = self.placed(value, depth)?;
            let (name, span) = (key.value.clone(), key.span.clone());
            if let Some(before) = insert(&mut entries, key, value) {
                let line = locate(self.source, before, String::new()).line;
                let message = format!(
                    "`{}` is there twice, the first time in line {line}; Python takes the last",
                    shown(&name)
                );
                self.remarks.push((span, message));
            }
        }
        Ok(Data::Map(entries))
    }

    fn subscript(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let parts = (
            node.child_by_field_name("value"),
            node.child_by_field_name("subscript"),
        );
        let (Some(object), Some(key)) = parts else {
            return Err(Unknown::of(node, "this"));
        };
        if key.kind() == "slice" {
            return Err(Unknown::of(node, "a slice"));
        }
        if object.kind() == "attribute" {
            self.root(object, node)?;
        }
        let object = self.expression(object, depth)?;
        let key = self.expression(key, depth)?;
        match (&object, &key) {
            (Data::Map(_), Data::Text(name)) => match object.get(name) {
                Some(value) => Ok(value.value.clone()),
                None => Err(Unknown::wrong(
                    node,
                    format!("there is no key `{}`", shown(name)),
                )),
            },
            (Data::List(items), Data::Int(at)) => {
                let length = items.len() as i64;
                let at = if *at < 0 {
                    at.saturating_add(length)
                } else {
                    *at
                };
                let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                item.map(|item| item.value.clone()).ok_or_else(|| {
                    Unknown::wrong(node, format!("the list has only {length} items"))
                })
            }
            _ => Err(Unknown::of(node, "this element")),
        }
    }
}

fn not_assigned(name: &str) -> String {
    let meant = match name {
        "true" => "`True`",
        "false" => "`False`",
        "null" | "none" => "`None`",
        _ => {
            return format!(
                "`{}` is not assigned before this; a text goes in quotes",
                shown(name)
            );
        }
    };
    format!("`{name}` is not assigned before this; did you mean {meant}?")
}

/// The parts of an expression, without comments.
pub(super) fn parts(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .filter(|part| !part.is_extra())
        .collect()
}
