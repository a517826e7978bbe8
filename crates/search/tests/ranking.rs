//! Which tools a search finds, and in which order.

use proptest::prelude::*;
use switchboard_search::{Document, DocumentSet, Effect, Index, IndexBuilder, Search, Source, search};

/// Tools of two mail services and a chat.
const TOOLS: [(&str, &str, &str, &str, &str, Effect); 7] = [
    ("MAILY_SEND_EMAIL", "maily", "Maily", "Send a mail", "Sends a message to people.", Effect::Create),
    ("MAILY_DELETE_EMAIL", "maily", "Maily", "Delete a mail", "Moves a message to the trash.", Effect::Destructive),
    ("MAILY_LIST_EMAILS", "maily", "Maily", "List mails", "Lists messages of the mailbox.", Effect::Read),
    ("POSTBOX_SEND_EMAIL", "postbox", "Post Box", "Send a mail", "Sends a message to people.", Effect::Create),
    ("CHATTER_POST_MESSAGE", "chatter", "Chatter", "Post to a channel", "Writes into a channel.", Effect::Create),
    ("CHATTER_LIST_CHANNELS", "chatter", "Chatter", "List channels", "Lists the channels of a team.", Effect::Read),
    ("CHATTER_CREATE_PR", "chatter", "Chatter", "Open a pull request", "Proposes a change.", Effect::Create),
];

fn index() -> Index {
    let mut builder = IndexBuilder::new();
    for (slug, toolkit, name, title, description, effect) in TOOLS {
        builder.add(&Document {
            slug,
            toolkit,
            toolkit_names: &[name],
            title,
            description,
            effect: Some(effect),
            ..Document::default()
        });
    }
    builder.finish()
}

fn found(index: &Index, text: &str) -> Vec<String> {
    let source = Source { index, allowed: None };
    let found = search(&[source], &Search { text, limit: 10, ..Search::default() });
    found.hits.iter().map(|hit| index.slug(hit.document).to_owned()).collect()
}

#[test]
fn the_tool_that_is_meant_comes_first() {
    let index = index();
    for (text, slug) in [
        ("send an email with Maily", "MAILY_SEND_EMAIL"),
        ("send an email with post box", "POSTBOX_SEND_EMAIL"),
        ("please throw that mail away, delete it", "MAILY_DELETE_EMAIL"),
        ("which channels are there?", "CHATTER_LIST_CHANNELS"),
        ("write to the #news channel", "CHATTER_POST_MESSAGE"),
        ("open a PR", "CHATTER_CREATE_PR"),
        ("chatter_post_message", "CHATTER_POST_MESSAGE"),
        ("chatterPostMessage", "CHATTER_POST_MESSAGE"),
        ("which chanels", "CHATTER_LIST_CHANNELS"),
        ("remove an e-mail", "MAILY_DELETE_EMAIL"),
        ("chat", "CHATTER_CREATE_PR"),
    ] {
        assert_eq!(found(&index, text).first().map(String::as_str), Some(slug), "{text}: {:?}", found(&index, text));
    }
}

#[test]
fn a_text_that_no_tool_has_a_word_of_finds_nothing() {
    let index = index();
    for text in ["", "   ", "!?", "the", "xylophone zzyzx", "東京"] {
        assert!(found(&index, text).is_empty(), "{text}");
    }
    assert!(found(&IndexBuilder::new().finish(), "send mail").is_empty());
}

#[test]
fn equal_tools_are_in_the_order_of_their_slugs() {
    assert_eq!(found(&index(), "send a mail")[..2], ["MAILY_SEND_EMAIL", "POSTBOX_SEND_EMAIL"]);
}

#[test]
fn a_connected_toolkit_comes_before_its_equals() {
    let index = index();
    let source = Source { index: &index, allowed: None };
    let found = search(&[source], &Search { text: "send a mail", connected: &["postbox"], limit: 1 });
    assert_eq!(index.slug(found.hits[0].document), "POSTBOX_SEND_EMAIL");
}

