//! What this project asks of MLS, on top of RFC 9420: suites, credentials, the context extension,
//! which commits may pass.
//!
//! The device and the service ask the same questions of the same functions.

use crate::cbor::{self, list, tag};
use crate::error::{Error, Result};
use crate::label::{self, Member};
use crate::storage::Storage;
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey,
    Extension, ExtensionType, Extensions, GroupContext, KeyPackage, KeyPackageIn, LeafNode,
    LeafNodeIndex, Member as Leaf, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    OpenMlsProvider, Proposal, ProposalType, ProtocolMessage, ProtocolVersion, QueuedProposal,
    RatchetTreeIn, RequiredCapabilitiesExtension, Sender, SenderRatchetConfiguration,
    SignatureScheme, StagedCommit, UnknownExtension,
};
use openmls::prelude::{MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, PublicGroup, WireFormatPolicy};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::signatures::{Signer, SignerError};
use tls_codec::{Deserialize, Serialize};

/// The GroupContext extension `[tag("context"), charter_digest, quarter, keyset_digest]`.
pub const CONTEXT_EXTENSION: u16 = 0xF0C5;

/// Suites that this build knows, the best first.
pub const SUITES: [(u16, &str); 3] = [
    (0x004F, "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519"),
    (0x004E, "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519"),
    (0x004D, "MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519"),
];
pub const DEFAULT_SUITE: u16 = SUITES[0].0;

/// Epochs whose messages can still be read after a commit has passed them.
pub const PAST_EPOCHS: usize = 5;

/// Bytes that a credential or a context extension may have.
const RECORD_LIMIT: usize = 256;

pub fn suite(id: u16) -> Result<Ciphersuite> {
    if !SUITES.iter().any(|(known, _)| *known == id) {
        return Err(Error::new("mls", format!("this build does not know the MLS suite {id:#06x}")));
    }
    Ciphersuite::try_from(id).map_err(|e| Error::mls("suite", e))
}

pub fn suite_id(suite: Ciphersuite) -> u16 {
    suite as u16
}

// ---- OpenMLS' three providers in one

pub struct Provider<'a> {
    pub crypto: &'a CryptoProvider,
    pub storage: Storage<'a>,
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = CryptoProvider;
    type RandProvider = CryptoProvider;
    type StorageProvider = Storage<'a>;

    fn storage(&self) -> &Storage<'a> {
        &self.storage
    }

    fn crypto(&self) -> &CryptoProvider {
        self.crypto
    }

    fn rand(&self) -> &CryptoProvider {
        self.crypto
    }
}

pub fn crypto_provider() -> Result<CryptoProvider> {
    CryptoProvider::new().map_err(|e| {
        Error::new("fatal", format!("the operating system gives no randomness: {e:?}"))
    })
}

/// The device key as OpenMLS' signer. Erased when dropped.
pub struct DeviceKey(pub SigningKey);

impl Signer for DeviceKey {
    fn sign(&self, payload: &[u8]) -> std::result::Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

// ---- configuration

pub fn wire_format() -> WireFormatPolicy {
    // Handshakes go as PublicMessages, which the service checks; applications are PrivateMessages
    // in any policy.
    MIXED_PLAINTEXT_WIRE_FORMAT_POLICY
}

pub fn ratchets() -> SenderRatchetConfiguration {
    // A device that was away may get a thousand messages late and a hundred thousand ahead.
    SenderRatchetConfiguration::new(1000, 100_000)
}

pub fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(wire_format())
        .sender_ratchet_configuration(ratchets())
        .max_past_epochs(PAST_EPOCHS)
        .use_ratchet_tree_extension(false)
        .build()
}

pub fn capabilities() -> Capabilities {
    let suites: Vec<Ciphersuite> =
        SUITES.iter().filter_map(|(id, _)| Ciphersuite::try_from(*id).ok()).collect();
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&suites),
        Some(&[ExtensionType::Unknown(CONTEXT_EXTENSION), ExtensionType::LastResort]),
        Some(&[ProposalType::SelfRemove]),
        Some(&[CredentialType::Basic]),
    )
}

/// Which charter and keyset a group is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub charter_digest: [u8; 32],
    pub quarter: u64,
    pub keyset_digest: [u8; 32],
}

