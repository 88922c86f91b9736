//! A recovery key: what backups are sealed to, so that the machine that writes them cannot read them.
//!
//! The public half lies on the node, the secret half where the operator keeps what must outlive the machine. It is no
//! identity: it opens backups and nothing else.

use std::path::Path;

use zeroize::Zeroizing;

use crate::files::{self, FileError, Readers, content};
use crate::keys::{self, Algorithm, BoxKey, SecretKey};
use crate::seal_box::{self, BoxError};

/// The secret half's file.
pub const SECRET: &str = "recovery.key";

/// The public half's file.
pub const PUBLIC: &str = "recovery.pub";

/// What the public half's one line begins with.
const PREFIX: &str = "hotline-recovery-1 ";

/// A key that opens backups.
#[derive(Clone, Debug)]
pub struct RecoveryKey(SecretKey);

impl RecoveryKey {
    /// A new key from the operating system's entropy.
    pub fn generate() -> RecoveryKey {
        RecoveryKey(SecretKey::generate())
    }

    /// The half that seals.
    pub fn public(&self) -> BoxKey {
        self.0.x25519_public()
    }

    /// Writes both halves into a directory that has neither.
    pub fn save(&self, dir: &Path) -> Result<(), FileError> {
        files::make_dir(dir)?;
        let (secret, public) = (dir.join(SECRET), dir.join(PUBLIC));
        files::must_not_exist(&secret)?;
        files::must_not_exist(&public)?;
        let pem = keys::to_pem(Algorithm::X25519, std::slice::from_ref(&self.0));
        files::write(&secret, pem.as_bytes(), Readers::Owner)?;
        let hex: String = self.public().as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        files::write(&public, format!("{PREFIX}{hex}\n").as_bytes(), Readers::All)
    }

    /// Reads the secret half. A file that others can read is refused.
    pub fn load(file: &Path) -> Result<RecoveryKey, FileError> {
        let text = files::read_text(file, 1 << 12, Readers::Owner)?;
        let mut keys = keys::from_pem(Algorithm::X25519, &text, 1)
            .ok_or_else(|| content(file, "it is not the secret half of a recovery key"))?;
        Ok(RecoveryKey(keys.remove(0)))
    }

    /// Opens what was sealed to the public half.
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BoxError> {
        seal_box::open(&self.0, info, aad, sealed)
    }
}

/// Reads the public half.
pub fn load_public(file: &Path) -> Result<BoxKey, FileError> {
    let text = files::read_text(file, 1 << 12, Readers::All)?;
    let wrong = || content(file, "it is not the public half of a recovery key");
    let hex =
        text.trim_end().strip_prefix(PREFIX).filter(|h| h.len() == 64 && h.is_ascii()).ok_or_else(wrong)?;
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(BoxKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_to_the_public_half_only_the_secret_half_opens() {
        let dir = tempfile::tempdir().unwrap();
        let key = RecoveryKey::generate();
        key.save(dir.path()).unwrap();
        assert!(matches!(key.save(dir.path()), Err(FileError::Exists(_))));
        let public = load_public(&dir.path().join(PUBLIC)).unwrap();
        let sealed = seal_box::seal(&public, b"backup", b"", b"secret").unwrap();
        let loaded = RecoveryKey::load(&dir.path().join(SECRET)).unwrap();
        assert_eq!(*loaded.open(b"backup", b"", &sealed).unwrap(), b"secret");
        assert!(RecoveryKey::generate().open(b"backup", b"", &sealed).is_err());
        assert!(load_public(&dir.path().join(SECRET)).is_err());
        assert!(RecoveryKey::load(&dir.path().join(PUBLIC)).is_err());
    }
}
