//! What several lists of nodes have in common: a name that is there twice, and long complaints.

use std::collections::HashMap;

use flagperf_model::NodeName;
use flagperf_text::shown;

use crate::nodeset::fold;

/// So many wrong names are each told on its own; a list of thousands would bury them.
pub(crate) const SINGLY: usize = 5;

/// For every name that was there before: the index of the first and that of the repetition.
pub(crate) fn repeated<'n>(names: impl Iterator<Item = &'n NodeName>) -> Vec<(usize, usize)> {
    let mut seen: HashMap<&NodeName, usize> = HashMap::new();
    let mut pairs = Vec::new();
    for (index, name) in names.enumerate() {
        match seen.get(name) {
            Some(first) => pairs.push((*first, index)),
            None => {
                seen.insert(name, index);
            }
        }
    }
    pairs
}

/// Names beyond those told singly, as the beginning of a sentence about them.
pub(crate) fn rest_of(names: &[NodeName]) -> String {
    let rest = &names[SINGLY.min(names.len())..];
    let verb = if rest.len() == 1 { "is" } else { "are" };
    format!("{} more (`{}`) {verb}", rest.len(), shown(&fold(rest)))
}
