//! Generated keys and ids: a stream that depends on the seed alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// SHA-256 in counter mode over the hub's seed.
#[derive(Debug)]
pub(super) struct Entropy {
    seed: [u8; 32],
    drawn: u64,
}

impl Entropy {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A new symmetric key, base64 of 32 bytes.
    pub(super) fn key(&mut self) -> String {
        STANDARD.encode(self.draw())
    }

    /// A new id in the form of a GUID.
    pub(super) fn guid(&mut self) -> String {
        let hex = self.hex();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// A number never handed out before.
    pub(super) fn serial(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn hex(&mut self) -> String {
        self.draw().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn draw(&mut self) -> [u8; 32] {
        let serial = self.serial();
        Sha256::new().chain_update(self.seed).chain_update(serial.to_be_bytes()).finalize().into()
    }
}
