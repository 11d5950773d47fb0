//! Upgrades (SIGUSR2): a new process takes over items, listeners and clients, and no client notices more than a pause.

mod clients;
mod load;
mod phases;
mod program;
mod rolls_back;
mod service;
mod stand_in;
mod starts;
mod states;
