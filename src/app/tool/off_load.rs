//! Large results as files of the session: a model gets a preview that says what is missing, and where the rest is.

use serde_json::{Map, Value, json};

use super::Tools;
use crate::app::file::mount::{MOUNT_ID, MOUNT_PREFIX};
use crate::app::session::Session;
use crate::time::iso;

/// Results of up to this size, in bytes of JSON, are handed over whole.
const MAX_RESULT: usize = 40_000;
/// Size of a preview in bytes, about.
const PREVIEW: usize = 8_000;
/// Characters of one text in a preview.
const MAX_TEXT: usize = 1_000;

impl Tools {
    /// A result for a model that has asked for previews of large ones, of a tool and a call (`log_…`). A result that
    /// cannot be stored is handed over whole: the call had its effect.
    pub async fn off_loaded(
        &self,
        session: &Session,
        (tool, log_id): (&str, &str),
        data: Map<String, Value>,
    ) -> Map<String, Value> {
        let Ok(bytes) = serde_json::to_vec(&data) else { return data };
        if bytes.len() <= MAX_RESULT {
            return data;
        }
        let size = bytes.len();
        let path = format!("results/{log_id}.json");
        let (file, signed) = match self.files.save_result(session, tool, &path, bytes.into()).await {
            Ok(saved) => saved,
            Err(error) => {
                tracing::warn!(error = error.message(), cause = error.causes(), "a large result could not be stored");
                return data;
            }
        };
        let mut left = PREVIEW;
        let preview = Value::Object(previewed(&data, &mut left));
        let items: Map<String, Value> =
            data.iter().filter_map(|(name, value)| Some((name.clone(), value.as_array()?.len().into()))).collect();
        let shown = json!({
            "truncated": true,
            "preview": preview,
            "total_bytes": size,
            "total_items": items,
            "remote_file_info": {
                "mount_id": MOUNT_ID,
                "path": format!("{MOUNT_PREFIX}/{path}"),
                "download_url": signed.url,
                "expires_at": iso(signed.expires_at),
                "size": file.size,
            },
            "next_steps": "This is a part of the result. Call the tool again with narrower arguments for what you need, or give \
                           the path to a tool that takes a file. The whole result is at download_url.",
        });
        match shown {
            Value::Object(shown) => shown,
            _ => data,
        }
    }
}

/// The first members of an object, as many as there is room for.
fn previewed(members: &Map<String, Value>, left: &mut usize) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in members {
        if !take(left, name.len() + 4) {
            break;
        }
        shown.insert(name.clone(), preview(value, left));
    }
    shown
}

/// A value with its texts and lists made shorter. What it is made of stays: a list is a list.
fn preview(value: &Value, left: &mut usize) -> Value {
    match value {
        Value::String(text) => {
            let short: String = text.chars().take(MAX_TEXT.min(*left)).collect();
            take(left, short.len());
            if short.len() < text.len() { format!("{short}…").into() } else { short.into() }
        }
        Value::Array(items) => {
            let mut shown = Vec::new();
            for item in items {
                if !take(left, 2) {
                    break;
                }
                shown.push(preview(item, left));
            }
            shown.into()
        }
        Value::Object(members) => previewed(members, left).into(),
        value => {
            take(left, 8);
            value.clone()
        }
    }
}

/// Takes room; false if there is none left.
fn take(left: &mut usize, size: usize) -> bool {
    let has_room = *left > 0;
    *left = left.saturating_sub(size);
    has_room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_small_and_has_the_form_of_the_whole() {
        let row = json!({ "id": 1, "text": "é".repeat(3_000), "tags": ["a", "b"], "none": null });
        let data = json!({ "items": vec![row; 500], "next": "x" });
        let Value::Object(data) = data else { return };
        let mut left = PREVIEW;
        let shown = Value::Object(previewed(&data, &mut left));
        let size = shown.to_string().len();
        assert!((PREVIEW / 2..3 * PREVIEW).contains(&size), "{size}");
        assert_eq!((&shown["items"][0]["id"], &shown["items"][0]["tags"]), (&json!(1), &json!(["a", "b"])));
        assert!(shown["items"][0]["text"].as_str().is_some_and(|text| text.ends_with("é…")));
        assert!(shown["items"].as_array().is_some_and(|items| items.len() < 20));
    }
}
