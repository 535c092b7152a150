//! What a malicious member may try against the counterseal, one test each, and that the
//! conversation goes on afterwards.

mod common;

use common::*;
use counterseal_core::cbor::{self, Value};
use counterseal_core::frame::{self, Place};
use counterseal_core::seal;

/// Refused with `rule`; then an honest frame of a new window is read.
fn refused(world: &mut World, message: &[u8], rule: &str) {
    assert_eq!(world.alice_opens(message).map(|o| o.seq), Err(rule));
    world.serial += 1;
    let serial = world.serial;
    let mut honest = world.mallorys_window(0x77, serial);
    let next = world.mallory.send(&mut honest, "the conversation goes on");
    assert!(world.alice_opens(&next).is_ok());
}

/// A frame of a window that is honest but for its counterseal.
fn with_counterseal(spoil: impl FnOnce(&Draft) -> Vec<u8>) {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    draft.counterseal = spoil(&draft);
    let message = world.mallory.send(&mut draft, "sealed to nobody");
    refused(&mut world, &message, "F5");
}

fn sealed_list(counterseal: &[u8]) -> Vec<Value<'_>> {
    let [_, sealed] =
        cbor::decode(counterseal, 1 << 20).unwrap().record("counterseal/v1/counterseal").unwrap();
    sealed.items("sealed").unwrap()
}

fn counterseal_of(sealed: Vec<Value<'_>>) -> Vec<u8> {
    cbor::encode(&Value::Array(vec!["counterseal/v1/counterseal".into(), Value::Array(sealed)]))
}

#[test]
fn control_an_honest_frame_is_read() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    for seq in 0..3 {
        let message = world.mallory.send(&mut draft, "good morning");
        let opened = world.alice_opens(&message).unwrap();
        assert_eq!(
            (opened.seq, opened.gap, opened.current, opened.duplicate),
            (seq, 0, true, false)
        );
        assert_eq!(opened.label, draft.label.encode());
        assert_eq!(opened.content, content(OPENS * 1000 + 5000, "good morning"));
    }
}

#[test]
fn stripped_every_position_null() {
    with_counterseal(|draft| {
        counterseal_of(sealed_list(&draft.counterseal).iter().map(|_| Value::Null).collect())
    });
}

#[test]
fn stripped_no_counterseal_at_all() {
    with_counterseal(|_| Vec::new());
}

#[test]
fn truncated_by_one_holder() {
    with_counterseal(|draft| {
        let mut sealed = sealed_list(&draft.counterseal);
        sealed.pop();
        counterseal_of(sealed)
    });
}

#[test]
fn swapped_for_another_windows() {
    let mut world = world();
    let other = world.mallorys_window(8, 1);
    let mut draft = world.mallorys_window(9, 2);
    draft.counterseal = other.counterseal;
    let message = world.mallory.send(&mut draft, "sealed elsewhere");
    refused(&mut world, &message, "F5");
}

#[test]
fn two_holders_shares_exchanged() {
    with_counterseal(|draft| {
        let mut sealed = sealed_list(&draft.counterseal);
        sealed.swap(0, 1);
        counterseal_of(sealed)
    });
}

#[test]
fn forged_from_another_secret() {
    with_counterseal(|draft| {
        let garbage = counterseal_core::label::Prk::new([0x66; 32]);
        seal::seal(
            &garbage,
            &draft.label.window_id(),
            &draft.label.charter_digest,
            &tree(),
            &sealing_keys(1),
        )
        .unwrap()
    });
}

#[test]
fn forged_in_a_single_share() {
    with_counterseal(|draft| {
        let mut forged = draft.counterseal.clone();
        *forged.last_mut().unwrap() ^= 1;
        forged
    });
}

#[test]
fn sealed_to_another_set_of_holders() {
    with_counterseal(|draft| {
        seal::seal(
            &draft.prk,
            &draft.label.window_id(),
            &draft.label.charter_digest,
            &tree(),
            &sealing_keys(2),
        )
        .unwrap()
    });
}

#[test]
fn replayed_from_an_earlier_window_of_the_same_sender() {
    let mut world = world();
    let mut first = world.mallorys_window(9, 1);
    let message = world.mallory.send(&mut first, "good");
    world.alice_opens(&message).unwrap();
    let mut second = world.mallorys_window(9, 2);
    second.counterseal = first.counterseal;
    let message = world.mallory.send(&mut second, "replayed seal");
    refused(&mut world, &message, "F5");
}

