//! Handshakes that RFC 9420 allows and this project does not: the members and the service refuse
//! the same ones.

mod common;

use common::*;
use counterseal_core::groups::Commit;
use counterseal_core::label::Member;
use counterseal_core::mls::{self, CONTEXT_EXTENSION, Context};
use counterseal_core::public;
use openmls::prelude::{
    Capabilities, CredentialWithKey, Extension, Extensions, ExternalSender, GroupContext,
    KeyPackage, LeafNodeParameters, Lifetime, MlsGroup, MlsMessageBodyIn, MlsMessageOut,
    OpenMlsProvider, RequiredCapabilitiesExtension, UnknownExtension,
};
use openmls_traits::types::SignatureScheme;

/// Moves the whole world on by an empty commit of Alice's, so that the service can begin to follow.
/// Gives that commit.
fn with_service(world: &mut World) -> (Commit, Vec<u8>) {
    let commit = world.alice.group_commit(&CONVERSATION, &[], &[], None).unwrap();
    world.alice.group_merge(&CONVERSATION).unwrap();
    world.bob.group_stage(&CONVERSATION, &commit.message).unwrap();
    world.bob.group_accept(&CONVERSATION).unwrap();
    world.mallory.follow(&commit.message);
    let state = public::group(&commit.group_info, &commit.tree).unwrap().state;
    (commit, state)
}

/// Alice, Bob and the service refuse, and go on in their epoch.
fn refused_by_all(world: &mut World, state: &[u8], message: &MlsMessageOut) {
    let message = message.to_bytes().unwrap();
    let epoch = world.alice.group_view(&CONVERSATION, None).unwrap().epoch;
    assert_eq!(world.alice.group_stage(&CONVERSATION, &message).err().unwrap().code, "mls");
    assert_eq!(world.bob.group_stage(&CONVERSATION, &message).err().unwrap().code, "mls");
    assert_eq!(public::process(state, &message).err().unwrap().code, "mls");
    assert_eq!(world.alice.group_view(&CONVERSATION, None).unwrap().epoch, epoch);
    let window = honest_window(&mut world.bob, 1);
    let sealed =
        world.bob.frame_seal(&window.window_id, &content(OPENS * 1000, "as before")).unwrap();
    assert!(world.alice_opens(&sealed.message).is_ok());
}

/// A commit of Mallory's with other GroupContext extensions; `None` if OpenMLS itself does not make
/// it.
fn commit_extensions(
    world: &mut World,
    extensions: Extensions<GroupContext>,
) -> Option<MlsMessageOut> {
    let Mallory { group, provider, key, .. } = &mut world.mallory;
    let builder = group
        .as_mut()
        .unwrap()
        .commit_builder()
        .propose_group_context_extensions(extensions)
        .unwrap();
    let built = builder.load_psks(provider.storage()).unwrap().build(
        provider.rand(),
        provider.crypto(),
        key,
        |_| true,
    );
    Some(built.ok()?.stage_commit(provider).unwrap().into_commit())
}

fn other_extensions(change: impl FnOnce(&mut Vec<Extension>)) -> Extensions<GroupContext> {
    let mut list: Vec<_> = CONTEXT.extensions().unwrap().iter().cloned().collect();
    change(&mut list);
    Extensions::from_vec(list).unwrap()
}

#[test]
fn contexts_that_are_not_ours() {
    type Spoil = fn(&mut Vec<Extension>);
    let spoils: [Spoil; 5] = [
        |list| list.truncate(1),
        |list| list[1] = Extension::Unknown(CONTEXT_EXTENSION, UnknownExtension(b"junk".to_vec())),
        |list| {
            list[0] =
                Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(&[], &[], &[]))
        },
        |list| {
            list.remove(0);
        },
        |list| {
            let key = [7u8; 32].as_slice().into();
            let stranger = mls::credential(&([8; 32], [7; 32])).credential;
            list.push(Extension::ExternalSenders(vec![ExternalSender::new(key, stranger)]));
        },
    ];
    let mut made = 0;
    for spoil in spoils {
        let mut world = world();
        let (_, state) = with_service(&mut world);
        if let Some(message) = commit_extensions(&mut world, other_extensions(spoil)) {
            refused_by_all(&mut world, &state, &message);
            made += 1;
        }
    }
    // OpenMLS itself refuses to make the rest.
    assert!(made >= 3, "only {made} of them could be made");
}

