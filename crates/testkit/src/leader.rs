//! Stand-ins for a scheduler that leads, for tests of those who ask it for something.

use futures_util::{StreamExt as _, stream::select};
use jiff::Timestamp;
use tickmesh_core::{build::Build, id::Epoch, message::SCHEMA, timing::Timing};
use tickmesh_messaging::{Mesh, SchedulerCard, SchedulerRequest, SchedulerRole, WishRequest};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Questions that may wait for a stand-in.
const REQUESTS_MAX: usize = 64;

/// Says that it leads for as long as it exists.
#[derive(Debug)]
pub struct StandIn {
    _card: watch::Sender<SchedulerCard>,
    _tasks: JoinSet<()>,
}

impl StandIn {
    /// Carries out wishes about agents as a leader does.
    pub async fn lead(mesh: &Mesh) -> Self {
        let lost = Timing::default().lost;
        Self::handle(mesh, move |mesh: Mesh, request: WishRequest| async move {
            let answer = mesh.carry_out_wish(&request.agent, request.wish, lost, || true).await;
            request.reply.send(&answer).await;
        })
        .await
    }

    /// Does with wishes what a test says.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn handle<H, F>(mesh: &Mesh, handle: H) -> Self
    where
        H: Fn(Mesh, WishRequest) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let (card, shown) = watch::channel(card("stand-in"));
        let (sender, mut requests) = mpsc::channel(REQUESTS_MAX);
        let answering = mesh.schedulers().answer(shown, sender).await.expect("listen");
        let mut tasks = JoinSet::new();
        tasks.spawn(answering);
        let mesh = mesh.clone();
        tasks.spawn(async move {
            while let Some(request) = requests.recv().await {
                match request {
                    SchedulerRequest::Wish(request) => handle(mesh.clone(), request).await,
                    SchedulerRequest::StepDown => {}
                }
            }
        });
        Self { _card: card, _tasks: tasks }
    }
}

/// A leader of the release before wishes were asked of leaders: whatever it is asked, it shows its card. Ends when
/// it is dropped.
///
/// # Panics
///
/// If the server does not answer.
pub async fn of_release_before(url: &str, namespace: &str) -> JoinSet<()> {
    let client = async_nats::connect(url).await.expect("connect to the server");
    let subjects = ["", ".old"].map(|end| format!("{namespace}.scheduler{end}"));
    let [all, own] = subjects.map(|subject| client.subscribe(subject));
    let mut questions = select(all.await.expect("listen"), own.await.expect("listen"));
    client.flush().await.expect("listen");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(question) = questions.next().await {
            let Some(reply) = question.reply else { continue };
            let body = serde_json::to_vec(&card("old")).expect("a card has a form");
            client.publish(reply, body.into()).await.expect("answer");
        }
    });
    tasks
}

fn card(id: &str) -> SchedulerCard {
    SchedulerCard {
        schema: SCHEMA,
        id: id.to_owned(),
        host: "host".to_owned(),
        version: "0.1.0".to_owned(),
        build: Build::default(),
        role: SchedulerRole::Leading { epoch: Epoch(1), doubt: None },
        since: Timestamp::UNIX_EPOCH,
    }
}
