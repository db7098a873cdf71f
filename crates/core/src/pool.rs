//! Equal values, kept once.

use std::{collections::BTreeSet, sync::Arc};

/// A pool drops unused values when it has doubled since the last time, but not below this size.
const LOOKED_THROUGH_FROM: usize = 64;

/// Values of one kind, each once, for as long as somebody has it.
#[derive(Debug)]
pub(crate) struct Pool<T: ?Sized> {
    values: BTreeSet<Arc<T>>,
    left: usize,
}

impl<T: Ord + ?Sized> Pool<T> {
    /// Returns an equal value: the shared one, if there is one.
    pub(crate) fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(known) = self.values.get(&value) {
            return known.clone();
        }
        if self.values.len() >= self.left.saturating_mul(2).max(LOOKED_THROUGH_FROM) {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.left = self.values.len();
        }
        self.values.insert(value.clone());
        value
    }
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { values: BTreeSet::new(), left: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Arc<str> {
        number.to_string().into()
    }

    #[test]
    fn what_is_equal_is_one() {
        let mut pool = Pool::default();
        let (first, second) = (pool.share(text(1)), pool.share(text(1)));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &pool.share(text(2))));
    }

    #[test]
    fn what_nobody_has_any_more_goes() {
        let mut pool = Pool::default();
        let kept: Vec<_> = (0..100).map(|number| pool.share(text(number))).collect();
        for number in 100..10_000 {
            pool.share(text(number));
        }
        assert!(pool.values.len() <= 2 * kept.len() + LOOKED_THROUGH_FROM, "{}", pool.values.len());
        assert!(kept.iter().all(|value| Arc::ptr_eq(value, &pool.share(value.as_ref().into()))));
    }
}
