//! What a run of an app consists of, as it is kept until one starts.

use std::sync::Arc;

use super::RunSpec;
use crate::interning::Interned;

/// A [`RunSpec`] that may be kept small. A leader has one for every app of its mesh, and of most of them needs it once a day: as JSON,
/// the form in which ledgers have it, it is a fraction as large, and is read in microseconds.
#[derive(Debug, Clone)]
pub struct StoredRun(Form);

/// Private: what is packed has been read back once.
#[derive(Debug, Clone)]
enum Form {
    /// At hand.
    Ready(Arc<RunSpec>),
    /// As JSON.
    Packed(Arc<[u8]>),
}

impl StoredRun {
    /// The run.
    ///
    /// # Panics
    ///
    /// Never: nothing is packed that could not be read.
    pub fn get(&self) -> Arc<RunSpec> {
        match &self.0 {
            Form::Ready(run) => run.clone(),
            Form::Packed(bytes) => {
                Arc::new(serde_json::from_slice(bytes).expect("what was read once can be read again"))
            }
        }
    }

    /// Returns an equal spec that is small in memory, and shared by all apps that have it.
    #[must_use]
    pub fn packed(self, shared: &mut Interned) -> Self {
        let Form::Ready(run) = &self.0 else { return self };
        match serde_json::to_vec(run) {
            Ok(bytes) if serde_json::from_slice::<RunSpec>(&bytes).is_ok_and(|read| read == **run) => {
                Self(Form::Packed(shared.runs.share(bytes.into())))
            }
            // A run that JSON cannot hold could not be recorded either: it stays what it is.
            Ok(_) | Err(_) => self,
        }
    }
}

impl<T: Into<Arc<RunSpec>>> From<T> for StoredRun {
    fn from(run: T) -> Self {
        Self(Form::Ready(run.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        name::ServiceName,
        spec::{ContainerSpec, ServiceSpec},
    };

    #[test]
    fn a_packed_run_is_the_run() {
        let mut service = ServiceSpec::new(ServiceName::new("s1").unwrap(), ContainerSpec::new("busybox"));
        service.container.environment.insert("WORDS".to_owned(), "\"quoted\"\n\u{1f980}".to_owned());
        let run = RunSpec::new(vec![service]);
        let stored = StoredRun::from(run.clone());
        assert_eq!(*stored.get(), run);
        let packed = stored.packed(&mut Interned::default());
        assert!(matches!(packed.0, Form::Packed(_)), "{packed:?}");
        assert_eq!(*packed.get(), run);
        assert_eq!(*packed.packed(&mut Interned::default()).get(), run);
    }

    #[test]
    fn apps_of_one_run_have_it_once() {
        let mut shared = Interned::default();
        let mut bytes = |image: &str| {
            let service = ServiceSpec::new(ServiceName::new("s1").unwrap(), ContainerSpec::new(image));
            match StoredRun::from(RunSpec::new(vec![service])).packed(&mut shared).0 {
                Form::Packed(bytes) => bytes,
                Form::Ready(run) => panic!("{run:?}"),
            }
        };
        let (first, second, other) = (bytes("busybox"), bytes("busybox"), bytes("alpine"));
        assert!(Arc::ptr_eq(&first, &second));
        assert_ne!(first, other);
    }
}
