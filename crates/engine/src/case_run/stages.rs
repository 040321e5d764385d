//! How far each node of a round is, and how many are how far: asked at every message, of which there may
//! be thousands from thousands of nodes.

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Preparing,
    Prepared,
    Running,
    Ended,
    Fetching,
    /// Nothing more is expected of it but samples.
    Done,
}

/// The stages of all nodes, by place. A node that is lost has none.
#[derive(Debug)]
pub(super) struct Stages {
    each: Vec<Option<Stage>>,
    counts: [usize; 6],
}

impl Stages {
    /// `lost` tells of each node whether it was before the round.
    pub(super) fn new(lost: impl Iterator<Item = bool>) -> Self {
        let each: Vec<Option<Stage>> = lost.map(|lost| (!lost).then_some(Stage::Done)).collect();
        let mut counts = [0; 6];
        counts[Stage::Done as usize] = each.iter().flatten().count();
        Self { each, counts }
    }

    pub(super) fn len(&self) -> usize {
        self.each.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<Stage> {
        self.each[place]
    }

    pub(super) fn is(&self, place: usize, stage: Stage) -> bool {
        self.each[place] == Some(stage)
    }

    /// Takes a node further, unless it is lost.
    pub(super) fn set(&mut self, place: usize, stage: Stage) {
        if let Some(known) = &mut self.each[place] {
            self.counts[*known as usize] -= 1;
            self.counts[stage as usize] += 1;
            *known = stage;
        }
    }

    /// Takes a node out; gives how far it was.
    pub(super) fn lose(&mut self, place: usize) -> Option<Stage> {
        let known = self.each[place].take()?;
        self.counts[known as usize] -= 1;
        Some(known)
    }

    pub(super) fn count(&self, stage: Stage) -> usize {
        self.counts[stage as usize]
    }

    /// True while anything of the task may still run on a node.
    pub(super) fn any_before_the_end(&self) -> bool {
        self.counts[..Stage::Ended as usize]
            .iter()
            .any(|count| *count > 0)
    }

    /// The places of all nodes that are at a stage.
    pub(super) fn at(&self, stage: Stage) -> Vec<usize> {
        let places = 0..self.each.len();
        places.filter(|place| self.is(*place, stage)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_and_a_lost_node_counts_no_more() {
        let mut stages = Stages::new([false, true, false].into_iter());
        assert_eq!(stages.count(Stage::Done), 2);
        assert!(!stages.any_before_the_end());
        for place in 0..stages.len() {
            stages.set(place, Stage::Running);
        }
        assert_eq!(stages.at(Stage::Running), [0, 2]);
        assert_eq!(stages.lose(0), Some(Stage::Running));
        assert_eq!(stages.lose(0), None);
        stages.set(0, Stage::Ended);
        assert_eq!(stages.get(0), None);
        assert!(stages.any_before_the_end());
        stages.set(2, Stage::Ended);
        assert!(!stages.any_before_the_end());
        assert_eq!(stages.count(Stage::Ended), 1);
    }
}
