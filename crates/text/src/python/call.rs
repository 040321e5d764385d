//! Calls of the few functions whose results are known without executing anything.

use tree_sitter::Node;

use super::Unknown;
use super::assign::insert;
use super::expression::{parts, truth};
use super::format::{as_text, format_call, joined};
use super::statement::Evaluator;
use crate::data::{Data, Spanned};
use crate::nearest::shown;

/// Longest range. A billion ranks are a mistake.
const LONGEST: i64 = 100_000;

type Named = Vec<(Spanned<String>, Spanned<Data>)>;

impl Evaluator<'_, '_> {
    /// The value of a call.
    pub(super) fn call(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let Some(function) = node.child_by_field_name("function") else {
            return Err(Unknown::of(node, "this call"));
        };
        match function.kind() {
            "identifier" => {
                let name = self.text(function);
                // Its own function of that name, or one that came from elsewhere.
                if self.scope.get(name).is_some() {
                    self.name(function)?;
                }
                let (args, named) = self.arguments(node, depth)?;
                builtin(node, name, &args, named)
            }
            "attribute" => self.method(node, function, depth),
            _ => Err(Unknown::of(node, "this call")),
        }
    }

    /// The arguments by place and by name.
    pub(super) fn arguments(
        &mut self,
        node: Node<'_>,
        depth: usize,
    ) -> Result<(Vec<Spanned<Data>>, Named), Unknown> {
        let Some(list) = node.child_by_field_name("arguments") else {
            return Err(Unknown::of(node, "this call"));
        };
        if list.kind() != "argument_list" {
            return Err(Unknown::of(list, "a comprehension"));
        }
        let mut args = Vec::new();
        let mut named = Named::new();
        for part in parts(list) {
            match part.kind() {
                "keyword_argument" => {
                    let pair = (
                        part.child_by_field_name("name"),
                        part.child_by_field_name("value"),
                    );
                    let (Some(name), Some(value)) = pair else {
                        return Err(Unknown::of(part, "this argument"));
                    };
                    let key = Spanned::new(self.text(name).to_owned(), name.byte_range());
                    let value = Spanned::new(self.expression(value, depth)?, value.byte_range());
                    named.push((key, value));
                }
                "list_splat" => return Err(Unknown::of(part, "`*` in a call")),
                "dictionary_splat" => {
                    match part
                        .named_child(0)
                        .map(|inner| self.expression(inner, depth))
                    {
                        Some(Ok(Data::Map(more))) => named.extend(more),
                        Some(Err(unknown)) => return Err(unknown),
                        _ => return Err(Unknown::of(part, "`**` before what is no dictionary")),
                    }
                }
                _ => {
                    let value = self.expression(part, depth)?;
                    args.push(Spanned::new(value, part.byte_range()));
                }
            }
        }
        Ok((args, named))
    }

    /// The call of a method, or of a function of a module.
    fn method(
        &mut self,
        node: Node<'_>,
        function: Node<'_>,
        depth: usize,
    ) -> Result<Data, Unknown> {
        let name = shown(self.text(function));
        let parts = (
            function.child_by_field_name("object"),
            function.child_by_field_name("attribute"),
        );
        let (Some(object), Some(method)) = parts else {
            return Err(Unknown::of(node, "this call"));
        };
        if self.text(function) == "os.path.join" {
            return self.path_join(node, depth);
        }
        if object.kind() == "attribute" || object.kind() == "identifier" {
            let known = self.root(object, node);
            if known.is_err() && self.environment(function) {
                let what = format!("`{name}` looks at the environment, which");
                return Err(Unknown::of(node, &what));
            }
            known?;
        }
        let object = self.expression(object, depth)?;
        let (args, named) = self.arguments(node, depth)?;
        let values: Vec<Data> = args.iter().map(|arg| arg.value.clone()).collect();
        let done = match (&object, self.text(method), &values[..]) {
            (Data::Text(between), "join", [Data::List(items)]) => {
                joined(between, items).map(Data::Text)
            }
            (Data::Text(text), "format", _) => {
                let named: Vec<(String, Data)> = named
                    .into_iter()
                    .map(|(key, value)| (key.value, value.value))
                    .collect();
                return format_call(node, text, &values, &named);
            }
            (Data::Text(text), "strip", []) => Some(Data::Text(text.trim().to_owned())),
            (Data::Text(text), "lower", []) => Some(Data::Text(text.to_lowercase())),
            (Data::Text(text), "upper", []) => Some(Data::Text(text.to_uppercase())),
            (Data::Text(text), "split", []) => {
                let words = text
                    .split_whitespace()
                    .map(|word| Spanned::new(Data::Text(word.to_owned()), node.byte_range()));
                Some(Data::List(words.collect()))
            }
            (Data::Text(text), "split", [Data::Text(at)]) if !at.is_empty() => {
                let words = text
                    .split(&**at)
                    .map(|word| Spanned::new(Data::Text(word.to_owned()), node.byte_range()));
                Some(Data::List(words.collect()))
            }
            (map @ Data::Map(_), "get", [Data::Text(key)]) => {
                Some(map.get(key).map_or(Data::None, |value| value.value.clone()))
            }
            (map @ Data::Map(_), "get", [Data::Text(key), default]) => Some(
                map.get(key)
                    .map_or_else(|| default.clone(), |value| value.value.clone()),
            ),
            (object @ (Data::Map(_) | Data::List(_)), "copy", []) => Some(object.clone()),
            _ => None,
        };
        done.ok_or_else(|| Unknown::of(node, &format!("the call of `{name}`")))
    }

