//! Making a counterseal for eleven holders, against eleven raw X-Wing encapsulations of the same
//! library.
//!
//! cargo run --release --example bench_seal

#![allow(clippy::unwrap_used)] // A benchmark stops where it stands.

use counterseal_core::label::Prk;
use counterseal_core::seal::{self, SealingKeys};
use counterseal_core::shares::Tree;
use libcrux_kem::{Algorithm, PublicKey, key_gen_derand};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 400;

fn main() {
    let tree =
        Tree { needed: 2, bodies: vec![(1, 1), (2, 3), (2, 3)], witnesses_needed: 2, witnesses: 4 };
    let encoded: Vec<Vec<u8>> = (0..tree.positions() as u8)
        .map(|i| key_gen_derand(Algorithm::XWingKemDraft06, &[i; 32]).unwrap().1.encode())
        .collect();
    let options: Vec<_> = encoded.iter().map(Some).collect();
    let sealing = SealingKeys::decode(&tree, &options).unwrap();
    let keys: Vec<_> =
        encoded.iter().map(|k| PublicKey::decode(Algorithm::XWingKemDraft06, k).unwrap()).collect();

    let (mut raw, mut sealed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = Instant::now();
        for key in &keys {
            black_box(key.encapsulate_derand(&[round as u8; 64]).unwrap());
        }
        raw.push(start.elapsed().as_nanos());
        let start = Instant::now();
        black_box(
            seal::seal(&Prk::new([round as u8; 32]), &[1; 32], &[2; 32], &tree, &sealing).unwrap(),
        );
        sealed.push(start.elapsed().as_nanos());
    }
    let (raw, sealed) = (median(raw), median(sealed));
    println!("| what, for 11 holders            | median, µs |");
    println!("| ------------------------------- | ---------- |");
    println!("| 11 raw X-Wing encapsulations    | {raw:>10.1} |");
    println!("| counterseal, sealed or remade   | {sealed:>10.1} |");
    println!("ratio {:.3} (goal: under 1.3)", sealed / raw);
}

fn median(mut nanoseconds: Vec<u128>) -> f64 {
    nanoseconds.sort_unstable();
    nanoseconds[nanoseconds.len() / 2] as f64 / 1000.0
}
