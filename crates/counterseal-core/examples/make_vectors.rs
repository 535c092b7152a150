//! Writes tests/vectors/counterseal.json and tests/vectors/frame.json. They are frozen: an existing
//! file is left alone unless the argument `overwrite` is given, which only a new version of the
//! protocol justifies.
//!
//! cargo run --release --example make_vectors [overwrite]

#![allow(clippy::unwrap_used)] // A generator stops where it stands.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead, aead::Payload};
use counterseal_core::cbor::{self, Value};
use counterseal_core::frame::{self, Place};
use counterseal_core::label::{self, Label, Prk, expand};
use counterseal_core::seal::{self, SealingKeys};
use counterseal_core::shares::{self, Tree};
use ed25519_dalek::{Signer, SigningKey};
use libcrux_kem::{Algorithm, key_gen_derand};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::path::Path;

const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x32];

fn main() {
    let overwrite = std::env::args().any(|argument| argument == "overwrite");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    for (name, vectors) in [("counterseal.json", counterseals()), ("frame.json", frames())] {
        let path = folder.join(name);
        if path.exists() && !overwrite {
            println!("{name} is frozen");
            continue;
        }
        std::fs::write(&path, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
        println!("{name} written");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Every secret and id here is SHA-256 of its name.
fn derived(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

fn array(items: Vec<Value<'_>>) -> Vec<u8> {
    cbor::encode(&Value::Array(items))
}

// ---- one window

fn tree() -> Tree {
    Tree { needed: 2, bodies: vec![(1, 1), (2, 3), (2, 3)], witnesses_needed: 2, witnesses: 4 }
}

fn device() -> SigningKey {
    SigningKey::from_bytes(&derived("device seed"))
}

struct FixedWindow {
    label: Label,
    roster: Vec<u8>,
    prk: Prk,
}

fn window() -> FixedWindow {
    let member = (derived("account"), device().verifying_key().to_bytes());
    let mut members = [member, (derived("other account"), derived("other device"))];
    let roster = label::encode_roster(&mut members).unwrap();
    let mut label = Label {
        domain: "chat.example.org".into(),
        charter_digest: derived("charter"),
        keyset_digest: derived("keyset"),
        conversation: derived("conversation")[..16].try_into().unwrap(),
        account_id: member.0,
        device_key: member.1,
        roster_epoch: 4,
        opens: 1_790_000_000 / 3600 * 3600,
        closes: (1_790_000_000 / 3600 + 1) * 3600,
        serial: 17,
        roster_digest: Sha256::digest(&roster).into(),
        key_commitment: [0; 32],
    };
    let prk = label.commit(&derived("window key")).unwrap();
    FixedWindow { label, roster, prk }
}

// ---- counterseals

fn sealing_seed(i: usize) -> [u8; 32] {
    derived(&format!("sealing key {i}"))
}

fn keys(absent: &[usize]) -> Vec<Option<Vec<u8>>> {
    let key =
        |i: usize| key_gen_derand(Algorithm::XWingKemDraft06, &sealing_seed(i)).unwrap().1.encode();
    (0..tree().positions()).map(|i| (!absent.contains(&i)).then(|| key(i))).collect()
}

fn counterseals() -> Json {
    let FixedWindow { label, roster, prk } = window();
    let whole = sealed(&prk, &label, &keys(&[]));
    let items = sealed_items(&whole);
    let cases = vec![
        case("every key", &whole, "valid", &[]),
        case("no key at position 5", &sealed(&prk, &label, &keys(&[5])), "valid", &[5]),
        case("one position missing", &counterseal(items[..10].to_vec()), "S1", &[]),
        case(
            "one position too many",
            &counterseal([items.clone(), vec![Value::Null]].concat()),
            "S1",
            &[],
        ),
        case(
            "null where the keyset has a key",
            &counterseal([vec![Value::Null], items[1..].to_vec()].concat()),
            "S1",
            &[],
        ),
        case("a share where the keyset has no key", &whole, "S1", &[5]),
        case("sealed to other keys", &sealed(&Prk::new([1; 32]), &label, &keys(&[])), "S2", &[]),
        case("two positions exchanged", &exchanged(&items), "S2", &[]),
        case("a short ciphertext", &short(&items), "E6", &[]),
    ];
    let shares = shares::split(&tree(), &prk).unwrap();
    let numbers: Vec<usize> = (0..tree().positions()).collect();
    json!({
        "description": "Counterseals of one window: rules S1 and S2 against `tree` and the keyset, \
            whose keys are the public halves of `sealing_seeds` (X-Wing's 32-byte seeds), null at \
            the positions in `absent`.",
        "label": hex(&label.encode()),
        "roster": hex(&roster),
        "window_id": hex(&label.window_id()),
        "key": hex(&derived("window key")),
        "prk": hex(&*prk),
        "tree": hex(&tree().encode()),
        "sealing_seeds": numbers.iter().map(|i| hex(&sealing_seed(*i))).collect::<Vec<_>>(),
        "sealing_keys": keys(&[]).iter().flatten().map(|k| hex(k)).collect::<Vec<_>>(),
        "shares": shares.iter().map(|share| hex(&**share)).collect::<Vec<_>>(),
        "cases": cases,
    })
}

fn case(name: &str, bytes: &[u8], expect: &str, absent: &[usize]) -> Json {
    json!({
        "name": name,
        "bytes": hex(bytes),
        "seal_digest": hex(&seal::digest(bytes)),
        "expect": expect,
        "absent": absent,
    })
}

fn sealed(prk: &Prk, label: &Label, keys: &[Option<Vec<u8>>]) -> Vec<u8> {
    let keys = SealingKeys::decode(&tree(), keys).unwrap();
    seal::seal(prk, &label.window_id(), &label.charter_digest, &tree(), &keys).unwrap()
}

fn sealed_items(counterseal: &[u8]) -> Vec<Value<'_>> {
    let [_, items] =
        cbor::decode(counterseal, 1 << 20).unwrap().record("counterseal/v1/counterseal").unwrap();
    items.items("sealed").unwrap()
}

fn counterseal(items: Vec<Value<'_>>) -> Vec<u8> {
    array(vec!["counterseal/v1/counterseal".into(), Value::Array(items)])
}

fn exchanged(items: &[Value<'_>]) -> Vec<u8> {
    let mut items = items.to_vec();
    items.swap(2, 3);
    counterseal(items)
}

fn short(items: &[Value<'_>]) -> Vec<u8> {
    let mut items = items.to_vec();
    let [enc, ct, hash] = items[0].clone().array("sealed").unwrap();
    let Value::Bytes(ct) = ct else { unreachable!() };
    items[0] = Value::Array(vec![enc, Value::Bytes(&ct[1..]), hash]);
    counterseal(items)
}

// ---- frames

fn content(sent_at_ms: u64, text: &str) -> Vec<u8> {
    array(vec![
        "counterseal/v1/content".into(),
        sent_at_ms.into(),
        "text".into(),
        text.into(),
        Value::Array(Vec::new()),
    ])
}

fn signed(key: &SigningKey, protected: &[u8], external: &[u8], payload: &[u8]) -> Vec<u8> {
    let to_be_signed =
        array(vec!["Signature1".into(), protected.into(), external.into(), payload.into()]);
    let signature = key.sign(&to_be_signed).to_bytes();
    array(vec![protected.into(), Value::EmptyMap, payload.into(), (&signature).into()])
}

fn encrypted(prk: &Prk, place: &Place, padded: &[u8]) -> Vec<u8> {
    let info =
        Value::Array(vec!["counterseal/v1/frame".into(), place.seq.into(), (&place.r).into()]);
    let key = expand::<32>(prk, &info).unwrap();
    let aad = place.external();
    let payload = Payload { msg: padded, aad: &aad };
    ChaCha20Poly1305::new((&*key).into()).encrypt(&[0; 12].into(), payload).unwrap()
}

/// A PrivateMessage with these authenticated data; what MLS encrypts is zeros, at which an opener
/// never looks.
fn private_message(label: &Label, authenticated: &[u8]) -> Vec<u8> {
    let vector = |bytes: &[u8]| match bytes.len() {
        n @ 0..=63 => [vec![n as u8], bytes.to_vec()].concat(),
        n => [(0x4000 | n as u16).to_be_bytes().to_vec(), bytes.to_vec()].concat(),
    };
    let head =
        [vec![0, 1, 0, 2], vector(&label.conversation), vec![0, 0, 0, 0, 0, 0, 0, 5, 1]].concat();
    [head, vector(authenticated), vector(&[0; 28]), vector(&[0; 144])].concat()
}

/// What a frame of the vectors is made of; a spoiled part makes a refused one.
struct Recipe<'a> {
    name: &'a str,
    expect: &'a str,
    signer: SigningKey,
    protected: &'a [u8],
    content: Vec<u8>,
    pad: fn(&[u8]) -> Vec<u8>,
}

fn frames() -> Json {
    let FixedWindow { label, prk, .. } = window();
    let keys = SealingKeys::decode(&tree(), &keys(&[])).unwrap();
    let counterseal =
        seal::seal(&prk, &label.window_id(), &label.charter_digest, &tree(), &keys).unwrap();
    let place = |seq: u64, prev| Place {
        window_id: label.window_id(),
        seal_digest: seal::digest(&counterseal),
        seq,
        r: derived(&format!("r {seq}"))[..16].try_into().unwrap(),
        prev,
    };
    let (mut cases, mut prev) = (Vec::new(), None);
    for (seq, recipe) in recipes(label.opens).iter().enumerate() {
        // Each refused frame stands at the seq and prev that were right for it, and the chain goes
        // on from the last valid one.
        let seq = if recipe.expect == "valid" { seq as u64 } else { 3 };
        let place = place(seq, prev);
        let cose = signed(&recipe.signer, recipe.protected, &place.external(), &recipe.content);
        let ct = encrypted(&prk, &place, &(recipe.pad)(&cose));
        cases.push(frame_case(
            recipe.name,
            recipe.expect,
            &label,
            &recipe.content,
            &place.authenticated(&ct),
        ));
        if recipe.expect == "valid" {
            prev = Some(frame::ct_hash(&ct));
        }
    }
    cases.extend(malformed(&label, &place(3, prev), &prk));
    json!({
        "description": "Frames of the window `label`: `bytes` are the authenticated data, \
            `message` is a PrivateMessage with them, whose MLS part is zeros. The three valid ones \
            follow each other; each refused one is to be opened alone, and `expect` names the \
            rule.",
        "label": hex(&label.encode()),
        "prk": hex(&*prk),
        "seal_digest": hex(&seal::digest(&counterseal)),
        "device_seed": hex(&derived("device seed")),
        "cases": cases,
    })
}

fn frame_case(
    name: &str,
    expect: &str,
    label: &Label,
    content: &[u8],
    authenticated: &[u8],
) -> Json {
    let message = private_message(label, authenticated);
    json!({
        "name": name,
        "bytes": hex(authenticated),
        "message": hex(&message),
        "message_digest": hex(&frame::message_digest(&message)),
        "content": hex(content),
        "expect": expect,
    })
}

fn padded(body: &[u8]) -> Vec<u8> {
    frame::pad(body).unwrap().to_vec()
}

fn recipes(opens: u64) -> Vec<Recipe<'static>> {
    let recipe = |name, expect| Recipe {
        name,
        expect,
        signer: device(),
        protected: &PROTECTED,
        content: content(opens * 1000 + 1, "hello"),
        pad: padded,
    };
    let longer = |body: &[u8]| [padded(body), vec![0]].concat();
    let filled = |body: &[u8]| {
        let mut padded = padded(body);
        if let Some(last) = padded.last_mut() {
            *last = 1;
        }
        padded
    };
    let long_text = "x".repeat(1000);
    vec![
        recipe("the first frame", "valid"),
        Recipe {
            content: content((opens + 3600) * 1000 - 1, "the last millisecond"),
            ..recipe("the second frame", "valid")
        },
        Recipe { content: content(opens * 1000, &long_text), ..recipe("a longer frame", "valid") },
        Recipe { pad: longer, ..recipe("padding to another length", "F6") },
        Recipe {
            pad: filled,
            content: content(opens * 1000, "0123456789abc"),
            ..recipe("padding that is not zeros", "F6")
        },
        Recipe {
            signer: SigningKey::from_bytes(&derived("a stranger")),
            ..recipe("signed by another device", "F7")
        },
        Recipe {
            protected: &[0xa1, 0x01, 0x27],
            ..recipe("algorithm -8 in the protected header", "F7")
        },
        Recipe {
            content: array(vec!["counterseal/v1/content".into(), 0.into()]),
            ..recipe("content of two elements", "F7")
        },
        Recipe {
            content: content(opens * 1000 - 1, "early"),
            ..recipe("sent before the period", "F10")
        },
        Recipe {
            content: content((opens + 3600) * 1000, "late"),
            ..recipe("sent after the period", "F10")
        },
    ]
}

fn malformed(label: &Label, place: &Place, prk: &Prk) -> Vec<Json> {
    let body = content(label.opens * 1000, "hello");
    let ct = frame::seal_content(prk, &device(), place, &body).unwrap();
    let good = place.authenticated(&ct);
    let mut flipped = ct.clone();
    flipped[20] ^= 1;
    let no_prev = Place { prev: None, ..*place };
    let other_window = Place { window_id: derived("another window"), ..*place };
    let other_seal = Place { seal_digest: derived("another seal"), ..*place };
    let case = |name, expect, bytes: &[u8]| frame_case(name, expect, label, &body, bytes);
    vec![
        case("no prev after the first", "F2", &no_prev.authenticated(&ct)),
        case("a byte too many", "F2", &[good.as_slice(), &[0]].concat()),
        case("a byte too few", "F2", &good[..good.len() - 1]),
        case("a ciphertext with one bit changed", "F6", &place.authenticated(&flipped)),
        case("another window's id", "F4", &other_window.authenticated(&ct)),
        case("another counterseal's digest", "F5", &other_seal.authenticated(&ct)),
    ]
}
