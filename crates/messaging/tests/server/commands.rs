//! Commands on a real server: delivered until they are confirmed.

use tickmesh_messaging::{Delivery, Error, Following};

use crate::support::*;

async fn receive(following: &mut Following<Delivery>) -> Delivery {
    next("a command", following).await
}

#[tokio::test]
async fn commands_wait_for_a_leader_and_come_in_order() {
    let (mut server, mesh) = mesh().await;
    for number in 1..=3 {
        assert_eq!(mesh.commands().send(&command(number)).await.unwrap(), u64::from(number));
    }
    server.restart();
    let leader = connect(&server, "mesh").await;
    let mut commands = leader.commands().receive().await.unwrap();
    for number in 1..=3 {
        let delivery = receive(&mut commands).await;
        assert_eq!((delivery.sequence, &delivery.command), (u64::from(number), &command(number)));
        delivery.confirm().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_leader_did_not_confirm_comes_to_the_next_one_at_once_and_the_rest_never_again() {
    let (mut server, mesh) = mesh().await;
    for number in 1..=4 {
        mesh.commands().send(&command(number)).await.unwrap();
    }
    let first = connect(&server, "mesh").await;
    let mut commands = first.commands().receive().await.unwrap();
    receive(&mut commands).await.confirm().await.unwrap();
    let unconfirmed = receive(&mut commands).await;
    assert_eq!(unconfirmed.command, command(2));
    receive(&mut commands).await.confirm().await.unwrap();

    server.restart();
    let second = connect(&server, "mesh").await;
    let mut commands = second.commands().receive().await.unwrap();
    for number in [2, 4] {
        let delivery = receive(&mut commands).await;
        assert_eq!(delivery.command, command(number));
        delivery.confirm().await.unwrap();
    }

    server.restart();
    let third = connect(&server, "mesh").await;
    let mut commands = third.commands().receive().await.unwrap();
    within("the command", third.commands().send(&command(5))).await.unwrap();
    assert_eq!(receive(&mut commands).await.command, command(5));
}

#[tokio::test]
async fn the_first_sequence_is_that_of_the_oldest_command_that_nobody_has_confirmed() {
    let (_server, mesh) = mesh().await;
    let queue = mesh.commands();
    assert_eq!(queue.first_sequence().await.unwrap(), 1, "nothing was ever sent");
    for number in 1..=3 {
        queue.send(&command(number)).await.unwrap();
    }
    let mut commands = queue.receive().await.unwrap();
    let first = receive(&mut commands).await;
    // The second is confirmed before the first, which keeps its place.
    receive(&mut commands).await.confirm().await.unwrap();
    assert_eq!(queue.first_sequence().await.unwrap(), 1);
    first.confirm().await.unwrap();
    assert_eq!(queue.first_sequence().await.unwrap(), 3);
    receive(&mut commands).await.confirm().await.unwrap();
    assert_eq!(queue.first_sequence().await.unwrap(), 4, "everything is confirmed");
}

#[tokio::test]
async fn a_leader_that_stays_receives_on_after_a_restart() {
    let (mut server, mesh) = mesh().await;
    let mut commands = mesh.commands().receive().await.unwrap();
    mesh.commands().send(&command(1)).await.unwrap();
    receive(&mut commands).await.confirm().await.unwrap();
    server.restart();
    within("the command", mesh.commands().send(&command(2))).await.unwrap();
    let delivery = receive(&mut commands).await;
    assert_eq!(delivery.command, command(2));
    within("the confirmation", delivery.confirm()).await.unwrap();
}

#[tokio::test]
async fn whoever_received_before_is_told() {
    let (server, mesh) = mesh().await;
    let mut stale = mesh.commands().receive().await.unwrap();
    let other = connect(&server, "mesh").await;
    let mut commands = other.commands().receive().await.unwrap();
    let error = within("the end", futures_util::StreamExt::next(&mut stale)).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Superseded { .. }), "{error:?}");
    mesh.commands().send(&command(1)).await.unwrap();
    receive(&mut commands).await.confirm().await.unwrap();
}

#[tokio::test]
async fn a_superseded_leader_cannot_confirm_and_the_command_comes_to_the_new_one() {
    let (server, mesh) = mesh().await;
    mesh.commands().send(&command(1)).await.unwrap();
    let mut stale = mesh.commands().receive().await.unwrap();
    let held = receive(&mut stale).await;
    let other = connect(&server, "mesh").await;
    let mut commands = other.commands().receive().await.unwrap();
    // Nobody listens to this confirmation; the library's own `double_ack` reports success here.
    let error = within("the refusal", held.confirm()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(receive(&mut commands).await.command, command(1));
}

#[tokio::test]
async fn of_two_leaders_that_begin_at_once_one_receives() {
    let (server, mesh) = mesh().await;
    let other = connect(&server, "mesh").await;
    let (one, two) = (mesh.commands(), other.commands());
    let (first, second) = within("the receivers", Box::pin(async { tokio::join!(one.receive(), two.receive()) })).await;
    mesh.commands().send(&command(1)).await.unwrap();
    let mut received = 0;
    for receiver in [first, second].into_iter().flatten() {
        let mut commands = receiver;
        match within("an answer", futures_util::StreamExt::next(&mut commands)).await.unwrap() {
            Ok(delivery) => {
                delivery.confirm().await.unwrap();
                received += 1;
            }
            Err(error) => assert!(matches!(error, Error::Superseded { .. }), "{error:?}"),
        }
    }
    assert_eq!(received, 1);
}

#[tokio::test]
async fn what_is_no_command_is_removed() {
    let (server, mesh) = mesh().await;
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for body in ["{", r#"{"schema": 9}"#, ""] {
        raw.publish("mesh.command.nightly", body.into()).await.unwrap().await.unwrap();
    }
    let misplaced = serde_json::to_vec(&command(1)).unwrap();
    raw.publish("mesh.command.other", misplaced.into()).await.unwrap().await.unwrap();
    mesh.commands().send(&command(2)).await.unwrap();
    let mut commands = mesh.commands().receive().await.unwrap();
    let delivery = receive(&mut commands).await;
    assert_eq!(delivery.command, command(2));
    delivery.confirm().await.unwrap();
    let mut stream = raw.get_stream("mesh_commands").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 0);
}
