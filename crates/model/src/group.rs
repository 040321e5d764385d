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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContainerOptions, ImageSource};

    fn container(image: &str) -> ContainerPlan {
        ContainerPlan {
            engine: None,
            image: image.to_owned(),
            source: ImageSource::Present,
            options: ContainerOptions::default(),
            setup: Vec::new(),
            owner: String::new(),
            keep: false,
        }
    }

    /// A plan whose rounds have these images, `-` none, in the words of a record. One with `!` is not run.
    fn plan(environment: Environment, images: &str) -> Plan {
        let text = r#"{"run": "run1", "nodes": [], "monitor": {"interval_ns": 1}, "cases": []}"#;
        let mut plan: Plan = serde_json::from_str(text).unwrap();
        plan.environment = environment;
        let text = r#"{"spec": {"name": "x", "suite": "base", "summary": "", "entry": {"kernel": "x"},
            "ranks": "node", "needs_any": [], "metrics": [], "params": {}}, "round": 1, "rounds": 1,
            "params": {}, "limits": {"timeout_s": 1, "stall_s": 1, "grace_s": 1}, "expected_s": null,
            "unsupported": null, "named": true, "tasks": []}"#;
        for image in images.split(' ') {
            let mut case: PlannedCase = serde_json::from_str(text).unwrap();
            let (image, is_out) = match image.strip_suffix('!') {
                Some(image) => (image, true),
                None => (image, false),
            };
            case.unsupported = is_out.then(|| "x".to_owned());
            case.container = (image != "-").then(|| Box::new(container(image)));
            plan.cases.push(case);
        }
        plan
    }

    fn told(plan: &Plan, rounds: &[usize]) -> Vec<String> {
        let told = plan.groups(rounds).into_iter().map(|group| {
            let image = group.container.map_or("-", |made| made.image.as_str());
            format!("{} {image} {:?}", group.number, group.rounds)
        });
        told.collect()
    }

    #[test]
    fn rounds_that_follow_each_other_in_one_container_are_a_group() {
        let plan = plan(Environment::Host, "a a b - - a");
        let all = ["1 a [0, 1]", "2 b [2]", "3 - [3, 4]", "4 a [5]"];
        assert_eq!(told(&plan, &[0, 1, 2, 3, 4, 5]), all);
        assert!(plan.makes_containers());
        // Its number is that of the plan, whichever rounds are left.
        assert_eq!(told(&plan, &[2, 4]), ["2 b [2]", "3 - [4]"]);
        assert_eq!(told(&plan, &[1, 5]), ["1 a [1, 5]"]);
    }

    #[test]
    fn a_round_that_is_not_run_needs_no_container() {
        let plan = plan(Environment::Host, "c! a b! a b!");
        assert_eq!(told(&plan, &[0, 1, 2, 3, 4]), ["2 a [0, 1, 2, 3, 4]"]);
        assert_eq!(told(&plan, &[2]), ["3 b [2]"]);
    }

    #[test]
    fn a_case_without_a_container_is_where_the_plan_says() {
        let whole = Environment::Container(Box::new(container("w")));
        let all = ["1 w [0]", "2 a [1]", "3 w [2]"];
        assert_eq!(told(&plan(whole, "- a w"), &[0, 1, 2]), all);
        let inside = plan(Environment::InContainer, "- a w");
        assert_eq!(told(&inside, &[0, 1, 2]), ["1 - [0, 1, 2]"]);
        assert!(!inside.makes_containers());
    }
}
