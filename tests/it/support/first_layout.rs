//! Sealing as earlier programs did: bound to project, table, row and column alone.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rusqlite::Connection;
use serde_json::{Value, json};
use switchboard_vault::Secrets;

/// The master key of an installation, as an earlier program used it.
pub struct FirstLayout {
    id: [u8; 4],
    cipher: XChaCha20Poly1305,
}

impl FirstLayout {
    /// Of a data folder.
    pub fn of(data: &Path) -> Self {
        let text = std::fs::read_to_string(data.join("master.key")).unwrap();
        let line = text.lines().find(|line| !line.starts_with('#')).unwrap();
        let (id, key) = line.split_once(' ').unwrap();
        let key: [u8; 32] = BASE64.decode(key).unwrap().try_into().unwrap();
        let id = u32::from_str_radix(id, 16).unwrap().to_be_bytes();
        Self { id, cipher: XChaCha20Poly1305::new(&key.into()) }
    }

    pub fn seal(&self, place: [&str; 4], plaintext: &[u8]) -> Vec<u8> {
        let mut aad = vec![1];
        aad.extend_from_slice(&self.id);
        for part in place {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        let mut nonce = [0; 24];
        rand::fill(&mut nonce);
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: &aad }).unwrap();
        [&[1], self.id.as_slice(), nonce.as_slice(), &ciphertext].concat()
    }

    pub fn seal_secrets(&self, place: [&str; 4], secrets: &Secrets) -> Vec<u8> {
        let members = secrets.iter().map(|(name, secret)| (name.to_owned(), Value::from(secret.expose())));
        self.seal(place, Value::Object(members.collect()).to_string().as_bytes())
    }

    /// Adds accounts with a key for the sandbox, as copies of one that is there; their ids are `ca_old_0000000` on.
    pub fn add_accounts(&self, database: &Connection, like: &str, count: usize) {
        let project: String = database
            .query_row("SELECT project_id FROM connected_accounts WHERE id = ?1", [like], |row| row.get(0))
            .unwrap();
        database.execute_batch("BEGIN").unwrap();
        let sql = "INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
              account_type, params, credential_sealed, credential_version, created_at, updated_at, connected_at)
            SELECT ?2, project_id, user_id || ?2, toolkit, auth_config_id, scheme, status, word_id, account_type, params,
              ?3, credential_version, created_at, updated_at, connected_at FROM connected_accounts WHERE id = ?1";
        let mut insert = database.prepare(sql).unwrap();
        for number in 0..count {
            let id = format!("ca_old_{number:07}");
            let place = [project.as_str(), "connected_accounts", &id, "credential_sealed"];
            let secrets = json!({ "generic_api_key": format!("sandbox_alice_key_{number}") }).to_string();
            insert.execute((like, &id, self.seal(place, secrets.as_bytes()))).unwrap();
        }
        database.execute_batch("COMMIT").unwrap();
    }
}

/// Takes both markers away, as if an earlier program had written all there is.
pub fn forget_markers(data: &Path, database: &Connection) {
    database.execute("DELETE FROM meta WHERE name = 'seal_layout'", []).unwrap();
    let _ = std::fs::remove_file(data.join("seal-layout"));
}

/// How many accounts are sealed in a layout.
pub fn accounts_in_layout(database: &Connection, layout: u8) -> usize {
    let sql = "SELECT COUNT(*) FROM connected_accounts WHERE substr(credential_sealed, 1, 1) = ?1";
    let count: i64 = database.query_row(sql, [[layout].as_slice()], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}
