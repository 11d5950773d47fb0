//! The memory file (-e) as an operator and a client see it: what a restart keeps, and which files are refused.

mod bad_files;
mod changed_classes;
mod container;
mod descriptor_store;
pub(crate) mod file;
mod kill;
mod settings;
mod stop;
