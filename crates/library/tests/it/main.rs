//! The library as its users see it: texts of errors, plans, and what is read from output.

#[cfg(test)]
mod case_file;
#[cfg(test)]
mod classic;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod results;
#[cfg(test)]
mod select;
#[cfg(test)]
mod tree;
