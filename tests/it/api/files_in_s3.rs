//! Files in a bucket, at a real server with the S3 API that verifies signatures.

use std::path::{Path, PathBuf};

use switchboard::config::Layer;

use super::files::{CONTENT, announce, arriving, begin, get, md5, put};
use super::help::text;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// Settings for a bucket of the server, with this key and `more`.
fn layer(provider: &Provider, secret: &str, more: &str) -> Layer {
    let (endpoint, bucket) = (provider.text("endpoint"), provider.text("bucket"));
    let text = format!(
        "[s3]\nendpoint = \"{endpoint}\"\nregion = \"eu-central-1\"\nbucket = \"{bucket}\"\nprefix = \"test/files\"\n\
         access_key_id = \"{}\"\nsecret_access_key = \"{secret}\"\n{more}",
        provider.text("access_key_id"),
    );
    toml::from_str(&text).unwrap()
}

/// Objects of the bucket.
fn objects(provider: &Provider) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.to_string_lossy().ends_with("_object") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(provider.text("directory")).join(provider.text("bucket")), &mut found);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_size_are_stored_read_and_deleted_in_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::s3(folder.path());
    let secret = provider.text("secret_access_key");
    let server = TestServer::builder().layer(layer(&provider, secret, "allow_private_endpoint = true"));
    let server = server.start().await;
    let session = server.api.session("u", "sandbox").await;
    // One that needs several parts, one of exactly a part, a small one, and an empty one.
    let sizes = [(20 << 20) + 5, 5 << 20, CONTENT.len(), 0];
    for (count, size) in sizes.into_iter().enumerate() {
        let bytes: Vec<u8> = CONTENT.iter().copied().cycle().take(size).collect();
        let path = format!("{size}.bin");
        super::mounts::upload(&server.api, &session, &path, &bytes).await;
        assert_eq!(objects(&provider).len(), count + 1);
        let reply = get(&super::mounts::download_url(&server.api, &session, &path).await).await;
        assert_eq!((reply.status, reply.body.len(), md5(&reply.body)), (200, size, md5(&bytes)));
    }
    let inside = objects(&provider)[0].to_string_lossy().into_owned();
    assert!(inside.contains(&format!("test/files/{}/file_", server.project_id)), "{inside}");
    // Bytes that were refused leave nothing.
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    put(&text(&made, "new_presigned_url"), &vec![1; 9 << 20]).await.expect_error(400, "File_DigestMismatch");
    assert_eq!(objects(&provider).len(), 4);
    server.api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    assert_eq!(server.app.files.delete_expired().await.unwrap(), 4);
    assert!(objects(&provider).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_is_an_error_of_the_server_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::s3(folder.path());
    let wrong = layer(&provider, "canary-of-a-wrong-key", "allow_private_endpoint = true");
    let shown = format!("{wrong:?}");
    assert!(!shown.contains("canary-of-a-wrong-key"), "{shown}");
    let server = TestServer::builder().layer(wrong).start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    let url = text(&made, "new_presigned_url");
    let reply = put(&url, CONTENT).await;
    assert!(!reply.text().contains("canary"), "{}", reply.text());
    reply.expect_error(503, "File_StoreUnavailable");
    assert!(objects(&provider).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_endpoint_needs_the_operator_s_word() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::s3(folder.path());
    let plain = layer(&provider, "x", "");
    let own = Layer { data_dir: Some("unused".into()), ..Layer::default() };
    let config = own.overlay(plain).overlay(Layer::defaults().unwrap()).check().unwrap();
    let error = switchboard::app::object_store::ObjectStore::open(
        config.file_store,
        &[],
        &(std::sync::Arc::new(switchboard::time::SystemClock) as std::sync::Arc<dyn switchboard::time::Clock>),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("setting s3.endpoint: takes https://"), "{error}");
    // With TLS it is not connected to, either.
    let port = provider.text("endpoint").rsplit(':').next().unwrap().to_owned();
    let text_of = format!(
        "[s3]\nendpoint = \"https://127.0.0.1:{port}\"\nregion = \"x\"\nbucket = \"b\"\naccess_key_id = \"k\"\n\
         secret_access_key = \"s\"\n"
    );
    let server = TestServer::builder().layer(toml::from_str(&text_of).unwrap()).start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    put(&text(&made, "new_presigned_url"), CONTENT).await.expect_error(503, "File_StoreUnavailable");
}

/// A client that sends nothing holds no memory, and neither do uploads take that of calls.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_wait_keep_no_other_from_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::s3(folder.path());
    let secret = provider.text("secret_access_key");
    let layer = Layer { proxy_memory_mib: Some(16), ..layer(&provider, secret, "allow_private_endpoint = true") };
    let server = TestServer::builder().layer(layer).start().await;
    let mut waiting = Vec::new();
    for number in 0..20 {
        let made = announce(&server.api, &format!("{number}.bin"), "application/octet-stream", CONTENT).await;
        waiting.push(begin(&text(&made, "new_presigned_url"), 20 << 20, b"").await);
    }
    arriving(&server, waiting.len()).await;
    super::files::upload(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    let large = vec![1; 11 << 20];
    super::files::upload(&server.api, "large.bin", "application/octet-stream", &large).await;
    assert_eq!(objects(&provider).len(), 2);
}
