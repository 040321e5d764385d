//! Profiles, the reader of `nvidia-smi`, and the census, from outside.

#[cfg(test)]
mod census;
#[cfg(test)]
mod nvidia_smi;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod samples;
