//! The one signature there is: HMAC with SHA-256 (RFC 7518, `HS256`).
//!
//! `jsonwebtoken` takes its cryptography from outside. What is given to it here knows this
//! algorithm and no other: there is no code that a header of another name could reach, and neither
//! a C compiler nor RSA is asked for.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use sha2::Sha256;

static HS256: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key: &EncodingKey| {
        Ok(Box::new(Keyed::new(*algorithm, key.as_bytes())?) as Box<dyn JwtSigner>)
    },
    verifier_factory: |algorithm, key: &DecodingKey| {
        Ok(Box::new(Keyed::new(*algorithm, key.try_get_as_bytes()?)?) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes it what the process signs and verifies with, unless the program has chosen something.
pub fn install() {
    if CryptoProvider::try_get_default().is_none() {
        // Somebody may have been faster: then it is theirs.
        let _ = HS256.install_default();
    }
}

struct Keyed(Hmac<Sha256>);

impl Keyed {
    fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| ErrorKind::InvalidKeyFormat.into())
    }
}

impl Signer<Vec<u8>> for Keyed {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl JwtSigner for Keyed {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Keyed {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        // Compares in a time that does not depend on where they differ.
        let compared = self.0.clone().chain_update(message).verify_slice(given);
        compared.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Keyed {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_says() {
        // RFC 4231, test case 2.
        let keyed = Keyed::new(Algorithm::HS256, b"Jefe").unwrap();
        let signed = keyed.try_sign(b"what do ya want for nothing?").unwrap();
        let hex: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(keyed.verify(b"what do ya want for nothing?", &signed).is_ok());
        assert!(keyed.verify(b"what do ya want for nothing!", &signed).is_err());
        assert!(keyed.verify(b"what do ya want for nothing?", &signed[..16].to_vec()).is_err());
    }

    #[test]
    fn it_knows_no_other_algorithm() {
        for other in [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::EdDSA] {
            assert!(Keyed::new(other, b"secret").is_err(), "{other:?}");
        }
    }
}
