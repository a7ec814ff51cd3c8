"""The voice under a range: exact samples in their own depth, ways to fill it, and where speech is."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.media.segment import FrameRange, sample_at
from daemon.media.voice import open_voice, speech_activity
from daemon.protocol.errors import MediaError

NTSC = Fraction(30000, 1001)
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes samples (n, channels) to a sound file."""

    def write(
        samples: np.ndarray, name: str = "voice.wav", codec: str = "pcm_s16le", rate: int = 48000,
        layout: str = "mono", form: str = "s16",
    ) -> Path:  # fmt: skip
        path = tmp_path / name
        with av.open(str(path), "w") as out:
            stream = out.add_stream(codec, rate=rate, layout=layout)
            stream.codec_context.format = form
            step = stream.codec_context.frame_size or 4096
            for start in range(0, len(samples), step):
                piece = np.ascontiguousarray(samples[start : start + step])
                packed = piece.T if form.endswith("p") else piece.reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=form, layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return write


def noise(count: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, (count, channels)).astype(np.int16)


@pytest.mark.parametrize(("codec", "name", "form", "depth", "dtype"), [
    ("pcm_s16le", "a.wav", "s16", 16, np.int16), ("pcm_s24le", "a.wav", "s32", 24, np.int32),
    ("pcm_s32le", "a.wav", "s32", 32, np.int32), ("pcm_f32le", "a.wav", "flt", 32, np.float32),
    ("pcm_s16be", "a.aiff", "s16", 16, np.int16), ("flac", "a.flac", "s16", 16, np.int16),
    ("flac", "b.flac", "s32", 24, np.int32), ("pcm_s24le", "a.mov", "s32", 24, np.int32),
])  # fmt: skip
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_samples_keep_their_depth_and_channels(
    codec: str, name: str, form: str, depth: int, dtype: type, layout: str, channels: int, save: Save
) -> None:
    samples = noise(9001, channels)
    given = {
        "s16": samples,
        "s32": samples.astype(np.int32) << 16,
        "flt": (samples / 32768).astype(np.float32),
    }[form]
    if depth == 24:
        given = given + (7 << 8)
    if depth == 32 and form == "s32":
        given = given + 5
    voice = open_voice(save(given, name, codec, 48000, layout, form))
    assert (voice.info.depth, voice.info.channels, voice.info.samples) == (depth, channels, 9001)
    conformed = voice.conform(FrameRange(0, 5), Fraction(25), 0, "silence")
    assert conformed.samples.dtype == dtype
    assert np.array_equal(conformed.samples[:9001], given)
    assert not conformed.samples[9001:].any()


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), NTSC, Fraction(60000, 1001)])
@pytest.mark.parametrize("sample_rate", [16000, 44100, 48000])
def test_the_length_is_that_of_the_range_to_the_sample(rate: Fraction, sample_rate: int, save: Save) -> None:
    voice = open_voice(save(noise(30000), rate=sample_rate))
    for frames in (FrameRange(0, 1), FrameRange(7, 20), FrameRange(100_000, 100_013)):
        conformed = voice.conform(frames, rate, frames.start, "silence")
        count = sample_at(frames.stop, rate, sample_rate) - sample_at(frames.start, rate, sample_rate)
        assert len(conformed.samples) == count
        assert len(conformed.mono16k) == sample_at(frames.stop, rate, 16000) - sample_at(
            frames.start, rate, 16000
        )


def test_the_voice_starts_at_its_frame(save: Save) -> None:
    samples = noise(48000)
    voice = open_voice(save(samples))
    late = voice.conform(FrameRange(10, 20), Fraction(25), 14, "silence")
    assert not late.samples[: 4 * 1920].any()
    assert np.array_equal(late.samples[4 * 1920 :], samples[: 6 * 1920])
    assert late.covered == FrameRange(14, 20)
    early = voice.conform(FrameRange(10, 20), Fraction(25), 3, "cut_off")
    assert np.array_equal(early.samples, samples[7 * 1920 : 17 * 1920])
    short = voice.conform(FrameRange(20, 60), Fraction(25), 3, "cut_off")
    assert short.covered == FrameRange(20, 28)


def test_a_loop_begins_again_and_fades_at_the_joins(save: Save) -> None:
    samples = noise(5000) // 2 + 8000
    looped = open_voice(save(samples)).conform(FrameRange(0, 10), Fraction(25), 0, "loop").samples
    assert len(looped) == 19200
    assert np.array_equal(looped[:4760], samples[:4760])  # untouched but for the last 5 ms
    assert np.array_equal(looped[5240:9760], samples[240:4760])
    assert np.abs(looped[4999]).max() < 150
    assert np.abs(looped[5000]).max() < 150


def test_a_bounce_turns_round_at_both_ends(save: Save) -> None:
    samples = noise(1000)
    bounced = open_voice(save(samples)).conform(FrameRange(0, 2), Fraction(25), 0, "bounce").samples
    expected = np.concatenate([samples, samples[-2::-1], samples[1:]])
    assert np.array_equal(bounced[:2998], expected[:2998])


