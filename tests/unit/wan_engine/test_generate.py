"""The command, its media, and `verify`: tiny models through the whole real path."""

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.unit.wan_engine.redub_shot import Notebook
from wan_engine.errors import MediaError, SettingError
from wan_engine.generate import main, make, parse
from wan_engine.media import VideoFile, read_picture, read_pose, read_sound
from wan_engine.pipeline import load
from wan_engine.processes import Processes
from wan_engine.sampling.control import Progress
from wan_engine.specs import find_task
from wan_engine.tiny import main as tiny
from wan_engine.verify import main as verify

SOUND_RATE = 44_100


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the tiny model folder of a task, written once."""
    root = tmp_path_factory.mktemp("tiny")

    def folder(task: str) -> Path:
        if not (root / task).exists():
            tiny([str(root / task), "--task", task])
        return root / task

    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """Write a second of stereo sound, left twice as loud as right."""
    path = tmp_path / "voice.wav"
    tone = np.sin(np.arange(SOUND_RATE) * 2 * np.pi * 440 / SOUND_RATE)
    samples = (np.stack([tone, tone / 2]) * 20_000).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = SOUND_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def streams(path: Path) -> dict[str, float]:
    """Return the frames of pictures, and the seconds of sound."""
    with av.open(str(path)) as container:
        found = {"frames": sum(1 for _ in container.decode(video=0))}
    with av.open(str(path)) as container:
        if container.streams.audio:
            found["seconds"] = sum(frame.samples for frame in container.decode(audio=0)) / SOUND_RATE
    return found


def test_a_voice_and_a_picture_become_a_video_as_long_as_the_voice(
    model: Callable[[str], Path], picture: Path, voice: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    arguments = ["--task", "s2v-14B", "--ckpt_dir", str(model("s2v-14B")), "--image", str(picture)]
    arguments += ["--audio", str(voice), "--prompt", "hello", "--sample_steps", "1", "--infer_frames", "16"]
    assert main([*arguments, "--base_seed", "1", "--save_file", str(out)]) == 0
    found = streams(out)
    assert found["frames"] == 16
    assert found["seconds"] == pytest.approx(1, abs=0.06)  # AAC pads to whole frames of 1024 samples


def test_the_same_seed_makes_the_same_video_and_another_another(model: Callable[[str], Path]) -> None:
    speak = load("s2v-14B", model("s2v-14B"))
    picture, sound = torch.full((64, 64, 3), 90, dtype=torch.uint8), torch.randn(8_000)
    settings = {"picture": picture, "sound": sound, "steps": 1, "clip_frames": 16}
    first, again, other = (
        torch.cat(list(speak("a face", seed=seed, **settings)), dim=1) for seed in (3, 3, 4)
    )
    assert first.shape == (3, 8, 64, 64)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.01)


def test_a_task_refuses_inputs_it_cannot_use(model: Callable[[str], Path]) -> None:
    with pytest.raises(SettingError, match="cannot use a sound"):
        next(load("ti2v-5B", model("ti2v-5B"))("x", sound=torch.zeros(16_000)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "s2v-14B", "--audio", "VOICE"], "needs a picture"),
        (["--task", "s2v-14B", "--image", "PICTURE"], "needs a sound"),
        (["--task", "s2v-14B", "--image", "VOICE", "--audio", "VOICE"], "no picture that can be read"),
        (["--task", "s2v-14B", "--image", "PICTURE", "--audio", "PICTURE"], "no sound"),
        (["--task", "s2v-14B", "--size", "100*100"], "does not make 100*100. Its sizes are 720*1280, "),
        (["--task", "ti2v-5B", "--frame_num", "6"], "4n + 1"),
        (["--task", "ti2v-5B", "--frame_num", "4097"], "too many"),
        (["--task", "t2v-A14B", "--ckpt_dir", "/nowhere"], "is no folder"),
        (["--task", "t2v-A14B", "--ulysses_size", "2"], "torchrun --nproc_per_node 2"),
        (["--task", "t2v-A14B", "--cfg_size", "3"], "two branches"),
        (["--task", "t2v-A14B", "--dit_fsdp"], "nobody to share"),
        (["--task", "t2v-A14B", "--sample_steps", "0"], "0 steps"),
        (["--task", "t2v-A14B", "--image", "PICTURE"], "cannot use a picture"),
        (["--task", "t2v-A14B", "--lora", "VOICE"], "no weight file"),
        (["--task", "t2v-A14B", "--vram_budget_gb", "0"], "budget"),
    ],
)
def test_mistakes_end_with_one_clear_line(
    arguments: list[str],
    words: str,
    model: Callable[[str], Path],
    picture: Path,
    voice: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"VOICE": str(voice), "PICTURE": str(picture)}
    arguments = [names.get(argument, argument) for argument in arguments]
    folder = ["--ckpt_dir", str(model(arguments[1]))]
    assert main([*folder, *arguments, "--prompt", "x"]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_the_public_commands_flags_are_understood() -> None:
    options = parse(
        [
            "--task",
            "s2v-14B",
            "--size",
            "1024*704",
            "--ckpt_dir",
            "x",
            "--offload_model",
            "True",
            "--convert_model_dtype",
            "--t5_cpu",
            "--sample_solver",
            "dpm++",
            "--sample_steps",
            "20",
            "--sample_shift",
            "3",
            "--sample_guide_scale",
            "4.5",
            "--base_seed",
            "3",
            "--image",
            "a",
            "--audio",
            "b",
            "--num_clip",
            "2",
            "--infer_frames",
            "48",
            "--pose_video",
            "c",
            "--start_from_ref",
            "--prompt",
            "d",
            "--use_prompt_extend",
            "--prompt_extend_method",
            "dashscope",
            "--prompt_extend_model",
            "m",
            "--prompt_extend_target_lang",
            "en",
            "--save_file",
            "e",
            "--frame_num",
            "81",
            "--ulysses_size",
            "1",
        ]
    )
    assert options.offload_model is True
    assert options.infer_frames == 48


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False)])
def test_yes_and_no_have_many_spellings(text: str, value: bool) -> None:
    assert parse(["--ckpt_dir", "x", "--offload_model", text]).offload_model is value


class StoppedError(Exception):
    """Somebody pulled the plug."""


def test_a_job_that_was_stopped_goes_on_after_its_last_clip_with_the_same_bytes(
    model: Callable[[str], Path], picture: Path, voice: Path, tmp_path: Path
) -> None:
    options = parse(
        ["--task", "s2v-14B", "--ckpt_dir", str(model("s2v-14B")), "--image", str(picture),
         "--audio", str(voice), "--infer_frames", "8", "--sample_steps", "1", "--base_seed", "3"]
    )  # fmt: skip
    options.save_file = tmp_path / "whole.mp4"
    make(options, Processes(), report=lambda progress: None)
    options.save_file, notebook, begun = tmp_path / "again.mp4", Notebook(), []

    def stop_in(clip: int) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            if progress.stage == "denoise":
                begun.append(progress.clip)
            if progress.stage == "decode" and progress.clip == clip:
                raise StoppedError

        return report

    with pytest.raises(StoppedError):
        make(options, Processes(), report=stop_in(1), keeper=notebook)
    written = make(options, Processes(), report=stop_in(99), keeper=notebook)
    assert written.frame_count == 16
    assert begun.count(1) == 2 * begun.count(0) > 0  # what was whole is not made again
    assert (tmp_path / "again.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_sound_is_the_mean_of_its_channels_at_16_khz(voice: Path) -> None:
    sound = read_sound(voice)
    assert abs(len(sound) - 16_000) <= 2
    assert sound.abs().max() == pytest.approx(0.75 * 20_000 / 32_768, rel=0.02)


def test_pictures_come_as_rgb(tmp_path: Path) -> None:
    Image.new("LA", (5, 4), (128, 10)).save(tmp_path / "grey.png")
    assert read_picture(tmp_path / "grey.png").shape == (4, 5, 3)


def test_a_written_video_reads_back_with_its_clock(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "a.mp4", 16) as file:
        for level in (-1.0, 0.0, 1.0):
            file.write(torch.full((3, 2, 32, 48), level))
    pose = read_pose(tmp_path / "a.mp4")
    assert pose.frames_FHWC.shape == (6, 32, 48, 3)
    assert pose.times_s == tuple(Fraction(i, 16) for i in range(6))
    assert (
        pose.frames_FHWC.float().mean(dim=(1, 2, 3)) - torch.tensor([0, 0, 127, 127, 255, 255])
    ).abs().max() < 3


def test_a_failed_job_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoFile(tmp_path / "a.mp4", 16) as file:  # noqa: PT012 - the context is tested
        file.write(torch.zeros(3, 1, 32, 32))
        raise RuntimeError("the model stopped")
    assert not list(tmp_path.iterdir())


def test_a_sound_that_goes_away_leaves_no_silent_file(tmp_path: Path, voice: Path) -> None:
    sound = tmp_path / "voice.wav"
    sound.write_bytes(voice.read_bytes())
    file = VideoFile(tmp_path / "a.mp4", 16, sound=sound)
    file.write(torch.zeros(3, 1, 32, 32))
    sound.unlink()
    with pytest.raises(FileNotFoundError), file:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [read_picture, read_sound, read_pose])
def test_what_cannot_be_read_is_named(read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"nothing that is media")
    for path in (tmp_path / "a.bin", tmp_path / "missing"):
        with pytest.raises(MediaError, match=path.name):
            read(path)


def test_verify_finds_the_broken_file(
    model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny([str(tmp_path), "--task", "ti2v-5B"])
    assert verify([str(tmp_path)]) == 0
    vae = tmp_path / "Wan2.2_VAE.pth"
    content = bytearray(vae.read_bytes())
    content[len(content) // 2] ^= 255
    vae.write_bytes(content)
    capsys.readouterr()
    assert verify([str(tmp_path)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BROKEN")]
    assert "Wan2.2_VAE.pth" in line


def test_verify_compares_listed_hashes_and_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("a")
    good = hashlib.sha256(b"a").hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{good}  a.txt\n{good}  b.txt\n")
    assert verify([str(tmp_path)]) == 1
    assert "b.txt [list] is missing" in capsys.readouterr().out
    (tmp_path / "b.txt").write_text("b")
    assert verify([str(tmp_path)]) == 1
    assert f"not {good}" in capsys.readouterr().out


def test_verify_needs_a_folder_with_something_in_it(tmp_path: Path) -> None:
    assert verify([str(tmp_path)]) == 1
    assert verify([str(tmp_path / "none")]) == 1


def test_tasks_are_found_by_name_only() -> None:
    with pytest.raises(SettingError, match="s2v-14B"):
        find_task("s2v")
