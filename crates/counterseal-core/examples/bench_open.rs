//! Opening 100,000 frames of 200 bytes of text, against ChaCha20-Poly1305 and Ed25519 alone over
//! the same bytes and threads.
//!
//! cargo run --release --example bench_open [threads]

#![allow(clippy::unwrap_used)] // A benchmark stops where it stands.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use counterseal_core::cbor::{Value, encode};
use counterseal_core::frame::{self, Place};
use counterseal_core::label::Label;
use counterseal_core::opening::{Task, open_windows};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const WINDOWS: u64 = 100;
const FRAMES: u64 = 1000;
const ROUNDS: usize = 5;

fn main() {
    let threads = std::env::args().nth(1).map_or(2, |n| n.parse().unwrap());
    let tasks: Vec<_> = (0..WINDOWS).map(window).collect();
    let raw: Vec<Raw> = (0..WINDOWS * FRAMES).map(raw_frame).collect();
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        raw_open(&raw, threads);
        peer.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let opened = open_windows(&tasks, threads).unwrap();
        ours.push(start.elapsed().as_secs_f64());
        assert!(opened.iter().flatten().all(|frame| frame.content.is_ok()));
    }
    let rate = |seconds: Vec<f64>| (WINDOWS * FRAMES) as f64 / median(seconds);
    let (peer, ours) = (rate(peer), rate(ours));
    println!("| 100,000 frames on {threads} threads              | frames/s |");
    println!("| ---------------------------------------- | -------- |");
    println!("| ChaCha20-Poly1305 and Ed25519 verify raw | {peer:>8.0} |");
    println!("| open_windows                             | {ours:>8.0} |");
    println!("ratio {:.3} (goal: over 0.7)", ours / peer);
}

/// A window of honest frames. What MLS encrypts is never looked at by an opener, so it is zeros of
/// the usual length here.
fn window(number: u64) -> Task<Vec<u8>> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut label = Label {
        domain: "chat.example.org".into(),
        charter_digest: [1; 32],
        keyset_digest: [2; 32],
        conversation: [3; 16],
        account_id: [4; 32],
        device_key: key.verifying_key().to_bytes(),
        roster_epoch: 1,
        opens: 0,
        closes: 3600,
        serial: number,
        roster_digest: [5; 32],
        key_commitment: [0; 32],
    };
    let prk = label.commit(&[6; 32]).unwrap();
    let mut prev = None;
    let mut message = |seq| {
        let place =
            Place { window_id: label.window_id(), seal_digest: [8; 32], seq, r: [9; 16], prev };
        let ct = frame::seal_content(&prk, &key, &place, &content()).unwrap();
        prev = Some(frame::ct_hash(&ct));
        private_message(&place.authenticated(&ct))
    };
    Task {
        messages: (0..FRAMES).map(&mut message).collect(),
        label: label.encode(),
        seal_digest: [8; 32],
        prk,
    }
}

fn content() -> Vec<u8> {
    let text = "x".repeat(200);
    encode(&Value::Array(vec![
        "counterseal/v1/content".into(),
        1000.into(),
        "text".into(),
        text.as_str().into(),
        Value::Array(Vec::new()),
    ]))
}

fn private_message(authenticated: &[u8]) -> Vec<u8> {
    let vector = |bytes: &[u8]| [&(0x4000 | bytes.len() as u16).to_be_bytes(), bytes].concat();
    let head = [&[0, 1, 0, 2, 16][..], &[3; 16], &[0; 8], &[1]].concat();
    [head, vector(authenticated), [vec![28], vec![0; 28]].concat(), vector(&[0; 144])].concat()
}

struct Raw {
    key: [u8; 32],
    ciphertext: Vec<u8>,
}

/// The same number of bytes under one AEAD, with one signature over them.
fn raw_frame(number: u64) -> Raw {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let body = content();
    let signed = [signer.sign(&body).to_bytes().as_slice(), &body].concat();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    let ciphertext =
        ChaCha20Poly1305::new(&key.into()).encrypt(&[0; 12].into(), signed.as_slice()).unwrap();
    Raw { key, ciphertext }
}

fn raw_open(frames: &[Raw], threads: usize) {
    let key: VerifyingKey = SigningKey::from_bytes(&[7; 32]).verifying_key();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(batch) = frames.chunks(128).nth(next.fetch_add(1, Ordering::Relaxed)) {
            for frame in batch {
                let signed = ChaCha20Poly1305::new(&frame.key.into())
                    .decrypt(&[0; 12].into(), frame.ciphertext.as_slice())
                    .unwrap();
                let signature = Signature::from_bytes(signed[..64].try_into().unwrap());
                key.verify_strict(&signed[64..], &signature).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
