//! The signature of what is posted, so that whoever gets it knows where it comes from; and what a webhook is known by.

use std::fmt::Write as _;

use hmac::{Hmac, Mac as _};
use hyper::Uri;
use sha2::{Digest as _, Sha256};

/// The header that has it: `sha256=` and the HMAC-SHA256 of the body (RFC 2104), in hexadecimal.
pub const SIGNATURE_HEADER: &str = "tickmesh-signature";

/// The value of [`SIGNATURE_HEADER`].
pub(crate) fn signature(secret: &[u8], body: &[u8]) -> String {
    let mut text = "sha256=".to_owned();
    // Keys of every length are fine for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return text };
    mac.update(body);
    for byte in mac.finalize().into_bytes() {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// What a webhook's place is stored under: the first eight bytes of the SHA-256 of its address, which may be a secret. It must stay
/// what it is: under another one, every webhook would begin anew.
pub fn digest(target: &Uri) -> u64 {
    digest_text(&target.to_string())
}

/// The first eight bytes of the SHA-256 of a text.
pub(crate) fn digest_text(text: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(text).into();
    let (first, _rest) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_that_of_the_rfc() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), expected);
    }

    /// As `printf %s http://example.com/hook | sha256sum` has it.
    #[test]
    fn a_webhook_is_known_by_the_same_digest_for_ever() {
        assert_eq!(format!("{:016x}", digest(&Uri::from_static("http://example.com/hook"))), "a58446a7d361ec4d");
    }
}
