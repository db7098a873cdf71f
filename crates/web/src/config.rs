//! How the page is set up.

use std::net::SocketAddr;

use jiff::tz::TimeZoneDatabase;

/// Default of [`Config::bind`].
pub const BIND_DEFAULT: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8420));

/// Settings of the page.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub bind: SocketAddr,
    /// What a visitor must know. Without it, only this host may visit.
    pub token: Option<String>,
    /// Time zones.
    pub zones: TimeZoneDatabase,
    /// As whom the leader is asked: `user@host`.
    pub by: String,
}
