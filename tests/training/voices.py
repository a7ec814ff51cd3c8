"""Spoken sentences and the mouth that says them: espeak-ng's voices, words in any order, known shapes."""

from dataclasses import dataclass

import numpy as np
import soxr

from daemon.demo.making.speech import Phoneme, Speech, speak
from daemon.demo.making.visemes import VISEMES, MouthCurve, mouth_curve

SAMPLE_RATE = 16_000
STEP_RATE = 50  # of the listener's steps
PAUSE_CLASS = len(VISEMES)
CLASSES = PAUSE_CLASS + 1
LEAD_IN_S = (0.15, 0.6)

WORDS = (
    "about above across after again all amber animal answer apple arrow autumn away baby balloon banana "
    "barn basket beach beautiful because before below between big bird blue boat body bottle bowl box boy "
    "bread bridge bright brother brown butter cabin camera car carry castle cat chair cheese child circle "
    "city clean cloud coffee cold colour corner cotton cup dance dark daughter day deep dinner doctor dog "
    "door dream dress early earth easy eight evening every fable face family far farmer father feather "
    "five fish flower food forest four fresh friend fruit garden gentle girl give glass gold good grape "
    "green hand happy harbour heavy help high hill home honey hope horse house hungry island jacket jump "
    "kitchen ladder lamp large laugh leaf lemon letter light listen little long love map market maybe "
    "meadow memory middle milk mirror moment moon morning mother mountain mouse move music name narrow "
    "never new night nine ocean often old one open orange other over page paint paper path people pepper "
    "piano picture pillow place plane plum poem potato pour purple quiet rabbit rain ready red remember "
    "river road robin room round sail salt sand school sea seven shadow sheep shoe short silver simple "
    "sing sister six sky sleep slow small snow soap soft some song soup spoon spring star stone story "
    "street sugar summer sun sweet table tall tea teacher ten there three tiger time today together tomato "
    "tower town train tree turn two umbrella under valley velvet very village visit voice wait walk wall "
    "warm water wave weather week well west where white window winter wolf wonder wood wool word yellow"
).split()
UNHEARD_WORDS = (
    "airport bamboo battle bubble candle chapel diamond elbow fabric giant hammer iron jungle kettle lobby "
    "mango needle olive parrot pocket quarter ribbon saddle temple uniform violin wagon yoghurt zebra"
).split()
LANGUAGES = ("en-us", "en", "en-gb-scotland", "en-029", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = (
    "f1 f2 f3 f4 m1 m2 m3 m4 m5 m6 Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky "
    "Lee Marco Mario Michael Mike Storm adam anika announcer antonio aunty belinda benjamin boris caleb "
    "david ed edward grandma grandpa gustave iven john kaukovalta klatt klatt2 klatt3 linda marcelo max "
    "michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph travis victor zac"
).split()
UNHEARD_VARIANTS = ("f5", "m7", "m8")


@dataclass(frozen=True)
class Said:
    """A voice and the mouth that goes with it, from time 0 on."""

    samples: np.ndarray  # float32 mono at 16 kHz
    curve: MouthCurve  # at the frames' own times
    classes: np.ndarray  # (steps,) the kind of sound in each 50th of a second
    shapes: np.ndarray  # (steps, 3) gap, width and tuck there


def say(
    random: np.random.Generator, frames: int, rate: int, *, is_unheard: bool = False, is_silent: bool = False
) -> Said:
    """Return somebody's speech over so many frames, from words and voices kept apart when `is_unheard`."""
    seconds = frames / rate
    if is_silent:
        spoken, start_s = Speech(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE, [Phoneme("", 0.0)]), 0.0
    else:
        variants = UNHEARD_VARIANTS if is_unheard else VARIANTS
        spoken = speak(
            sentence(random, seconds, is_unheard=is_unheard),
            voice=f"{random.choice(LANGUAGES)}+{random.choice(variants)}",
            words_per_minute=int(random.integers(135, 190)),
            pitch=int(random.integers(25, 75)),
        )
        start_s = float(random.uniform(*LEAD_IN_S))
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    sound = soxr.resample(spoken.samples, spoken.sample_rate, SAMPLE_RATE)
    first = round(start_s * SAMPLE_RATE)
    sound = sound[: len(samples) - first]
    samples[first : first + len(sound)] = sound * random.uniform(0.3, 0.9)
    phonemes = [Phoneme(phoneme.symbol, phoneme.start_s + start_s) for phoneme in spoken.phonemes]
    end_s = start_s + len(spoken.samples) / spoken.sample_rate
    steps = round(seconds * STEP_RATE)
    shapes = mouth_curve(phonemes, end_s=end_s, frames=steps, rate=STEP_RATE)
    return Said(
        samples,
        mouth_curve(phonemes, end_s=end_s, frames=frames, rate=rate),
        _classes(phonemes, end_s, steps),
        np.stack([shapes.gap, shapes.width, shapes.tuck], axis=1).astype(np.float32),
    )


def sentence(random: np.random.Generator, seconds: float, *, is_unheard: bool = False) -> str:
    """Return words for at least so many seconds, in sentences of three to seven."""
    wanted, text = int(seconds * 3.2), []
    while wanted > 0:
        count = int(random.integers(3, 8))
        words = list(random.choice(WORDS, count))
        if is_unheard:
            words[0], words[-1] = random.choice(UNHEARD_WORDS, 2)
        text.append(" ".join(words))
        wanted -= count
    return ". ".join(text) + "."


def _classes(phonemes: list[Phoneme], end_s: float, steps: int) -> np.ndarray:
    starts = np.array([phoneme.start_s for phoneme in phonemes] + [end_s])
    kinds = np.array([_kind(phoneme.symbol) for phoneme in phonemes] + [PAUSE_CLASS])
    at = np.searchsorted(starts, (np.arange(steps) + 0.5) / STEP_RATE, side="right") - 1
    return np.where(at < 0, PAUSE_CLASS, kinds[at.clip(0)])


def _kind(symbol: str) -> int:
    """Return which of the mouth's kinds of sound a phoneme begins with."""
    for letter in symbol:
        for kind, letters in enumerate(VISEMES):
            if letter in letters:
                return kind
    return PAUSE_CLASS
