//! Rounds of a plan by the container that they share.

use crate::{ContainerPlan, Environment, Plan, PlannedCase};

/// Rounds that follow each other and run in one container on each node, or in none.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Tells it from the other groups of the plan, whichever of its rounds are run: counted from 1.
    pub number: u32,
    /// The container; absent for rounds that run on the nodes as they are.
    pub container: Option<&'a ContainerPlan>,
    /// The places of its rounds in the plan, in the order in which they run.
    pub rounds: Vec<usize>,
}

impl Plan {
    /// The container that a round of this plan runs in. Nodes that are containers already get none.
    pub fn container_of<'a>(&'a self, case: &'a PlannedCase) -> Option<&'a ContainerPlan> {
        match self.environment {
            Environment::InContainer => None,
            Environment::Host | Environment::Container(_) => case
                .container
                .as_deref()
                .or_else(|| self.environment.container()),
        }
    }

    /// True if any of its rounds runs in a container that the run makes.
    pub fn makes_containers(&self) -> bool {
        self.cases
            .iter()
            .any(|case| self.container_of(case).is_some())
    }

    /// The groups of some rounds, given by their places in the plan. A round that is not going to be started has no
    /// need of a container and stays with those before it.
    pub fn groups(&self, rounds: &[usize]) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        // True once a round of the last group is going to be started.
        let mut is_settled = false;
        for &place in rounds {
            let Some(case) = self.cases.get(place) else {
                continue;
            };
            let container = self.container_of(case);
            match groups.last_mut() {
                Some(last) if !case.runs() || (is_settled && last.container == container) => {
                    last.rounds.push(place);
                }
                Some(last) if !is_settled => {
                    last.number = self.number_at(place);
                    last.container = container;
                    last.rounds.push(place);
                    is_settled = true;
                }
                _ => {
                    groups.push(Group {
                        number: self.number_at(place),
                        container,
                        rounds: vec![place],
                    });
                    is_settled = case.runs();
                }
            }
        }
        groups
    }

    /// One more than how often the container changes before this round of the plan.
    fn number_at(&self, place: usize) -> u32 {
        let cases = &self.cases[..=place];
        let changes = cases
            .windows(2)
            .filter(|pair| self.container_of(&pair[0]) != self.container_of(&pair[1]));
        changes.count() as u32 + 1
    }
}