@pytest.mark.parametrize("seconds", [0.7, 1.6])
def test_a_remap_fills_the_range_and_keeps_the_pitch(seconds: float, save: Save) -> None:
    times = np.arange(round(48000 * seconds)) / 48000
    tone = (9000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16)[:, None]
    tone = np.concatenate([tone, -tone], axis=1)
    conformed = open_voice(save(tone, layout="stereo")).conform(FrameRange(0, 25), Fraction(25), 0, "remap")
    assert conformed.samples.shape == (48000, 2)
    assert conformed.covered == FrameRange(0, 25)
    spectrum = np.abs(np.fft.rfft(conformed.samples[4800:43200, 0] * np.hanning(38400)))
    assert abs(np.argmax(spectrum) * 48000 / 38400 - 220) < 3
    level = np.sqrt(np.mean(conformed.samples[4800:43200].astype(float) ** 2))
    assert abs(level - 9000 / np.sqrt(2)) < 600


@pytest.mark.parametrize(
    ("codec", "name"), [("libmp3lame", "a.mp3"), ("aac", "a.m4a"), ("libopus", "a.opus")]
)
def test_compressed_voices_lose_their_priming(codec: str, name: str, save: Save) -> None:
    samples = np.zeros((48000, 1), np.float32)
    samples[24000:24300] = 0.8 * np.sin(2 * np.pi * 1000 * np.arange(300) / 48000)[:, None]
    voice = open_voice(save(samples, name, codec, 48000, "mono", "fltp"))
    assert abs(voice.info.samples - 48000) <= 1152
    sound = voice.conform(FrameRange(0, 25), Fraction(25), 0, "silence").samples[:, 0]
    assert sound.dtype == np.float32
    energy = np.convolve(sound**2, np.ones(300), mode="same")
    assert abs(int(np.argmax(energy)) - 24150) < 60


def test_a_long_voice_lies_on_disk(save: Save) -> None:
    voice = open_voice(save(noise(48000 * 4)))
    assert isinstance(voice._samples, np.memmap)


@pytest.mark.parametrize(("at", "mode"), [(50, "silence"), (-10, "cut_off"), (20, "loop")])
def test_a_voice_that_misses_the_range_is_refused(at: int, mode: str, save: Save) -> None:
    voice = open_voice(save(noise(1000)))
    with pytest.raises(MediaError) as error:
        voice.conform(FrameRange(0, 20), Fraction(25), at, mode)  # type: ignore[arg-type]
    assert error.value.code == "voice.empty"


def test_what_is_no_voice_is_refused(tmp_path: Path, save: Save, clip: Callable[..., Path]) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a sound\n" * 50)
    empty = save(noise(1), "empty.wav")
    data = empty.read_bytes()
    empty.write_bytes(data[: data.index(b"data") + 4] + bytes(4))
    codes = {}
    for path in (tmp_path / "nothing.wav", tmp_path, text, clip("silent.mov"), empty):
        with pytest.raises(MediaError) as error:
            open_voice(path)
        codes[path.name] = error.value.code
    assert list(codes.values()) == [
        "voice.missing", "voice.unreadable", "voice.unreadable", "voice.unreadable", "voice.empty",
    ]  # fmt: skip


def speech(spoken: list[tuple[float, float]], seconds: float, noise_db: float) -> np.ndarray:
    """Return buzz bursts like syllables, between `spoken` times, over noise."""
    rng = np.random.default_rng(5)
    times = np.arange(int(16000 * seconds)) / 16000
    buzz = sum(np.sin(2 * np.pi * 130 * k * times) / k for k in range(1, 25))
    gate = np.zeros_like(times)
    for start, stop in spoken:
        inside = (times >= start) & (times < stop)
        gate[inside] = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * (times[inside] - start))
    hiss = rng.standard_normal(len(times)) * 10 ** (noise_db / 20)
    return (0.15 * buzz * gate + hiss).astype(np.float32)


@pytest.mark.parametrize("noise_db", [-90, -60, -42])
def test_speech_is_found_over_the_rooms_noise(noise_db: float) -> None:
    spoken = [(0.6, 1.5), (2.2, 3.4)]
    activity = speech_activity(speech(spoken, 4.0, noise_db), Fraction(25), FrameRange(0, 100))
    times = (np.arange(100) + 0.5) / 25
    truth = np.any([(times >= start) & (times < stop) for start, stop in spoken], axis=0)
    clear = np.min([np.abs(times - edge) for pair in spoken for edge in pair], axis=0) > 0.12
    assert activity.dtype == np.float32
    assert np.all(activity[truth & clear] == 1)
    assert np.all(activity[~truth & clear] == 0)


@pytest.mark.parametrize("level_db", [-200, -60, -30])
def test_silence_and_steady_noise_are_no_speech(level_db: float) -> None:
    hiss = np.random.default_rng(1).standard_normal(32000) * 10 ** (level_db / 20)
    assert not speech_activity(hiss.astype(np.float32), NTSC, FrameRange(3, 63)).any()


def test_speech_without_a_pause_is_speech(media: Path) -> None:
    voice = open_voice(media / "latentsync_demo1_voice.wav")
    conformed = voice.conform(FrameRange(0, 200), Fraction(25), 0, "silence")
    activity = speech_activity(conformed.mono16k, Fraction(25), FrameRange(0, 200))
    assert 0.5 < activity.mean() < 1


def test_channels_that_cancel_each_other_out_are_heard(save: Save) -> None:
    one = noise(48000)
    voice = open_voice(save(np.hstack([one, np.maximum(-one, -32767)]), layout="stereo"))
    alone = open_voice(save(one, name="mono.wav"))
    frames = FrameRange(0, 25)
    heard, expected = (each.conform(frames, Fraction(25), 0, "silence").mono16k for each in (voice, alone))
    assert np.abs(heard - expected).max() < 0.01
