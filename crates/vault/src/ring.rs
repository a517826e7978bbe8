//! Envelope encryption: XChaCha20-Poly1305 under a master key, bound to the value's storage location, owner
//! and recipient ([`SealContext`]).
//!
//! A sealed value is: layout (1 byte) · key id (4) · nonce (24) · ciphertext and tag. It does not open when
//! copied to another row, column or project, or when its row was changed (R70). Random 24-byte nonces need no
//! counter; two collide after some 2^96 seals.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::context::{FIRST_LAYOUT, KEY_ID, LAYOUT, is_first_layout};
use crate::error::{KeyFileError, OpenError};
use crate::{Entropy, SealContext, Secrets, mac};

const NONCE: usize = 24;
const HEADER: usize = 1 + KEY_ID + NONCE;

struct MasterKey {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
    /// Root key of authentication codes (`mac.rs`).
    mac_root: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    fn new(id: [u8; KEY_ID], key: &[u8; 32]) -> Self {
        Self { id, cipher: XChaCha20Poly1305::new(key.into()), mac_root: mac::root(key) }
    }
}

/// The master keys: the first one seals, all of them open. Cheap to clone; `Debug` shows nothing.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<Vec<MasterKey>>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// A ring with one new key that is not stored. For tests and benchmarks.
    pub fn ephemeral(entropy: Arc<dyn Entropy>) -> Self {
        let mut id = [0; KEY_ID];
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut id);
        entropy.fill(&mut *key);
        Self { keys: Arc::new(vec![MasterKey::new(id, &key)]), entropy }
    }

    /// Reads a key file: one key per line, the current one first, `#` starts a comment. Only the owner may
    /// read it. The group may, too, if it cannot write and the file belongs to root or to the user of this
    /// process: containers mount secrets that way (mode 0440 with an `fsGroup`).
    pub fn load(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KeyFileError> {
        let shown = path.display().to_string();
        let io_error = |source| KeyFileError::Io { path: shown.clone(), source };
        let metadata = fs::metadata(path).map_err(io_error)?;
        let mode = metadata.permissions().mode() & 0o777;
        if !is_protected(mode, metadata.uid(), rustix::process::geteuid().as_raw()) {
            return Err(KeyFileError::InsecurePermissions { path: shown, mode });
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io_error)?);
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key =
                parse_key(line).ok_or_else(|| KeyFileError::Malformed { path: shown.clone(), line: index + 1 })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyFileError::Empty { path: shown });
        }
        Ok(Self { keys: Arc::new(keys), entropy })
    }

    /// Writes a new key file with mode 0600. Returns false if the file exists, which is never replaced; when
    /// several processes try at once, one succeeds. A partial file is never visible.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<bool, KeyFileError> {
        let mut id = [0; KEY_ID];
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut id);
        entropy.fill(&mut *key);
        let line = Zeroizing::new(format!(
            "# Switchboard master key. Without this file no stored credential can be read: back it up apart from the data.\n{} {}\n",
            hex(id),
            BASE64.encode(*key)
        ));
        let partial = path.with_extension(format!("{}.partial", hex(id)));
        let write = || -> io::Result<bool> {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            // A hard link fails if the target exists; a rename would replace it.
            let linked = fs::hard_link(&partial, path);
            fs::remove_file(&partial)?;
            match linked {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        };
        write().map_err(|source| KeyFileError::Io { path: path.display().to_string(), source })
    }

    /// Id of the current key and its root key for authentication codes.
    pub(crate) fn current_root(&self) -> (String, &[u8; 32]) {
        // A ring is never empty: `load` refuses an empty file. A code made with zeros never verifies.
        self.keys.first().map_or((String::new(), &[0; 32]), |key| (hex(key.id), &*key.mac_root))
    }

    /// The root key for authentication codes of one master key.
    pub(crate) fn root_of(&self, key_id: &str) -> Option<&[u8; 32]> {
        self.keys.iter().find(|key| hex(key.id) == key_id).map(|key| &*key.mac_root)
    }

    /// Seals bytes for a context with the current key.
    pub fn seal(&self, context: SealContext, plaintext: &[u8]) -> Vec<u8> {
        self.seal_in(LAYOUT, context, plaintext)
    }

    /// Opens bytes that were sealed for this context.
    pub fn open(&self, context: SealContext, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        match sealed.first() {
            Some(&LAYOUT) => self.open_any(context, sealed),
            Some(&FIRST_LAYOUT) => Err(OpenError::FirstLayout),
            _ => Err(OpenError::Malformed),
        }
    }

    /// Seals a value of an earlier version again, for the context `to`. `from` is its context without pairs.
    /// This is the only way to open the first layout.
    pub fn reseal(&self, from: SealContext, sealed: &[u8], to: SealContext) -> Result<Vec<u8>, OpenError> {
        if !is_first_layout(sealed) {
            return Err(OpenError::Malformed);
        }
        Ok(self.seal(to, &self.open_any(from, sealed)?))
    }

    fn seal_in(&self, layout: u8, context: SealContext, plaintext: &[u8]) -> Vec<u8> {
        // A ring is never empty: `load` refuses an empty file.
        let Some(key) = self.keys.first() else { return Vec::new() };
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce);
        let payload = Payload { msg: plaintext, aad: &context.authenticated_data(layout, key.id) };
        // Encryption fails only beyond 256 GiB; then the empty value fails to open, with an error.
        let ciphertext = key.cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        let mut sealed = Vec::with_capacity(HEADER + ciphertext.len());
        sealed.push(layout);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    fn open_any(&self, context: SealContext, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if sealed.len() < HEADER {
            return Err(OpenError::Malformed);
        }
        let (header, ciphertext) = sealed.split_at(HEADER);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&header[1..=KEY_ID]);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&header[1 + KEY_ID..]);
        let key = self.keys.iter().find(|key| key.id == id).ok_or_else(|| OpenError::UnknownKey(hex(id)))?;
        let payload = Payload { msg: ciphertext, aad: &context.authenticated_data(header[0], id) };
        let plaintext = key.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| OpenError::Unreadable)?;
        Ok(Zeroizing::new(plaintext))
    }

    /// Seals named secrets.
    pub fn seal_secrets(&self, context: SealContext, secrets: &Secrets) -> Vec<u8> {
        self.seal(context, &secrets.to_plaintext())
    }

    /// Opens named secrets.
    pub fn open_secrets(&self, context: SealContext, sealed: &[u8]) -> Result<Secrets, OpenError> {
        let plaintext = self.open(context, sealed)?;
        Secrets::from_plaintext(&plaintext).ok_or(OpenError::Malformed)
    }
}

