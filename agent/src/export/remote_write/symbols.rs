//! The texts of a request, each once.

use hashbrown::HashMap;

/// Texts and where they are.
#[derive(Debug)]
pub struct Symbols {
    all: Vec<String>,
    index: HashMap<String, u32>,
    bytes: usize,
}

impl Default for Symbols {
    fn default() -> Self {
        // The first symbol is empty: a reference of zero is to no text.
        Self { all: vec![String::new()], index: HashMap::from([(String::new(), 0)]), bytes: 0 }
    }
}

impl Symbols {
    /// The reference of `text`.
    pub fn get(&mut self, text: &str) -> u32 {
        if let Some(index) = self.index.get(text) {
            return *index;
        }
        let index = u32::try_from(self.all.len()).unwrap_or_default();
        self.all.push(text.to_owned());
        self.index.insert(text.to_owned(), index);
        self.bytes += text.len();
        index
    }

    /// Bytes of all texts.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// All texts, in order.
    pub fn into_all(self) -> Vec<String> {
        self.all
    }
}