#[test]
fn another_seal_after_a_first_good_frame() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let message = world.mallory.send(&mut draft, "good");
    world.alice_opens(&message).unwrap();
    draft.counterseal.push(0);
    let message = world.mallory.send(&mut draft, "then bad");
    refused(&mut world, &message, "F5");
}

#[test]
fn another_key_after_a_first_good_frame() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let message = world.mallory.send(&mut draft, "good");
    world.alice_opens(&message).unwrap();
    let place = draft.place();
    let mut other = draft.clone();
    other.key = [10; 32];
    let prk = other.label.clone().commit(&other.key).unwrap();
    let ct =
        frame::seal_content(&prk, &world.mallory.key.0, &place, &content(OPENS * 1000, "hidden"))
            .unwrap();
    let message = world.mallory.post(place.authenticated(&ct), &other.key_content().encode());
    refused(&mut world, &message, "F4");
}

#[test]
fn a_key_that_does_not_open_the_ciphertext() {
    let mut world = world();
    let draft = world.mallorys_window(9, 1);
    let hidden = counterseal_core::label::Prk::new([0x55; 32]);
    let place = draft.place();
    let ct = frame::seal_content(
        &hidden,
        &world.mallory.key.0,
        &place,
        &content(OPENS * 1000, "hidden"),
    )
    .unwrap();
    let message = world.mallory.post(place.authenticated(&ct), &draft.key_content().encode());
    refused(&mut world, &message, "F6");
}

#[test]
fn labels_that_are_not_the_members_view() {
    type Spoil = fn(&mut Draft);
    let spoils: [Spoil; 8] = [
        |d| d.label.domain = "evil.example.org".into(),
        |d| d.label.charter_digest[0] ^= 1,
        |d| d.label.keyset_digest[0] ^= 1,
        |d| d.label.roster_epoch = 0,
        |d| d.label.roster_digest[0] ^= 1,
        |d| d.label.account_id = [1; 32],
        |d| (d.label.opens, d.label.closes) = (OPENS + 1, OPENS + HOUR + 1),
        |d| d.label.closes = OPENS + 2 * HOUR,
    ];
    for spoil in spoils {
        let mut world = world();
        let mut draft = world.mallorys_window(9, 1);
        spoil(&mut draft);
        draft.settle();
        let message = world.mallory.send(&mut draft, "under another label");
        refused(&mut world, &message, "F4");
    }
}

#[test]
fn a_message_invented_in_another_members_window() {
    let mut world = world();
    let window = honest_window(&mut world.bob, 1);
    let sealed = world.bob.frame_seal(&window.window_id, &content(OPENS * 1000, "by Bob")).unwrap();
    world.alice_opens(&sealed.message).unwrap();
    // Mallory has read Bob's frame, so she knows K, and can do everything but sign as Bob's device.
    let mut stolen = world.mallorys_window(9, 1);
    let outside = frame::parse_private(&sealed.message).unwrap();
    let (place, ct) = Place::parse(outside.authenticated).unwrap();
    let next = Place { seq: 1, prev: Some(frame::ct_hash(ct)), ..place };
    let forged = frame::seal_content(
        &stolen.prk,
        &world.mallory.key.0,
        &next,
        &content(OPENS * 1000, "not by Bob"),
    )
    .unwrap();
    let message = world.mallory.post(next.authenticated(&forged), &stolen.key_content().encode());
    refused(&mut world, &message, "F3");
    // Bob's own ciphertext in her window: the ciphertext is bound to its window and place.
    let mine = stolen.place();
    let message = world.mallory.post(mine.authenticated(ct), &stolen.key_content().encode());
    stolen.seq += 1;
    refused(&mut world, &message, "F6");
}

#[test]
fn content_signed_by_nobody_in_the_label() {
    let mut world = world();
    let draft = world.mallorys_window(9, 1);
    let place = draft.place();
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[0x42; 32]);
    let ct = frame::seal_content(&draft.prk, &stranger, &place, &content(OPENS * 1000, "deniable"))
        .unwrap();
    let message = world.mallory.post(place.authenticated(&ct), &draft.key_content().encode());
    refused(&mut world, &message, "F7");
}

