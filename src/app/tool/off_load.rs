//! Large results as files of the session: a model gets a preview that says what is missing, and where the rest is.

use serde_json::{Map, Value, json};

use switchboard_store::files::FileRow;

use super::Tools;
use super::active_content::without_active_content;
use super::response::ResultOf;
use crate::app::file::mount::{MOUNT_ID, MOUNT_PREFIX};
use crate::app::file::signed_url::SignedUrl;
use crate::time::iso;

/// Results of up to this size, in bytes of JSON, are handed over whole.
const MAX_RESULT: usize = 40_000;
/// Size of a preview in bytes, about.
const PREVIEW: usize = 8_000;
/// Size of a sketch in bytes, about.
const SKETCH: usize = 2_000;
/// Characters of one text in a preview.
const MAX_TEXT: usize = 1_000;
/// Characters of one name or number in a preview.
const MAX_NAME: usize = 200;
/// Lists whose lengths a preview has.
const MAX_LENGTHS: usize = 50;

/// The path of a result in its session's mount.
pub(super) fn path_of(log_id: &str) -> String {
    format!("results/{log_id}.json")
}

/// Where a result is that became a file.
pub(super) fn file_info(log_id: &str, file: &FileRow, signed: &SignedUrl) -> Value {
    json!({
        "mount_id": MOUNT_ID,
        "path": format!("{MOUNT_PREFIX}/{}", path_of(log_id)),
        "download_url": signed.url,
        "expires_at": iso(signed.expires_at),
        "size": file.size,
    })
}

impl Tools {
    /// A result for a model that has asked for previews of large ones. `all` is what is stored; the result itself if it is
    /// left out. A result that cannot be stored is handed over as it is: the call had its effect.
    pub(super) async fn off_loaded(
        &self,
        of: ResultOf<'_>,
        data: Map<String, Value>,
        all: Option<Map<String, Value>>,
    ) -> Map<String, Value> {
        if serde_json::to_vec(&data).is_ok_and(|bytes| bytes.len() <= MAX_RESULT) {
            return data;
        }
        let Some((file, size)) = self.save_result(of, all.as_ref().unwrap_or(&data)).await else { return data };
        let (mut left, mut room) = (PREVIEW, SKETCH);
        let preview = Value::Object(previewed(&data, &mut left));
        let shown = json!({
            "truncated": true,
            "preview": preview,
            "total_bytes": size,
            "total_items": lengths(all.as_ref().unwrap_or(&data)),
            "schema_sketch": sketch(all.as_ref().unwrap_or(&data), &mut room),
            "remote_file_info": file,
            "next_steps": "This is a part of the result. Call the tool again with narrower arguments for what you need, or give \
                           the path to a tool that takes a file. The whole result is at download_url, and read_result of \
                           the session returns parts of it.",
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

/// Names and kinds of the members of a result, for paths into it: of a list, those of its first item.
fn sketch(members: &Map<String, Value>, left: &mut usize) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in members {
        let name = shortened(name, MAX_NAME);
        if !take(left, name.len() + 12) {
            break;
        }
        shown.insert(name, sketch_of(value, left));
    }
    shown
}

fn sketch_of(value: &Value, left: &mut usize) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.first().map(|first| sketch_of(first, left)).into_iter().collect(),
        Value::Object(members) => sketch(members, left).into(),
    }
}

/// A text of at most `max` characters, without active content, and a sign that there are more.
fn shortened(text: &str, max: usize) -> String {
    let text = without_active_content(text);
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
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
    fn a_sketch_has_the_names_and_kinds_of_members() {
        let data = json!({ "rows": [{ "id": 1, "tags": ["a"], "who": { "name": "x" } }], "next": null, "none": [] });
        let Value::Object(data) = data else { return };
        let expected = json!({ "rows": [{ "id": "number", "tags": ["string"], "who": { "name": "string" } }], "next": "null", "none": [] });
        let mut room = SKETCH;
        assert_eq!(Value::Object(sketch(&data, &mut room)), expected);
        let wide: Map<String, Value> =
            (0..5_000).map(|number| (format!("member-{number}"), json!([[number]]))).collect();
        let mut room = SKETCH;
        assert!(Value::Object(sketch(&wide, &mut room)).to_string().len() < 2 * SKETCH);
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
