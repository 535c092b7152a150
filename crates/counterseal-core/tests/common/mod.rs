//! A conversation of two honest devices and one member, Mallory, who runs plain OpenMLS and says
//! whatever a test wants.

// Each test file uses its own part.
#![allow(dead_code)]

mod folder;

use counterseal_core::cbor::{Value, encode};
use counterseal_core::device::Device;
use counterseal_core::frame::{self, KeyContent, Place};
use counterseal_core::label::{Label, Prk};
use counterseal_core::mls::{self, Context, DeviceKey};
use counterseal_core::received::Opened;
use counterseal_core::seal::{self, SealingKeys};
use counterseal_core::shares::Tree;
use counterseal_core::window::Window;
use ed25519_dalek::SigningKey;
pub use folder::Folder;
use libcrux_kem::{Algorithm, key_gen_derand};
use openmls::prelude::{
    KeyPackage, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageOut, ProcessedMessageContent,
    StagedWelcome,
};
use openmls_libcrux_crypto::Provider;
use openmls_traits::OpenMlsProvider;
use zeroize::Zeroizing;

pub const CONVERSATION: [u8; 16] = [0xc0; 16];
pub const DOMAIN: &str = "chat.example.org";
pub const HOUR: u64 = 3600;
pub const OPENS: u64 = 2 * HOUR;
pub const CONTEXT: Context =
    Context { charter_digest: [0xca; 32], quarter: 4 * 2026 + 3, keyset_digest: [0x5e; 32] };

/// Three bodies, of which two must agree, and two of four witnesses: eleven holders.
pub fn tree() -> Tree {
    Tree { needed: 2, bodies: vec![(1, 1), (2, 3), (2, 3)], witnesses_needed: 2, witnesses: 4 }
}

/// Sealing keys derived from a seed byte; another byte gives another set of holders.
pub fn holder_keys(seed: u8) -> Vec<Option<Vec<u8>>> {
    (0..tree().positions())
        .map(|i| {
            let mut bytes = [seed; 32];
            bytes[0] = i as u8;
            let (_, public) = key_gen_derand(Algorithm::XWingKemDraft06, &bytes).unwrap();
            Some(public.encode())
        })
        .collect()
}

pub fn sealing_keys(seed: u8) -> SealingKeys {
    SealingKeys::decode(&tree(), &holder_keys(seed)).unwrap()
}

pub fn content(sent_at_ms: u64, text: &str) -> Vec<u8> {
    encode(&Value::Array(vec![
        "counterseal/v1/content".into(),
        sent_at_ms.into(),
        "text".into(),
        text.into(),
        Value::Array(Vec::new()),
    ]))
}

pub fn device(folder: &Folder, name: &str, seed: u8) -> Device {
    let mut device = Device::create(&folder.path().join(name), &[seed; 32]).unwrap();
    device.set_identity(&[seed; 32], &[seed ^ 0xff; 32]).unwrap();
    register(&mut device);
    device
}

pub fn register(device: &mut Device) {
    let digests = (&CONTEXT.charter_digest, &CONTEXT.keyset_digest);
    device.register_keyset(DOMAIN, digests, &tree().encode(), &holder_keys(1), HOUR).unwrap();
}

pub struct World {
    pub alice: Device,
    pub bob: Device,
    pub mallory: Mallory,
    pub folder: Folder,
    /// The last serial that Mallory used for an honest window.
    pub serial: u64,
}

/// Alice makes the conversation and adds Bob and Mallory in one commit, so the roster's epoch is 1.
pub fn world() -> World {
    let folder = Folder::new();
    let mut alice = device(&folder, "alice", 1);
    let mut bob = device(&folder, "bob", 2);
    let mut mallory = Mallory::new(3);
    alice.group_create(&CONVERSATION, mls::DEFAULT_SUITE, &CONTEXT).unwrap();
    let packages =
        [bob.key_packages(1, false, mls::DEFAULT_SUITE).unwrap().remove(0), mallory.key_package()];
    let commit = alice.group_commit(&CONVERSATION, &packages, &[], None).unwrap();
    alice.group_merge(&CONVERSATION).unwrap();
    let welcome = commit.welcome.unwrap();
    bob.group_join(&welcome, &commit.tree).unwrap();
    bob.group_accept(&CONVERSATION).unwrap();
    mallory.join(&welcome, &commit.tree);
    World { alice, bob, mallory, folder, serial: 1000 }
}

impl World {
    /// What Alice makes of a message, during the window's period: the rule that refuses it, or the
    /// frame.
    pub fn alice_opens(&mut self, message: &[u8]) -> Result<Opened, &'static str> {
        self.alice.frame_open(&CONVERSATION, message, OPENS + 60).map_err(|e| e.code)
    }

    /// The label that Mallory ought to use, with a key.
    pub fn mallorys_window(&mut self, key: u8, serial: u64) -> Draft {
        let view = self.alice.group_view(&CONVERSATION, None).unwrap();
        let mut draft = Draft {
            label: Label {
                domain: DOMAIN.into(),
                charter_digest: CONTEXT.charter_digest,
                keyset_digest: CONTEXT.keyset_digest,
                conversation: CONVERSATION,
                account_id: self.mallory.account_id,
                device_key: self.mallory.device_key(),
                roster_epoch: view.roster_epoch,
                opens: OPENS,
                closes: OPENS + HOUR,
                serial,
                roster_digest: view.roster_digest,
                key_commitment: [0; 32],
            },
            key: [key; 32],
            prk: Prk::new([0; 32]),
            counterseal: Vec::new(),
            seq: 0,
            prev: None,
        };
        draft.settle();
        draft
    }
}