#[test]
fn a_new_context_in_our_form_passes() {
    let mut world = world();
    let (_, state) = with_service(&mut world);
    let context = Context { quarter: CONTEXT.quarter + 1, ..CONTEXT };
    let message =
        commit_extensions(&mut world, context.extensions().unwrap()).unwrap().to_bytes().unwrap();
    let staged = world.alice.group_stage(&CONVERSATION, &message).unwrap();
    assert_eq!((staged.context, staged.committer), (Some(context), world.mallory.member()));
    assert_eq!(public::process(&state, &message).unwrap().view.context, context);
}

#[test]
fn proposals_outside_a_commit() {
    let stranger = Mallory::new(9).key_package();
    for which in 0..4 {
        let mut world = world();
        let (_, state) = with_service(&mut world);
        let victim =
            mls::leaf_index(world.mallory.group().public_group(), &world.bob.identity().unwrap())
                .unwrap();
        let package = mls::key_package(world.mallory.crypto(), &stranger).unwrap();
        let Mallory { group, provider, key, .. } = &mut world.mallory;
        let group = group.as_mut().unwrap();
        let message = match which {
            0 => group.propose_remove_member(provider, key, victim).unwrap().0,
            1 => group.propose_add_member(provider, key, &package).unwrap().0,
            2 => group.propose_self_update(provider, key, LeafNodeParameters::default()).unwrap().0,
            _ => {
                group
                    .propose_group_context_extensions(provider, CONTEXT.extensions().unwrap(), key)
                    .unwrap()
                    .0
            }
        };
        refused_by_all(&mut world, &state, &message);
    }
}

#[test]
fn a_leaf_that_takes_another_account() {
    let mut world = world();
    let (_, state) = with_service(&mut world);
    let stolen = mls::credential(&([1; 32], world.mallory.device_key()));
    let Mallory { group, provider, key, .. } = &mut world.mallory;
    let parameters = LeafNodeParameters::builder().with_credential_with_key(stolen).build();
    let builder = group
        .as_mut()
        .unwrap()
        .commit_builder()
        .leaf_node_parameters(parameters)
        .force_self_update(true);
    let built = builder.load_psks(provider.storage()).unwrap().build(
        provider.rand(),
        provider.crypto(),
        key,
        |_| true,
    );
    let message = built.unwrap().stage_commit(provider).unwrap().into_commit();
    refused_by_all(&mut world, &state, &message);
}

#[test]
fn a_leaf_that_drops_its_capabilities() {
    let mut world = world();
    let (_, state) = with_service(&mut world);
    let Mallory { group, provider, key, .. } = &mut world.mallory;
    let parameters =
        LeafNodeParameters::builder().with_capabilities(Capabilities::default()).build();
    let builder = group
        .as_mut()
        .unwrap()
        .commit_builder()
        .leaf_node_parameters(parameters)
        .force_self_update(true);
    let built = builder.load_psks(provider.storage()).unwrap().build(
        provider.rand(),
        provider.crypto(),
        key,
        |_| true,
    );
    // OpenMLS may refuse to make it at all, which serves as well.
    if let Ok(built) = built {
        let message = built.stage_commit(provider).unwrap().into_commit();
        refused_by_all(&mut world, &state, &message);
    }
}

// ---- commits from outside

