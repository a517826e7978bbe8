//! How deep the schemas of a tool can be written.

use super::Written;
use crate::parameter::{Field, Location, Shape, Writing};
use crate::schema::{At, Emitter, Fail, any_value};
use crate::text::clean;

/// What is written with the greatest depth that fits, or with depth 1: the greatest first, since most schemas fit, then
/// from the smallest.
pub(crate) fn deepest<T>(
    greatest: usize,
    mut write: impl FnMut(usize) -> Result<(T, bool), String>,
) -> Result<T, String> {
    let (all, fits) = write(greatest)?;
    if fits {
        return Ok(all);
    }
    let (mut best, _) = write(1)?;
    for depth in 2..greatest {
        match write(depth)? {
            (deeper, true) => best = deeper,
            _ => break,
        }
    }
    Ok(best)
}

pub(super) fn written<'f, 'd>(emitter: &mut Emitter<'d>, fields: &'f [Field<'d>]) -> Result<Written<'f, 'd>, String> {
    let mut arguments = Vec::with_capacity(fields.len());
    for field in fields {
        let at = At::top(field.around.clone());
        let schema = match &field.shape {
            Shape::Written(schema) => Ok(Some(schema.clone())),
            Shape::Schema(node) if field.place == Location::Body => {
                emitter.property(&field.wire_name, node, field.required, &at)
            }
            Shape::Schema(node) => emitter.parameter(&field.wire_name, node, field.required, &at),
        };
        let wrong = |fault: &str| format!("the argument `{}` {fault}", clean(&field.wire_name));
        match schema {
            Ok(Some(schema)) => arguments.push((field, schema)),
            Ok(None) => {}
            Err(Fail::Never) if !field.required => {}
            Err(Fail::Never) => return Err(wrong("is required, and no value fits its schema")),
            Err(Fail::TooDeep) if field.writing == Writing::Plain => {
                let mut schema = any_value(1, 0).unwrap_or_default();
                schema.insert("description".to_owned(), crate::text::described(&field.wire_name).into());
                arguments.push((field, schema));
            }
            Err(Fail::TooDeep) => return Err(wrong("nests too deep")),
            Err(Fail::Refused(reason)) => return Err(format!("{}: {reason}", wrong("cannot be written"))),
        }
    }
    Ok(Written { arguments, left_out: Vec::new(), is_cut: false })
}
