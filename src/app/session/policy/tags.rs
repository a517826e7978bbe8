//! The behaviour hints by which policies select tools.

use switchboard_catalog::{Effect, Tool};

use super::Tag;

/// The behaviour hints of a tool: exactly one for its effect, and what else is true.
pub fn tags(tool: &Tool) -> Vec<Tag> {
    let effect = match tool.effect {
        Effect::Read => Tag::ReadOnlyHint,
        Effect::Create => Tag::CreateHint,
        Effect::Update => Tag::UpdateHint,
        Effect::Destructive => Tag::DestructiveHint,
    };
    let mut tags = vec![effect];
    if tool.idempotent {
        tags.push(Tag::IdempotentHint);
    }
    if tool.open_world {
        tags.push(Tag::OpenWorldHint);
    }
    tags
}
