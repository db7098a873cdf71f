//! Every rule of the core, one short story each: a world of one app and a few agents, a clock that only the story moves.

mod answer;
mod commands;
mod edits;
mod limits;
mod orders;
mod outboxes;
mod placing;
mod replicas;
mod reports;
mod silence;
mod stopping;
mod ticks;
mod wake;
mod world;
