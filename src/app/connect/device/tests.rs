//! What is kept of a code between the redirect and the tokens.

use super::*;

#[test]
fn what_is_kept_is_read_again_also_as_earlier_programs_wrote_it() {
    let waiting = |complete: Option<&str>| PendingDeviceCode {
        device_code: Secret::from("canary-1"),
        user_code: "WDJB-MJHT".to_owned(),
        verification_uri: "https://p.example/device".to_owned(),
        verification_uri_complete: complete.map(str::to_owned),
    };
    let with = waiting(Some("https://p.example/device?user_code=WDJB-MJHT")).into_secret();
    let without = waiting(None).into_secret();
    let earlier = r#"{"device_code":"canary-1","user_code":"WDJB-MJHT","verification_uri":"https://p.example/device","verification_uri_complete":null}"#;
    for (kept, complete) in [
        (with.expose(), Some("https://p.example/device?user_code=WDJB-MJHT")),
        (without.expose(), None),
        (earlier, None),
    ] {
        let read: PendingDeviceCode = serde_json::from_str(kept).unwrap();
        assert_eq!((read.device_code.expose(), read.user_code.as_str()), ("canary-1", "WDJB-MJHT"));
        assert_eq!(read.verification_uri, "https://p.example/device");
        assert_eq!(read.verification_uri_complete.as_deref(), complete);
        assert_eq!(format!("{read:?}"), "PendingDeviceCode(redacted)");
    }
}
