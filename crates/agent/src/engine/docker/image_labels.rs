//! The labels of images, by id. They never change, and are asked for once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Images that are remembered; beyond that all are asked for again.
const REMEMBERED_MAX: usize = 1_000;

type Labels = Arc<HashMap<String, String>>;

/// The labels of the images that were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct ImageLabels(Arc<Mutex<HashMap<String, Labels>>>);

impl ImageLabels {
    /// Returns the labels of an image, which `ask` gets if they are not known; `None`: the engine cannot tell.
    pub(super) async fn of(
        &self,
        image: &str,
        ask: impl Future<Output = Option<HashMap<String, String>>>,
    ) -> Option<Labels> {
        if let Some(known) = self.lock().get(image) {
            return Some(known.clone());
        }
        let labels = Arc::new(ask.await?);
        let mut known = self.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(image.to_owned(), labels.clone());
        Some(labels)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Labels>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
