//! RSA keys made at run time, for what tests sign.

use std::io;

use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

/// An RSA key pair.
pub struct SigningKey {
    modulus: Vec<u8>,
    public_der: Vec<u8>,
    pair: RsaKeyPair,
}

impl SigningKey {
    /// A new key of `bits` bits with the exponent 65537.
    ///
    /// # Errors
    /// When no key of that size can be made.
    pub fn generate(bits: usize) -> io::Result<Self> {
        let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(io::Error::other)?;
        let der = key.to_pkcs8_der().map_err(io::Error::other)?;
        let pair = RsaKeyPair::from_pkcs8(der.as_bytes())
            .map_err(|error| io::Error::other(error.to_string()))?;
        let public = key.to_public_key();
        let public_der = public.to_pkcs1_der().map_err(io::Error::other)?.as_bytes().to_vec();
        Ok(Self { modulus: public.n().to_bytes_be(), public_der, pair })
    }

    /// The modulus, big-endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public key, PKCS#1 `RSAPublicKey` DER.
    #[must_use]
    pub fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// RSA PKCS#1 v1.5 with SHA-256.
    ///
    /// # Errors
    /// When the machine has no randomness for blinding.
    pub fn sign(&self, text: &[u8]) -> io::Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| io::Error::other("RSA signing failed"))?;
        Ok(signature)
    }
}
