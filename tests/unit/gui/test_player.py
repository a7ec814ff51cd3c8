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

    def play(self, seconds: float) -> None:
        """Let time pass."""
        assert self.device is not None
        left = round(seconds * SAMPLE_RATE) * CHANNELS * 2
        while left:
            left -= self.device.read(min(left, 1 << 14)).size()


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
    pass_time(player, clock, wait, 3, to=23)
    player.play(-1)
    clock.now += 4.5 / 25
    wait(lambda: player.position == 39)
    player.is_looping = False
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
