//! Certificates: the peer is verified before the first byte of a request is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::server::read_request;
use super::{answers, get, send};
use crate::{ConfigError, Egress, EgressConfig, EgressError, Limits};

/// A private certificate authority, as an operator would add it.
struct Authority {
    pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn server(&self, name: &str, expired: bool) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(certificate.der().clone(), &key, rustls::DEFAULT_VERSIONS)
    }
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// What the server saw of one connection: the TLS server name and the request, if any.
type Seen = (Option<String>, Option<String>);

async fn serve(config: ServerConfig) -> (u16, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (report, seen) = mpsc::unbounded_channel();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                report.send((None, None)).unwrap();
                continue;
            };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let request = read_request(&mut stream).await;
            if request.is_some() {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
            report.send((name, request)).unwrap();
        }
    });
    (port, seen)
}

/// Calls `https://api.example.test`, which resolves to this machine.
async fn call(extra_ca_pem: Vec<Vec<u8>>, port: u16) -> Result<http::Response<bytes::Bytes>, EgressError> {
    let (lookup, _) = answers(&[&["127.0.0.1"]]);
    let config = EgressConfig { allow_loopback: true, extra_ca_pem, ..EgressConfig::default() };
    let egress = Egress::with_lookup(config, &lookup).unwrap();
    send(&egress, get(&format!("https://api.example.test:{port}/x?key=s3cret")), &Limits::default()).await
}

#[tokio::test]
async fn an_added_authority_is_trusted_for_the_right_name() {
    let authority = Authority::new();
    let (port, mut seen) = serve(authority.server("api.example.test", false)).await;
    let answer = call(vec![Authority::new().pem, authority.pem], port).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"ok");
    let (name, request) = seen.recv().await.unwrap();
    assert_eq!(name.as_deref(), Some("api.example.test"));
    assert!(request.unwrap().contains(&format!("host: api.example.test:{port}")));
}

#[tokio::test]
async fn tls_1_2_is_supported() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["api.example.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let config = server_config(certificate.der().clone(), &key, &[&rustls::version::TLS12]);
    let (port, _seen) = serve(config).await;
    assert_eq!(call(vec![authority.pem], port).await.unwrap().status(), 200);
}

#[tokio::test]
async fn doubtful_certificates_are_refused_before_the_request() {
    let key = KeyPair::generate().unwrap();
    let self_signed = CertificateParams::new(vec!["api.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let self_signed = server_config(self_signed.der().clone(), &key, rustls::DEFAULT_VERSIONS);
    let trusted = Authority::new();
    let cases = [
        ("self-signed", self_signed),
        ("unknown authority", Authority::new().server("api.example.test", false)),
        ("another host", trusted.server("other.example.test", false)),
        ("expired", trusted.server("api.example.test", true)),
    ];
    for (what, config) in cases {
        let (port, mut seen) = serve(config).await;
        let error = call(vec![trusted.pem.clone()], port).await.unwrap_err();
        assert_eq!(error, EgressError::Tls, "{what}");
        assert!(!error.may_have_arrived());
        let (_, request) = seen.recv().await.unwrap();
        assert_eq!(request, None, "{what}");
    }
}

/// Allowing loopback allows plain http there; https does not fall back to it.
#[tokio::test]
async fn https_never_falls_back_to_plain_http() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            log.lock().unwrap().extend_from_slice(&bytes[..count]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    assert_eq!(call(Vec::new(), port).await.unwrap_err(), EgressError::Tls);
    let received = received.lock().unwrap();
    assert_eq!(received.first(), Some(&0x16), "one TLS handshake, nothing else");
    assert!(!String::from_utf8_lossy(&received).contains("s3cret"));
}

#[tokio::test]
async fn a_hanging_handshake_times_out_unsent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let connect_timeout = Duration::from_millis(100);
    let config = EgressConfig { allow_loopback: true, connect_timeout, ..EgressConfig::default() };
    let error = send(&Egress::new(config).unwrap(), get(&url), &Limits::default()).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout { sent: false });
}

#[test]
fn authorities_that_cannot_be_used_are_numbered() {
    let good = Authority::new().pem;
    let key = KeyPair::generate().unwrap().serialize_pem().into_bytes();
    let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for bad in [Vec::new(), b"not pem".to_vec(), key, garbled] {
        let config = EgressConfig { extra_ca_pem: vec![good.clone(), bad], ..EgressConfig::default() };
        assert!(matches!(Egress::new(config), Err(ConfigError::Certificate { number: 2, .. })));
    }
    let both = [good, Authority::new().pem].concat();
    assert!(Egress::new(EgressConfig { extra_ca_pem: vec![both], ..EgressConfig::default() }).is_ok());
}
