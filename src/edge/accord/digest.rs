//! `Content-Digest` (RFC 9530): the body that arrived is the one that was sent.

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glint::Refusal;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

const HEADER: &str = "Content-Digest";

/// Digests that were announced, of those kinds that are known here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    sha256: Option<Vec<u8>>,
    sha512: Option<Vec<u8>>,
}

/// Reads the header, if there is one. Digests of other kinds are passed over.
///
/// # Errors
/// `content_digest_malformed`.
pub(super) fn announced(http: &HttpRequest) -> Result<Digests, Refusal> {
    let mut digests = Digests::default();
    for value in http.headers().get_all(HEADER) {
        let members = value.to_str().map_err(|_| malformed())?.split(',');
        for member in members {
            let (kind, digest) = member.trim().split_once('=').ok_or_else(malformed)?;
            let digest = digest
                .strip_prefix(':')
                .and_then(|rest| rest.strip_suffix(':'));
            let bytes = STANDARD.decode(digest.ok_or_else(malformed)?);
            let bytes = bytes.map_err(|_| malformed())?;
            match kind {
                "sha-256" => digests.sha256 = Some(bytes),
                "sha-512" => digests.sha512 = Some(bytes),
                _ => {}
            }
        }
    }
    Ok(digests)
}

fn malformed() -> Refusal {
    let detail = "write the digest as sha-256=:BASE64: (RFC 9530), or leave it out";
    Refusal::invalid("content_digest_malformed", detail).on(HEADER)
}

/// Checks a body against what was announced.
///
/// # Errors
/// `content_digest_mismatch`.
pub(super) fn check(digests: &Digests, body: &[u8]) -> Result<(), Refusal> {
    let same = |announced: &Option<Vec<u8>>, digest: &dyn Fn() -> Vec<u8>| {
        let announced = announced.as_deref();
        announced.is_none_or(|announced| bool::from(announced.ct_eq(digest().as_slice())))
    };
    if same(&digests.sha256, &|| Sha256::digest(body).to_vec())
        && same(&digests.sha512, &|| Sha512::digest(body).to_vec())
    {
        return Ok(());
    }
    let detail = "the body is not the one that the digest is of; send it again";
    Err(Refusal::invalid("content_digest_mismatch", detail).on(HEADER))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn of(header: &str) -> Result<Digests, &'static str> {
        let request = TestRequest::default().insert_header((HEADER, header));
        announced(&request.to_http_request()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_body_is_held_against_its_digest() {
        // printf '{"hello": "world"}\n' | openssl dgst -sha256 -binary | base64, the example of RFC 9530.
        let digests =
            of("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:, md5=:AAAA:").unwrap();
        assert!(check(&digests, b"{\"hello\": \"world\"}\n").is_ok());
        let other = check(&digests, b"{\"hello\": \"mars\"}\n").map_err(|refusal| refusal.code);
        assert_eq!(other, Err("content_digest_mismatch"));
        assert!(check(&Digests::default(), b"anything").is_ok());
    }

    #[test]
    fn what_is_no_digest_is_said_to_be_none() {
        for header in ["sha-256", "sha-256=abc", "sha-256=:?:", ""] {
            assert_eq!(of(header), Err("content_digest_malformed"), "{header}");
        }
    }
}