impl Context {
    /// The whole list of GroupContext extensions: OpenMLS replaces the list, it does not merge it.
    pub fn extensions(&self) -> Result<Extensions<GroupContext>> {
        let required = RequiredCapabilitiesExtension::new(
            &[ExtensionType::Unknown(CONTEXT_EXTENSION)],
            &[ProposalType::SelfRemove],
            &[CredentialType::Basic],
        );
        let context = cbor::encode(&list![
            tag!("context"),
            &self.charter_digest,
            self.quarter,
            &self.keyset_digest
        ]);
        Extensions::from_vec(vec![
            Extension::RequiredCapabilities(required),
            Extension::Unknown(CONTEXT_EXTENSION, UnknownExtension(context)),
        ])
        .map_err(|e| Error::mls("group context", e))
    }

    /// Errors: "mls" unless the list is exactly what [`Context::extensions`] makes.
    pub fn read(extensions: &Extensions<GroupContext>) -> Result<Self> {
        let refused = |e: Error| e.under("mls", "the group's context extension");
        let bytes = &extensions
            .unknown(CONTEXT_EXTENSION)
            .ok_or_else(|| Error::mls("group context", "the context extension is missing"))?
            .0;
        let [_, charter, quarter, keyset] = cbor::decode(bytes, RECORD_LIMIT)
            .and_then(|v| v.record(tag!("context")))
            .map_err(refused)?;
        let context = Self {
            charter_digest: *charter.fixed("context.charter_digest").map_err(refused)?,
            quarter: quarter.uint("context.quarter").map_err(refused)?,
            keyset_digest: *keyset.fixed("context.keyset_digest").map_err(refused)?,
        };
        let expected = context.extensions()?;
        let same = extensions.iter().count() == expected.iter().count()
            && expected.iter().all(|e| extensions.iter().any(|f| e == f));
        if !same {
            return Err(Error::mls(
                "group context",
                "other extensions than the two that belong there",
            ));
        }
        Ok(context)
    }
}

// ---- credentials

pub fn credential(member: &Member) -> CredentialWithKey {
    let identity = cbor::encode(&list![tag!("credential"), &member.0, &member.1]);
    CredentialWithKey {
        credential: BasicCredential::new(identity).into(),
        signature_key: member.1.as_slice().into(),
    }
}

/// The account and device that a credential names; their device key must be the leaf's signature
/// key. Errors: "mls".
pub fn member_of(credential: &Credential, signature_key: &[u8]) -> Result<Member> {
    let member = named_by(credential)?;
    if member.1 != signature_key {
        return Err(Error::mls("credential", "the device key is not the leaf's signature key"));
    }
    Ok(member)
}

/// As [`member_of`], for credentials whose leaf was checked when it came into the group.
pub fn named_by(credential: &Credential) -> Result<Member> {
    let refused = |e: Error| e.under("mls", "credential");
    let basic =
        BasicCredential::try_from(credential.clone()).map_err(|e| Error::mls("credential", e))?;
    let [_, account, device] = cbor::decode(basic.identity(), RECORD_LIMIT)
        .and_then(|v| v.record(tag!("credential")))
        .map_err(refused)?;
    Ok((
        *account.fixed("credential.account_id").map_err(refused)?,
        *device.fixed("credential.device_key").map_err(refused)?,
    ))
}

fn leaf_member(leaf: &LeafNode) -> Result<Member> {
    member_of(leaf.credential(), leaf.signature_key().as_slice())
}

fn check_capabilities(leaf: &LeafNode) -> Result<()> {
    let has = leaf.capabilities();
    if !has.extensions().contains(&ExtensionType::Unknown(CONTEXT_EXTENSION))
        || !has.proposals().contains(&ProposalType::SelfRemove)
    {
        return Err(Error::mls(
            "capabilities",
            "the leaf does not support this project's extension and self-remove",
        ));
    }
    Ok(())
}

