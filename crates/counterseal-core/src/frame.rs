//! One frame: authenticated data, MLS content, ciphertext, padding and signature: docs/protocol.md
//! section 5.
//!
//! Pure functions over bytes. What a member asks of a frame in its conversation stands in
//! window.rs, what an opener asks in opening.rs.

use crate::cbor::{self, Value, list, tag};
use crate::error::{Error, Result};
use crate::label::{Prk, expand};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead, aead::Payload};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// V6: the service takes no larger body.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// `{1: -19}`, Ed25519: the only protected header.
const PROTECTED: &[u8] = &[0xa1, 0x01, 0x32];

/// The place of a frame in its window; what `external` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub window_id: [u8; 32],
    pub seal_digest: [u8; 32],
    pub seq: u64,
    pub r: [u8; 16],
    pub prev: Option<[u8; 32]>,
}

impl Place {
    /// Associated data of the AEAD and `external_aad` of the signature.
    pub fn external(&self) -> Vec<u8> {
        let prev = self.prev.as_ref();
        cbor::encode(&list![
            tag!("external"),
            &self.window_id,
            &self.seal_digest,
            self.seq,
            &self.r,
            prev
        ])
    }

    /// The `authenticated_data` of the PrivateMessage.
    pub fn authenticated(&self, ct: &[u8]) -> Vec<u8> {
        let prev = self.prev.as_ref();
        cbor::encode(&list![
            tag!("authenticated"),
            &self.window_id,
            &self.seal_digest,
            self.seq,
            &self.r,
            prev,
            ct
        ])
    }

    /// The place and the ciphertext that authenticated data names. Errors: F2.
    pub fn parse(authenticated: &[u8]) -> Result<(Self, &[u8])> {
        Self::parse_record(authenticated).map_err(|e| e.under("F2", "authenticated data"))
    }

    fn parse_record(authenticated: &[u8]) -> Result<(Self, &[u8])> {
        let [_, window_id, seal_digest, seq, r, prev, ct] =
            cbor::decode(authenticated, MAX_MESSAGE)?.record(tag!("authenticated"))?;
        let place = Self {
            window_id: *window_id.fixed("window_id")?,
            seal_digest: *seal_digest.fixed("seal_digest")?,
            seq: seq.uint("seq")?,
            r: *r.fixed("r")?,
            prev: prev.fixed_or_null("prev")?.copied(),
        };
        if (place.seq == 0) != place.prev.is_none() {
            return Err(Error::new("E6", "prev is null exactly at seq 0"));
        }
        let ct = ct.bytes("ct")?;
        if ct.len() < 20 {
            return Err(Error::new("E6", "ct is shorter than an empty plaintext's"));
        }
        Ok((place, ct))
    }

    /// The cipher of this frame alone: its key depends on `seq` and `r`, so the nonce is constant.
    fn cipher(&self, prk: &Prk) -> Result<ChaCha20Poly1305> {
        let key = expand::<32>(prk, &list![tag!("frame"), self.seq, &self.r])?;
        Ok(ChaCha20Poly1305::new((&*key).into()))
    }
}

/// `prev` of the frame that follows one with this ciphertext.
pub fn ct_hash(ct: &[u8]) -> [u8; 32] {
    cbor::hash(&list![tag!("ct"), ct])
}

/// The hash of a PrivateMessage that stamps and period roots are made of.
pub fn message_digest(message: &[u8]) -> [u8; 32] {
    cbor::hash(&list![tag!("message"), message])
}

// ---- the MLS application data

/// `[tag("key"), K, opens, closes, serial]`.
pub struct KeyContent {
    pub key: Zeroizing<[u8; 32]>,
    pub opens: u64,
    pub closes: u64,
    pub serial: u64,
}

impl KeyContent {
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(cbor::encode(&list![
            tag!("key"),
            &*self.key,
            self.opens,
            self.closes,
            self.serial
        ]))
    }

    /// Errors: F2.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let parse = || {
            let [_, key, opens, closes, serial] = cbor::decode(bytes, 256)?.record(tag!("key"))?;
            Ok(Self {
                key: Zeroizing::new(*key.fixed("K")?),
                opens: opens.uint("opens")?,
                closes: closes.uint("closes")?,
                serial: serial.uint("serial")?,
            })
        };
        parse().map_err(|e: Error| e.under("F2", "MLS content"))
    }
}

