import threading

import pytest
from tests.support.refusals import refused

from counterseal.access.authorities import charter_draft
from counterseal.access.common.card import Card, read_card
from counterseal.access.common.home import InstitutionHome, is_locked
from counterseal.access.common.new_home import cosigner_of, create_home
from counterseal.access.holders import witness
from counterseal.protocol.cose import sign
from counterseal.protocol.errors import BadInput, Conflict, NotFound


def test_a_home_opens_again_with_the_same_keys(tmp_path):
    made = create_home(tmp_path / "ann", "custodian", "ann", "court")
    again = InstitutionHome.open(tmp_path / "ann")
    assert again.signer.kid == made.signer.kid
    assert again.reader.public == made.reader.public
    assert again.card == read_card(tmp_path / "ann")
    assert again.card.body == "court"


def test_keys_are_never_overwritten(tmp_path):
    create_home(tmp_path, "issuer", "judge")
    with pytest.raises(Conflict):
        create_home(tmp_path, "issuer", "judge")


def test_a_locked_home_wants_its_passphrase(tmp_path):
    made = create_home(tmp_path, "custodian", "ann", passphrase=b"pass")
    assert is_locked(tmp_path)
    with pytest.raises(BadInput):
        InstitutionHome.open(tmp_path)
    opened = InstitutionHome.open(tmp_path, b"pass")
    assert opened.signer.kid == made.signer.kid
    opened.draw_sealing_key(b"c" * 32, 8107)
    assert InstitutionHome.open(tmp_path, b"pass").sealing_key(b"c" * 32, 8107)


def test_there_is_no_home_in_an_empty_folder(tmp_path):
    with pytest.raises(NotFound):
        InstitutionHome.open(tmp_path)


def test_a_pin_is_never_moved(tmp_path):
    home = create_home(tmp_path, "custodian", "ann")
    assert home.pinned() is None
    home.pin(b"a" * 32)
    home.pin(b"a" * 32)
    with pytest.raises(Conflict):
        home.pin(b"b" * 32)
    assert InstitutionHome.open(tmp_path).pinned() == b"a" * 32


def test_a_quarters_key_is_drawn_once_and_destroyed_for_good(tmp_path):
    home = create_home(tmp_path, "custodian", "ann")
    first = home.draw_sealing_key(b"c" * 32, 8107)
    assert home.draw_sealing_key(b"c" * 32, 8107).seed == first.seed
    assert home.draw_sealing_key(b"c" * 32, 8108).seed != first.seed
    assert home.draw_sealing_key(b"d" * 32, 8107).seed != first.seed
    home.destroy_sealing_key(b"c" * 32, 8107)
    assert home.sealing_key(b"c" * 32, 8107) is None


def test_two_programs_that_draw_at_once_agree(tmp_path):
    home = create_home(tmp_path, "witness", "ivy", url="http://127.0.0.1:1")
    drawn = []
    threads = [
        threading.Thread(target=lambda: drawn.append(home.draw_sealing_key(b"c" * 32, 8107).seed))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 1


def test_an_altered_card_is_refused(tmp_path):
    create_home(tmp_path, "issuer", "judge")
    data = (tmp_path / "card").read_bytes().replace(b"judge", b"joker")
    (tmp_path / "card").write_bytes(data)
    with refused("X2"):
        read_card(tmp_path)


def test_a_card_is_signed_with_the_key_it_names(tmp_path):
    ann, bob = (create_home(tmp_path / name, "custodian", name) for name in ("ann", "bob"))
    (tmp_path / "false.card").write_bytes(sign([bob.signer], ann.card.encode()))
    with refused("X4"):
        read_card(tmp_path / "false.card")


def test_a_witness_without_cosigning_keys_is_none(tmp_path):
    home = create_home(tmp_path, "custodian", "ann")
    with pytest.raises(BadInput):
        cosigner_of(home.keys, "ann")
    card = Card("witness", "ann", "ann", home.signer.public, home.reader.public, None, None)
    with pytest.raises(BadInput):
        card.check()


def test_cards_are_gathered_from_files_and_homes(tmp_path):
    create_home(tmp_path / "homes" / "ann", "custodian", "ann")
    create_home(tmp_path / "bob", "custodian", "bob")
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "bob.card").write_bytes((tmp_path / "bob" / "card").read_bytes())
    (tmp_path / "cards" / "notes.txt").write_text("not a card")
    names = {
        card.name
        for card in charter_draft.gather([tmp_path / "homes", tmp_path / "cards", tmp_path / "bob"])
    }
    assert names == {"ann", "bob"}
    with pytest.raises(BadInput):
        charter_draft.gather(
            [tmp_path / "nothing"] if (tmp_path / "nothing").mkdir() is None else []
        )


@pytest.mark.parametrize(
    "listen", ["8460", "localhost:", ":8460", "127.0.0.1:99999", "127.0.0.1:x"]
)
def test_an_address_is_host_and_port(listen):
    with pytest.raises(BadInput):
        witness.address(listen)
