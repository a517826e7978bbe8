//! What a tool is found by.

/// What is indexed of a tool.
#[derive(Clone, Debug, Default)]
pub struct Document<'d> {
    /// The tool's slug. It orders documents with equal scores.
    pub slug: &'d str,
    /// The slug of its toolkit, which is left out of the name if `slug` begins with it.
    pub toolkit: &'d str,
    /// Names of its toolkit by which people call it.
    pub toolkit_names: &'d [&'d str],
    /// Other words on its toolkit, such as categories.
    pub toolkit_words: &'d [&'d str],
    /// Its name for people.
    pub title: &'d str,
    /// Sentences of users who need it.
    pub use_cases: &'d [&'d str],
    /// What it does. The first 600 characters count.
    pub description: &'d str,
    /// Its parameters: names and values that are allowed. The first 40 count.
    pub parameters: &'d [&'d str],
    /// What the descriptions of its parameters say. The first 120 characters of each of the first 20 count.
    pub parameter_texts: &'d [&'d str],
    /// What it does to the data, if that is known.
    pub effect: Option<Effect>,
    /// It will be removed, and ranks behind others.
    pub is_deprecated: bool,
}

/// What a tool does to the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Effect {
    /// Changes nothing.
    Read = 1,
    /// Adds something.
    Create = 2,
    /// Changes something.
    Update = 3,
    /// Can delete something.
    Destructive = 4,
}

/// A field of a document, with its weight and how much its length counts against it (BM25F's w and b).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub weight: f32,
    pub length_penalty: f32,
    /// Whether words that say nothing are indexed, too.
    pub keeps_stop_words: bool,
}

pub(crate) const NAME: usize = 0;
pub(crate) const TOOLKIT: usize = 1;
pub(crate) const USE_CASES: usize = 2;
pub(crate) const DESCRIPTION: usize = 3;
pub(crate) const PARAMETERS: usize = 4;
pub(crate) const PARAMETER_TEXTS: usize = 5;

/// The fields, in the order of their numbers.
pub(crate) const FIELDS: [Field; 6] = [
    Field { weight: 3.0, length_penalty: 0.3, keeps_stop_words: true },
    Field { weight: 2.0, length_penalty: 0.3, keeps_stop_words: false },
    Field { weight: 1.5, length_penalty: 0.5, keeps_stop_words: true },
    Field { weight: 1.0, length_penalty: 0.75, keeps_stop_words: false },
    Field { weight: 0.7, length_penalty: 0.5, keeps_stop_words: false },
    Field { weight: 0.35, length_penalty: 0.5, keeps_stop_words: false },
];

/// How soon further occurrences of a word stop to count (BM25's k1).
pub(crate) const SATURATION: f32 = 1.0;

/// Characters of a description that are indexed.
pub(crate) const MAX_DESCRIPTION: usize = 600;
/// Parameter names and values that are indexed.
pub(crate) const MAX_PARAMETERS: usize = 40;
/// Descriptions of parameters that are indexed.
pub(crate) const MAX_PARAMETER_TEXTS: usize = 20;
/// Characters of the description of a parameter that are indexed.
pub(crate) const MAX_PARAMETER_TEXT: usize = 120;
