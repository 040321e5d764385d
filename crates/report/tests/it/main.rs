//! The reports of a made-up run, and of runs that are damaged or hostile.

mod damage;
mod fixture;
mod formats;
mod hostile;
mod loading;
mod pages;
mod screens;