/// The member that a key package would add. Errors: "mls" for a bad credential, capability,
/// lifetime or suite.
pub fn key_package_member(package: &KeyPackage) -> Result<Member> {
    suite(suite_id(package.ciphersuite()))?;
    check_capabilities(package.leaf_node())?;
    if !package.life_time().has_acceptable_range() {
        return Err(Error::mls("key package", "its lifetime is too long"));
    }
    leaf_member(package.leaf_node())
}

/// A key package whose signatures, lifetime and extensions were verified. Errors: "mls".
pub fn key_package(crypto: &CryptoProvider, bytes: &[u8]) -> Result<KeyPackage> {
    let received = match parse(bytes)?.extract() {
        MlsMessageBodyIn::KeyPackage(received) => received,
        _ => return Err(Error::mls("key package", "another kind of MLS message")),
    };
    let package = KeyPackageIn::validate(received, crypto, ProtocolVersion::Mls10)
        .map_err(|e| Error::mls("key package", e))?;
    key_package_member(&package)?;
    Ok(package)
}

// ---- bytes

pub fn parse(bytes: &[u8]) -> Result<MlsMessageIn> {
    MlsMessageIn::tls_deserialize_exact(bytes).map_err(|e| Error::mls("not an MLS message", e))
}

/// A handshake message, which has to be a PublicMessage. Errors: "mls".
pub fn parse_handshake(bytes: &[u8]) -> Result<ProtocolMessage> {
    match parse(bytes)?.extract() {
        MlsMessageBodyIn::PublicMessage(message) => Ok(message.into()),
        _ => Err(Error::mls("handshake", "only PublicMessages are taken")),
    }
}

pub fn parse_tree(bytes: &[u8]) -> Result<RatchetTreeIn> {
    RatchetTreeIn::tls_deserialize_exact(bytes).map_err(|e| Error::mls("not a ratchet tree", e))
}

pub fn to_bytes<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>> {
    value.tls_serialize_detached().map_err(|e| Error::mls(what, e))
}

pub fn conversation_id(group_id: &[u8]) -> Result<[u8; 16]> {
    group_id.try_into().map_err(|_| Error::mls("group id", "a conversation id is 16 bytes"))
}

// ---- views

/// A group in one epoch, as docs/protocol.md section 3 needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub conversation: [u8; 16],
    pub epoch: u64,
    pub roster_epoch: u64,
    pub members: Vec<Member>,
    /// The encoded roster, and its digest.
    pub roster: Vec<u8>,
    pub roster_digest: [u8; 32],
    pub context: Context,
    pub suite: u16,
}

impl View {
    pub fn new(
        conversation: [u8; 16],
        epoch: u64,
        roster_epoch: u64,
        mut members: Vec<Member>,
        context: Context,
        suite: u16,
    ) -> Result<Self> {
        use sha2::{Digest, Sha256};
        let roster =
            label::encode_roster(&mut members).map_err(|e| e.under("mls", "the group's roster"))?;
        Ok(Self {
            conversation,
            epoch,
            roster_epoch,
            members,
            roster_digest: Sha256::digest(&roster).into(),
            roster,
            context,
            suite,
        })
    }

    /// Checks every leaf's credential and the context on the way. Errors: "mls".
    pub fn of(group: &PublicGroup, roster_epoch: u64) -> Result<Self> {
        let members = group.members().map(|leaf| of_leaf(&leaf)).collect::<Result<Vec<_>>>()?;
        let suite_id = suite_id(group.ciphersuite());
        suite(suite_id)?;
        Self::new(
            conversation_id(group.group_id().as_slice())?,
            group.group_context().epoch().as_u64(),
            roster_epoch,
            members,
            Context::read(group.group_context().extensions())?,
            suite_id,
        )
    }
}

fn of_leaf(leaf: &Leaf) -> Result<Member> {
    member_of(&leaf.credential, &leaf.signature_key)
}

pub fn leaf_index(group: &PublicGroup, member: &Member) -> Result<LeafNodeIndex> {
    group
        .members()
        .find(|leaf| of_leaf(leaf).is_ok_and(|m| m == *member))
        .map(|leaf| leaf.index)
        .ok_or_else(|| Error::usage("a device to be removed is not in the group"))
}

// ---- what may happen in a handshake