// ---- padding

/// Padmé: at most 12 % longer, and the length tells only its order of magnitude and a few bits.
pub fn padme(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let mask = (1usize << (exponent - (exponent.ilog2() + 1))) - 1;
    (length + mask) & !mask
}

/// `uint32 length || body || zeros`. Errors: "usage" over 4 GiB.
pub fn pad(body: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(body.len()).map_err(|_| Error::usage("content is too long"))?;
    let mut padded = Zeroizing::new(Vec::with_capacity(padme(4 + body.len())));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(body);
    padded.resize(padme(4 + body.len()), 0);
    Ok(padded)
}

/// Errors: F6.
fn unpad(padded: &[u8]) -> Result<&[u8]> {
    let refused = || Error::new("F6", "the padding is not as it must be");
    let (length, rest) = padded.split_first_chunk::<4>().ok_or_else(refused)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (body, zeros) = rest.split_at_checked(length).ok_or_else(refused)?;
    if padded.len() != padme(4 + length) || zeros.iter().any(|b| *b != 0) {
        return Err(refused());
    }
    Ok(body)
}

// ---- COSE_Sign1

fn to_be_signed(external: &[u8], payload: &[u8]) -> Vec<u8> {
    cbor::encode(&list!["Signature1", PROTECTED, external, payload])
}

fn cose_sign1(key: &SigningKey, external: &[u8], payload: &[u8]) -> Vec<u8> {
    let signature = key.sign(&to_be_signed(external, payload)).to_bytes();
    cbor::encode(&list![PROTECTED, Value::EmptyMap, payload, &signature])
}

/// The payload. Errors: F7 (X1, X2).
fn cose_verify<'a>(key: &VerifyingKey, external: &[u8], signed: &'a [u8]) -> Result<&'a [u8]> {
    let (payload, signature) = cose_parse(signed).map_err(|e| e.under("F7", "COSE_Sign1"))?;
    // Strict: a key of small order or a malleable signature is refused, so that all verifiers agree
    // on every input.
    key.verify_strict(&to_be_signed(external, payload), &signature)
        .map_err(|_| Error::new("F7", "the content's signature does not verify (X2)"))?;
    Ok(payload)
}

fn cose_parse(signed: &[u8]) -> Result<(&[u8], Signature)> {
    let [protected, unprotected, payload, signature] =
        cbor::decode(signed, MAX_MESSAGE)?.array("COSE_Sign1")?;
    if protected.bytes("protected header")? != PROTECTED || unprotected != Value::EmptyMap {
        return Err(Error::new("X1", "other headers than {1: -19}"));
    }
    Ok((payload.bytes("payload")?, Signature::from_bytes(signature.fixed("signature")?)))
}

// ---- content

/// Checks the form of an encoded content array and gives `sent_at_ms`. Errors: F7.
pub fn check_content(content: &[u8]) -> Result<u64> {
    check_content_record(content).map_err(|e| e.under("F7", "content"))
}

fn check_content_record(content: &[u8]) -> Result<u64> {
    let [_, sent_at_ms, kind, text, attachments] =
        cbor::decode(content, MAX_MESSAGE)?.record(tag!("content"))?;
    kind.text_of(1, 128, "content.kind")?;
    text.text("content.text")?;
    let attachments = attachments.items("content.attachments")?;
    if attachments.len() > 32 {
        return Err(Error::new("E6", "more than 32 attachments"));
    }
    for attachment in attachments {
        let [digest, size, key, name, media_type] = attachment.array("attachment")?;
        digest.fixed::<32>("attachment.digest")?;
        size.uint("attachment.size")?;
        key.fixed::<32>("attachment.key")?;
        name.text_of(0, 255, "attachment.name")?;
        media_type.text_of(0, 127, "attachment.media_type")?;
    }
    sent_at_ms.uint("content.sent_at_ms")
}

/// Signs, pads and encrypts an encoded content array. Errors: "usage" for content that a reader
/// would refuse.
pub fn seal_content(prk: &Prk, key: &SigningKey, place: &Place, content: &[u8]) -> Result<Vec<u8>> {
    check_content(content).map_err(|e| e.under("usage", "content to be sent"))?;
    let external = place.external();
    let signed = Zeroizing::new(cose_sign1(key, &external, content));
    let payload = Payload { msg: &pad(&signed)?, aad: &external };
    place
        .cipher(prk)?
        .encrypt(&[0; 12].into(), payload)
        .map_err(|_| Error::new("fatal", "AEAD refused to seal"))
}

