//! Layers of settings that lie over each other.
//!
//! A configuration library such as figment would merge values before they have a type. Here each layer is a type of
//! its own, so that an error names file and line and never quotes a value, which may be a secret.

/// Something of which a layer above covers a layer below.
pub(super) trait Over {
    /// This over another.
    #[must_use]
    fn over(self, below: Self) -> Self;
}

impl<T> Over for Option<T> {
    fn over(self, below: Self) -> Self {
        self.or(below)
    }
}

/// Declares a layer, and how it lies over another: field by field, so that no field can be forgotten.
macro_rules! layered {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$about:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$about])* pub $field: $type,)* }

        impl $name {
            /// This layer over another.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($field: Over::over(self.$field, below.$field),)* }
            }
        }

        impl Over for $name {
            fn over(self, below: Self) -> Self {
                Self::over(self, below)
            }
        }
    };
}

pub(super) use layered;
