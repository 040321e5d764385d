//! Directories of the controller, packed for nodes.

use std::sync::Arc;

use flagperf_model::PrivateCopy;
use flagperf_wire::TreeId;

/// Directories of the controller, packed as `flagperf-archive` does, each once however many nodes and rounds need it.
#[derive(Debug, Clone, Default)]
pub struct Trees(Vec<Tree>);

#[derive(Debug, Clone)]
struct Tree {
    directory: String,
    copy: Option<PrivateCopy>,
    packed: Arc<[u8]>,
}

impl Trees {
    /// Adds a directory by its path on the controller, or what it is in private copies that differ from it so.
    pub fn add(&mut self, directory: &str, copy: Option<&PrivateCopy>, packed: Arc<[u8]>) {
        if self.packed(directory, copy).is_none() {
            self.0.push(Tree {
                directory: directory.to_owned(),
                copy: copy.cloned(),
                packed,
            });
        }
    }

    /// What was added, if it was.
    pub fn packed(&self, directory: &str, copy: Option<&PrivateCopy>) -> Option<&Arc<[u8]>> {
        self.find(directory, copy).map(|(_, packed)| packed)
    }

    /// The same with its name in sessions, which is one and the same for all nodes.
    pub(crate) fn find(
        &self,
        directory: &str,
        copy: Option<&PrivateCopy>,
    ) -> Option<(TreeId, &Arc<[u8]>)> {
        let place = self
            .0
            .iter()
            .position(|tree| tree.directory == directory && tree.copy.as_ref() == copy)?;
        Some((TreeId(place as u32), &self.0[place].packed))
    }
}
