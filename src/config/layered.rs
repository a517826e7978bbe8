//! Overlaying of settings.
//!
//! A configuration library such as figment would merge values before they are typed. Here each layer
//! has a type, so that an error names file and line and never quotes a value, which may be a secret.

/// A value that can be overlaid.
pub(super) trait Overlay {
    /// Overlays `below` with this value.
    #[must_use]
    fn overlay(self, below: Self) -> Self;
}

impl<T> Overlay for Option<T> {
    fn overlay(self, below: Self) -> Self {
        self.or(below)
    }
}

/// Declares a layer and its overlay, field by field, so that no field can be forgotten.
macro_rules! layered {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$about:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$about])* pub $field: $type,)* }

        impl $name {
            /// Overlays `below` with this layer.
            #[must_use]
            pub fn overlay(self, below: Self) -> Self {
                Self { $($field: Overlay::overlay(self.$field, below.$field),)* }
            }
        }

        impl Overlay for $name {
            fn overlay(self, below: Self) -> Self {
                Self::overlay(self, below)
            }
        }
    };
}

pub(super) use layered;
