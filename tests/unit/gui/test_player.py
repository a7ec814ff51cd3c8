"""The player: keys' speeds, loop, steps, and sound that leads the picture, by a clock that we turn."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("PySide6.QtGui", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import QIODevice
from PySide6.QtGui import QImage

from gui.media.player import MAX_SPEED, Player, Track
from gui.media.sound import CHANNELS, SAMPLE_RATE

Wait = Callable[[Callable[[], object]], None]
COUNT = 100
BITS = 14
BAR = 8  # pixels
SECOND_BYTES = SAMPLE_RATE * CHANNELS * 2


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class NullSink:
    """A sound device that is not there: it pulls what a real one would in the time that passes."""

    LATENCY = SECOND_BYTES // 10

    def __init__(self) -> None:
        self.device: QIODevice | None = None

    def start(self, device: QIODevice, /) -> None:
        self.device = device
        self.play(0.1)  # a device fills its buffer first

    def stop(self) -> None:
        self.device = None

    def setVolume(self, volume: float, /) -> None: ...  # noqa: N802

    def bufferSize(self) -> int:  # noqa: N802
        return self.LATENCY

    def bytesFree(self) -> int:  # noqa: N802
        return 0

    def play(self, seconds: float) -> np.ndarray:
        """Let time pass; return (n, 2) samples that were pulled meanwhile."""
        assert self.device is not None
        left, pulled = round(seconds * SAMPLE_RATE) * CHANNELS * 2, b""
        while left:
            block = self.device.read(min(left, 1 << 14)).data()
            left, pulled = left - len(block), pulled + block
        return np.frombuffer(pulled, np.int16).reshape(-1, CHANNELS)


def make_numbered(path: Path, rate: Fraction, count: int) -> Path:
    """Write small pictures that carry their number as bars of black and white."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = BITS * BAR, 16, "gray"
        stream.options = {"g": "250", "bf": "3", "preset": "ultrafast", "qp": "10"}
        for number in range(count):
            bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8)
            picture = np.tile(np.repeat(bits * 200 + 20, BAR), (16, 1))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "gray")
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def number_in(image: QImage | None) -> int:
    """Return the number that a picture carries; -1 for none."""
    if image is None:
        return -1
    middle = image.height() // 2
    return sum((image.pixelColor(bit * BAR + BAR // 2, middle).red() > 128) << bit for bit in range(BITS))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_numbered(tmp_path_factory.mktemp("clip") / "a.mp4", Fraction(25), COUNT)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def player(qt: object, clip: Path, clock: Clock, wait: Wait) -> Iterator[Player]:
    made = Player(clock=clock, open_sink=lambda: None)
    made.load({"original": Track(clip)}, rate=Fraction(25), count=COUNT)
    wait(lambda: made.picture("original") is not None)
    yield made
    made.close()


def pass_time(player: Player, clock: Clock, wait: Wait, frames: int, *, to: int) -> None:
    """Let the clock go on for some frames and wait for the picture that is due."""
    clock.now += (frames + 0.5) / 25
    wait(lambda: player.position == to and player.picture("original") is not None)
    clock.now -= 0.5 / 25


def test_every_position_shows_its_own_picture_in_any_order(player: Player, wait: Wait) -> None:
    for frame in (0, 99, 3, 50, 49, 48, 20):
        player.seek(frame)
        wait(lambda: player.picture("original") is not None)
        assert number_in(player.picture("original")) == frame


def test_l_plays_and_doubles_j_plays_back_and_k_stops(player: Player, clock: Clock, wait: Wait) -> None:
    player.shuttle(1)
    assert player.speed == 1
    pass_time(player, clock, wait, 10, to=10)
    for speed in (2, 4, 8, MAX_SPEED):
        player.shuttle(1)
        assert player.speed == speed
    player.shuttle(-1)
    assert player.speed == -1
    pass_time(player, clock, wait, 4, to=6)
    player.shuttle(-1)
    assert player.speed == -2
    player.stop()
    at = player.position
    clock.now += 1
    assert (player.speed, player.position) == (0, at)
    assert number_in(player.picture("original")) == at


def test_it_loops_between_in_and_out_or_stops_at_the_end(player: Player, clock: Clock, wait: Wait) -> None:
    player.set_range(20, 40)
    player.seek(30)
    player.play(1)
    clock.now += 10.5 / 25
    wait(lambda: player.position == 20)
    clock.now -= 0.5 / 25
    pass_time(player, clock, wait, 3, to=23)
    player.play(-1)
    clock.now += 4.5 / 25
    wait(lambda: player.position == 39)
    player.set_looping(False)
    player.play(1)
    assert player.position == 20  # from the end it begins anew
    clock.now += 1
    wait(lambda: player.speed == 0)
    assert player.position == 39


def test_a_step_stops_and_never_leaves_the_clip(player: Player) -> None:
    player.play(1)
    player.step(-1)
    assert (player.speed, player.position) == (0, 0)
    player.seek(COUNT + 50)
    assert player.position == COUNT - 1
    player.step(25)
    assert player.position == COUNT - 1


def test_pictures_are_let_go_of_while_nobody_looks(player: Player, wait: Wait) -> None:
    player.rest()
    assert player.picture("original") is None
    player.seek(7)
    wait(lambda: number_in(player.picture("original")) == 7)


def test_stepping_back_through_a_long_group_decodes_it_once_for_many_pictures(
    player: Player, wait: Wait
) -> None:
    player.seek(COUNT - 1)
    wait(lambda: player.picture("original") is not None)
    decoder = player.decoders["original"]
    for frame in range(COUNT - 2, 40, -1):
        player.step(-1)
        wait(lambda: player.picture("original") is not None)
        assert number_in(player.picture("original")) == frame
    wait(lambda: decoder.picture(0) is not None)  # two ways through the group reach its first picture
    assert decoder.decoded < 2 * COUNT


@pytest.fixture
def heard(qt: object, clip: Path, clock: Clock, wait: Wait) -> Iterator[tuple[Player, list[NullSink]]]:
    """Give a player whose samples are numbered, looping over frames 20 to 40, and the devices it opened."""
    sinks: list[NullSink] = []

    def open_sink() -> NullSink:
        sinks.append(NullSink())
        return sinks[-1]

    player = Player(clock=clock, open_sink=open_sink)
    player.load({"original": Track(clip)}, rate=Fraction(25), count=COUNT)
    numbers = np.arange(COUNT * SAMPLE_RATE // 25, dtype=np.int32).astype(np.int16)
    player.set_sound(np.repeat(numbers[:, None], CHANNELS, axis=1))
    player.set_range(20, 40)
    player.seek(30)
    wait(lambda: player.picture("original") is not None)
    yield player, sinks
    player.close()


def test_a_loop_goes_on_without_a_gap_in_its_sound(heard: tuple[Player, list[NullSink]], wait: Wait) -> None:
    player, sinks = heard
    player.play(1)
    (sink,) = sinks
    a_frame = SAMPLE_RATE // 25
    pulled = sink.play(9 / 25)[:, 0]  # beside the 0.1 s that it has already: up to 11.5 frames from frame 30
    numbers = [*range(int(32.5 * a_frame), 40 * a_frame), *range(20 * a_frame, int(21.5 * a_frame))]
    assert np.array_equal(pulled, np.array(numbers).astype(np.int16))
    wait(lambda: player.position == 39)
    sink.play(2 / 25)
    wait(lambda: player.position == 21)
    assert number_in(player.picture("original")) == 21
    sink.play(60 / 25)
    wait(lambda: player.position == 21 and len(sinks) == 1)


def test_a_device_that_goes_away_leaves_the_picture_playing_and_another_one_is_heard(
    heard: tuple[Player, list[NullSink]], clock: Clock, wait: Wait
) -> None:
    player, sinks = heard
    player.play(1)
    sinks[0].play(4.5 / 25)
    wait(lambda: player.position == 34)
    clock.now += 0.6  # and nothing is pulled any more
    wait(lambda: sinks[0].device is None)
    assert (player.speed, player.position) == (1, 34)
    clock.now += 3.5 / 25
    wait(lambda: player.position == 37)
    player.renew_sound()
    assert len(sinks) == 2
    clock.now += 0.2
    pulled = sinks[1].play(1.5 / 25)
    seen = np.array(39.5 * SAMPLE_RATE / 25).astype(np.int16)  # frame 37 and what fills its buffer
    assert pulled[0, 0] == seen
    wait(lambda: player.position == 38)


def test_another_sound_is_heard_at_once(heard: tuple[Player, list[NullSink]], wait: Wait) -> None:
    player, sinks = heard
    player.play(1)
    sinks[0].play(2.5 / 25)
    wait(lambda: player.position == 32)
    player.set_sound(np.full((COUNT * SAMPLE_RATE // 25, CHANNELS), 7, np.int16))
    assert (len(sinks), sinks[0].device) == (2, None)
    assert set(sinks[1].play(1 / 25)[:, 0]) == {7}
    wait(lambda: player.position == 33)


def test_a_device_that_wakes_slowly_is_waited_for(
    heard: tuple[Player, list[NullSink]], clock: Clock, wait: Wait
) -> None:
    player, sinks = heard
    player.play(1)
    clock.now += 2
    for _ in range(3):
        player._tick()
    assert player.position == 30
    sinks[0].play(2.5 / 25)
    wait(lambda: player.position == 32)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001)])
def test_sound_and_picture_are_within_a_frame_after_five_minutes(
    qt: object, tmp_path: Path, clock: Clock, wait: Wait, rate: Fraction
) -> None:
    count = int(302 * rate)
    clip = make_numbered(tmp_path / "a.mp4", rate, count)
    sink = NullSink()
    player = Player(clock=clock, open_sink=lambda: sink)
    player.load({"original": Track(clip)}, rate=rate, count=count)
    player.set_sound(np.zeros((302 * SAMPLE_RATE, CHANNELS), np.int16))
    wait(lambda: player.picture("original") is not None)
    player.play(1)
    heard_s = 0.0
    for _ in range(30):
        sink.play(10)
        heard_s += 10
        due = int(heard_s * rate)
        wait(lambda due=due: player.position == due)
        assert number_in(player.picture("original")) == due
        assert 0 <= heard_s - float(due / rate) < float(1 / rate)
    player.close()