fn external_commit(outsider: &Mallory, from: &Commit) -> Vec<u8> {
    let MlsMessageBodyIn::GroupInfo(group_info) = mls::parse(&from.group_info).unwrap().extract()
    else {
        panic!("not a group info")
    };
    let provider = &outsider.provider;
    let (_, bundle) = MlsGroup::external_commit_builder()
        .with_ratchet_tree(mls::parse_tree(&from.tree).unwrap())
        .with_config(mls::join_config())
        .build_group(provider, group_info, mls::credential(&outsider.member()))
        .unwrap()
        .leaf_node_parameters(
            LeafNodeParameters::builder().with_capabilities(mls::capabilities()).build(),
        )
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &outsider.key, |_| true)
        .unwrap()
        .finalize(provider)
        .unwrap();
    bundle.into_commit().to_bytes().unwrap()
}

#[test]
fn a_ghost_cannot_add_itself() {
    let mut world = world();
    let (commit, state) = with_service(&mut world);
    let message = external_commit(&Mallory::new(9), &commit);
    assert_eq!(world.alice.group_stage(&CONVERSATION, &message).err().unwrap().code, "mls");
    assert_eq!(public::process(&state, &message).err().unwrap().code, "mls");
}

#[test]
fn a_device_may_replace_its_own_leaf() {
    let mut world = world();
    let (commit, state) = with_service(&mut world);
    let again = Mallory::new(3); // the same account and device, its state lost
    let message = external_commit(&again, &commit);
    let staged = world.alice.group_stage(&CONVERSATION, &message).unwrap();
    assert_eq!(
        (staged.committer, staged.added.len(), &staged.removed),
        (again.member(), 0, &vec![again.member()])
    );
    let view = world.alice.group_accept(&CONVERSATION).unwrap();
    let public = public::process(&state, &message).unwrap();
    assert_eq!((view.epoch, view.roster_epoch, view.members.len()), (3, 3, 3));
    assert_eq!((public.view.roster_epoch, public.view.roster_digest), (3, view.roster_digest));
}

// ---- key packages

fn key_package(
    maker: &Mallory,
    credential: CredentialWithKey,
    capabilities: Capabilities,
    lifetime: Lifetime,
) -> Vec<u8> {
    let bundle = KeyPackage::builder()
        .leaf_node_capabilities(capabilities)
        .key_package_lifetime(lifetime)
        .build(mls::suite(mls::DEFAULT_SUITE).unwrap(), &maker.provider, &maker.key, credential)
        .unwrap();
    MlsMessageOut::from(bundle.into_key_package()).to_bytes().unwrap()
}

#[test]
fn key_packages_that_are_refused() {
    let maker = Mallory::new(9);
    let day = || Lifetime::new(24 * HOUR);
    let good = mls::credential(&maker.member());
    let check = |package: Vec<u8>| {
        public::check_key_package(&package).map(|f| f.member).map_err(|e| e.code)
    };
    assert_eq!(
        check(key_package(&maker, good.clone(), mls::capabilities(), day())),
        Ok(maker.member())
    );
    let other_device = CredentialWithKey {
        credential: mls::credential(&(maker.account_id, [5; 32])).credential,
        ..good.clone()
    };
    let no_record = CredentialWithKey {
        credential: openmls::prelude::BasicCredential::new(b"alice".to_vec()).into(),
        ..good.clone()
    };
    for bad in [
        key_package(&maker, other_device, mls::capabilities(), day()),
        key_package(&maker, no_record, mls::capabilities(), day()),
        key_package(&maker, good.clone(), Capabilities::default(), day()),
        key_package(&maker, good.clone(), mls::capabilities(), Lifetime::init(0, 1)),
        key_package(&maker, good.clone(), mls::capabilities(), Lifetime::new(400 * 24 * HOUR)),
    ] {
        assert_eq!(check(bad.clone()), Err("mls"));
        let mut world = world();
        let refusal = world.alice.group_commit(&CONVERSATION, &[bad], &[], None);
        assert_eq!(refusal.err().unwrap().code, "mls");
    }
}

#[test]
fn the_signer_is_ed25519_alone() {
    use openmls_traits::signatures::Signer;
    let maker = Mallory::new(9);
    assert_eq!(maker.key.signature_scheme(), SignatureScheme::ED25519);
    let member: Member = maker.member();
    assert_eq!(mls::named_by(&mls::credential(&member).credential).unwrap(), member);
}
