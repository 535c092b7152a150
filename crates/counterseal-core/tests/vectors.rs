//! Every file in tests/vectors at the level of encodings, and the counterseals and frames by their
//! own rules.

mod common;

use counterseal_core::cbor;
use counterseal_core::frame::Place;
use counterseal_core::label::{Label, Prk, decode_roster};
use counterseal_core::opening::{Task, open_windows};
use counterseal_core::seal::{self, SealingKeys};
use counterseal_core::shares::{self, Tree};
use libcrux_kem::{Algorithm, key_gen_derand};
use serde_json::Value as Json;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

fn load(name: &str) -> Json {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

fn bytes(value: &Json) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn fixed(value: &Json) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn cases(file: &Json) -> &Vec<Json> {
    file["cases"].as_array().unwrap()
}

/// What the record's own decoder says, where the core has one for this file.
fn record_rule(file: &str, input: &[u8]) -> Option<&'static str> {
    let code = |e: counterseal_core::error::Error| e.code;
    match file {
        "label.json" | "window.json" => Some(Label::decode(input).err().map_or("valid", code)),
        "roster.json" => Some(decode_roster(input).err().map_or("valid", code)),
        "tree.json" => Some(Tree::decode(input).err().map_or("valid", code)),
        _ => None,
    }
}

#[test]
fn every_encoding() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(cases) = file["cases"].as_array() else {
            continue;
        };
        for case in cases {
            let (Some(_), Some(expect)) = (case["bytes"].as_str(), case["expect"].as_str()) else {
                continue;
            };
            let input = bytes(&case["bytes"]);
            let found = cbor::decode(&input, 65_536).err().map_or("valid", |e| e.code);
            let place = format!("{name}: {}", case["name"]);
            // A file of the records says at which level a case fails; the core's own files fail as
            // records only.
            let encoding = case["level"] == "encoding";
            if encoding {
                assert_eq!(found, expect, "{place}");
            } else if expect != "E4" && name != "frame.json" {
                assert_eq!(found, "valid", "{place}");
            }
            if let Some(rule) = record_rule(&name, &input) {
                assert_eq!(rule, expect, "{place}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "the vectors are missing");
}

#[test]
fn leaves_of_the_ledger() {
    let file = load("ledger-leaf.json");
    let valid = cases(&file).iter().filter(|case| case["expect"] == "valid");
    for case in valid {
        let input = bytes(&case["bytes"]);
        let [_, salt, statement] =
            cbor::decode(&input, 65_536).unwrap().record("counterseal/v1/opening").unwrap();
        let leaf =
            cbor::hash(&cbor::Value::Array(vec!["counterseal/v1/leaf".into(), salt, statement]));
        assert_eq!(leaf, fixed(&case["leaf"]), "{}", case["name"]);
    }
}

#[test]
fn keys_of_labels_and_shares_of_trees() {
    for case in cases(&load("label.json")).iter().filter(|case| case["key"].is_string()) {
        let label = Label::decode(&bytes(&case["bytes"])).unwrap();
        assert_eq!(*label.derive_prk(&fixed(&case["key"])), fixed(&case["prk"]));
        assert_eq!(label.window_id(), fixed(&case["digest"]));
    }
    for case in cases(&load("tree.json")).iter().filter(|case| case["shares"].is_array()) {
        let tree = Tree::decode(&bytes(&case["bytes"])).unwrap();
        let shares: Vec<_> = case["shares"].as_array().unwrap().iter().map(fixed).collect();
        let split = shares::split(&tree, &Prk::new(fixed(&case["prk"]))).unwrap();
        assert_eq!(split.iter().map(|s| **s).collect::<Vec<_>>(), shares);
    }
}

#[test]
fn counterseals() {
    let file = load("counterseal.json");
    let (label, tree) = (
        Label::decode(&bytes(&file["label"])).unwrap(),
        Tree::decode(&bytes(&file["tree"])).unwrap(),
    );
    let prk = label.derive_prk(&fixed(&file["key"]));
    assert_eq!(*prk, fixed(&file["prk"]));
    assert_eq!(label.window_id(), fixed(&file["window_id"]));
    assert_eq!(decode_roster(&bytes(&file["roster"])).unwrap().len(), 2);
    let shares: Vec<_> = shares::split(&tree, &prk).unwrap().iter().map(|s| **s).collect();
    assert_eq!(shares, file["shares"].as_array().unwrap().iter().map(fixed).collect::<Vec<_>>());
    for case in cases(&file).iter().filter(|case| case["expect"] == "valid") {
        let absent: Vec<u64> =
            case["absent"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
        let seeds = file["sealing_seeds"].as_array().unwrap().iter().enumerate();
        let keys: Vec<_> = seeds
            .map(|(i, seed)| {
                let public =
                    key_gen_derand(Algorithm::XWingKemDraft06, &fixed(seed)).unwrap().1.encode();
                (!absent.contains(&(i as u64))).then_some(public)
            })
            .collect();
        let keys = SealingKeys::decode(&tree, &keys).unwrap();
        let made =
            seal::seal(&prk, &label.window_id(), &label.charter_digest, &tree, &keys).unwrap();
        assert_eq!(made, bytes(&case["bytes"]), "{}", case["name"]);
        assert_eq!(seal::digest(&made), fixed(&case["seal_digest"]));
    }
}

#[test]
fn frames() {
    let file = load("frame.json");
    let open = |cases: Vec<&Json>| {
        let task = Task {
            label: bytes(&file["label"]),
            seal_digest: fixed(&file["seal_digest"]),
            prk: Prk::new(fixed(&file["prk"])),
            messages: cases.iter().map(|case| bytes(&case["message"])).collect(),
        };
        open_windows(&[task], 2).unwrap().remove(0)
    };
    let (valid, refused): (Vec<&Json>, Vec<&Json>) =
        cases(&file).iter().partition(|case| case["expect"] == "valid");
    for (case, frame) in valid.iter().zip(open(valid.clone())) {
        assert_eq!(frame.content.unwrap(), bytes(&case["content"]));
        assert_eq!(frame.message_digest, fixed(&case["message_digest"]));
        Place::parse(&bytes(&case["bytes"])).unwrap();
    }
    for case in refused {
        let frame = open(vec![case]).remove(0);
        assert_eq!(
            frame.content.unwrap_err(),
            case["expect"].as_str().unwrap(),
            "{}",
            case["name"]
        );
    }
    // The same frame twice, and a chain that lacks a link and then one that does not fit.
    let rules: Vec<_> = open(vec![valid[0], valid[0], valid[2], valid[1]])
        .into_iter()
        .map(|f| f.content.err())
        .collect();
    assert_eq!(rules, [None, Some("F8"), None, None]);
}

#[test]
fn a_prk_that_is_not_the_labels_is_s5() {
    let file = load("frame.json");
    let task: Task<Vec<u8>> = Task {
        label: bytes(&file["label"]),
        seal_digest: fixed(&file["seal_digest"]),
        prk: Prk::new([1; 32]),
        messages: Vec::new(),
    };
    assert_eq!(open_windows(&[task], 1).err().unwrap().code, "S5");
}
