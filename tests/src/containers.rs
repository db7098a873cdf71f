//! What the engine says about the containers of a mesh.

use std::collections::HashMap;

use bollard::{
    Docker,
    query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use tickmesh_core::id::MeshId;

/// A container as the engine lists it.
#[derive(Debug, Clone)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// Its state, such as `running` or `exited`.
    pub state: String,
    pub labels: HashMap<String, String>,
}

/// The engine.
///
/// # Panics
///
/// If it cannot be reached.
pub fn docker() -> Docker {
    Docker::connect_with_defaults().expect("connect to the Docker engine")
}

/// Every container of a mesh, whatever its state.
///
/// # Panics
///
/// If the engine does not answer.
pub async fn of_mesh(docker: &Docker, mesh: MeshId) -> Vec<Container> {
    let filters = HashMap::from([("label", vec![format!("io.tickmesh.mesh={mesh}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let listed = docker.list_containers(Some(options)).await.expect("list containers");
    listed
        .into_iter()
        .map(|container| Container {
            id: container.id.unwrap_or_default(),
            name: container.names.unwrap_or_default().concat().trim_start_matches('/').to_owned(),
            state: container.state.map(|state| state.to_string()).unwrap_or_default(),
            labels: container.labels.unwrap_or_default(),
        })
        .collect()
}

/// Removes every container of a mesh that a test made.
pub async fn remove_all(docker: &Docker, mesh: MeshId) {
    for container in of_mesh(docker, mesh).await {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        // One that is being removed already is as good as gone.
        let _ = docker.remove_container(&container.id, Some(options)).await;
    }
}