/// Whether mode and owner of a key file protect the key from other users.
fn is_protected(mode: u32, owner: u32, own: u32) -> bool {
    const ROOT: u32 = 0;
    let for_others = mode & 0o077;
    for_others == 0 || (mode == 0o440 && (owner == ROOT || owner == own))
}

fn parse_key(line: &str) -> Option<MasterKey> {
    let (id_text, key_text) = line.split_once(char::is_whitespace)?;
    if id_text.len() != KEY_ID * 2 {
        return None;
    }
    let id = u32::from_str_radix(id_text, 16).ok()?.to_be_bytes();
    let bytes = Zeroizing::new(BASE64.decode(key_text.trim()).ok()?);
    let key: &[u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(MasterKey::new(id, key))
}

fn hex(id: [u8; KEY_ID]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secret, SystemEntropy};
    use proptest::prelude::*;

    fn ring() -> KeyRing {
        KeyRing::ephemeral(Arc::new(SystemEntropy))
    }

    fn context(row: &str, column: &str) -> SealContext {
        SealContext::new("pr_1", "connected_accounts", row, column)
    }

    #[test]
    fn a_ciphertext_does_not_open_in_another_context() {
        let ring = ring();
        let sealed = ring.seal(context("ca_1", "credential"), b"token");
        assert_eq!(&**ring.open(context("ca_1", "credential"), &sealed).unwrap(), b"token");
        for elsewhere in [
            context("ca_2", "credential"),
            context("ca_1", "verifier"),
            SealContext::new("pr_2", "connected_accounts", "ca_1", "credential"),
            SealContext::new("pr_1", "auth_configs", "ca_1", "credential"),
            SealContext::new("pr_1connected", "_accounts", "ca_1", "credential"),
        ] {
            assert_eq!(ring.open(elsewhere, &sealed).unwrap_err(), OpenError::Unreadable);
        }
    }

    #[test]
    fn a_ciphertext_opens_only_with_its_bound_values() {
        let ring = ring();
        let bound = || context("ca_1", "credential").with("user", "ann").with("field.site", "https://a.example");
        let sealed = ring.seal(bound(), b"token");
        assert_eq!(&**ring.open(bound(), &sealed).unwrap(), b"token");
        let row = || context("ca_1", "credential");
        for other in [
            row(),
            row().with("user", "ann"),
            row().with("user", "bob").with("field.site", "https://a.example"),
            row().with("user", "ann").with("field.site", "https://evil.example"),
            row().with("field.site", "https://a.example").with("user", "ann"),
            row().with("user", "annfield.site").with("", "https://a.example"),
            bound().with("field.other", ""),
        ] {
            assert_eq!(ring.open(other, &sealed).unwrap_err(), OpenError::Unreadable);
        }
    }

    #[test]
    fn the_first_layout_opens_only_for_resealing() {
        let ring = ring();
        let first = ring.seal_in(FIRST_LAYOUT, context("ca_1", "credential"), b"token");
        assert!(is_first_layout(&first));
        assert_eq!(ring.open(context("ca_1", "credential"), &first).unwrap_err(), OpenError::FirstLayout);
        let reseal =
            |sealed: &[u8]| ring.reseal(context("ca_1", "credential"), sealed, context("ca_1", "x").with("a", "b"));
        let sealed = reseal(&first).unwrap();
        assert_eq!(&**ring.open(context("ca_1", "x").with("a", "b"), &sealed).unwrap(), b"token");
        let now = ring.seal(context("ca_1", "credential"), b"token");
        assert_eq!(reseal(&now).unwrap_err(), OpenError::Malformed);
        // The layout byte is authenticated, too.
        for (sealed, layout) in [(first, LAYOUT), (now, FIRST_LAYOUT)] {
            let relabelled = [&[layout], &sealed[1..]].concat();
            assert!(ring.open(context("ca_1", "credential"), &relabelled).is_err());
            assert!(reseal(&relabelled).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let ring = ring();
        let sealed = ring.seal(context("ca_1", "credential"), b"token");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open(context("ca_1", "credential"), &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_old_key_still_opens_and_the_first_one_seals() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        KeyRing::create(&old, &SystemEntropy).unwrap();
        KeyRing::create(&new, &SystemEntropy).unwrap();
        let sealed = KeyRing::load(&old, Arc::new(SystemEntropy)).unwrap().seal(context("a", "b"), b"x");
        let both = format!("{}\n{}", fs::read_to_string(&new).unwrap(), fs::read_to_string(&old).unwrap());
        fs::write(&new, both).unwrap();
        let ring = KeyRing::load(&new, Arc::new(SystemEntropy)).unwrap();
        assert_eq!(&**ring.open(context("a", "b"), &sealed).unwrap(), b"x");
        assert_ne!(ring.seal(context("a", "b"), b"x")[1..5], sealed[1..5]);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        KeyRing::create(&path, &SystemEntropy).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&path).unwrap();
        assert!(!KeyRing::create(&path, &SystemEntropy).unwrap(), "an existing key is never replaced");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
        for mode in [0o640, 0o660, 0o604, 0o644, 0o444, 0o666, 0o441, 0o460, 0o450, 0o540] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyRing::load(&path, Arc::new(SystemEntropy)).unwrap_err();
            let expected = format!("has mode {mode:03o}; run `chmod 600");
            assert!(error.to_string().contains(&expected), "{mode:o}: {error}");
        }
    }

    #[test]
    fn a_key_file_of_a_secret_mount_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        KeyRing::create(&path, &SystemEntropy).unwrap();
        for mode in [0o600, 0o400, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(KeyRing::load(&path, Arc::new(SystemEntropy)).is_ok(), "{mode:o}");
        }
        // Readable by the group: only files of root and of this user.
        for (mode, owner, is_taken) in
            [(0o440, 0, true), (0o440, 1_000, true), (0o440, 1_001, false), (0o400, 1_001, true), (0o640, 0, false)]
        {
            assert_eq!(is_protected(mode, owner, 1_000), is_taken, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn sealed_secrets_round_trip() {
        let ring = ring();
        let secrets = Secrets::from([("a", Secret::from("\"quoted\"\n")), ("b", Secret::from(""))]);
        let sealed = ring.seal_secrets(context("r", "f"), &secrets);
        assert!(ring.open_secrets(context("r", "f"), &sealed).unwrap() == secrets);
    }

    proptest! {
        #[test]
        fn open_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ring = ring();
            prop_assert!(ring.open(context("r", "f"), &bytes).is_err());
        }
    }
}
