//! Devices that a driver of the engine hands out, such as GPUs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;

/// Devices that a driver of the engine hands out, such as GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// The driver; `None`: whichever has the capabilities.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver: Option<String>,
    /// Which of its devices.
    pub devices: RequestedDevices,
    /// What the devices must be able to do.
    pub capabilities: Vec<String>,
    /// Options of the driver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
}

/// Which devices of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestedDevices {
    /// All that it has.
    All,
    /// So many.
    Count(u32),
    /// Those with these names.
    Named(Vec<String>),
}

/// Docker's word for GPUs among the capabilities of devices.
const GPU: &str = "gpu";

impl DeviceRequest {
    /// Whether it asks for GPUs: other devices of drivers are not counted.
    pub fn are_gpus(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == GPU)
    }

    /// GPUs of whichever driver has some, as `docker run --gpus` asks for them.
    pub fn gpus(devices: RequestedDevices) -> Self {
        Self { driver: None, devices, capabilities: vec![GPU.to_owned()], options: BTreeMap::new() }
    }
}
