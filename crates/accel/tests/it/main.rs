//! Profiles, the reader of `nvidia-smi`, and the census, from outside.

mod census;
mod nvidia_smi;
mod profile;
mod profiles;
mod samples;
