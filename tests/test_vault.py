import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.errors import SecretError
from chargehand.secret import Secret
from chargehand.vault import decrypt

PROGRAM = Path(sys.executable).parent / "ansible-vault"
TEXTS = ["hunter2", "ünïcode 'quotes' \"too\" $HOME\n\n", "x" * 4096]


def encrypt(folder: Path, text: str, password: str, *options: str) -> str:
    secret = folder / "password"
    secret.write_text(password)
    identity = [f"--vault-id={options[0]}@{secret}"] if options else [f"--vault-password-file={secret}"]
    done = subprocess.run(
        [PROGRAM, "encrypt", *identity, "--output=-", "-"],
        input=text.encode(),
        capture_output=True,
        check=True,
        cwd=folder,
    )
    return done.stdout.decode()


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "odd", "4 KB"])
def test_what_ansible_vault_encrypts_is_decrypted(tmp_path, text):
    vaulted = encrypt(tmp_path, text, "pass wörd")
    assert vaulted.startswith("$ANSIBLE_VAULT;1.1;")
    assert decrypt(vaulted, [Secret("wrong"), Secret("pass wörd")]) == text


def test_a_labelled_vault_of_format_1_2_is_decrypted_with_any_password_that_fits(tmp_path):
    vaulted = encrypt(tmp_path, "hunter2", "secret", "prod")
    assert vaulted.startswith("$ANSIBLE_VAULT;1.2;AES256;prod")
    indented = "\n".join(f"    {line}  " for line in vaulted.splitlines())
    assert decrypt(indented, [Secret("secret")]) == "hunter2"


def test_a_wrong_password_is_refused_without_naming_it(tmp_path):
    vaulted = encrypt(tmp_path, "hunter2", "right")
    with pytest.raises(SecretError, match="no vault password given decrypts") as caught:
        decrypt(vaulted, [Secret("wrong-password")])
    assert "wrong-password" not in str(caught.value)
    with pytest.raises(SecretError, match="needs a vault password"):
        decrypt(vaulted, [])


def test_a_vault_that_was_tampered_with_is_refused(tmp_path):
    vaulted = encrypt(tmp_path, "hunter2", "right")
    body = vaulted.rstrip("\n")
    changed = body[:-1] + ("0" if body[-1] != "0" else "1")
    with pytest.raises(SecretError):
        decrypt(changed, [Secret("right")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "$ANSIBLE_VAULT;1.0;AES\n00",
        "$ANSIBLE_VAULT;1.1;AES256\nxyz",
        "$ANSIBLE_VAULT;1.1;AES256\n3030",
    ],
)
def test_what_is_no_vault_text_is_refused(text):
    with pytest.raises(SecretError, match=r"no ansible-vault text|damaged"):
        decrypt(text, [Secret("secret")])
