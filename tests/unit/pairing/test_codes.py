"""Codes that people send each other."""

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from daemon.pairing.codes import (
    Invitation,
    decode_invitation,
    decode_key,
    encode_invitation,
    encode_key,
    fingerprint,
)
from daemon.protocol.errors import RequestError

KEY, OTHER = (zmq.curve_keypair()[0].decode() for _ in range(2))
CODE = encode_key(KEY)


@pytest.mark.parametrize(
    "typed", [CODE, CODE.lower(), CODE.replace("-", " "), f" {CODE}\n", CODE.replace("O", "0")]
)
def test_a_code_is_read_however_it_was_typed(typed: str) -> None:
    assert decode_key(typed) == KEY


@given(st.integers(0, len(CODE) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_wrong_letter_is_noticed(at: int, letter: str) -> None:
    typed = CODE[:at] + letter + CODE[at + 1 :]
    if typed == CODE or CODE[at] == "-":
        return
    with pytest.raises(RequestError) as caught:
        decode_key(typed)
    assert caught.value.code == "pair.code"


@given(st.text())
def test_anything_else_is_no_code(text: str) -> None:
    for decode in (decode_key, decode_invitation):
        with pytest.raises(RequestError):
            decode(text)


@pytest.mark.parametrize("address", ["192.168.1.20:47100", "studio.local:1", "[fe80::1]:47100"])
def test_an_invitation_comes_back(address: str) -> None:
    invitation = Invitation(address, KEY)
    assert decode_invitation(encode_invitation(invitation)) == invitation


@pytest.mark.parametrize("address", ["", "host", "host:0", "host:65533", "host:1/2"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(RequestError):
        decode_invitation(f"{address}/{CODE}")


def test_fingerprints_differ_when_either_key_does() -> None:
    shown = {fingerprint(KEY, OTHER), fingerprint(OTHER, KEY), fingerprint(KEY, KEY)}
    assert len(shown) == 3
    assert all(len(one.replace(" ", "")) == 30 for one in shown)
