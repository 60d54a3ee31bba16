"""Sealed personal data: what may travel and rest only as ciphertext.

A field is sealed with AES-256-GCM under a tink keyset and bound to its own name (the associated data), so that a
ciphertext cut from one field does not open in another. Where a sealed field must be found, a keyed blind index stands
beside it: equal texts give equal indexes, and without the key an index says nothing.

Rotation: a keyset holds several keys. The primary one seals, all of them open. docs/runbooks/rotate-data-keys.md has the steps.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import unicodedata
from typing import Any, Self

import tink
from tink import aead, secret_key_access
from tink.proto import aes_gcm_pb2

aead.register()

_AES_GCM = "type.googleapis.com/google.crypto.tink.AesGcmKey"
_KEY_BYTES = 32


class Unsealable(ValueError):  # names the state of the ciphertext, as the other errors of the chassis do
    """A ciphertext does not open: another key, another field, or bytes that were changed. Never carries the text."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} cannot be unsealed: it was sealed with another key, for another field, or changed")
        self.field = field


class Sealer:
    """Seals and opens text for named fields such as `contact.email`."""

    def __init__(self, keyset: tink.KeysetHandle, index_key: bytes) -> None:
        self._aead: aead.Aead = keyset.primitive(aead.Aead)
        self._index_key = index_key

    @classmethod
    def from_settings(cls, keyset_json: str, index_key_b64: str) -> Self:
        """Takes BOXOFFICE_SEAL_KEYSET and BOXOFFICE_BLIND_INDEX_KEY.

        Raises:
            ValueError: one of them is not what it should be; the sentence names the variable and shows no key.

        """
        return cls(_read_keyset(keyset_json), _read_index_key(index_key_b64))

    def seal(self, text: str, field: str) -> str:
        """URL-safe base64 of the ciphertext; sealing the same text twice gives two ciphertexts."""
        ciphertext: bytes = self._aead.encrypt(text.encode(), field.encode())
        return base64.urlsafe_b64encode(ciphertext).decode()

    def unseal(self, ciphertext: str, field: str) -> str:
        """Raises Unsealable, which names the field and nothing else."""
        try:
            sealed = base64.b64decode(ciphertext.encode("ascii"), altchars=b"-_", validate=True)
            text: bytes = self._aead.decrypt(sealed, field.encode())
            return text.decode()
        except (tink.TinkError, binascii.Error, UnicodeError):
            # The cause is cut off: a decoding error carries the very bytes that must not be shown.
            raise Unsealable(field) from None

    def seal_json(self, value: Any, field: str) -> str:
        """Seals any JSON value, such as the filled-in variables of a mail."""
        return self.seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")), field)

    def unseal_json(self, ciphertext: str, field: str) -> Any:
        """The value that `seal_json` took. Raises Unsealable."""
        text = self.unseal(ciphertext, field)
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            raise Unsealable(field) from None

    def blind_index(self, text: str, field: str) -> str:
        """64 hex digits that are equal for texts which a person would call the same address.

        HMAC-SHA256 over the field's name and the text in Unicode form NFKC, without outer blanks, case folded.
        """
        normalised = unicodedata.normalize("NFKC", text).strip().casefold()
        return hmac.new(self._index_key, f"{field}\0{normalised}".encode(), hashlib.sha256).hexdigest()

    def sign(self, text: str, purpose: str) -> str:
        """URL-safe base64 of 256 bits that nobody without the index key can make. Equal input, equal signature.

        HMAC-SHA256, told apart from every blind index by what stands in front.
        """
        signature = hmac.new(self._index_key, f"signature\0{purpose}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()

    def is_signed(self, text: str, purpose: str, signature: str) -> bool:
        """Whether `sign` made this signature. Takes as long for a wrong one, wherever it differs."""
        return hmac.compare_digest(self.sign(text, purpose).encode(), signature.encode(errors="replace"))


def new_keyset() -> str:
    """A keyset with one fresh AES-256-GCM key, as the JSON that BOXOFFICE_SEAL_KEYSET takes."""
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    return json.dumps(json.loads(tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN)))


def add_key(keyset_json: str, *, seals: bool = True) -> str:
    """The keyset with one more key, which seals from now on unless `seals` is False; the older keys still open what they sealed.

    Where several processes open what one of them sealed, all must have the key before it seals: add it with `seals=False`, then `promote`.

    Raises ValueError where the given keyset is none.
    """
    _read_keyset(keyset_json)
    keyset = json.loads(keyset_json)
    taken = {key["keyId"] for key in keyset["key"]}
    added = json.loads(new_keyset())
    while added["primaryKeyId"] in taken:
        added = json.loads(new_keyset())
    primary = added["primaryKeyId"] if seals else keyset["primaryKeyId"]
    return json.dumps({"primaryKeyId": primary, "key": [*keyset["key"], *added["key"]]})


def promote(keyset_json: str) -> str:
    """The keyset whose newest key seals from now on. Raises ValueError where the given keyset is none."""
    _read_keyset(keyset_json)
    keyset = json.loads(keyset_json)
    return json.dumps({**keyset, "primaryKeyId": keyset["key"][-1]["keyId"]})


def retire(keyset_json: str) -> str:
    """The keyset without the keys that no longer seal: what they sealed opens no more. Raises ValueError where the given keyset is none."""
    _read_keyset(keyset_json)
    keyset = json.loads(keyset_json)
    return json.dumps({**keyset, "key": [key for key in keyset["key"] if key["keyId"] == keyset["primaryKeyId"]]})


def new_index_key() -> str:
    """A fresh key as the base64 that BOXOFFICE_BLIND_INDEX_KEY takes."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _read_keyset(keyset_json: str) -> tink.KeysetHandle:
    wrong = "BOXOFFICE_SEAL_KEYSET is not a tink keyset in JSON whose keys are all AES-256-GCM"
    try:
        handle = tink.json_proto_keyset_format.parse(keyset_json, secret_key_access.TOKEN)
        keys = [key["keyData"] for key in json.loads(keyset_json)["key"]]
        sizes = {
            len(aes_gcm_pb2.AesGcmKey.FromString(base64.b64decode(key["value"])).key_value)
            for key in keys
            if key["typeUrl"] == _AES_GCM
        }
    except (tink.TinkError, ValueError, KeyError, TypeError):
        raise ValueError(wrong) from None
    if sizes != {_KEY_BYTES} or any(key["typeUrl"] != _AES_GCM for key in keys):
        raise ValueError(wrong)
    return handle


def _read_index_key(index_key_b64: str) -> bytes:
    wrong = f"BOXOFFICE_BLIND_INDEX_KEY is not {_KEY_BYTES} bytes in base64"
    try:
        key = base64.b64decode(index_key_b64, validate=True)
    except ValueError:
        raise ValueError(wrong) from None
    if len(key) != _KEY_BYTES:
        raise ValueError(wrong)
    return key
