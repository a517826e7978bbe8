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
/// Characters of one name or number in a preview.
const MAX_NAME: usize = 200;
/// Lists whose lengths a preview has.
const MAX_LENGTHS: usize = 50;

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
        let shown = json!({
            "truncated": true,
            "preview": preview,
            "total_bytes": size,
            "total_items": lengths(&data),
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

/// The length of each list of a result, of the first ones if there are many.
fn lengths(data: &Map<String, Value>) -> Map<String, Value> {
    let lists =
        data.iter().filter_map(|(name, value)| Some((shortened(name, MAX_NAME), value.as_array()?.len().into())));
    lists.take(MAX_LENGTHS).collect()
}

/// A text of at most `max` characters, and a sign that there are more.
fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The first members of an object, as many as there is room for.
fn previewed(members: &Map<String, Value>, left: &mut usize) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in members {
        let name = shortened(name, MAX_NAME);
        if !take(left, name.len() + 4) {
            break;
        }
        shown.insert(name, preview(value, left));
    }
    shown
}

/// A value with its texts and lists made shorter. What it is made of stays: a list is a list.
fn preview(value: &Value, left: &mut usize) -> Value {
    match value {
        Value::String(text) => {
            let short = shortened(text, MAX_TEXT.min(*left));
            take(left, short.len());
            short.into()
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
        Value::Number(number) => {
            let digits = number.to_string();
            take(left, digits.len().min(MAX_NAME) + 2);
            if digits.len() > MAX_NAME { shortened(&digits, MAX_NAME).into() } else { value.clone() }
        }
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
    #[test]
    fn names_and_many_lists_leave_a_preview_small() {
        let mut data = Map::new();
        for number in 0..5_000 {
            data.insert(format!("{number}{}", "é".repeat(3_000)), json!([number, 1.5, "x"]));
        }
        let mut left = PREVIEW;
        let shown = Value::Object(previewed(&data, &mut left));
        assert!(shown.to_string().len() < 2 * PREVIEW, "{}", shown.to_string().len());
        assert!(shown.as_object().is_some_and(|shown| shown.keys().all(|name| name.ends_with("é…"))));
        let lengths = lengths(&data);
        assert_eq!((lengths.len(), lengths.values().next()), (MAX_LENGTHS, Some(&json!(3))));
        assert!(Value::Object(lengths).to_string().len() < 3 * PREVIEW);
        let deep = json!({ "rows": vec![json!({ "n".repeat(100_000): 1 }); 9] });
        let mut left = PREVIEW;
        assert!(preview(&deep, &mut left).to_string().len() < 2 * PREVIEW);
    }
}