/// The content of a frame and its `sent_at_ms`; `device` is the label's. Errors: F6, F7.
pub fn open_content(
    prk: &Prk,
    device: &VerifyingKey,
    place: &Place,
    ct: &[u8],
) -> Result<(Vec<u8>, u64)> {
    let external = place.external();
    let payload = Payload { msg: ct, aad: &external };
    let padded = place
        .cipher(prk)?
        .decrypt(&[0; 12].into(), payload)
        .map_err(|_| Error::new("F6", "the ciphertext does not open"))?;
    let padded = Zeroizing::new(padded);
    let content = cose_verify(device, &external, unpad(&padded)?)?;
    let sent_at_ms = check_content(content)?;
    Ok((content.to_vec(), sent_at_ms))
}

/// Errors: F10, for content sent outside `[opens, closes)`, in seconds.
pub fn check_sent_at(sent_at_ms: u64, opens: u64, closes: u64) -> Result<()> {
    if (opens..closes).contains(&(sent_at_ms / 1000)) {
        return Ok(());
    }
    Err(Error::new("F10", format!("sent at {sent_at_ms} ms, outside [{opens}, {closes}) s")))
}

// ---- the outside of an MLS PrivateMessage (RFC 9420 section 6.3), which anyone can read

/// What stands in the clear in an MLSMessage with a PrivateMessage that carries application data.
pub struct Outside<'a> {
    pub conversation: [u8; 16],
    pub epoch: u64,
    pub authenticated: &'a [u8],
}

/// Errors: F1.
pub fn parse_private(message: &[u8]) -> Result<Outside<'_>> {
    let refused = || Error::new("F1", "not an MLS PrivateMessage with application data");
    if message.len() > MAX_MESSAGE {
        return Err(Error::new("F1", "a message over 64 KiB"));
    }
    // MLSMessage: version mls10 (1), wire format mls_private_message (2).
    let rest = message.strip_prefix(&[0, 1, 0, 2]).ok_or_else(refused)?;
    let (group_id, rest) = vector(rest).ok_or_else(refused)?;
    let (epoch, rest) = rest.split_first_chunk::<8>().ok_or_else(refused)?;
    let rest = rest.strip_prefix(&[1]).ok_or_else(refused)?;
    let (authenticated, rest) = vector(rest).ok_or_else(refused)?;
    let (_sender_data, rest) = vector(rest).ok_or_else(refused)?;
    let (_ciphertext, rest) = vector(rest).ok_or_else(refused)?;
    if !rest.is_empty() {
        return Err(refused());
    }
    Ok(Outside {
        conversation: group_id
            .try_into()
            .map_err(|_| Error::new("F1", "a conversation id is 16 bytes"))?,
        epoch: u64::from_be_bytes(*epoch),
        authenticated,
    })
}

