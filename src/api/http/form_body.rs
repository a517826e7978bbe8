//! A JSON value in `body`, encoded as its content type says: JSON, or a form.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The content type in lower case, without parameters.
const FORM: &str = "application/x-www-form-urlencoded";

/// The bytes of a JSON value under the content type that the caller gives, if any.
///
/// # Errors
/// 400 for a value that the type cannot represent: a list or object inside a form, or JSON named
/// multipart or XML.
pub fn bytes(json: &RawValue, content_type: Option<&str>) -> Result<Vec<u8>> {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == FORM {
        return form(json);
    }
    if kind.starts_with("multipart/") || kind.ends_with("/xml") || kind.ends_with("+xml") {
        let problem = format!("is JSON, and the header Content-Type says {kind}");
        return Err(Error::field("body", problem)
            .fix("Send the body as text, written as that type wants it, or its bytes as binary_body.base64."));
    }
    Ok(json.get().as_bytes().to_vec())
}

/// An object as a form, in the order of its members.
fn form(json: &RawValue) -> Result<Vec<u8>> {
    let Ok(Pairs(pairs)) = serde_json::from_str::<Pairs<'_>>(json.get()) else {
        return Err(Error::field(
            "body",
            "must be an object, or text, where the header Content-Type says that it is a form",
        ));
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        match value.get().as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(value.get()).map_err(Error::internal)?;
                form.append_pair(&name, &text);
            }
            Some(b'{' | b'[') => {
                let problem = "is a list or an object, which a form cannot hold";
                return Err(Error::field(&format!("body.{}", crate::text::truncate(&name)), problem).fix(
                    "Providers write them in ways of their own, such as items[0]=… or items=a,b: name the members so, or send \
                     the whole form as text.",
                ));
            }
            Some(b'n') | None => {
                let problem = "is null, which a form cannot say; leave it out, or send an empty text";
                return Err(Error::field(&format!("body.{}", crate::text::truncate(&name)), problem));
            }
            // A number or boolean, as it is written.
            Some(_) => {
                form.append_pair(&name, value.get());
            }
        }
    }
    Ok(form.finish().into_bytes())
}

/// The members of an object in order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(json: &str, content_type: &str) -> Result<String> {
        let json: &RawValue = serde_json::from_str(json).unwrap();
        bytes(json, Some(content_type).filter(|kind| !kind.is_empty())).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn an_object_is_encoded_by_its_content_type() {
        let object = r#"{"b": "a b&c=d", "a": 2000, "on": true, "big": 12345678901234567890.10, "ü": ""}"#;
        let form = "b=a+b%26c%3Dd&a=2000&on=true&big=12345678901234567890.10&%C3%BC=";
        for kind in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLencoded; charset=utf-8"] {
            assert_eq!(sent(object, kind).unwrap(), form, "{kind}");
        }
        for kind in ["", "application/json", "application/vnd.api+json", "application/x-amz-json-1.1", "text/plain"] {
            assert_eq!(sent(object, kind).unwrap(), object, "{kind}");
        }
    }

    #[test]
    fn a_value_that_the_type_cannot_represent_is_rejected() {
        let form = "application/x-www-form-urlencoded";
        for (json, kind, expected) in [
            (r#"{"a":1,"items":[1]}"#, form, "body.items: is a list or an object"),
            (r#"{"a":{"b":1}}"#, form, "body.a: is a list or an object"),
            (r#"{"a":null}"#, form, "body.a: is null"),
            ("[1]", form, "body: must be an object, or text"),
            ("5", form, "body: must be an object, or text"),
            (
                "{}",
                "multipart/form-data; boundary=x",
                "body: is JSON, and the header Content-Type says multipart/form-data",
            ),
            ("{}", "application/xml", "body: is JSON, and the header"),
            ("{}", "application/soap+xml", "body: is JSON, and the header"),
        ] {
            let error = sent(json, kind).unwrap_err();
            assert!(error.errors()[0].contains(expected), "{json} {kind}: {:?}", error.errors());
        }
    }
}
