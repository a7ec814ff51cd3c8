"""What two people send each other to pair machines: public keys, as text that survives mail and telephone.

A code holds nothing secret. It must not be changed on its way, though, so both machines show the same
fingerprint of both keys, which the two people compare.
"""

import base64
import hashlib
import re
from typing import NamedTuple

from zmq.utils import z85

from daemon.protocol.errors import RequestError

KEY_BYTES, CHECK_LETTERS = 32, 4
_GROUP = 4
_LOOKALIKES = str.maketrans("018", "OIB")  # base32 has no such digits; people read them into letters


class Invitation(NamedTuple):
    """Where a daemon listens for paired machines, and its public key (Z85)."""

    address: str  # "host:port"; the three ports after it are used, too
    server_public: str


def encode_key(key: str) -> str:
    """Write a public key (Z85) in groups of letters and digits, with a check against typing errors."""
    letters = _letters(z85.decode(key.encode()))
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def decode_key(text: str) -> str:
    """Read what `encode_key` wrote, however it was typed. Raises RequestError `pair.code`."""
    letters = re.sub(r"[\s-]", "", text).upper().translate(_LOOKALIKES)
    body = letters[:-CHECK_LETTERS]
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES or letters != _letters(raw):
        raise RequestError("pair.code", "The code was not typed as it was given.")
    return z85.encode(raw).decode()


def encode_invitation(invitation: Invitation) -> str:
    """Write an invitation: the address, a slash, the key."""
    return f"{invitation.address}/{encode_key(invitation.server_public)}"


def decode_invitation(text: str) -> Invitation:
    """Read an invitation. Raises RequestError `pair.code`."""
    address, slash, key = re.sub(r"\s", "", text).rpartition("/")
    if not slash:
        raise RequestError("pair.code", "An invitation is an address, a slash and a key.")
    split_address(address)
    return Invitation(address, decode_key(key))


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`. Raises RequestError `pair.code`."""
    host, _, port = address.rpartition(":")
    if (
        not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]|\*", host)
        or not port.isdigit()
        or not 1 <= int(port) <= 65532
    ):
        raise RequestError(
            "pair.code", f"{address!r} is no address such as 192.168.1.20:47100, with a port up to 65532."
        )
    return host, int(port)


def fingerprint(server_public: str, client_public: str) -> str:
    """Return thirty digits that both machines show when they have the same two keys."""
    both = hashlib.sha256(f"{server_public} {client_public}".encode()).digest()
    digits = f"{int.from_bytes(both, 'big') % 10**30:030}"
    return " ".join(digits[at : at + 5] for at in range(0, 30, 5))


def _letters(raw: bytes) -> str:
    """Return a key in base32, and a few letters of its hash."""
    check = hashlib.sha256(b"dubwright" + raw).digest()
    return base64.b32encode(raw).decode().rstrip("=") + base64.b32encode(check).decode()[:CHECK_LETTERS]
