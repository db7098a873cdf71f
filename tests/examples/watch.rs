//! Prints how late each tick was decided, and how each run ended: all that a monitor needs is a NATS client and JSON.
//!
//!     cargo run -p tickmesh-tests --example watch

use std::error::Error;

use futures_util::{StreamExt, stream::select};
use jiff::Timestamp;
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let url = setting("TICKMESH_NATS_URL", "nats://127.0.0.1:4222");
    let namespace = setting("TICKMESH_NAMESPACE", "tickmesh");
    let client = async_nats::connect(url).await?;
    let ticks = client.subscribe(format!("{namespace}.tick.>")).await?;
    let runs = client.subscribe(format!("{namespace}.history.>")).await?;
    let mut messages = select(ticks, runs);
    let mut out = std::io::stdout();
    while let Some(message) = messages.next().await {
        let told: Value = serde_json::from_slice(&message.payload)?;
        let line = if message.subject.starts_with(&format!("{namespace}.tick.")) { tick(&told)? } else { run(&told) };
        std::io::Write::write_all(&mut out, line.as_bytes())?;
    }
    Ok(())
}

fn tick(told: &Value) -> Result<String, Box<dyn Error>> {
    let at = |field: &str| told[field].as_str().unwrap_or_default().parse::<Timestamp>();
    let late = at("decided_at")?.duration_since(at("scheduled_at")?);
    Ok(format!("{}: {} ({} ms late)\n", told["app"], told["admission"]["admission"], late.as_millis()))
}

fn run(told: &Value) -> String {
    format!("{}/{}: {}\n", told["app"], told["run"], told["outcome"])
}
