"""Whatever is wrong with what a person gives: one clear error, the documented exit status, nothing harmed."""

import json
import os
import random
import subprocess
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.protocol.errors import ERRORS
from daemon.protocol.jobs import JobState
from tests.clips import make_clip, make_voice, read_clip
from tests.studio import Run, Studio, command, typed


@pytest.fixture(scope="module")
def shot(studio: Studio) -> Path:
    return make_clip(studio.folder / "shot.mov", count=40, metadata={"timecode": "01:00:00:00"})


@pytest.fixture(autouse=True)
def alive(studio: Studio) -> Iterator[None]:
    """After every mistake the same daemon answers, and no unfinished file lies about."""
    before = studio.client.status().server_pid
    yield
    assert studio.client.status().server_pid == before
    assert list(studio.folder.rglob("*.part*")) == []


def redub(
    studio: Studio, source: object, voice: object, first: object = 8, stop: object = 26, *more: object
) -> Run:
    """Run `dubwright redub`."""
    dest = () if "--dest" in more else ("--dest", studio.folder / "takes")
    return command("redub", source, "--in", first, "--out", stop, "--voice", voice, *dest, *more)


def check(run: Run, status: int, code: str, *words: str) -> dict[str, Any]:
    """The command ended with `status` and one error: code, a sentence with `words`, and what to do."""
    assert run.status == status, run.document
    error = run.document["error"]
    assert error["code"] == code, error
    assert run.status == ERRORS[code].family.exit_status
    assert error["message"].endswith(".")
    assert error["hint"]
    assert "Traceback" not in run.err
    for word in words:
        assert word in error["message"] + error["hint"]
    return error


def test_a_missing_source(studio: Studio, voice: Path) -> None:
    error = check(redub(studio, studio.folder / "nowhere.mov", voice), 3, "source.missing", "nowhere.mov")
    _, _, err = typed("redub", studio.folder / "nowhere.mov", "--in", 0, "--out", 9, "--voice", voice)
    assert err.count(error["message"]) == 1  # told once, though the job's log tells it too