/// What a commit does, after this project's rules were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub committer: Member,
    pub added: Vec<Member>,
    pub added_refs: Vec<Vec<u8>>,
    pub removed: Vec<Member>,
    /// The context, if the commit sets it.
    pub context: Option<Context>,
    /// Whether the roster's epoch moves: an Add, a Remove, a self-remove or an external init.
    pub moves_roster: bool,
}

/// Judges a commit that MLS accepts. `before` is the group in the commit's epoch.
///
/// Passed: Add, Remove, self-remove, GroupContextExtensions with exactly our two, and an external
/// init that replaces the committer's own leaf. Refused: everything else. Errors: "mls".
pub fn judge_commit(
    crypto: &CryptoProvider,
    before: &PublicGroup,
    sender: &Sender,
    sender_credential: &Credential,
    commit: &StagedCommit,
) -> Result<Change> {
    let committer = match commit.update_path_leaf_node() {
        Some(leaf) => {
            check_capabilities(leaf)?;
            leaf_member(leaf)?
        }
        None => named_by(sender_credential)?,
    };
    if named_by(sender_credential)? != committer {
        return Err(Error::mls(
            "commit",
            "its update path names another account or device than its sender",
        ));
    }
    let mut change = Change {
        committer,
        added: Vec::new(),
        added_refs: Vec::new(),
        removed: Vec::new(),
        context: None,
        moves_roster: false,
    };
    for queued in commit.queued_proposals() {
        judge_proposal(crypto, before, queued, &mut change)?;
    }
    change.moves_roster |= !change.added.is_empty() || !change.removed.is_empty();
    Context::read(commit.group_context().extensions())?;
    judge_sender(sender, &change)?;
    Ok(change)
}

fn judge_proposal(
    crypto: &CryptoProvider,
    before: &PublicGroup,
    queued: &QueuedProposal,
    change: &mut Change,
) -> Result<()> {
    match queued.proposal() {
        Proposal::Add(add) => {
            change.added.push(key_package_member(add.key_package())?);
            let reference =
                add.key_package().hash_ref(crypto).map_err(|e| Error::mls("key package", e))?;
            change.added_refs.push(reference.as_slice().to_vec());
        }
        Proposal::Remove(remove) => change.removed.push(member_at(before, remove.removed())?),
        Proposal::SelfRemove => change.removed.push(proposer(before, queued)?),
        Proposal::GroupContextExtensions(proposal) => {
            change.context = Some(Context::read(proposal.extensions())?)
        }
        Proposal::ExternalInit(_) => change.moves_roster = true,
        other => {
            return Err(Error::mls(
                "commit",
                format!("a proposal of type {:?} is not allowed", other.proposal_type()),
            ));
        }
    }
    Ok(())
}

/// A new member's own commit may do nothing but put a fresh leaf in the place of the same device's
/// old one.
fn judge_sender(sender: &Sender, change: &Change) -> Result<()> {
    match sender {
        Sender::Member(_) => Ok(()),
        Sender::NewMemberCommit
            if change.added.is_empty()
                && change.context.is_none()
                && change.removed.first() == Some(&change.committer)
                && change.removed.len() == 1 =>
        {
            Ok(())
        }
        _ => Err(Error::mls(
            "commit",
            "an external commit may only replace the committer's own leaf",
        )),
    }
}

fn member_at(group: &PublicGroup, index: LeafNodeIndex) -> Result<Member> {
    group
        .leaf(index)
        .ok_or_else(|| Error::mls("commit", "a removed leaf is blank"))
        .and_then(leaf_member)
}

fn proposer(group: &PublicGroup, queued: &QueuedProposal) -> Result<Member> {
    match queued.sender() {
        Sender::Member(index) => member_at(group, *index),
        _ => Err(Error::mls("proposal", "only a member may remove itself")),
    }
}

/// The only proposal that may stand alone is a member's own removal; gives who leaves. Errors:
/// "mls".
pub fn judge_standalone(group: &PublicGroup, queued: &QueuedProposal) -> Result<Member> {
    match queued.proposal() {
        Proposal::SelfRemove => proposer(group, queued),
        other => Err(Error::mls(
            "proposal",
            format!("{:?} is not allowed outside a commit", other.proposal_type()),
        )),
    }
}
