//! `Debug` for types with secrets: prints the type's name only (R73).

/// Implements `Debug` so that it prints the type's name only.
#[macro_export]
macro_rules! redacted_debug {
    ($($name:ident $(<$life:lifetime>)?),* $(,)?) => {
        $(impl $(<$life>)? std::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        })*
    };
}
