//! What an operation does to the provider's data, by its method and its words.

/// Words of an operation that reads, although it is sent with POST.
const READS: [&str; 12] =
    ["list", "search", "query", "get", "count", "validate", "preview", "fetch", "find", "lookup", "check", "describe"];
/// Words of an operation that ends something.
const ENDS: [&str; 11] =
    ["delete", "remove", "cancel", "archive", "revoke", "destroy", "purge", "terminate", "trash", "uninstall", "wipe"];
/// Words of an operation that changes something, for GET.
const CHANGES: [&str; 8] = ["create", "update", "add", "set", "send", "post", "write", "invite"];

/// The value of `effect`.
pub(crate) fn effect(method: &str, words: &[String]) -> &'static str {
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    // The verb is the first or, after a group, the last word.
    let is_verb = |known: &[&str]| {
        let ends = [words.first(), words.get(1), words.last()];
        ends.into_iter().flatten().any(|word| known.contains(&word.as_str()))
    };
    match method {
        "GET" => "read",
        "DELETE" => "destructive",
        _ if has(&ENDS) => "destructive",
        "POST" if is_verb(&READS) && !has(&CHANGES) => "read",
        "POST" => "create",
        _ => "update",
    }
}

/// Whether the words say that a GET is more than reading.
pub(crate) fn is_doubtful(method: &str, words: &[String]) -> bool {
    let verb = words.last().into_iter().chain(words.first());
    method == "GET" && verb.into_iter().any(|word| ENDS.contains(&word.as_str()) || CHANGES.contains(&word.as_str()))
}
