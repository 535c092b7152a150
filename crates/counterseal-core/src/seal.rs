//! The counterseal: `prk` split among the holders, each share sealed to one of them:
//! docs/protocol.md section 4.
//!
//! Everything is derived from `prk`, so that whoever has it makes the same bytes again.

use crate::cbor::{self, Value, list, tag};
use crate::error::{Error, Result};
use crate::label::{Prk, expand};
use crate::shares::{self, Tree};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use libcrux_kem::{Algorithm, PublicKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a holder's sealing key: ML-KEM-768 (1184), X25519 (32).
pub const SEALING_KEY: usize = 1216;

/// The holders' keys in order of position; `None` where the keyset has none.
pub struct SealingKeys(Vec<Option<PublicKey>>);

impl SealingKeys {
    /// Checks the number of keys against the tree and every key as FIPS 203 asks. Errors: S1, E6.
    pub fn decode<K: AsRef<[u8]>>(tree: &Tree, keys: &[Option<K>]) -> Result<Self> {
        if keys.len() != tree.positions() {
            let message = format!("{} sealing keys for {} positions", keys.len(), tree.positions());
            return Err(Error::new("S1", message));
        }
        let decode = |(i, key): (usize, &Option<K>)| {
            key.as_ref().map(|key| decode_key(i, key.as_ref())).transpose()
        };
        keys.iter().enumerate().map(decode).collect::<Result<_>>().map(Self)
    }
}

fn decode_key(position: usize, key: &[u8]) -> Result<PublicKey> {
    let refused = || {
        Error::new(
            "E6",
            format!("the sealing key at position {position} is not a valid X-Wing key"),
        )
    };
    // libcrux cuts the key in two before it looks at its length, and panics on a short one.
    if key.len() != SEALING_KEY {
        return Err(refused());
    }
    PublicKey::decode(Algorithm::XWingKemDraft06, key).map_err(|_| refused())
}

/// The encoded counterseal. Errors: S1, E6 (a key whose X25519 half is of low order).
pub fn seal(
    prk: &Prk,
    window_id: &[u8; 32],
    charter_digest: &[u8; 32],
    tree: &Tree,
    keys: &SealingKeys,
) -> Result<Vec<u8>> {
    let shares = shares::split(tree, prk)?;
    if shares.len() != keys.0.len() {
        return Err(Error::new("S1", "the keys are of another tree"));
    }
    let mut sealed = Vec::with_capacity(shares.len());
    for (i, (share, key)) in shares.iter().zip(&keys.0).enumerate() {
        sealed.push(match key {
            None => None,
            Some(key) => Some(seal_share(prk, window_id, charter_digest, i as u64, share, key)?),
        });
    }
    let items: Vec<Value<'_>> =
        sealed.iter().map(|s| s.as_ref().map_or(Value::Null, SealedShare::value)).collect();
    Ok(cbor::encode(&list![tag!("counterseal"), items]))
}

/// `seal_digest = H(counterseal)`, over the encoded counterseal.
pub fn digest(counterseal: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    Sha256::digest(counterseal).into()
}

struct SealedShare {
    enc: Vec<u8>,
    ciphertext: Vec<u8>,
    share_hash: [u8; 32],
}

impl SealedShare {
    fn value(&self) -> Value<'_> {
        list![self.enc.as_slice(), self.ciphertext.as_slice(), &self.share_hash]
    }
}

fn seal_share(
    prk: &Prk,
    window_id: &[u8; 32],
    charter_digest: &[u8; 32],
    position: u64,
    share: &[u8; 32],
    key: &PublicKey,
) -> Result<SealedShare> {
    let seed = expand::<64>(prk, &list![tag!("kem"), position])?;
    let info = cbor::encode(&list![tag!("seal"), window_id, charter_digest, position]);
    let (enc, ciphertext) = hpke_seal(key, &seed, &info, share).map_err(|_| {
        Error::new("E6", format!("the sealing key at position {position} cannot be sealed to"))
    })?;
    Ok(SealedShare {
        enc,
        ciphertext,
        share_hash: cbor::hash(&list![tag!("share"), window_id, position, share]),
    })
}

// ---- HPKE (RFC 9180), base mode, one message, suite (0x647a, 0x0001, 0x0003), with the KEM's
// randomness given

const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";

fn hpke_seal(
    key: &PublicKey,
    seed: &[u8; 64],
    info: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let refused = |_| Error::new("fatal", "HPKE");
    let (shared, enc) = key.encapsulate_derand(seed).map_err(refused)?;
    let (key, nonce) = key_schedule(&Zeroizing::new(shared.encode()), info)?;
    let cipher = ChaCha20Poly1305::new((&*key).into());
    let ciphertext = cipher
        .encrypt((&*nonce).into(), plaintext)
        .map_err(|_| Error::new("fatal", "AEAD refused to seal"))?;
    Ok((enc.encode(), ciphertext))
}

type KeyAndNonce = (Zeroizing<[u8; 32]>, Zeroizing<[u8; 12]>);

/// RFC 9180 section 5.1 with mode 0 and no PSK.
fn key_schedule(shared_secret: &[u8], info: &[u8]) -> Result<KeyAndNonce> {
    let (psk_id_hash, _) = labeled_extract(&[], b"psk_id_hash", &[]);
    let (info_hash, _) = labeled_extract(&[], b"info_hash", info);
    let context = [&[0u8], psk_id_hash.as_slice(), info_hash.as_slice()].concat();
    let (_, secret) = labeled_extract(shared_secret, b"secret", &[]);
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = Zeroizing::new([0; 12]);
    labeled_expand(&secret, b"key", &context, key.as_mut_slice())?;
    labeled_expand(&secret, b"base_nonce", &context, nonce.as_mut_slice())?;
    Ok((key, nonce))
}

fn labeled_extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> (Zeroizing<[u8; 32]>, Hkdf<Sha256>) {
    let labeled = Zeroizing::new([b"HPKE-v1", SUITE, label, ikm].concat());
    let (prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), &labeled);
    (Zeroizing::new(prk.into()), hkdf)
}

fn labeled_expand(
    secret: &Hkdf<Sha256>,
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<()> {
    let length = (out.len() as u16).to_be_bytes();
    let labeled = [&length, b"HPKE-v1".as_slice(), SUITE, label, context].concat();
    secret.expand(&labeled, out).map_err(|_| Error::new("fatal", "HPKE asked HKDF for too much"))
}