/// A variable-size vector and what follows it; its length is a QUIC integer in the shortest form.
fn vector(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *input.first()?;
    let width = match first >> 6 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return None,
    };
    let (head, rest) = input.split_at_checked(width)?;
    let length = head[1..].iter().fold(usize::from(first & 0x3f), |n, b| n << 8 | usize::from(*b));
    let shortest = match width {
        1 => true,
        2 => length >= 1 << 6,
        _ => length >= 1 << 14,
    };
    if shortest { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Prk;

    fn place(seq: u64) -> Place {
        Place {
            window_id: [1; 32],
            seal_digest: [2; 32],
            seq,
            r: [3; 16],
            prev: (seq > 0).then_some([4; 32]),
        }
    }

    fn content(sent_at_ms: u64) -> Vec<u8> {
        cbor::encode(&list![tag!("content"), sent_at_ms, "text", "hello", Vec::new()])
    }

    fn encrypt(prk: &Prk, place: &Place, plaintext: &[u8]) -> Vec<u8> {
        let aad = place.external();
        let payload = Payload { msg: plaintext, aad: &aad };
        place.cipher(prk).unwrap().encrypt(&[0; 12].into(), payload).unwrap()
    }

    #[test]
    fn padme_lengths() {
        for (length, padded) in
            [(0, 0), (1, 1), (9, 10), (100, 104), (200, 208), (1000, 1024), (1_000_000, 1_015_808)]
        {
            assert_eq!(padme(length), padded, "{length}");
        }
    }

    #[test]
    fn content_comes_back_and_each_change_is_refused() {
        let (prk, key) = (Prk::new([5; 32]), SigningKey::from_bytes(&[6; 32]));
        let device = key.verifying_key();
        let ct = seal_content(&prk, &key, &place(1), &content(3_600_000)).unwrap();
        let open = |prk: &Prk, place: &Place, ct: &[u8]| {
            open_content(prk, &device, place, ct).map(|o| o.1).map_err(|e| e.code)
        };
        assert_eq!(open(&prk, &place(1), &ct), Ok(3_600_000));
        assert_eq!(open(&prk, &place(2), &ct), Err("F6"));
        assert_eq!(open(&Prk::new([7; 32]), &place(1), &ct), Err("F6"));
        assert_eq!(check_sent_at(3_600_000, 3600, 7200), Ok(()));
        assert_eq!(check_sent_at(3_599_999, 3600, 7200).unwrap_err().code, "F10");
        assert_eq!(check_sent_at(7_200_000, 3600, 7200).unwrap_err().code, "F10");
        let mut flipped = ct.clone();
        flipped[9] ^= 1;
        assert_eq!(open(&prk, &place(1), &flipped), Err("F6"));
        let other =
            seal_content(&prk, &SigningKey::from_bytes(&[8; 32]), &place(1), &content(3_600_000))
                .unwrap();
        assert_eq!(open(&prk, &place(1), &other), Err("F7"));
    }

    #[test]
    fn f6_refuses_other_padding() {
        let prk = Prk::new([5; 32]);
        let device = SigningKey::from_bytes(&[6; 32]).verifying_key();
        let good = pad(&[9; 13]).unwrap(); // 17 bytes, padded to 18
        for change in 0..4 {
            let mut bad = good.to_vec();
            match change {
                0 => bad.push(0),
                1 => *bad.last_mut().unwrap() = 1,
                2 => bad[3] = 200,
                _ => bad.truncate(3),
            }
            let ct = encrypt(&prk, &place(0), &bad);
            assert_eq!(
                open_content(&prk, &device, &place(0), &ct).unwrap_err().code,
                "F6",
                "{change}"
            );
        }
    }

    #[test]
    fn f7_refuses_other_headers_and_content() {
        let (prk, key) = (Prk::new([5; 32]), SigningKey::from_bytes(&[6; 32]));
        let at = place(0);
        let external = at.external();
        let good = content(0);
        let signature = key.sign(&to_be_signed(&external, &good)).to_bytes();
        let alg_minus_8: &[u8] = &[0xa1, 0x01, 0x27];
        let bad_content = cbor::encode(&list![tag!("content"), 0, "text", "no attachments"]);
        for signed in [
            cbor::encode(&list![alg_minus_8, Value::EmptyMap, good.as_slice(), &signature]),
            cbor::encode(&list![PROTECTED, Vec::new(), good.as_slice(), &signature]),
            cbor::encode(&list![PROTECTED, Value::EmptyMap, good.as_slice(), &[0u8; 64]]),
            cose_sign1(&key, b"other", &good),
            cose_sign1(&key, &external, &bad_content),
        ] {
            let ct = encrypt(&prk, &at, &pad(&signed).unwrap());
            assert_eq!(open_content(&prk, &key.verifying_key(), &at, &ct).unwrap_err().code, "F7");
        }
    }

    #[test]
    fn f2_refuses_other_authenticated_data() {
        let good = place(0).authenticated(&[9; 20]);
        assert_eq!(Place::parse(&good).unwrap(), (place(0), [9; 20].as_slice()));
        let mut trailing = good.clone();
        trailing.push(0);
        let null_prev = Place { prev: None, ..place(1) }.authenticated(&[9; 20]);
        let first_with_prev = Place { prev: Some([0; 32]), ..place(0) }.authenticated(&[9; 20]);
        for bad in [trailing.as_slice(), &good[..good.len() - 1], &null_prev, &first_with_prev, b""]
        {
            assert_eq!(Place::parse(bad).unwrap_err().code, "F2");
        }
    }
}
