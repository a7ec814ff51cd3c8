"""The final of a draft: the same request and seed, with what the draft found out."""

import msgspec
import pytest

from daemon.protocol.errors import RequestError
from daemon.protocol.finals import final_of
from daemon.protocol.jobs import RedubSpec, SpeakSpec, Take

DRAFT = Take(
    take_id="k7m2p9qd-2", path="/t.mov", sidecar="/t.json", frames=9, rate=(25, 1), seed=4, engine="wan",
    badge="pass", checks={}, quality="draft",
)  # fmt: skip
REDUB = RedubSpec("/a.mov", "/b.wav", 1, 9, engine="wan", quality="draft", steps=3, takes=3, seed=3)


def sidecar(request: RedubSpec | SpeakSpec) -> bytes:
    return msgspec.json.encode({"request": request, "crop": {"size": 512, "speaker": 2}})


def test_a_final_has_its_drafts_seed_crop_and_face_and_all_steps() -> None:
    final = final_of(DRAFT, sidecar(REDUB))
    expected = msgspec.structs.replace(
        REDUB, quality="final", steps=None, seed=4, takes=1, crop=512, face="2", draft="k7m2p9qd-2"
    )
    assert final == expected


def test_a_face_that_was_pointed_at_stays() -> None:
    final = final_of(DRAFT, sidecar(msgspec.structs.replace(REDUB, face="10,20")))
    assert isinstance(final, RedubSpec)
    assert final.face == "10,20"


def test_a_spoken_shot_has_a_final_too() -> None:
    spec = SpeakSpec("/face.png", "/b.wav", quality="draft", takes=2)
    assert final_of(DRAFT, sidecar(spec)) == msgspec.structs.replace(spec, quality="final", seed=4, takes=1)


@pytest.mark.parametrize(("quality", "words"), [("final", "is a final already"), (None, "has no final")])
def test_what_has_no_final_is_refused(quality: str | None, words: str) -> None:
    take = msgspec.structs.replace(DRAFT, quality=quality)
    with pytest.raises(RequestError, match=words):
        final_of(take, sidecar(REDUB))
