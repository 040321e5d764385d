//! Values in texts: `f"{x}"`, `"{}".format(x)` and `"%s" % x`.

use tree_sitter::Node;

use super::Unknown;
use super::number::printed;
use super::statement::Evaluator;
use crate::data::{Data, Spanned};

/// Longest field. A width of a billion would be a billion blanks.
const WIDEST: usize = 1000;

impl Evaluator<'_, '_> {
    /// The text of what stands in braces.
    pub(super) fn interpolation(
        &mut self,
        node: Node<'_>,
        depth: usize,
    ) -> Result<String, Unknown> {
        let Some(expression) = node.child_by_field_name("expression") else {
            return Err(Unknown::of(node, "braces without a value"));
        };
        if self
            .text(node)
            .trim_end_matches('}')
            .trim_end()
            .ends_with('=')
        {
            return Err(Unknown::of(node, "braces with `=`"));
        }
        let value = self.expression(expression, depth)?;
        let conversion = node
            .child_by_field_name("type_conversion")
            .map(|node| self.text(node));
        let form = match node.child_by_field_name("format_specifier") {
            None => "",
            Some(form) if form.named_child_count() > 0 => {
                return Err(Unknown::of(form, "a format with a value in it"));
            }
            Some(form) => self.text(form).trim_start_matches(':'),
        };
        match conversion {
            None | Some("!s") => {
                formatted(&value, form).ok_or_else(|| Unknown::of(node, "this format"))
            }
            Some(_) => Err(Unknown::of(node, "this conversion")),
        }
    }

    /// `left % right`.
    pub(super) fn percent(
        &mut self,
        node: Node<'_>,
        left: &str,
        right: Node<'_>,
        depth: usize,
    ) -> Result<Data, Unknown> {
        let right = strip_brackets(right);
        let value = self.expression(right, depth)?;
        let values = match value {
            Data::List(items) if right.kind() == "tuple" => {
                items.into_iter().map(|item| item.value).collect()
            }
            // Whether a name is a tuple is no longer known.
            Data::List(_) | Data::Map(_) => return Err(Unknown::of(node, "`%` with this value")),
            other => vec![other],
        };
        percent(left, &values)
            .map(Data::Text)
            .ok_or_else(|| Unknown::of(node, "this use of `%`"))
    }
}

/// `"…".format(…)`.
pub(super) fn format_call(
    node: Node<'_>,
    text: &str,
    args: &[Data],
    named: &[(String, Data)],
) -> Result<Data, Unknown> {
    braces(text, args, named)
        .map(Data::Text)
        .ok_or_else(|| Unknown::of(node, "this use of `format`"))
}