    /// True if this is one of the ways to ask for an environment variable.
    fn environment(&self, function: Node<'_>) -> bool {
        ["os.getenv", "os.environ.get"].contains(&self.text(function))
    }

    /// `os.path.join` of texts, if `os` is what it usually is.
    fn path_join(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let module = self
            .scope
            .get("os")
            .is_some_and(|known| known.binding.imported);
        let (args, named) = self.arguments(node, depth)?;
        let mut path = String::new();
        for (place, arg) in args.iter().enumerate() {
            let Data::Text(part) = &arg.value else {
                return Err(Unknown::of(node, "this use of `os.path.join`"));
            };
            if place == 0 || part.starts_with('/') {
                path.clone_from(part);
            } else {
                if !path.is_empty() && !path.ends_with('/') {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
        if !module || args.is_empty() || !named.is_empty() {
            return Err(Unknown::of(node, "this use of `os.path.join`"));
        }
        Ok(Data::Text(path))
    }
}

fn range(start: i64, end: i64, node: Node<'_>) -> Option<Data> {
    let length = end.checked_sub(start)?;
    if length > LONGEST {
        return None;
    }
    let numbers = (start..end).map(|number| Spanned::new(Data::Int(number), node.byte_range()));
    Some(Data::List(numbers.collect()))
}

/// The call of a function of Python itself.
fn builtin(
    node: Node<'_>,
    name: &str,
    args: &[Spanned<Data>],
    named: Named,
) -> Result<Data, Unknown> {
    if name == "dict" {
        let mut entries = match args {
            [] => Named::new(),
            [
                Spanned {
                    value: Data::Map(entries),
                    ..
                },
            ] => entries.clone(),
            _ => return Err(Unknown::of(node, "this use of `dict`")),
        };
        for (key, value) in named {
            insert(&mut entries, key, value);
        }
        return Ok(Data::Map(entries));
    }
    let values: Vec<&Data> = args.iter().map(|arg| &arg.value).collect();
    let result = match (name, &values[..]) {
        _ if !named.is_empty() => None,
        ("list" | "tuple", []) => Some(Data::List(Vec::new())),
        ("list" | "tuple", [list @ Data::List(_)]) => Some((*list).clone()),
        ("list" | "tuple", [Data::Map(entries)]) => {
            let keys = entries
                .iter()
                .map(|(key, _)| Spanned::new(Data::Text(key.value.clone()), key.span.clone()));
            Some(Data::List(keys.collect()))
        }
        ("str", []) => Some(Data::Text(String::new())),
        ("str", [value]) => {
            Some(Data::Text(as_text(value).ok_or_else(|| {
                Unknown::of(node, "a list or dictionary as a text")
            })?))
        }
        ("int", [Data::Int(number)]) => Some(Data::Int(*number)),
        ("int", [Data::Bool(flag)]) => Some(Data::Int(i64::from(*flag))),
        ("int", [Data::Float(number)]) if number.abs() < 9e18 => Some(Data::Int(*number as i64)),
        ("int", [Data::Text(text)]) => text.trim().parse().ok().map(Data::Int),
        ("float", [Data::Int(number)]) => Some(Data::Float(*number as f64)),
        ("float", [Data::Float(number)]) => Some(Data::Float(*number)),
        ("float", [Data::Text(text)]) => text.trim().parse().ok().map(Data::Float),
        ("bool", [value]) => Some(Data::Bool(truth(value))),
        ("len", [Data::List(items)]) => Some(Data::Int(items.len() as i64)),
        ("len", [Data::Map(entries)]) => Some(Data::Int(entries.len() as i64)),
        ("len", [Data::Text(text)]) => Some(Data::Int(text.chars().count() as i64)),
        ("range", [Data::Int(end)]) => range(0, *end, node),
        ("range", [Data::Int(start), Data::Int(end)]) => range(*start, *end, node),
        _ => None,
    };
    result.ok_or_else(|| Unknown::of(node, &format!("the call of `{}`", shown(name))))
}
