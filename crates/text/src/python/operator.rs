//! Operators between and before values.

use tree_sitter::Node;

use super::assign::insert;
use super::expression::{parts, truth};
use super::number::{binary, compare, unary};
use super::statement::Evaluator;
use super::{Unknown, scope};
use crate::data::Data;

impl Evaluator<'_, '_> {
    /// Operators one after another, the first of which is the deepest: `a + b + c`.
    pub(super) fn chain(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let mut above = Vec::new();
        let mut first = node;
        while first.kind() == "binary_operator" {
            let Some(left) = first.child_by_field_name("left") else {
                return Err(Unknown::of(first, "this"));
            };
            above.push(first);
            first = left;
        }
        let mut value = self.expression(first, depth)?;
        for step in above.into_iter().rev() {
            let operator = step
                .child_by_field_name("operator")
                .map(|node| self.text(node));
            let (Some(operator), Some(right)) = (operator, step.child_by_field_name("right"))
            else {
                return Err(Unknown::of(step, "this"));
            };
            value = self.apply(step, operator, value, right, depth)?;
        }
        Ok(value)
    }

    /// What an operator between two expressions gives.
    pub(super) fn operation(
        &mut self,
        node: Node<'_>,
        operator: &str,
        left: Node<'_>,
        right: Node<'_>,
        depth: usize,
    ) -> Result<Data, Unknown> {
        let left = self.expression(left, depth)?;
        self.apply(node, operator, left, right, depth)
    }

    fn apply(
        &mut self,
        node: Node<'_>,
        operator: &str,
        left: Data,
        right: Node<'_>,
        depth: usize,
    ) -> Result<Data, Unknown> {
        if let (Data::Text(text), "%") = (&left, operator) {
            return self.percent(node, text, right, depth);
        }
        let right = self.expression(right, depth)?;
        self.spend(node, left.size().saturating_add(right.size()))?;
        if let Some(result) = binary(operator, &left, &right) {
            return result.map_err(|what| Unknown::of(node, &what));
        }
        match (left, operator, right) {
            (Data::Text(left), "+", Data::Text(right)) => Ok(Data::Text(left + &right)),
            (Data::List(mut left), "+", Data::List(right)) => {
                left.extend(right);
                Ok(Data::List(left))
            }
            (Data::Map(mut left), "|", Data::Map(right)) => {
                for (key, value) in right {
                    insert(&mut left, key, value);
                }
                Ok(Data::Map(left))
            }
            (Data::Text(text), "*", Data::Int(times))
            | (Data::Int(times), "*", Data::Text(text)) => {
                let times = usize::try_from(times).unwrap_or(0);
                self.spend(node, text.len().saturating_mul(times))?;
                Ok(Data::Text(text.repeat(times)))
            }
            (list @ Data::List(_), "*", Data::Int(times))
            | (Data::Int(times), "*", list @ Data::List(_)) => {
                let times = usize::try_from(times).unwrap_or(0);
                self.spend(node, list.size().saturating_mul(times))?;
                let Data::List(items) = list else {
                    return Err(Unknown::of(node, "this"));
                };
                Ok(Data::List(
                    std::iter::repeat_n(items, times).flatten().collect(),
                ))
            }
            (left, _, right) => {
                let message = format!(
                    "`{operator}` does not go together with {} and {}",
                    left.kind(),
                    right.kind()
                );
                Err(Unknown::wrong(node, message))
            }
        }
    }

    pub(super) fn unary(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let operator = node
            .child_by_field_name("operator")
            .map(|node| self.text(node));
        let value = self.argument(node, depth)?;
        match unary(operator.unwrap_or_default(), &value) {
            Some(result) => result.map_err(|what| Unknown::of(node, &what)),
            None => Err(Unknown::wrong(
                node,
                format!("a sign before {}", value.kind()),
            )),
        }
    }

    pub(super) fn boolean(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let parts = (
            node.child_by_field_name("left"),
            node.child_by_field_name("operator"),
            node.child_by_field_name("right"),
        );
        let (Some(left), Some(operator), Some(right)) = parts else {
            return Err(Unknown::of(node, "this"));
        };
        let left = self.expression(left, depth)?;
        if truth(&left) == (self.text(operator) == "or") {
            Ok(left)
        } else {
            self.expression(right, depth)
        }
    }

    /// One comparison; of several in a row nobody makes use in a configuration.
    pub(super) fn comparison(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let [left, right] = parts(node)[..] else {
            return Err(Unknown::of(node, "several comparisons in a row"));
        };
        let operator = node
            .child_by_field_name("operators")
            .map(|node| self.text(node));
        let (left, right) = (
            self.expression(left, depth)?,
            self.expression(right, depth)?,
        );
        let order = compare(&left, &right);
        let plain = |value: &Data| !scope::can_change(value);
        let equal = match order {
            Some(order) => Some(order.is_eq()),
            None if plain(&left) && plain(&right) => Some(left == right),
            None => None,
        };
        let contained = || match (&left, &right) {
            (Data::Text(part), Data::Text(text)) => Some(text.contains(&**part)),
            (Data::Text(key), map @ Data::Map(_)) => Some(map.get(key).is_some()),
            (item, Data::List(items)) if !scope::can_change(item) && *item != Data::None => {
                Some(items.iter().any(|known| same(&known.value, item)))
            }
            _ => None,
        };
        let none = left == Data::None || right == Data::None;
        let result = match operator.unwrap_or_default() {
            "==" => equal,
            "!=" => equal.map(|equal| !equal),
            "<" => order.map(std::cmp::Ordering::is_lt),
            "<=" => order.map(std::cmp::Ordering::is_le),
            ">" => order.map(std::cmp::Ordering::is_gt),
            ">=" => order.map(std::cmp::Ordering::is_ge),
            "is" if none => Some(left == right),
            "is not" if none => Some(left != right),
            "in" => contained(),
            "not in" => contained().map(|contained| !contained),
            _ => None,
        };
        result
            .map(Data::Bool)
            .ok_or_else(|| Unknown::of(node, "this comparison"))
    }
}

/// Whether two values are equal that are no lists or mappings: `1`, `1.0` and `True` are.
pub(super) fn same(left: &Data, right: &Data) -> bool {
    compare(left, right).map_or(left == right, std::cmp::Ordering::is_eq)
}