@pytest.mark.parametrize("content", [b"", b"not a film\n" * 500, random.Random(1).randbytes(50_000)])
def test_an_unreadable_source(content: bytes, studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.mov"
    path.write_bytes(content)
    check(redub(studio, path, voice), 3, "source.unreadable", "broken.mov")


def test_a_folder_as_source(studio: Studio, voice: Path, tmp_path: Path) -> None:
    check(redub(studio, tmp_path, voice), 3, "source.unreadable", str(tmp_path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read every file")
def test_a_source_that_may_not_be_read(studio: Studio, shot: Path, voice: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.mov"
    path.write_bytes(shot.read_bytes())
    path.chmod(0)
    check(redub(studio, path, voice), 3, "source.unreadable", "secret.mov")


def test_a_source_cut_short(studio: Studio, shot: Path, voice: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.mov"
    path.write_bytes(shot.read_bytes()[:20_000])  # its index stood at the end
    check(redub(studio, path, voice), 3, "source.unreadable", "short.mov")


def test_a_source_without_a_picture(studio: Studio, voice: Path) -> None:
    check(redub(studio, voice, voice), 3, "source.no_video", "voice.wav")


def test_a_source_without_a_face(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "wall.mov", count=30, edit=lambda number, picture: np.full_like(picture, 90 + number)
    )
    check(redub(studio, path, voice), 3, "face.none", "8", "25")


def test_a_face_that_is_seen_elsewhere_only(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "gone.mov", count=44, edit=lambda number, picture: picture * (not 8 <= number < 26)
    )
    check(redub(studio, path, voice), 3, "face.none")


@pytest.mark.parametrize(
    ("first", "stop"), [(8, 41), (-3, 10), (40, 44), ("01:00:00:08", "01:00:09:00"), ("00:59:59:00", 20)]
)
def test_a_range_outside_the_clip(
    first: object, stop: object, studio: Studio, shot: Path, voice: Path
) -> None:
    check(redub(studio, shot, voice, first, stop), 2, "range.outside", str(stop), "40")


@pytest.mark.parametrize(
    ("first", "stop"), [(8, 8), (12, 8), ("01:00:00:08", "01:00:00:08"), ("01:00:01:00", 25)]
)
def test_a_range_of_no_frames(first: object, stop: object, studio: Studio, shot: Path, voice: Path) -> None:
    check(redub(studio, shot, voice, first, stop), 2, "range.empty", str(first), str(stop))


@pytest.mark.parametrize(
    "wrong", ["01:00:00:25", "01:00:61:00", "01:00:00;08", "1:00", "soon", "01:00:00:08.5"]
)
def test_a_wrong_timecode(wrong: str, studio: Studio, shot: Path, voice: Path) -> None:
    check(redub(studio, shot, voice, wrong, 30), 2, "timecode.invalid", wrong)


def test_a_timecode_that_drop_frame_leaves_out(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "df.mov", count=40, rate=Fraction(30000, 1001),
        metadata={"timecode": "01:00:59;20"},
    )  # fmt: skip
    check(redub(studio, path, voice, "01:01:00;01", 30), 2, "timecode.invalid", "01:01:00;01")


def test_a_missing_voice(studio: Studio, shot: Path) -> None:
    check(redub(studio, shot, studio.folder / "nobody.wav"), 3, "voice.missing", "nobody.wav")


@pytest.mark.parametrize("content", [b"", b"la la la\n" * 500, random.Random(2).randbytes(50_000)])
def test_an_unreadable_voice(content: bytes, studio: Studio, shot: Path, tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    path.write_bytes(content)
    check(redub(studio, shot, path), 3, "voice.unreadable", "noise.wav")


def test_a_voice_without_a_sample(studio: Studio, shot: Path, tmp_path: Path) -> None:
    path = make_voice(tmp_path / "nothing.wav", seconds=0)
    check(redub(studio, shot, path), 3, "voice.empty", "nothing.wav")


def test_a_film_without_sound_as_voice(studio: Studio, shot: Path, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "mute.mov", count=10, sound=None)
    check(redub(studio, shot, path), 3, "voice.unreadable", "mute.mov")


@pytest.mark.parametrize("at", [30, -200])
def test_a_voice_that_does_not_reach_the_range(at: int, studio: Studio, shot: Path, voice: Path) -> None:
    run = redub(studio, shot, voice, 8, 26, "--voice-at", at)
    check(run, 3, "voice.empty", "voice.wav", "8", "26")


@pytest.mark.parametrize("seconds", [0.3, 4.0])
def test_a_voice_of_another_length_is_no_mistake(
    seconds: float, studio: Studio, shot: Path, tmp_path: Path
) -> None:
    path = make_voice(tmp_path / "voice.wav", seconds=seconds)
    run = redub(studio, shot, path)
    assert run.document["state"] == "done"
    (take,) = run.document["takes"]
    sound = read_clip(Path(take["path"])).sound
    assert sound is not None
    assert len(sound) == 18 * 1920


def damaged(path: Path, start: float, stop: float) -> Path:
    """Overwrite a part of a transport stream, given in shares of it, with noise."""
    data = bytearray(
        make_clip(path, count=75, options={"x264-params": "keyint=10:scenecut=0"}, sound="mp2").read_bytes()
    )
    first, last = (int(len(data) * share) // 188 * 188 for share in (start, stop))
    data[first:last] = random.Random(3).randbytes(last - first)
    path.write_bytes(data)
    return path


def test_damage_in_the_middle_of_the_range(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = damaged(tmp_path / "scratched.ts", 0.4, 0.6)
    error = check(redub(studio, path, voice, 10, 70), 3, "source.corrupt", "scratched.ts")
    assert "choose a range without the damage" in error["hint"]


def test_damage_elsewhere_in_the_clip_does_no_harm(studio: Studio, voice: Path, tmp_path: Path) -> None:
    path = damaged(tmp_path / "scratched.ts", 0.6, 0.75)
    run = redub(studio, path, voice, 4, 22)
    assert run.document["state"] == "done", run.document
    assert run.document["takes"][0]["frames"] == 18


def test_a_folder_that_cannot_be_written(studio: Studio, shot: Path, voice: Path, tmp_path: Path) -> None:
    taken = tmp_path / "a file"
    taken.touch()
    check(redub(studio, shot, voice, 8, 26, "--dest", taken), 4, "dest.unwritable", str(taken))
    check(redub(studio, shot, voice, 8, 26, "--dest", taken / "below"), 4, "dest.unwritable", str(taken))


def test_a_folder_that_is_read_only(studio: Studio, shot: Path, voice: Path) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no folder that nobody may write to")
    check(redub(studio, shot, voice, 8, 26, "--dest", "/proc/takes"), 4, "dest.unwritable", "/proc/takes")


@pytest.mark.parametrize(
    ("codec", "near"), [("prores444", "prores4444"), ("H264", "h264"), ("betamax", "ffv1")]
)
def test_an_unknown_codec(codec: str, near: str, studio: Studio, shot: Path, voice: Path) -> None:
    check(redub(studio, shot, voice, 8, 26, "--codec", codec), 2, "job.invalid", codec, near)


def test_a_codec_that_cannot_hold_an_overlay(studio: Studio, shot: Path, voice: Path) -> None:
    check(redub(studio, shot, voice, 8, 26, "--codec", "dnxhr_hqx"), 2, "job.invalid", "deliver baked")


def test_a_size_that_the_codec_cannot_hold_is_refused_before_any_work(
    studio: Studio, voice: Path, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "odd.mkv", codec="ffv1", size=(321, 323))
    how = ("--deliver", "baked", "--codec", "h264", "--dry-run")
    check(redub(studio, path, voice, 8, 26, *how), 2, "job.invalid", "321 x 323", "prores422hq")


@pytest.mark.parametrize(
    ("field", "near"),
    [("codek", "`codec`"), ("leave-alone", "`leave_alone`"), ("In", "`in`"), ("zzz", "Known")],
)
def test_an_unknown_field_in_a_job_file(
    field: str, near: str, studio: Studio, shot: Path, voice: Path, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"source": str(shot), "voice": str(voice), "in": 8, "out": 26, field: 1}))
    check(command("submit", file), 2, "job.unknown_field", f"`{field}`", near)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"source": "a.mov"}', '{"kind": "dance"}', "[" * 5000, '"\ud83d"']
)
def test_a_job_file_that_is_none(text: str, studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    check(command("submit", file), 2, "job.invalid")


@pytest.mark.parametrize(
    ("field", "value"),
    [("takes", 0), ("takes", "many"), ("handles", -1), ("seed", -1), ("in", 1.5), ("in", None),
     ("rate", "soon"), ("rate", "0"), ("boxes", [[1, 2, 3]]), ("boxes", [None]), ("leave_alone", [[5]]),
     ("deliver", "fax"), ("boxes", [[5, 5, 1, 1]] * 18), ("source", ""), ("voice", "\u0000"),
     ("in", 10**30), ("face", "-1"), ("in", "9" * 400), ("rate", "1e400"), ("rate", "nan"),
     ("leave_alone", [["soon", "later"]])],
)  # fmt: skip
def test_a_wrong_value_in_a_job_file(
    field: str, value: object, studio: Studio, shot: Path, voice: Path, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"source": str(shot), "voice": str(voice), "in": 8, "out": 26, field: value}))
    run = command("submit", file, "--wait")
    assert run.status in (2, 3), run.document
    error = run.document["error"]
    assert error["code"] != "internal", error
    assert error["hint"]


@pytest.mark.parametrize("text", ["", "nonsense", "{}", '[["a"]]', "[[1, 2, 3, 4]]"])
def test_a_wrong_file_of_boxes(text: str, studio: Studio, shot: Path, voice: Path, tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(text)
    run = redub(studio, shot, voice, 8, 26, "--boxes", file)
    assert run.status == 2
    assert run.document["error"]["code"] in ("boxes.invalid", "job.invalid")


def test_a_path_that_is_not_text(studio: Studio, voice: Path, shot: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mov"))
    try:
        path.write_bytes(shot.read_bytes())
    except OSError:
        pytest.skip("this disk takes no such name")
    program = "import sys; from daemon.cli import main; sys.exit(main())"
    run = subprocess.run(
        [sys.executable, "-c", program, "redub", path, "--in", "8", "--out", "9", "--voice", voice, "--json"],
        capture_output=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert run.returncode == 2, run.stderr.decode()
    assert b"Traceback" not in run.stderr
    assert json.loads(run.stdout)["error"]["code"] == "job.invalid"


def test_a_silent_voice_shuts_the_mouth_and_the_take_says_so(
    studio: Studio, shot: Path, tmp_path: Path
) -> None:
    with wave.open(str(tmp_path / "silent.wav"), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 48000))
    (take,) = redub(studio, shot, tmp_path / "silent.wav").document["takes"]
    assert any("says nothing" in note for note in take["notes"])


def test_a_source_that_vanishes_while_it_waits(
    studio: Studio, shot: Path, voice: Path, tmp_path: Path
) -> None:
    path = tmp_path / "fleeting.mov"
    path.write_bytes(shot.read_bytes())
    spec = {"source": str(path), "voice": str(voice), "in": 8, "out": 26}
    job = studio.client.submit(spec, hold=True)
    path.unlink()
    studio.client.release(job.job_id)
    job = studio.finish(job)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "source.missing"
    path.write_bytes(shot.read_bytes())
    assert studio.finish(studio.client.retry(job.job_id)).state is JobState.DONE
