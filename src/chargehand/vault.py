"""Vault: reads what ``ansible-vault`` encrypts, without Ansible installed.

Source:
    Ansible's vault payload format 1.1 and 1.2, cipher AES256.
"""

import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from chargehand.errors import SecretError
from chargehand.secret import Secret

_HEADERS = (["$ANSIBLE_VAULT", "1.1", "AES256"], ["$ANSIBLE_VAULT", "1.2", "AES256"])
_ITERATIONS = 10_000
_BLOCK_BITS = 128


def decrypt(text: str, passwords: Sequence[Secret]) -> str:
    """The text that an ansible-vault text encrypts.

    Args:
        text: With its header line; white space around its lines does not matter.
        passwords: Tried one after another.

    Raises:
        SecretError: It is no vault text, there is no password, or none fits.
    """
    salt, signature, ciphertext = _parts(text)
    if not passwords:
        raise SecretError("a vault text needs a vault password; none is given")
    for password in passwords:
        content = _open(salt, signature, ciphertext, password.reveal().encode())
        if content is not None:
            return content
    raise SecretError("no vault password given decrypts this vault text")


def _parts(text: str) -> tuple[bytes, bytes, bytes]:
    header, *body = text.strip().splitlines() or [""]
    if header.strip().split(";")[:3] not in _HEADERS:
        raise SecretError("this is no ansible-vault text of format 1.1 or 1.2 with AES256")
    try:
        payload = binascii.unhexlify("".join(line.strip() for line in body))
        salt, signature, ciphertext = map(binascii.unhexlify, payload.split(b"\n", 2))
    except (ValueError, binascii.Error):
        raise SecretError("this ansible-vault text is damaged") from None
    return salt, signature, ciphertext


def _open(salt: bytes, signature: bytes, ciphertext: bytes, password: bytes) -> str | None:
    """The decrypted text; None when the password does not fit."""
    keys = PBKDF2HMAC(SHA256(), length=80, salt=salt, iterations=_ITERATIONS).derive(password)
    seal = HMAC(keys[32:64], SHA256())
    seal.update(ciphertext)
    try:
        seal.verify(signature)
    except InvalidSignature:
        return None
    decryptor = Cipher(algorithms.AES(keys[:32]), modes.CTR(keys[64:])).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    try:
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError:  # UnicodeDecodeError is one as well
        raise SecretError("this ansible-vault text does not hold text") from None
