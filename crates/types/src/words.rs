//! Enums whose variants have one stored word each, and what a stored word is when it is read.

use compact_str::CompactString;

/// A stored word: one that this program knows, or the text that another version wrote. Its text is what is stored,
/// byte by byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stored<T> {
    /// A word of this program.
    Known(T),
    /// Any other text.
    Other(String),
}

impl<T: Copy + Into<&'static str>> Stored<T> {
    /// The stored text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => (*word).into(),
            Self::Other(text) => text,
        }
    }

    /// The stored text, without memory of its own for a word that this program knows.
    pub fn to_text(&self) -> CompactString {
        match self {
            Self::Known(word) => CompactString::const_new((*word).into()),
            Self::Other(text) => text.as_str().into(),
        }
    }

    /// The word, if this program knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Other(_) => None,
        }
    }
}

impl<T: Copy + Into<&'static str>> PartialEq<&str> for Stored<T> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<T> From<T> for Stored<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

/// Declares an enum with `ALL`, `as_str` and `parse`: the word of a variant is what the database and the API
/// contain.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stored word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The variant of a stored word; none if no version of this program writes that word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }

            /// A stored word, known or not.
            pub fn read(word: String) -> crate::Stored<Self> {
                Self::parse(&word).map_or(crate::Stored::Other(word), crate::Stored::Known)
            }
        }

        impl From<$name> for &'static str {
            fn from(word: $name) -> Self {
                word.as_str()
            }
        }
    };
}

pub(crate) use words;
