//! Private keys in files: PKCS #8 in PEM, which OpenSSL and Python read too, for the eyes of their owner alone.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use attest::PrivateKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is before the seed of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// A key is far shorter than this.
const FILE_MAX_BYTES: u64 = 4096;

/// Makes a key out of what the system says is random.
///
/// # Errors
/// When the system has nothing random.
pub fn fresh() -> anyhow::Result<PrivateKey> {
    Ok(PrivateKey::from_seed(&seed()?))
}

fn seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system has no random numbers")?;
    Ok(seed)
}

/// Makes a key and writes it to a file that must not be there yet.
///
/// # Errors
/// When it is there, or cannot be written.
pub fn make(path: &Path) -> anyhow::Result<PrivateKey> {
    let seed = seed()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let named = || format!("the key cannot be written to {}", path.display());
    let mut file = options.open(path).with_context(named)?;
    let body = STANDARD.encode([&PREFIX[..], &seed].concat());
    let text = format!("{BEGIN}\n{body}\n{END}\n");
    file.write_all(text.as_bytes()).with_context(named)?;
    file.sync_all().with_context(named)?;
    Ok(PrivateKey::from_seed(&seed))
}

/// Reads a key.
///
/// # Errors
/// When the file cannot be read, or holds something else.
pub fn load(path: &Path) -> anyhow::Result<PrivateKey> {
    let named = || format!("the key cannot be read from {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(named)?;
    file.take(FILE_MAX_BYTES)
        .read_to_string(&mut text)
        .with_context(named)?;
    let body = text.trim().strip_prefix(BEGIN);
    let body = body.and_then(|body| body.strip_suffix(END));
    let body: Option<String> = body.map(|body| body.split_whitespace().collect());
    let bytes = body.and_then(|body| STANDARD.decode(body).ok());
    let seed = bytes
        .as_deref()
        .and_then(|bytes| bytes.strip_prefix(&PREFIX));
    let Some(seed) = seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok()) else {
        bail!(
            "{} is no Ed25519 key in PKCS #8; make one with `glintcast keys new`, or `openssl genpkey -algorithm ed25519`",
            path.display()
        );
    };
    Ok(PrivateKey::from_seed(&seed))
}

/// Reads a key, or makes it if there is none.
///
/// # Errors
/// As [`load`] and [`make`].
pub fn load_or_make(path: &Path) -> anyhow::Result<PrivateKey> {
    match File::open(path) {
        Err(err) if err.kind() == ErrorKind::NotFound => make(path),
        _ => load(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_never_written_over() {
        let path = std::env::temp_dir().join(format!("glintcast-key-{}.pem", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let made = load_or_make(&path).unwrap();
        assert_eq!(load_or_make(&path).unwrap().public(), made.public());
        assert!(make(&path).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "no key").unwrap();
        assert!(
            load_or_make(&path).is_err(),
            "a damaged key is not replaced"
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        // The example of RFC 8410, section 10.3, and its public key.
        let path = std::env::temp_dir().join(format!("glintcast-rfc-{}.pem", std::process::id()));
        let text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        std::fs::write(&path, text).unwrap();
        let public = load(&path).unwrap().public().to_base64();
        assert_eq!(public, "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        std::fs::remove_file(&path).unwrap();
    }
}
