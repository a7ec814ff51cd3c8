"""Voices that speak with known phoneme times: flite, festival and espeak-ng, as their packages install them.

Debian packages, all of its free `main` section: flite, festival, festvox-kallpc16k, festvox-kdlpc16k,
festvox-us-slt-hts, festvox-italp16k, festvox-itapc16k, festvox-czech-dita, festvox-czech-krb,
festvox-czech-machac, festvox-czech-ph, festvox-suopuhe-lj, festvox-suopuhe-mv, festvox-ca-ona-hts,
festvox-ru, espeak-ng.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from daemon.demo.making.speech import Phoneme, Speech, speak
from daemon.engines.rewrite.making.texts import english, syllables

FLITE = ("awb", "rms", "slt")
FESTIVAL_ENGLISH = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
FESTIVAL_OTHER = (
    "lp_diphone", "pc_diphone", "czech_dita", "czech_krb", "czech_machac", "czech_ph", "suo_fi_lj_diphone",
    "hy_fi_mv_diphone", "upc_ca_ona_hts", "msu_ru_nsh_clunits",
)  # fmt: skip
ESPEAK = (
    "en-us+f3", "en-us+m3", "en-gb-x-rp+f2", "de+m1", "es+f4", "en-us+m7", "en-us+f5", "en+m5",
    "en-gb-scotland+f1", "en-us+klatt4", "de+f2", "fr+m4", "it+f3", "pt-br+m2", "nl+f4",
)  # fmt: skip
HELD_OUT = ("rms", "czech_dita", "suo_fi_lj_diphone", "de+m1")
"""Voices that nothing is learned from: they tell how well an unknown speaker is understood."""

_LINES, _LINES_OF_ESPEAK = 56, 28
_SPEEDS = (0.8, 0.95, 1.1)  # of flite's and festival's own durations

# ruff: noqa: RUF001 - letters of the phonetic alphabet
_IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "eh": "ɛ", "er": "ɜ",
    "ey": "eɪ", "ih": "ɪ", "iy": "i", "ow": "oʊ", "oy": "ɔɪ", "uh": "ʊ", "uw": "u", "ch": "tʃ", "jh": "dʒ",
    "sh": "ʃ", "zh": "ʒ", "th": "θ", "dh": "ð", "ng": "ŋ", "hh": "h", "dx": "ɾ", "y": "j", "oo": "o",
    "ee": "e", "ii": "i", "uu": "u", "yy": "i",
}  # fmt: skip
_PAUSES = ("pau", "#", "h#", "brth", "_", "ssil")

_SCRIPT = """
(voice_{voice})
(Parameter.set 'Duration_Stretch {stretch})
(let ((u (utt.synth (Utterance Text "{text}"))))
  (utt.save.wave u "{wave}" 'riff)
  (utt.save.segs u "{segments}"))
"""


@dataclass(frozen=True)
class Line:
    """Something said: the voice's name and the speech with its phonemes in IPA."""

    voice: str
    speech: Speech


def say_all(seed: int) -> Iterator[Line]:
    """Yield every voice's lines, the same for the same seed."""
    rng = np.random.default_rng(seed)
    for voice in FLITE:
        for number in range(_LINES):
            yield Line(voice, _flite(voice, english(rng), _SPEEDS[number % 3]))
    for voice in (*FESTIVAL_ENGLISH, *FESTIVAL_OTHER):
        write = english if voice in FESTIVAL_ENGLISH else syllables
        lines = [write(rng) for _ in range(_LINES)]
        yield from (Line(voice, speech) for speech in _festival(voice, lines))
    for voice in ESPEAK:
        write = english if voice.startswith("en") else syllables
        for number in range(_LINES_OF_ESPEAK):
            pace, pitch = 130 + 25 * (number % 4), 35 + 15 * (number % 3)
            yield Line(voice, speak(write(rng), voice=voice, words_per_minute=pace, pitch=pitch))


def to_ipa(symbol: str) -> str:
    """Return a synthesiser's own symbol in IPA, as far as the mouth's shape goes; a pause is empty."""
    if symbol in _PAUSES:
        return ""
    plain = symbol.rstrip("0123456789")
    if plain in ("E", "O"):
        return {"E": "ɛ", "O": "ɔ"}[plain]
    plain = plain.lower()
    return _IPA.get(plain, plain[:1])


def _flite(voice: str, text: str, stretch: float) -> Speech:
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "said.wav"
        made = subprocess.run(
            ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur", "-t", text,
             "-o", str(wave)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        ends = [pair.rsplit(":", 1) for pair in made.stdout.split()]
        return _speech(wave, [(symbol, float(end)) for symbol, end in ends])


def _festival(voice: str, lines: list[str]) -> Iterator[Speech]:
    with tempfile.TemporaryDirectory() as folder:
        parts, names = [], []
        for number, text in enumerate(lines):
            names.append((Path(folder) / f"{number}.wav", Path(folder) / f"{number}.lab"))
            wave, segments = names[-1]
            parts.append(
                _SCRIPT.format(
                    voice=voice, stretch=_SPEEDS[number % 3], text=text, wave=wave, segments=segments
                )
            )
        script = Path(folder) / "say.scm"
        script.write_text("".join(parts), encoding="ascii")
        subprocess.run(["festival", "-b", str(script)], capture_output=True, check=True)
        for wave, segments in names:
            rows = [row.split() for row in segments.read_text(encoding="latin-1").splitlines()]
            yield _speech(wave, [(row[2], float(row[0])) for row in rows if len(row) >= 3])


def _speech(wave: Path, ends: list[tuple[str, float]]) -> Speech:
    """Return the speech of a file and the (symbol, end in seconds) of each of its phonemes."""
    starts = [0.0, *(end for _, end in ends[:-1])]
    phonemes = [Phoneme(to_ipa(symbol), start) for (symbol, _), start in zip(ends, starts, strict=True)]
    with av.open(str(wave)) as container:
        stream = container.streams.audio[0]
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(stream)]
        return Speech(np.concatenate(blocks).astype(np.float32) / 32768, stream.rate, phonemes)