#[test]
fn only_allowed_tools_are_found() {
    let index = index();
    let mut allowed = DocumentSet::new(index.len());
    allowed.insert(index.document("POSTBOX_SEND_EMAIL").expect("a tool"));
    let source = Source { index: &index, allowed: Some(&allowed) };
    let found = search(&[source], &Search { text: "send a mail with maily", limit: 10, ..Search::default() });
    let slugs: Vec<&str> = found.hits.iter().map(|hit| index.slug(hit.document)).collect();
    assert_eq!(slugs, ["POSTBOX_SEND_EMAIL"]);
    assert_eq!(found.named_toolkits, ["maily"]);
}

#[test]
fn a_tool_that_will_be_removed_comes_last() {
    let mut builder = IndexBuilder::new();
    for (slug, is_deprecated) in [("A_SEND_MAIL", true), ("B_SEND_MAIL", false)] {
        builder.add(&Document { slug, title: "Send a mail", is_deprecated, ..Document::default() });
    }
    assert_eq!(found(&builder.finish(), "send a mail"), ["B_SEND_MAIL", "A_SEND_MAIL"]);
}

#[test]
fn the_first_of_two_documents_with_one_slug_remains() {
    let mut builder = IndexBuilder::new();
    for title in ["Send a mail", "Feed the cat"] {
        builder.add(&Document { slug: "A_TOOL", title, ..Document::default() });
    }
    let index = builder.finish();
    assert_eq!((index.len(), index.slug(0), index.slug(1)), (1, "A_TOOL", ""));
    assert_eq!(found(&index, "cat"), [""; 0]);
}

#[test]
fn several_indexes_are_searched_like_one() {
    let one = index();
    let mut builder = IndexBuilder::new();
    builder.add(&Document { slug: "LOCAL_SEND_FAX", title: "Send a fax", ..Document::default() });
    let other = builder.finish();
    let sources = [Source { index: &one, allowed: None }, Source { index: &other, allowed: None }];
    let found = search(&sources, &Search { text: "send a fax", limit: 3, ..Search::default() });
    let slugs: Vec<&str> = found.hits.iter().map(|hit| sources[hit.source].index.slug(hit.document)).collect();
    assert_eq!(slugs, ["LOCAL_SEND_FAX", "MAILY_SEND_EMAIL", "POSTBOX_SEND_EMAIL"]);
}

proptest! {
    /// Any text: no panic, no more hits than wanted, only allowed ones, ordered, and the same again.
    #[test]
    fn any_search_has_an_ordered_answer(text in "\\PC{0,200}", limit in 0_usize..12, bits in any::<u8>()) {
        let index = index();
        let mut allowed = DocumentSet::new(index.len());
        for number in (0..7).filter(|number| bits >> number & 1 == 1) {
            allowed.insert(number);
        }
        let source = Source { index: &index, allowed: Some(&allowed) };
        let query = Search { text: &text, connected: &["maily"], limit };
        let found = search(&[source], &query);
        prop_assert!(found.hits.len() <= limit);
        prop_assert!(found.hits.iter().all(|hit| allowed.contains(hit.document) && hit.score > 0.0));
        let is_ordered = found.hits.is_sorted_by(|one, other| {
            one.score > other.score || one.score.total_cmp(&other.score).is_eq() && one.document < other.document
        });
        prop_assert!(is_ordered);
        prop_assert_eq!(search(&[source], &query).hits, found.hits);
    }

    /// Any document: it is found by its own name, whatever else is in the index and in which order it was added.
    #[test]
    fn a_document_is_found_by_its_name(title in "[a-z]{3,8}( [a-z]{3,8}){0,3}", description in "\\PC{0,900}", first in any::<bool>()) {
        let mut builder = IndexBuilder::new();
        let own = Document { slug: "OWN_TOOL", title: &title, description: &description, ..Document::default() };
        let other = Document { slug: "OTHER", title: "Weigh an elephant", description: &description, ..Document::default() };
        for document in if first { [&own, &other] } else { [&other, &own] } {
            builder.add(document);
        }
        let index = builder.finish();
        prop_assert_eq!(index.document("OWN_TOOL"), Some(1));
        prop_assert!(found(&index, &title).iter().any(|slug| slug == "OWN_TOOL"));
    }
}
