//! Windows' labels and rosters, and what is derived from a window key: docs/protocol.md section 3.

use crate::cbor::{self, Value, list, tag};
use crate::error::{Error, Result};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// `prk` of a window: 32 bytes, erased when dropped.
pub type Prk = Zeroizing<[u8; 32]>;

/// Bytes that an encoded label and an encoded roster may have, and devices that may stand in a
/// roster.
const LABEL_LIMIT: usize = 1024;
const ROSTER_LIMIT: usize = 400_000;
const ROSTER_DEVICES: usize = 5000;

/// An account and one of its devices: `(account_id, device_key)`.
pub type Member = ([u8; 32], [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub domain: String,
    pub charter_digest: [u8; 32],
    pub keyset_digest: [u8; 32],
    pub conversation: [u8; 16],
    pub account_id: [u8; 32],
    pub device_key: [u8; 32],
    pub roster_epoch: u64,
    pub opens: u64,
    pub closes: u64,
    pub serial: u64,
    pub roster_digest: [u8; 32],
    pub key_commitment: [u8; 32],
}

impl Label {
    fn fields(&self) -> Vec<Value<'_>> {
        vec![
            tag!("window").into(),
            self.domain.as_str().into(),
            (&self.charter_digest).into(),
            (&self.keyset_digest).into(),
            (&self.conversation).into(),
            (&self.account_id).into(),
            (&self.device_key).into(),
            self.roster_epoch.into(),
            self.opens.into(),
            self.closes.into(),
            self.serial.into(),
            (&self.roster_digest).into(),
        ]
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut fields = self.fields();
        fields.push((&self.key_commitment).into());
        cbor::encode(&fields.into())
    }

    /// Errors: E1 to E7.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let [
            _,
            domain,
            charter,
            keyset,
            conversation,
            account,
            device,
            epoch,
            opens,
            closes,
            serial,
            roster,
            commitment,
        ] = cbor::decode(bytes, LABEL_LIMIT)?.record(tag!("window"))?;
        Ok(Self {
            domain: domain.text_of(1, 253, "label.domain")?.to_owned(),
            charter_digest: *charter.fixed("label.charter_digest")?,
            keyset_digest: *keyset.fixed("label.keyset_digest")?,
            conversation: *conversation.fixed("label.conversation_id")?,
            account_id: *account.fixed("label.account_id")?,
            device_key: *device.fixed("label.device_key")?,
            roster_epoch: epoch.uint("label.roster_epoch")?,
            opens: opens.uint("label.opens")?,
            closes: closes.uint("label.closes")?,
            serial: serial.uint("label.serial")?,
            roster_digest: *roster.fixed("label.roster_digest")?,
            key_commitment: *commitment.fixed("label.key_commitment")?,
        })
    }

    pub fn window_id(&self) -> [u8; 32] {
        use sha2::Digest;
        Sha256::digest(self.encode()).into()
    }

    /// `prk` from the 32-byte window key. Does not look at `key_commitment`.
    pub fn derive_prk(&self, key: &[u8; 32]) -> Prk {
        let salt = cbor::hash(&self.fields().into());
        let (prk, _) = Hkdf::<Sha256>::extract(Some(&salt), key);
        Zeroizing::new(prk.into())
    }

    /// Fills in the commitment that `key` gives, and returns `prk` with it.
    pub fn commit(&mut self, key: &[u8; 32]) -> Result<Prk> {
        let prk = self.derive_prk(key);
        self.key_commitment = key_commitment(&prk)?;
        Ok(prk)
    }
}

/// `expand(prk, info, N)`: HKDF-Expand with SHA-256 over the encoding of `info`.
pub fn expand<const N: usize>(prk: &[u8; 32], info: &Value<'_>) -> Result<Zeroizing<[u8; N]>> {
    let mut out = Zeroizing::new([0; N]);
    expand_into(prk, info, out.as_mut_slice())?;
    Ok(out)
}

/// As [`expand`], for lengths known at run time only; at most 255 * 32 bytes.
pub fn expand_into(prk: &[u8; 32], info: &Value<'_>, out: &mut [u8]) -> Result<()> {
    Hkdf::<Sha256>::from_prk(prk)
        .map_err(|_| Error::new("fatal", "HKDF refused a 32-byte key"))?
        .expand(&cbor::encode(info), out)
        .map_err(|_| Error::usage("HKDF-Expand gives at most 8160 bytes"))
}

pub fn key_commitment(prk: &[u8; 32]) -> Result<[u8; 32]> {
    Ok(*expand(prk, &list![tag!("commit")])?)
}

/// The encoded roster of `members`, which are sorted first. Errors: L3 when a device is in it
/// twice, E6 for none or over 5,000.
pub fn encode_roster(members: &mut [Member]) -> Result<Vec<u8>> {
    if members.is_empty() || members.len() > ROSTER_DEVICES {
        return Err(Error::new("E6", "a roster has 1 to 5,000 devices"));
    }
    members.sort_unstable();
    let mut devices: Vec<_> = members.iter().map(|(_, device)| device).collect();
    devices.sort_unstable();
    if devices.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::new("L3", "a device stands twice in the roster"));
    }
    let pairs: Vec<Value<'_>> =
        members.iter().map(|(account, device)| list![account, device]).collect();
    Ok(cbor::encode(&list![tag!("roster"), pairs]))
}

/// The members of an encoded roster. Errors: E1 to E7, L3 when it is not sorted or has a device
/// twice.
pub fn decode_roster(bytes: &[u8]) -> Result<Vec<Member>> {
    let [_, pairs] = cbor::decode(bytes, ROSTER_LIMIT)?.record(tag!("roster"))?;
    let mut members = Vec::new();
    for pair in pairs.items("roster")? {
        let [account, device] = pair.array("roster entry")?;
        members.push((*account.fixed("roster.account_id")?, *device.fixed("roster.device_key")?));
    }
    if encode_roster(&mut members)? != bytes {
        return Err(Error::new("L3", "the roster is not sorted"));
    }
    Ok(members)
}
