import json

import pytest
import tink
from chassis.crypto import Sealer, Unsealable, add_key, new_index_key, new_keyset, promote, retire
from tink import aead, secret_key_access

ADDRESS = "ada@example.org"


@pytest.fixture
def sealer() -> Sealer:
    return Sealer.from_settings(new_keyset(), new_index_key())


@pytest.mark.parametrize("text", [ADDRESS, "", "Zoë \U0001f39f 東京", "x" * 100_000])
def test_what_was_sealed_opens_and_shows_nothing(sealer: Sealer, text: str) -> None:
    ciphertext = sealer.seal(text, "contact.email")
    assert sealer.unseal(ciphertext, "contact.email") == text
    assert ciphertext.isascii()
    assert not text or text not in ciphertext
    assert ciphertext != sealer.seal(text, "contact.email"), "two sealings of one text must not look alike"


def test_a_ciphertext_does_not_open_in_another_field(sealer: Sealer) -> None:
    ciphertext = sealer.seal(ADDRESS, "contact.email")
    with pytest.raises(Unsealable, match=r"contact\.name"):
        sealer.unseal(ciphertext, "contact.name")


@pytest.mark.parametrize("spoil", ["", "not base64!", "ä", "AAAA", "AQAAAAA="])
def test_spoilt_ciphertext_names_the_field_only(sealer: Sealer, spoil: str) -> None:
    with pytest.raises(Unsealable) as caught:
        sealer.unseal(spoil, "contact.email")
    assert caught.value.field == "contact.email"
    assert caught.value.__cause__ is None
    assert ADDRESS not in str(caught.value)


def test_one_changed_character_is_noticed_at_every_place(sealer: Sealer) -> None:
    ciphertext = sealer.seal(ADDRESS, "contact.email").rstrip("=")
    padding = "=" * (-len(ciphertext) % 4)
    # The last character may hold unused bits only; all others carry the message.
    for place in range(len(ciphertext) - 1):
        other = "A" if ciphertext[place] != "A" else "B"
        with pytest.raises(Unsealable):
            sealer.unseal(ciphertext[:place] + other + ciphertext[place + 1 :] + padding, "contact.email")


def test_rotation_opens_the_old_and_seals_with_the_new() -> None:
    old_keyset, index_key = new_keyset(), new_index_key()
    old = Sealer.from_settings(old_keyset, index_key)
    before = old.seal(ADDRESS, "contact.email")
    rotated = Sealer.from_settings(add_key(old_keyset), index_key)
    assert rotated.unseal(before, "contact.email") == ADDRESS
    with pytest.raises(Unsealable):
        old.unseal(rotated.seal(ADDRESS, "contact.email"), "contact.email")
    twice = json.loads(add_key(add_key(old_keyset)))
    assert len({key["keyId"] for key in twice["key"]}) == 3
    assert twice["primaryKeyId"] == twice["key"][-1]["keyId"]


def test_a_rotation_of_several_processes_has_a_step_for_each() -> None:
    """Added, it opens and does not seal, so whoever has it not yet opens everything; promoted, it seals; retired, the old one is gone."""
    first, index_key = new_keyset(), new_index_key()
    added = add_key(first, seals=False)
    promoted = promote(added)
    before, between, after = (Sealer.from_settings(keyset, index_key) for keyset in (first, added, promoted))
    assert before.unseal(between.seal(ADDRESS, "contact.email"), "contact.email") == ADDRESS
    assert between.unseal(after.seal(ADDRESS, "contact.email"), "contact.email") == ADDRESS
    with pytest.raises(Unsealable):
        before.unseal(after.seal(ADDRESS, "contact.email"), "contact.email")
    alone = Sealer.from_settings(retire(promoted), index_key)
    assert alone.unseal(after.seal(ADDRESS, "contact.email"), "contact.email") == ADDRESS
    with pytest.raises(Unsealable):
        alone.unseal(before.seal(ADDRESS, "contact.email"), "contact.email")


def test_json_values_come_back_as_they_went(sealer: Sealer) -> None:
    value = {"name": "Zoë", "seats": [1, 2], "note": None, "nested": {"paid": True}}
    ciphertext = sealer.seal_json(value, "mail.variables")
    assert "Zoë" not in ciphertext
    assert sealer.unseal_json(ciphertext, "mail.variables") == value
    with pytest.raises(Unsealable, match=r"mail\.variables"):
        sealer.unseal_json(sealer.seal("no json", "mail.variables"), "mail.variables")


def test_blind_index_finds_what_people_call_the_same(sealer: Sealer) -> None:
    index = sealer.blind_index(ADDRESS, "contact.email")
    assert index == sealer.blind_index("  ADA@Example.ORG ", "contact.email")
    assert index == sealer.blind_index("\uff41da@example.org", "contact.email"), "full-width a is an a"  # the subject
    assert len(index) == 64
    assert index != sealer.blind_index("eve@example.org", "contact.email")
    assert index != sealer.blind_index(ADDRESS, "invoice.email")
    assert index != Sealer.from_settings(new_keyset(), new_index_key()).blind_index(ADDRESS, "contact.email")


def _keyset_of(template: object) -> str:
    handle = tink.new_keyset_handle(template)
    return str(tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))


@pytest.mark.parametrize(
    "keyset",
    [
        "",
        "{}",
        "[]",
        '{"primaryKeyId": 1, "key": []}',
        _keyset_of(aead.aead_key_templates.AES128_GCM),
        _keyset_of(aead.aead_key_templates.XCHACHA20_POLY1305),
    ],
)
def test_a_wrong_keyset_is_named_and_not_shown(keyset: str) -> None:
    with pytest.raises(ValueError, match=r"^BOXOFFICE_SEAL_KEYSET is not") as caught:
        Sealer.from_settings(keyset, new_index_key())
    assert "value" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^BOXOFFICE_SEAL_KEYSET is not"):
        add_key(keyset)


@pytest.mark.parametrize("key", ["", "short", "A" * 43 + "é=", "AAAA"])
def test_a_wrong_index_key_is_named(key: str) -> None:
    with pytest.raises(ValueError, match=r"^BOXOFFICE_BLIND_INDEX_KEY is not 32 bytes"):
        Sealer.from_settings(new_keyset(), key)


def test_a_signature_is_of_one_text_for_one_purpose(sealer: Sealer) -> None:
    """Equal on every process that has the key, no blind index, and nothing that is not it opens: not even what is no ASCII."""
    signature = sealer.sign("survey 1", "survey")
    assert sealer.sign("survey 1", "survey") == signature
    assert sealer.is_signed("survey 1", "survey", signature)
    others = {
        sealer.sign("survey 2", "survey"),
        sealer.sign("survey 1", "other"),
        Sealer.from_settings(new_keyset(), new_index_key()).sign("survey 1", "survey"),
        sealer.blind_index("survey 1", "survey"),
        f"{signature}=",
        signature[:-1],
        "",
        "ä\ud800",
    }
    assert not any(sealer.is_signed("survey 1", "survey", each) for each in others)
