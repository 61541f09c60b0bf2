//! Texts that many objects have in common, kept once.

use std::sync::Arc;

use hashbrown::HashSet;

/// Texts below which nothing is ever looked through.
const FEW: usize = 64;

/// Every text in use, and at most as many again that are not.
#[derive(Debug)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    look_through_at: usize,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { known: HashSet::new(), look_through_at: FEW }
    }

    /// The one copy of a text.
    pub(super) fn share(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.known.get(&**text) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.look_through_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.known.shrink_to(2 * self.known.len());
            self.look_through_at = (2 * self.known.len()).max(FEW);
        }
        self.known.insert(Arc::clone(text));
        Arc::clone(text)
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.known.iter().map(super::bytes_of).sum();
        texts + self.known.capacity() * size_of::<Arc<str>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_use_is_kept_once_and_others_go() {
        let mut texts = Texts::new();
        let first = texts.share(&"shop".into());
        for number in 0..10_000 {
            let other = texts.share(&format!("n{number}").into());
            assert_eq!(&*other, format!("n{number}"));
            assert!(texts.known.len() <= 2 * FEW);
        }
        assert!(Arc::ptr_eq(&first, &texts.share(&"shop".into())));
        assert!(texts.bytes() < 20_000);
    }
}
