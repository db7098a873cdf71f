//! Every rule of the core, one short story each: a world of one app and a few agents, a clock that only the story moves.

mod answer;
mod commands;
mod depends;
mod edits;
mod ending;
mod global;
mod limits;
mod missed;
mod notices;
mod oom;
mod orders;
mod outboxes;
mod overlap;
mod pause;
mod placing;
mod refusals;
mod replicas;
mod reports;
mod retry;
mod returned;
mod silence;
mod stopping;
mod ticks;
mod timeouts;
mod wake;
mod world;