/// A window as its sender holds it; a test may spoil any part.
#[derive(Clone)]
pub struct Draft {
    pub label: Label,
    pub key: [u8; 32],
    pub prk: Prk,
    pub counterseal: Vec<u8>,
    pub seq: u64,
    pub prev: Option<[u8; 32]>,
}

impl Draft {
    /// Fills in commitment, prk and counterseal as an honest sender does.
    pub fn settle(&mut self) {
        self.prk = self.label.commit(&self.key).unwrap();
        self.counterseal = seal::seal(
            &self.prk,
            &self.label.window_id(),
            &self.label.charter_digest,
            &tree(),
            &sealing_keys(1),
        )
        .unwrap();
    }

    pub fn place(&self) -> Place {
        Place {
            window_id: self.label.window_id(),
            seal_digest: seal::digest(&self.counterseal),
            seq: self.seq,
            r: [7; 16],
            prev: self.prev,
        }
    }

    pub fn key_content(&self) -> KeyContent {
        KeyContent {
            key: Zeroizing::new(self.key),
            opens: self.label.opens,
            closes: self.label.closes,
            serial: self.label.serial,
        }
    }
}

pub struct Mallory {
    pub account_id: [u8; 32],
    pub key: DeviceKey,
    pub provider: Provider,
    pub group: Option<MlsGroup>,
}

impl Mallory {
    pub fn new(seed: u8) -> Self {
        Self {
            account_id: [seed; 32],
            key: DeviceKey(SigningKey::from_bytes(&[seed ^ 0xff; 32])),
            provider: Provider::new().unwrap(),
            group: None,
        }
    }

    pub fn device_key(&self) -> [u8; 32] {
        self.key.0.verifying_key().to_bytes()
    }

    pub fn key_package(&mut self) -> Vec<u8> {
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(mls::capabilities())
            .key_package_lifetime(Lifetime::new(24 * HOUR))
            .build(
                mls::suite(mls::DEFAULT_SUITE).unwrap(),
                &self.provider,
                &self.key,
                mls::credential(&(self.account_id, self.device_key())),
            )
            .unwrap();
        MlsMessageOut::from(bundle.into_key_package()).to_bytes().unwrap()
    }

    pub fn join(&mut self, welcome: &[u8], tree: &[u8]) {
        let MlsMessageBodyIn::Welcome(welcome) = mls::parse(welcome).unwrap().extract() else {
            panic!("not a welcome")
        };
        let staged =
            StagedWelcome::build_from_welcome(&self.provider, &mls::join_config(), welcome)
                .unwrap()
                .with_ratchet_tree(mls::parse_tree(tree).unwrap())
                .build()
                .unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
    }

    pub fn group(&mut self) -> &mut MlsGroup {
        self.group.as_mut().unwrap()
    }

    /// Any authenticated data with any MLS content.
    pub fn post(&mut self, authenticated: Vec<u8>, content: &[u8]) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        group.set_aad(authenticated);
        group.create_message(&self.provider, &self.key, content).unwrap().to_bytes().unwrap()
    }

    /// The next frame of a draft, honest as far as the draft is.
    pub fn send(&mut self, draft: &mut Draft, text: &str) -> Vec<u8> {
        let sent_at_ms = draft.label.opens * 1000 + 5000;
        self.send_content(draft, &content(sent_at_ms, text))
    }

    pub fn send_content(&mut self, draft: &mut Draft, content: &[u8]) -> Vec<u8> {
        let place = draft.place();
        let ct = frame::seal_content(&draft.prk, &self.key.0, &place, content).unwrap();
        let message = self.post(place.authenticated(&ct), &draft.key_content().encode());
        draft.seq += 1;
        draft.prev = Some(frame::ct_hash(&ct));
        message
    }

    pub fn member(&self) -> ([u8; 32], [u8; 32]) {
        (self.account_id, self.device_key())
    }

    /// Takes another member's commit.
    pub fn follow(&mut self, commit: &[u8]) {
        let group = self.group.as_mut().unwrap();
        let processed =
            group.process_message(&self.provider, mls::parse_handshake(commit).unwrap()).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("not a commit")
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    pub fn crypto(&self) -> &openmls_libcrux_crypto::CryptoProvider {
        self.provider.crypto()
    }
}

/// Bob's honest window, opened by his own device.
pub fn honest_window(device: &mut Device, serial: u64) -> Window {
    device.window_open(&CONVERSATION, OPENS, serial).unwrap()
}
