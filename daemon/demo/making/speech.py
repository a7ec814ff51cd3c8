"""A spoken sentence with the time of each phoneme, by libespeak-ng. Its sound is shipped, espeak is not."""

import ctypes
import ctypes.util
from dataclasses import dataclass

import numpy as np

AUDIO_OUTPUT_RETRIEVAL = 1
PHONEME_EVENTS_IPA = 0x0003
CHARS_UTF8 = 1
EVENT_LIST_TERMINATED = 0
EVENT_PHONEME = 7
RATE, PITCH, PITCH_RANGE = 1, 3, 4


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Phoneme:
    """One sound of speech: its IPA symbol and when it begins, in seconds."""

    symbol: str
    start_s: float


@dataclass(frozen=True)
class Speech:
    """Mono speech, float32 in -1..1, with its phonemes; an empty symbol is a pause."""

    samples: np.ndarray
    sample_rate: int
    phonemes: list[Phoneme]


def speak(text: str, *, voice: str, words_per_minute: int, pitch: int) -> Speech:
    """Say `text` with one of espeak's voices, for example "en-us+f3"."""
    library = _library()
    sample_rate = library.espeak_Initialize(AUDIO_OUTPUT_RETRIEVAL, 0, None, PHONEME_EVENTS_IPA)
    if sample_rate <= 0:
        raise OSError("libespeak-ng found no voice data")
    blocks: list[np.ndarray] = []
    phonemes: list[Phoneme] = []

    def receive(samples, count, events):
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        phonemes.extend(_phonemes_of(events))
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise ValueError(f"espeak has no voice {voice!r}")
    for parameter, value in ((RATE, words_per_minute), (PITCH, pitch), (PITCH_RANGE, 60)):
        library.espeak_SetParameter(parameter, value, 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 0, 0, CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    library.espeak_Terminate()
    return Speech(np.concatenate(blocks).astype(np.float32) / 32768, sample_rate, phonemes)


def _phonemes_of(events) -> list[Phoneme]:
    found = []
    index = 0
    while events[index].type != EVENT_LIST_TERMINATED:
        event = events[index]
        if event.type == EVENT_PHONEME:
            symbol = event.id.string.decode("utf-8", "ignore").strip()
            found.append(Phoneme(symbol, event.audio_position / 1000))
        index += 1
    return found


def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("espeak-ng")
    if name is None:
        raise OSError("libespeak-ng is not installed (Debian: sudo apt install libespeak-ng1)")
    library = ctypes.CDLL(name)
    library.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    )  # fmt: skip
    return library