#[test]
fn messages_that_mls_refuses() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let good = world.mallory.send(&mut draft, "good");
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(world.alice_opens(&altered).map(|o| o.seq), Err("F1"));
    // The attempt has not consumed the good message's secret.
    assert!(world.alice_opens(&good).is_ok());
    refused(&mut world, &altered, "F1");
    assert_eq!(world.alice_opens(b"").map(|o| o.seq), Err("F1"));
}

#[test]
fn other_authenticated_data_and_other_content() {
    let mut world = world();
    let draft = world.mallorys_window(9, 1);
    let message = world.mallory.post(b"no record".to_vec(), &draft.key_content().encode());
    refused(&mut world, &message, "F2");
    let authenticated = draft.place().authenticated(&[0; 20]);
    let message = world.mallory.post(authenticated, b"no key");
    refused(&mut world, &message, "F2");
}

#[test]
fn places_in_the_chain() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let messages: Vec<_> =
        (0..5).map(|i| world.mallory.send(&mut draft, &format!("message {i}"))).collect();
    world.alice_opens(&messages[0]).unwrap();
    // The same bytes again: dropped in silence.
    assert!(world.alice_opens(&messages[0]).unwrap().duplicate);
    // A gap is shown, and a late frame that fits closes it.
    assert_eq!(world.alice_opens(&messages[3]).unwrap().gap, 2);
    assert_eq!(world.alice_opens(&messages[2]).unwrap().gap, 1);
    assert_eq!(world.alice_opens(&messages[1]).unwrap().gap, 0);
    assert_eq!(world.alice_opens(&messages[4]).unwrap().gap, 0);
    // F8: another frame at a place that is taken.
    let mut fork = draft.clone();
    (fork.seq, fork.prev) = (4, Some([1; 32]));
    let message = world.mallory.send(&mut fork, "another fourth");
    refused(&mut world, &message, "F8");
}

#[test]
fn a_chain_that_does_not_fit() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let first = world.mallory.send(&mut draft, "first");
    world.alice_opens(&first).unwrap();
    draft.prev = Some([1; 32]);
    let message = world.mallory.send(&mut draft, "unchained");
    refused(&mut world, &message, "F9");
}

#[test]
fn a_late_frame_that_its_successor_does_not_name() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let first = world.mallory.send(&mut draft, "first");
    world.alice_opens(&first).unwrap();
    let mut fork = draft.clone();
    world.mallory.send(&mut draft, "second");
    let third = world.mallory.send(&mut draft, "third");
    world.alice_opens(&third).unwrap();
    let message = world.mallory.send(&mut fork, "another second");
    refused(&mut world, &message, "F9");
}

#[test]
fn times_and_serials() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 5);
    for sent_at_ms in [OPENS * 1000 - 1, (OPENS + HOUR) * 1000] {
        let message =
            world.mallory.send_content(&mut draft.clone(), &content(sent_at_ms, "at another time"));
        assert_eq!(world.alice_opens(&message).map(|o| o.seq), Err("F10"));
    }
    let message = world.mallory.send(&mut draft, "serial five");
    world.alice_opens(&message).unwrap();
    let mut older = world.mallorys_window(8, 4);
    let message = world.mallory.send(&mut older, "serial four");
    assert_eq!(world.alice_opens(&message).map(|o| o.seq), Err("F12"));
    let mut twin = world.mallorys_window(8, 5);
    let message = world.mallory.send(&mut twin, "serial five again");
    refused(&mut world, &message, "F12");
}

#[test]
fn a_period_that_is_over_is_pending_and_not_refused() {
    let mut world = world();
    let mut draft = world.mallorys_window(9, 1);
    let message = world.mallory.send(&mut draft, "late");
    let opened = world.alice.frame_open(&CONVERSATION, &message, OPENS + HOUR).unwrap();
    assert!(!opened.current && !opened.duplicate);
}

#[test]
fn a_key_of_a_roster_before_the_last_change() {
    let mut world = world();
    let mut old = world.mallorys_window(9, 1);
    // Alice removes Bob; Mallory follows, and goes on with the window that Bob's presence had
    // shaped.
    let bob = world.bob.identity().unwrap();
    let commit = world.alice.group_commit(&CONVERSATION, &[], &[bob], None).unwrap();
    world.alice.group_merge(&CONVERSATION).unwrap();
    world.mallory.follow(&commit.message);
    let message = world.mallory.send(&mut old, "for an old roster");
    refused(&mut world, &message, "F4");
}
