//! Machines that are listed under more than one name.

use std::collections::HashMap;

use flagperf_model::NodeName;

use crate::node::Node;

/// A warning for each node that is the same place as one before it in the list.
pub(crate) fn warnings<'n>(nodes: impl Iterator<Item = &'n Node>) -> Vec<String> {
    let places = nodes.map(|node| (&node.spec.name, node.place.as_deref()));
    pairs(places)
        .into_iter()
        .map(|(first, other)| {
            format!(
                "{first} and {other} are one machine under two names: what is measured between them, or on both at once, is measured on that one machine"
            )
        })
        .collect()
}

fn pairs<'a>(
    places: impl Iterator<Item = (&'a NodeName, Option<&'a str>)>,
) -> Vec<(&'a NodeName, &'a NodeName)> {
    let mut known: HashMap<&str, &NodeName> = HashMap::new();
    let mut pairs = Vec::new();
    for (name, place) in places {
        // A node that does not say where it is may be anywhere.
        let Some(place) = place else {
            continue;
        };
        match known.get(place) {
            Some(first) => pairs.push((*first, name)),
            None => {
                known.insert(place, name);
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_name_of_a_machine_is_paired_with_its_first() {
        let names = ["a", "b", "c", "d", "e"].map(|name| NodeName::new(name).unwrap());
        let places = [Some("x"), None, Some("y"), Some("x"), None];
        let found = pairs(names.iter().zip(places));
        assert_eq!(found, [(&names[0], &names[3])]);
    }
}
