//! Sets of documents, such as those that a session may use.

/// A set of documents of one index: a bit for each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DocumentSet {
    bits: Vec<u64>,
}

impl DocumentSet {
    /// An empty set of documents with numbers below `size`.
    pub fn new(size: usize) -> Self {
        Self { bits: vec![0; size.div_ceil(64)] }
    }

    /// Adds a document. One that is not below the set's size is left out.
    pub fn insert(&mut self, document: u32) {
        if let Some(bits) = self.bits.get_mut(document as usize / 64) {
            *bits |= 1 << (document % 64);
        }
    }

    /// Whether a document is in the set.
    pub fn contains(&self, document: u32) -> bool {
        self.bits.get(document as usize / 64).is_some_and(|bits| bits >> (document % 64) & 1 == 1)
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_in_the_set_once_they_are_added() {
        let mut set = DocumentSet::new(70);
        assert!(set.is_empty());
        for document in [0, 63, 64, 69, 69, 500] {
            set.insert(document);
        }
        let contained: Vec<u32> = (0..1_000).filter(|document| set.contains(*document)).collect();
        assert_eq!((contained, set.len()), (vec![0, 63, 64, 69], 4));
    }
}
