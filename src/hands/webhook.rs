//! Signed calls: POST with the key as `Idempotency-Key`, to addresses outside, without following anybody elsewhere.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::rituals::hands::Done;
use anyhow::{Context as _, bail, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::RootCertStore;
use sha2::Sha256;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use super::Limits;

/// The signature: `sha256=` and the hexadecimal HMAC of the body.
const SIGNATURE: &str = "X-Glintcast-Signature";
/// A file of certificates has a few hundred thousand bytes.
const TRUST_MAX_BYTES: u64 = 16 << 20;

/// Returns who vouches for servers: the certificates of a file alone, or those that browsers trust.
///
/// # Errors
/// When the file cannot be read, or is not made of certificates.
pub fn trust(file: Option<&Path>) -> anyhow::Result<RootCerts> {
    let Some(path) = file else {
        return Ok(RootCerts::WebPki);
    };
    let named = || format!("the certificates cannot be read from {}", path.display());
    let mut bytes = Vec::new();
    let reading = File::open(path).with_context(named)?.take(TRUST_MAX_BYTES);
    let mut reading = io::BufReader::new(reading);
    reading.read_to_end(&mut bytes).with_context(named)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&bytes) {
        let PemItem::Certificate(certificate) = item.with_context(named)? else {
            bail!(
                "{} has something else than certificates in it",
                path.display()
            );
        };
        // The client would pass over one that cannot be read, and then trust nobody.
        let added = RootCertStore::empty().add(certificate.der().into());
        added.with_context(|| {
            format!(
                "certificate {} of {}",
                certificates.len() + 1,
                path.display()
            )
        })?;
        certificates.push(certificate);
    }
    let is_empty = certificates.is_empty();
    ensure!(
        !is_empty,
        "{} has no certificate in PEM in it",
        path.display()
    );
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

/// Calls an address, and tells what it said.
pub(super) fn call(limits: &Limits, url: &str, body: &str, key: &str, timeout: Duration) -> Done {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .tls_config(
            TlsConfig::builder()
                .root_certs(limits.trust.clone())
                .build(),
        )
        .timeout_global(Some(timeout))
        .user_agent(concat!("glintcast/", env!("CARGO_PKG_VERSION")))
        .build();
    let resolver = Guarded {
        private: limits.private,
        inner: DefaultResolver::default(),
    };
    let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
    let mut request = agent
        .post(url)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", key);
    if let Some(secret) = limits.secret.expose() {
        request = request.header(SIGNATURE, signature(secret, body));
    }
    match request.send(body) {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            let mut said = Vec::new();
            let reader = answer.body_mut().as_reader();
            // What broke off in the middle still says something.
            let _ = reader
                .take(limits.output_bytes as u64)
                .read_to_end(&mut said);
            told(status, String::from_utf8_lossy(&said).into_owned())
        }
        Err(Error::Timeout(_)) => {
            Done::failed(format!("no answer within {:.1} s", timeout.as_secs_f64()))
        }
        Err(Error::Other(err)) if err.is::<Inside>() => Done::never(err),
        Err(err) => match untrusted(&err) {
            // No certificate becomes another within the seconds between two attempts.
            Some(reason) => Done::never(format!(
                "the server is not trusted: {reason}; rituals.webhook_ca names who vouches for servers"
            )),
            None => Done::failed(err),
        },
    }
}

/// Returns why the certificate of a server is not good enough, if that is what went wrong.
fn untrusted(err: &Error) -> Option<&rustls::CertificateError> {
    let err = match err {
        Error::Rustls(err) => err,
        Error::Io(err) => err.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    match err {
        rustls::Error::InvalidCertificate(reason) => Some(reason),
        _ => None,
    }
}

fn told(status: u16, output: String) -> Done {
    let done = match status {
        200..=299 => Done::well(output.clone()),
        300..=399 => {
            Done::never("it points elsewhere, and nobody is followed; name the address itself")
        }
        408 | 425 | 429 | 500.. => Done::failed("it could not take the call now"),
        _ => Done::never("it refuses the call"),
    };
    Done {
        status: Some(status.into()),
        output,
        ..done
    }
}

fn signature(secret: &str, body: &str) -> String {
    // Every length of key is one for HMAC; without one there would be no signature, which the other side notices.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let digits: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

/// Looks names up, and gives out no address inside. What was looked at is what is connected to: a name cannot mean
/// another address a moment later.
#[derive(Debug)]
struct Guarded {
    private: bool,
    inner: DefaultResolver,
}

/// A name that means an address inside.
#[derive(Debug)]
struct Inside(IpAddr);

impl std::error::Error for Inside {}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is an address inside; rituals.webhook_private would allow it",
            self.0
        )
    }
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let inside = found
            .iter()
            .map(|address| address.ip())
            .find(|ip| !is_outside(*ip));
        match inside {
            Some(ip) if !self.private => Err(Error::Other(Box::new(Inside(ip)))),
            _ => Ok(found),
        }
    }
}

fn is_outside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_outside_v4(ip),
        IpAddr::V6(ip) => is_outside_v6(ip),
    }
}

/// Source: the IANA registry of special-purpose addresses, without those that are reachable from everywhere.
fn is_outside_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !is_special
}

fn is_outside_v6(ip: Ipv6Addr) -> bool {
    let words = ip.segments();
    // Addresses that carry one of the fourth version are what that one is.
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_outside_v4(v4);
    }
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_outside_v4(Ipv4Addr::new(a, b, c, d))
    };
    match words {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => carried(high, low),
        [first, ..] => {
            (0x2000..0x4000).contains(&first) && !(words[0] == 0x2001 && words[1] == 0x0db8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_known_in_every_spelling() {
        let cases = [
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("8.8.8.8", true),
            ("2606:4700:4700::1111", true),
        ];
        for (text, expected) in cases {
            assert_eq!(
                is_outside(text.parse().expect("an address")),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_body_is_signed_as_everybody_signs() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