/// What stands in brackets that mean nothing.
pub(super) fn strip_brackets(mut node: Node<'_>) -> Node<'_> {
    while node.kind() == "parenthesized_expression" {
        let mut cursor = node.walk();
        let inner = node
            .named_children(&mut cursor)
            .find(|child| !child.is_extra());
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

/// A value as `str` gives it. Of lists it is not known whether they are tuples, which look
/// different.
pub(super) fn as_text(value: &Data) -> Option<String> {
    match value {
        Data::None => Some("None".to_owned()),
        Data::Bool(true) => Some("True".to_owned()),
        Data::Bool(false) => Some("False".to_owned()),
        Data::Int(number) => Some(number.to_string()),
        Data::Float(number) => Some(printed(*number)),
        Data::Text(text) => Some(text.clone()),
        Data::List(_) | Data::Map(_) => None,
    }
}

/// A value in the form that a format asks for: nothing, a width with zeros before, or a number of
/// digits behind the point.
fn formatted(value: &Data, form: &str) -> Option<String> {
    if form.is_empty() {
        return as_text(value);
    }
    let (number, kind) = match form.strip_suffix(['d', 'f']) {
        Some(number) => (number, form.chars().last()),
        None => (form, None),
    };
    let (width, digits) = match number.split_once('.') {
        Some((width, digits)) => (width, Some(digits.parse::<usize>().ok()?)),
        None => (number, None),
    };
    let zeros = width.starts_with('0');
    let width: usize = if width.is_empty() {
        0
    } else {
        width.parse().ok()?
    };
    if width > WIDEST || digits.is_some_and(|digits| digits > WIDEST) {
        return None;
    }
    let text = match (value, kind, digits) {
        (Data::Int(number), None | Some('d'), None) => number.to_string(),
        (Data::Int(number), Some('f'), digits) => {
            format!("{:.*}", digits.unwrap_or(6), *number as f64)
        }
        (Data::Float(number), Some('f'), digits) if number.is_finite() => {
            format!("{number:.*}", digits.unwrap_or(6))
        }
        _ => return None,
    };
    let missing = width.saturating_sub(text.chars().count());
    Some(if zeros {
        let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{text}", " ".repeat(missing))
    })
}

/// `%s`, `%d`, `%f` with or without width and digits, and `%%`.
fn percent(text: &str, values: &[Data]) -> Option<String> {
    let mut values = values.iter();
    let mut made = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        made.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let length = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let form = &rest[..length];
        let kind = rest[length..].chars().next()?;
        rest = &rest[length + kind.len_utf8()..];
        match kind {
            '%' if form.is_empty() => made.push('%'),
            's' if form.is_empty() => made.push_str(&as_text(values.next()?)?),
            'd' | 'i' => {
                let value = match values.next()? {
                    Data::Float(number) if number.is_finite() => Data::Int(*number as i64),
                    Data::Bool(flag) => Data::Int(i64::from(*flag)),
                    other => other.clone(),
                };
                made.push_str(&formatted(&value, &format!("{form}d"))?);
            }
            'f' => made.push_str(&formatted(values.next()?, &format!("{form}f"))?),
            _ => return None,
        }
    }
    made.push_str(rest);
    values.next().is_none().then_some(made)
}

/// `{}`, `{0}` and `{name}`, each with a format behind a colon or without.
fn braces(text: &str, args: &[Data], named: &[(String, Data)]) -> Option<String> {
    let mut made = String::new();
    let mut next = 0..;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        made.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(after) = behind.strip_prefix(brace) {
            made.push_str(brace);
            rest = after;
            continue;
        }
        let (field, after) = behind.split_once('}').filter(|_| brace == "{")?;
        rest = after;
        let (name, form) = field.split_once(':').unwrap_or((field, ""));
        let value = if name.is_empty() {
            args.get(next.next()?)?
        } else if let Ok(place) = name.parse::<usize>() {
            args.get(place)?
        } else {
            &named.iter().find(|(known, _)| known == name)?.1
        };
        made.push_str(&formatted(value, form)?);
    }
    made.push_str(rest);
    Some(made)
}

/// Texts with another between them; absent if one is no text.
pub(super) fn joined(between: &str, items: &[Spanned<Data>]) -> Option<String> {
    let texts: Option<Vec<&str>> = items.iter().map(|item| item.value.as_text()).collect();
    Some(texts?.join(between))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Data {
        Data::Text(value.to_owned())
    }

    #[test]
    fn percent_signs() {
        for (form, values, expected) in [
            ("a%sb", vec![text("x")], Some("axb")),
            ("%s/%d%%", vec![text("x"), Data::Int(3)], Some("x/3%")),
            (
                "%03d %5.2f|%2d",
                vec![Data::Int(-7), Data::Float(1.5), Data::Float(3.9)],
                Some("-07  1.50| 3"),
            ),
            ("%s", vec![], None),
            ("none", vec![text("x")], None),
            ("%q", vec![text("x")], None),
            ("%999999999d", vec![Data::Int(1)], None),
            ("%", vec![text("x")], None),
        ] {
            assert_eq!(percent(form, &values).as_deref(), expected, "{form}");
        }
    }

    #[test]
    fn braces_in_texts() {
        let named = [("n".to_owned(), Data::Int(4))];
        for (form, expected) in [
            ("{}-{}", Some("a-2.5")),
            ("{1}{0}{n}", Some("2.5a4")),
            ("{{{n:03d}}}", Some("{004}")),
            ("{1:.2f}", Some("2.50")),
            ("{} {} {}", None),
            ("{m}", None),
            ("{", None),
            ("}", None),
        ] {
            let args = [text("a"), Data::Float(2.5)];
            assert_eq!(braces(form, &args, &named).as_deref(), expected, "{form}");
        }
    }
}
