//! One message sent and received through the whole core, against bare OpenMLS at the same storage
//! and durability with the cryptography that sealing adds: one Ed25519 signature made and verified
//! beside MLS' own (so two in all), and one ChaCha20-Poly1305.
//!
//! cargo run --release --example bench_message

#![allow(clippy::unwrap_used)] // A benchmark stops where it stands.

#[path = "../tests/common/mod.rs"]
mod common;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use common::*;
use counterseal_core::mls::{self, DeviceKey, Provider};
use counterseal_core::storage::Storage;
use counterseal_core::store::Store;
use ed25519_dalek::{Signer, SigningKey};
use openmls::prelude::{
    GroupId, KeyPackage, MlsGroup, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProcessedMessageContent, StagedWelcome,
};
use openmls_libcrux_crypto::CryptoProvider;
use std::hint::black_box;
use std::time::Instant;
use tls_codec::Deserialize;

const ROUNDS: usize = 1000;

fn main() {
    let mut ours = world();
    let window = honest_window(&mut ours.alice, 1);
    let text = content(OPENS * 1000 + 1, &"x".repeat(200));
    let folder = Folder::new();
    let (mut alice, mut bob) = bare_pair(&folder);

    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS + 20 {
        let start = Instant::now();
        let message = alice.send(&text);
        let sent = start.elapsed();
        bob.receive(&message);
        let received = start.elapsed() - sent;
        let start = Instant::now();
        let sealed = ours.alice.frame_seal(&window.window_id, &text).unwrap();
        let our_sent = start.elapsed();
        black_box(ours.bob.frame_open(&CONVERSATION, &sealed.message, OPENS + 1).unwrap());
        let our_received = start.elapsed() - our_sent;
        // The first rounds open the window and warm the caches.
        if round >= 20 {
            for (list, time) in times.iter_mut().zip([sent, received, our_sent, our_received]) {
                list.push(time.as_secs_f64() * 1e6);
            }
        }
    }
    let [sent, received, our_sent, our_received] = times.map(median);
    let row = |name: &str, send: f64, receive: f64| {
        println!("| {name:<45} | {send:>6.0} | {receive:>7.0} | {:>6.0} |", send + receive);
    };
    println!("| {:<45} |   send | receive |   both |", format!("median of {ROUNDS}, µs"));
    println!("| {} | ------ | ------- | ------ |", "-".repeat(45));
    row("OpenMLS, 1 more Ed25519 sign + verify, 1 AEAD", sent, received);
    row("frame_seal, frame_open", our_sent, our_received);
    println!("ratio {:.3} (goal: under 1.25)", (our_sent + our_received) / (sent + received));
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A member with nothing but OpenMLS over the same encrypted store.
struct Bare {
    store: Store,
    crypto: CryptoProvider,
    key: DeviceKey,
    group: Option<MlsGroup>,
}

fn bare_pair(folder: &Folder) -> (Bare, Bare) {
    let (mut alice, mut bob) = (Bare::new(folder, "a", 11), Bare::new(folder, "b", 12));
    // As many members as on our side.
    let carol = Mallory::new(13).key_package();
    let packages = [bob.key_package(), carol].map(|p| mls::key_package(&alice.crypto, &p).unwrap());
    alice.create();
    let (welcome, tree) = alice.invite(&packages);
    bob.join(&welcome, &tree);
    (alice, bob)
}

impl Bare {
    fn new(folder: &Folder, name: &str, seed: u8) -> Self {
        Self {
            store: Store::create(&folder.path().join(name), &[seed; 32]).unwrap(),
            crypto: mls::crypto_provider().unwrap(),
            key: DeviceKey(SigningKey::from_bytes(&[seed; 32])),
            group: None,
        }
    }

    fn member(&self) -> counterseal_core::label::Member {
        ([9; 32], self.key.0.verifying_key().to_bytes())
    }

    fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(
            &mut Option<MlsGroup>,
            &Provider<'_>,
            &DeviceKey,
            counterseal_core::label::Member,
        ) -> T,
    ) -> T {
        let member = self.member();
        self.store.enter().unwrap();
        let provider = Provider { crypto: &self.crypto, storage: Storage(&self.store.connection) };
        let value = work(&mut self.group, &provider, &self.key, member);
        self.store.leave().unwrap();
        value
    }

    fn key_package(&mut self) -> Vec<u8> {
        self.in_transaction(|_, provider, key, member| {
            let suite = mls::suite(mls::DEFAULT_SUITE).unwrap();
            let bundle = KeyPackage::builder()
                .leaf_node_capabilities(mls::capabilities())
                .build(suite, provider, key, mls::credential(&member))
                .unwrap();
            MlsMessageOut::from(bundle.into_key_package()).to_bytes().unwrap()
        })
    }

    fn create(&mut self) {
        self.in_transaction(|group, provider, key, member| {
            let builder = MlsGroup::builder()
                .with_group_id(GroupId::from_slice(&[1; 16]))
                .ciphersuite(mls::suite(mls::DEFAULT_SUITE).unwrap())
                .with_wire_format_policy(mls::wire_format())
                .sender_ratchet_configuration(mls::ratchets())
                .max_past_epochs(mls::PAST_EPOCHS)
                .with_capabilities(mls::capabilities())
                .with_group_context_extensions(CONTEXT.extensions().unwrap());
            *group = Some(builder.build(provider, key, mls::credential(&member)).unwrap());
        });
    }

    fn invite(&mut self, packages: &[KeyPackage]) -> (Vec<u8>, Vec<u8>) {
        self.in_transaction(|group, provider, key, _| {
            let group = group.as_mut().unwrap();
            let (_, welcome, _) = group.add_members(provider, key, packages).unwrap();
            group.merge_pending_commit(provider).unwrap();
            (
                welcome.to_bytes().unwrap(),
                mls::to_bytes("tree", &group.export_ratchet_tree()).unwrap(),
            )
        })
    }

    fn join(&mut self, welcome: &[u8], tree: &[u8]) {
        self.in_transaction(|group, provider, _, _| {
            let MlsMessageBodyIn::Welcome(welcome) = mls::parse(welcome).unwrap().extract() else {
                unreachable!()
            };
            let staged = StagedWelcome::new_from_welcome(
                provider,
                &mls::join_config(),
                welcome,
                Some(mls::parse_tree(tree).unwrap()),
            )
            .unwrap();
            *group = Some(staged.into_group(provider).unwrap());
        });
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        self.in_transaction(|group, provider, key, _| {
            let cipher = ChaCha20Poly1305::new(&[3; 32].into());
            let mut body = cipher.encrypt(&[0; 12].into(), text).unwrap();
            body.extend_from_slice(&key.0.sign(text).to_bytes());
            let group = group.as_mut().unwrap();
            group.create_message(provider, key, &body).unwrap().to_bytes().unwrap()
        })
    }

    fn receive(&mut self, message: &[u8]) {
        let sender = SigningKey::from_bytes(&[11; 32]).verifying_key();
        self.in_transaction(|group, provider, _, _| {
            let message = MlsMessageIn::tls_deserialize_exact(message)
                .unwrap()
                .try_into_protocol_message()
                .unwrap();
            let processed = group.as_mut().unwrap().process_message(provider, message).unwrap();
            let ProcessedMessageContent::ApplicationMessage(body) = processed.into_content() else {
                unreachable!()
            };
            let body = body.into_bytes();
            let (ct, signature) = body.split_last_chunk::<64>().unwrap();
            let text = ChaCha20Poly1305::new(&[3; 32].into()).decrypt(&[0; 12].into(), ct).unwrap();
            sender.verify_strict(&text, &signature.into()).unwrap();
        });
    }
}
