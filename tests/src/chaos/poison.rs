//! Records that nobody can read, of every kind.

use super::stage::Stage;

/// What is stored.
pub(super) const POISON: &[u8] = b"{\"schema\": garbage";
/// The app whose records are hit. What becomes of it is not judged.
pub(super) const VICTIM: &str = "victim";
/// How many kinds of records there are.
pub(super) const POISONED: usize = SUBJECTS.len();

/// Where the records are, behind the namespace. The victim's ledger comes last, for its app is frozen after that.
const SUBJECTS: [(&str, &str); 12] = [
    ("$KV.", "_meta.mesh"),
    ("$KV.", "_lease.leader"),
    ("$KV.", "_apps.victim"),
    ("$KV.", "_agents.ghost"),
    ("$KV.", "_agents.a0"),
    ("", ".tick.victim"),
    ("", ".history.victim"),
    ("", ".result.victim.1-00000000.s1.0.1.a1"),
    ("", ".command.victim"),
    ("", ".order.a1"),
    ("", ".mesh.x"),
    ("$KV.", "_ledger.victim"),
];

impl Stage {
    /// Stores something that nobody can read. All kinds of records have their turn, each as often as the others, one
    /// after the other.
    pub(super) async fn poison(&self, round: usize) {
        let (before, after) = SUBJECTS[round * POISONED / self.row.times];
        let subject = format!("{before}{}{after}", self.mesh.names().namespace());
        let client = async_nats::connect(self.servers.urls()).await.expect("connect");
        let context = async_nats::jetstream::new(client);
        let stored = context.publish(subject, POISON.into()).await.expect("publish");
        stored.await.expect("the garbage is stored");
    }
}
