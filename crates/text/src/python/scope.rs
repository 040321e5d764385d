//! The names of a module and what is known about each.

use std::collections::HashMap;
use std::ops::Range;

use super::{Binding, Unknown};
use crate::data::{Data, Spanned};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    pub(super) binding: Binding,
    /// Names with lists or mappings that may be the same object are of the same group.
    group: usize,
}

/// All names of a module.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: Vec<Name>,
    places: HashMap<String, usize>,
    groups: usize,
    /// Why a name that is not here may exist all the same.
    open: Option<Unknown>,
}

/// True if a value can change without an assignment to its name.
pub(super) fn can_change(value: &Data) -> bool {
    matches!(value, Data::List(_) | Data::Map(_))
}

impl Scope {
    /// What is known about a name; absent if there is none.
    pub(super) fn get(&mut self, name: &str) -> Option<&Name> {
        let place = *self.places.get(name)?;
        let found = self.names.get_mut(place)?;
        found.binding.used = true;
        Some(found)
    }

    /// Whether there is a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Why names may exist that are not here.
    pub(super) fn open(&self) -> Option<&Unknown> {
        self.open.as_ref()
    }

    /// Whether the value of a name is known and can change.
    pub(super) fn changeable(&self, name: &str) -> bool {
        self.places.get(name).is_some_and(|place| {
            let value = &self.names[*place].binding.value;
            value.as_ref().is_ok_and(|value| can_change(&value.value))
        })
    }

    /// Whether a name may stand for something that another name stands for as well.
    pub(super) fn shares(&self, name: &str) -> bool {
        self.places.get(name).is_some_and(|place| {
            let binding = &self.names[*place].binding;
            match &binding.value {
                Ok(value) => can_change(&value.value),
                Err(_) => !binding.imported,
            }
        })
    }

    /// Gives a name a value, which shares what those of a group may share.
    pub(super) fn assign(
        &mut self,
        name: &str,
        span: Range<usize>,
        value: Result<Spanned<Data>, Unknown>,
        group: usize,
    ) {
        let group = match &value {
            Ok(value) if !can_change(&value.value) => self.new_group(),
            _ => group,
        };
        let binding = Binding {
            name: Spanned::new(name.to_owned(), span),
            value,
            used: false,
            imported: false,
        };
        if let Some(place) = self.places.get(name) {
            self.names[*place] = Name { binding, group };
        } else {
            self.places.insert(name.to_owned(), self.names.len());
            self.names.push(Name { binding, group });
        }
    }

    /// Takes over a name of another module.
    pub(super) fn import(&mut self, name: &str, span: Range<usize>, value: Result<Data, Unknown>) {
        let value = value.map(|value| Spanned::new(value, span.clone()));
        let group = self.new_group();
        self.assign(name, span, value, group);
        if let Some(place) = self.places.get(name) {
            self.names[*place].binding.imported = true;
        }
    }

    fn new_group(&mut self) -> usize {
        self.groups += 1;
        self.groups
    }

    /// Makes one group of those of these names, which may stand for the same things from now on.
    pub(super) fn tie<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) -> usize {
        let group = self.new_group();
        let old: Vec<usize> = names
            .into_iter()
            .filter(|name| self.shares(name))
            .filter_map(|name| self.places.get(name).map(|place| self.names[*place].group))
            .collect();
        for name in &mut self.names {
            if old.contains(&name.group) {
                name.group = group;
            }
        }
        group
    }

    /// Whether a name is of a group.
    pub(super) fn is_of(&self, name: &str, group: usize) -> bool {
        let place = self.places.get(name);
        place.is_some_and(|place| self.names[*place].group == group)
    }

    /// Adds a name, and all that it is tied to, to a group.
    pub(super) fn tie_to(&mut self, name: &str, group: usize) {
        if let Some(place) = self.places.get(name) {
            let old = self.names[*place].group;
            for name in &mut self.names {
                if name.group == old {
                    name.group = group;
                }
            }
        }
    }

    /// Changes the value of a name in place. Of all names that may share it, the values are no
    /// longer known.
    pub(super) fn change(
        &mut self,
        name: &str,
        span: &Range<usize>,
        change: impl FnOnce(&mut Data) -> bool,
    ) -> bool {
        let Some(place) = self.places.get(name).copied() else {
            return false;
        };
        let group = self.names[place].group;
        let Ok(value) = &mut self.names[place].binding.value else {
            // It stays unknown.
            return true;
        };
        let changed = change(&mut value.value);
        for (other, known) in self.names.iter_mut().enumerate() {
            if other != place && known.group == group {
                known.binding.value = Err(Unknown {
                    span: span.clone(),
                    message: format!(
                        "`{}` may share its value with `{name}`, which is changed here",
                        known.binding.name.value
                    ),
                });
            }
        }
        changed
    }

    /// Makes a name unknown, and all that may share its value.
    pub(super) fn forget(&mut self, name: &str, unknown: &Unknown) {
        let Some(place) = self.places.get(name).copied() else {
            let group = self.new_group();
            self.assign(name, unknown.span.clone(), Err(unknown.clone()), group);
            return;
        };
        let group = self.names[place].group;
        for known in &mut self.names {
            if known.group == group && known.binding.value.is_ok() {
                known.binding.value = Err(unknown.clone());
            }
        }
    }

    /// Makes a name unknown that may have been assigned again. What it stood for stays as it is.
    pub(super) fn lose(&mut self, name: &str, unknown: &Unknown) {
        match self.places.get(name) {
            Some(place) => self.names[*place].binding.value = Err(unknown.clone()),
            None => self.forget(name, unknown),
        }
    }

    /// Makes every name unknown, and says that there may be others.
    pub(super) fn forget_all(&mut self, unknown: &Unknown) {
        for known in &mut self.names {
            if known.binding.value.is_ok() {
                known.binding.value = Err(unknown.clone());
            }
        }
        self.open = Some(unknown.clone());
    }

    /// Removes a name.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(place) = self.places.remove(name) {
            self.names.remove(place);
            for other in self.places.values_mut() {
                if *other > place {
                    *other -= 1;
                }
            }
        }
    }

    /// The names in the order in which they were first assigned, and why there may be others.
    pub(super) fn finish(self) -> (Vec<Binding>, Option<Unknown>) {
        let bindings = self.names.into_iter().map(|name| name.binding).collect();
        (bindings, self.open)
    }
}
