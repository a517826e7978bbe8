//! A message of RFC 5322, as mail APIs take it whole: base64url of its bytes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::message_id::MessageId;
use serde_json::{Map, Value};

use crate::{File, Mistake};

/// The message. Its keys are those of `$mime`.
///
/// # Errors
/// A header would have more than one line.
pub(crate) fn message(members: &Map<String, Value>, attachment: Option<&File>) -> Result<String, Mistake> {
    let mut message = MessageBuilder::new();
    if let Some(from) = addresses(members, "from")?.into_iter().next() {
        message = message.from(from);
    }
    let (to, cc, bcc) = (addresses(members, "to")?, addresses(members, "cc")?, addresses(members, "bcc")?);
    if !to.is_empty() {
        message = message.to(Address::new_list(to));
    }
    if !cc.is_empty() {
        message = message.cc(Address::new_list(cc));
    }
    if !bcc.is_empty() {
        message = message.bcc(Address::new_list(bcc));
    }
    message = message.subject(line(members, "subject")?.unwrap_or_default().to_owned());
    if let Some(id) = line(members, "in_reply_to")? {
        message = message.in_reply_to(MessageId::new(bare(id).to_owned()));
    }
    if let Some(ids) = line(members, "references")? {
        let ids: Vec<String> = ids.split_whitespace().map(|id| bare(id).to_owned()).collect();
        message = message.references(MessageId::new_list(ids.into_iter()));
    }
    let text = members.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_html = members.get("is_html") == Some(&Value::Bool(true));
    message = if is_html { message.html_body(text) } else { message.text_body(text) };
    if let Some(file) = attachment {
        message = message.attachment(file.media_type.clone(), file.name.clone(), file.bytes.to_vec());
    }
    let bytes = message.write_to_vec().map_err(|error| Mistake::new("", format!("no message can be made: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The addresses of a member: a text, with several of them joined by commas, or a list.
fn addresses(members: &Map<String, Value>, name: &str) -> Result<Vec<Address<'static>>, Mistake> {
    let texts: Vec<&str> = match members.get(name) {
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
    texts
        .map(|text| address(text).ok_or_else(|| Mistake::new("", format!("`{name}` must be e-mail addresses"))))
        .collect()
}

/// `ada@example.com` or `Ada Lovelace <ada@example.com>`.
fn address(text: &str) -> Option<Address<'static>> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let (name, address) = match text.split_once('<') {
        Some((name, rest)) => (Some(name.trim().trim_matches('"')), rest.strip_suffix('>')?),
        None => (None, text),
    };
    let (user, host) = address.trim().rsplit_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace() || "<>,".contains(letter))
    };
    (is_plain(user) && is_plain(host)).then(|| {
        Address::new_address(name.filter(|name| !name.is_empty()).map(str::to_owned), address.trim().to_owned())
    })
}

/// A member that becomes a header.
fn line<'m>(members: &'m Map<String, Value>, name: &str) -> Result<Option<&'m str>, Mistake> {
    match members.get(name).and_then(Value::as_str) {
        Some(text) if text.contains(['\r', '\n', '\0']) => {
            Err(Mistake::new("", format!("the {} of a message is one line", name.replace('_', " "))))
        }
        text => Ok(text),
    }
}

/// An id without its angle brackets.
fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}
