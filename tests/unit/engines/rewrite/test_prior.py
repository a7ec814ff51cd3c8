"""The prior: what any mouth does for a sound, from a network run without torch."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import daemon.demo
from daemon.demo.making.speech import Phoneme, Speech
from daemon.demo.making.visemes import VISEMES as SHOWN
from daemon.engines.rewrite.making.examples import KINDS, make_example
from daemon.engines.rewrite.making.mouths import VISEMES
from daemon.engines.rewrite.making.train import Network
from daemon.engines.rewrite.making.voices import to_ipa
from daemon.engines.rewrite.prior import WEIGHTS, Lips, network_input, read_lips, run
from daemon.engines.rewrite.rule import USUAL_LEAD_S, find_lead, general_rule, rule_at
from daemon.engines.rewrite.sound import analyse
from daemon.media.segment import FrameRange
from daemon.media.source import open_source

DEMO = Path(daemon.demo.__file__).parent


@pytest.fixture(scope="module")
def facts() -> dict:
    return json.loads((DEMO / "facts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def spoken(facts: dict) -> np.ndarray:
    """Return the demo shot's sound, 16 kHz mono."""
    with open_source(DEMO / "shot.mov") as source:
        return source.sound(FrameRange(0, facts["frames"]))


@pytest.fixture(scope="module")
def lips(spoken: np.ndarray) -> Lips:
    return read_lips(analyse(spoken))


def rows_of(facts: dict, letters: str) -> np.ndarray:
    """Return the rows of 10 ms in the first half of each phoneme that starts with one of the letters."""
    spans = zip(facts["phonemes"], facts["phonemes"][1:], strict=False)
    rows = [
        np.arange(round(start * 100), round((start + stop) * 50))
        for (symbol, start), (_, stop) in spans
        if symbol and symbol[0] in letters
    ]
    return np.concatenate(rows)


def test_a_known_mouth_is_read_from_its_sound(facts: dict, lips: Lips):
    at_frames = np.arange(facts["frames"]) * 4
    gap = lips.gap[np.minimum(at_frames, len(lips.gap) - 1)]
    assert np.corrcoef(gap, facts["aperture"])[0, 1] > 0.7


def test_lips_close_for_labials_and_open_for_vowels(facts: dict, lips: Lips):
    labials, vowels, other = (rows_of(facts, letters) for letters in ("pbm", "aɑæʌ", "tdnszkɡ"))  # noqa: RUF001
    assert lips.closed[labials].mean() > 3 * lips.closed[other].mean()
    assert lips.closed[vowels].mean() < 0.1
    assert lips.gap[labials].mean() < 0.5 * lips.gap[vowels].mean()


def test_level_does_not_move_the_lips(spoken: np.ndarray, lips: Lips):
    quiet = read_lips(analyse(0.1 * spoken))
    assert np.allclose(quiet.gap, lips.gap, atol=0.02)


def test_silence_is_finite():
    found = read_lips(analyse(np.zeros(8000)))
    assert np.isfinite(found.gap).all()
    assert np.isfinite(found.closed).all()


def test_numpy_runs_the_network_that_torch_trained():
    torch.manual_seed(3)
    network = Network(27).eval()
    heard = torch.randn(120, 27)
    with torch.no_grad():
        wanted = network(heard.T[None])[0].T.numpy()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    assert np.allclose(run(heard.numpy(), weights), wanted, atol=1e-4)


def test_the_shipped_weights_are_of_that_network():
    with np.load(WEIGHTS) as stored:
        shapes = {name: stored[name].shape for name in stored.files}
    assert shapes == {name: tuple(value.shape) for name, value in Network(27).state_dict().items()}
    assert WEIGHTS.stat().st_size < 500_000


def test_an_actors_lead_is_found_where_there_is_speech_enough(facts: dict, lips: Lips):
    times_s = np.arange(facts["frames"]) / 25
    early = rule_at(lips, times_s, 0.1).aperture
    assert abs(find_lead(lips, times_s, early) - 0.1) < 0.02
    noise = np.random.default_rng(1).normal(size=20)
    assert abs(find_lead(lips, times_s[:20], noise) - USUAL_LEAD_S) < 0.06


def test_the_general_rule_closes_for_labials_at_any_rate(facts: dict, spoken: np.ndarray):
    slow = general_rule(spoken, Fraction(24), 200).closed
    fast = general_rule(spoken, Fraction(60), 500).closed
    assert np.corrcoef(slow, np.interp(np.arange(200) / 24, np.arange(500) / 60, fast))[0, 1] > 0.95


def test_an_example_knows_its_closures_and_breaths():
    said = Speech(
        np.random.default_rng(0).normal(size=32000).astype(np.float32) * 0.1,
        16000,
        [Phoneme("", 0.0), Phoneme("b", 0.5), Phoneme("a", 0.7), Phoneme("", 1.2), Phoneme("m", 1.6)],
    )
    example = make_example(said, np.random.default_rng(4))
    assert example.heard.shape == (len(example.kind), len(network_input(analyse(said.samples))[0]))
    closed = example.shape[:, 3] > 0.5
    assert set(example.kind[closed].tolist()) == {KINDS.index("pbm")}
    assert example.shape[closed, 0].max() < 0.3
    assert example.shape[example.kind == KINDS.index("breath"), 0].mean() > 0.3


@pytest.mark.parametrize(("symbol", "ipa"), [("pau", ""), ("aa", "ɑ"), ("a1", "a"), ("tt", "t"), ("E1", "ɛ")])  # noqa: RUF001
def test_synthesisers_symbols_are_read(symbol: str, ipa: str):
    assert to_ipa(symbol) == ipa


def test_a_breath_opens_the_mouth_wide(facts: dict, spoken: np.ndarray, lips: Lips):
    pause, loudness = np.zeros(16000), np.abs(spoken).max()
    breath = np.diff(np.random.default_rng(0).normal(size=9601)) + np.random.default_rng(1).normal(size=9600)
    pause[4800:14400] = 0.01 * loudness * breath * np.hanning(9600)
    found = read_lips(analyse(np.concatenate([spoken, pause, spoken])))
    drawn = slice(len(spoken) // 160 + 45, len(spoken) // 160 + 75)
    vowels = rows_of(facts, "aɑæʌ")  # noqa: RUF001
    assert found.gap[drawn].mean() > 0.9 * lips.gap[vowels].mean()
    silent = read_lips(analyse(np.concatenate([spoken, 0 * pause, spoken])))
    assert silent.gap[drawn].mean() < 0.7 * found.gap[drawn].mean()


def test_mouths_open_as_wide_as_sounds_ask():
    gaps = {letter: viseme.gap for letters, viseme in VISEMES.items() for letter in letters}
    assert max(gaps[letter] for letter in "pbmfvw") < min(gaps[letter] for letter in "sztdkiəa")
    assert gaps["ə"] < gaps["ʌ"] < gaps["a"]
    assert set("".join(SHOWN)) <= set(gaps)
