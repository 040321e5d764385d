//! Container engines: from a typed specification to argument vectors, and from what engines answer to
//! facts and to errors that say what to do.
//!
//! Docker Engine, Podman and nerdctl are spoken to by their own commands, run on the node as the node's
//! user, so that rootless engines and `DOCKER_HOST` work as that user is used to. Only output that is made
//! for machines is read. Nothing here starts anything.

#![forbid(unsafe_code)]

mod answer;
mod build_step;
mod hint;
mod image;
mod invocation;
mod label;
mod refusal;

pub use answer::{
    AnswerError, ContainerState, Image, LeftImage, container_state, ids, image, working,
};
pub use build_step::{failing_step, last_words};
pub use image::{Install, InstallError, find_install_script};
pub use invocation::{
    AGENT_PATH, Invocation, build, client_env, commit, enter, inspect_container, inspect_image,
    install, list, list_images, list_working, load, pull, remove_container, remove_image,
    remove_nameless_image, run, save, version,
};
pub use label::{Labels, name};
pub use refusal::{Refusal, is_needed, is_unknown, refusal, unusable};
