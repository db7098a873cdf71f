//! A mesh as people and programs see it, and what they ask of it: read from what is stored ([`read`]), put together as plain data
//! ([`views`]), and asked of the leader ([`requests`]). The command line and the page show the same.

pub mod agents;
pub mod edit;
pub mod events;
pub mod leadership;
pub mod on_record;
pub mod read;
pub mod requests;
pub mod stack;
pub mod stored;
pub mod tail;
pub mod transcript;
pub mod views;
pub mod when;
pub mod zones;
