"""Every stored case of the reference, through the engine's own parts, within the tolerance it names."""

import json
from pathlib import Path

import pytest

from wan_engine.parity.__main__ import compare_case, main

CASES = Path(__file__).resolve().parents[3] / "shared" / "parity"
FILES = sorted(CASES.glob("*.safetensors"))
SLOW = {"e2e_s2v", "e2e_s2v_pose"}


def test_the_cases_are_here() -> None:
    if not FILES:
        pytest.skip(f"the reference's cases are not here ({CASES})")
    assert len(FILES) >= 20


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=pytest.mark.slow if path.stem in SLOW else ()) for path in FILES],
    ids=lambda path: path.stem,
)  # fmt: skip
@pytest.mark.timeout(900)
def test_every_tensor_is_within_the_tolerance_of_its_case(path: Path) -> None:
    comparisons = compare_case(path)
    assert comparisons
    assert [line for line in comparisons if not line.is_ok] == []


def test_the_command_fails_when_a_tensor_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = CASES / "sizes.safetensors"
    if not source.exists():
        pytest.skip(f"the reference's cases are not here ({CASES})")
    from safetensors.torch import load_file, save_file

    tensors = load_file(source)
    tensors["outputs/s2v_h_w_area_H_W"][0, 3] += 64
    save_file(tensors, tmp_path / "sizes.safetensors")
    (tmp_path / "sizes.json").write_text(source.with_suffix(".json").read_text())
    assert main([str(tmp_path / "sizes.safetensors")]) == 1
    assert "FAILED" in capsys.readouterr().out
    assert main([str(source)]) == 0


@pytest.mark.parametrize("name", ["e2e_t2v", "e2e_i2v", "e2e_ti2v"])
def test_a_case_with_guidance_of_one_has_its_negative_velocity(name: str, tmp_path: Path) -> None:
    source = CASES / f"{name}.safetensors"
    if not source.exists():
        pytest.skip(f"the reference's cases are not here ({CASES})")
    description = json.loads(source.with_suffix(".json").read_text())
    guidance = description["config"]["run"]["guide"]
    description["config"]["run"]["guide"] = [1.0, 1.0] if isinstance(guidance, list) else 1.0
    (tmp_path / source.name).symlink_to(source)
    (tmp_path / f"{name}.json").write_text(json.dumps(description))
    found = {line.name: line for line in compare_case(tmp_path / source.name)}
    assert found["velocity_cond_step0"].is_ok  # the first step's velocities are those of any guidance
    assert found["velocity_uncond_step0"].is_ok


def test_the_command_names_a_file_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rope.safetensors").write_bytes(b"not a case")
    assert main([str(tmp_path / "rope.safetensors")]) == 1
    assert "not a readable case" in capsys.readouterr().out
