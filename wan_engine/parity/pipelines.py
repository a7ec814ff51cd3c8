"""Cases of whole pipelines: the loop from noise to frames, with tiny networks and given texts."""

import dataclasses
from fractions import Fraction

import torch
from torch import Tensor

from wan_engine.parity.case import Case, load_strictly
from wan_engine.parity.codecs import vae_from_config
from wan_engine.pipelines.image_to_video import image_to_video
from wan_engine.pipelines.parts import Parts
from wan_engine.pipelines.settings import Sampling
from wan_engine.pipelines.speech_to_video import PoseVideo, SpeechInputs, speech_to_video
from wan_engine.pipelines.text_image_to_video import text_image_to_video
from wan_engine.pipelines.text_to_video import text_to_video
from wan_engine.sampling.control import Control
from wan_engine.sampling.experts import ExpertSwitch, held
from wan_engine.sampling.solver import make_solver
from wan_engine.specs import TASKS, SpeechTransformerSpec, TransformerSpec, transformer_spec
from wan_engine.transformer.model import Transformer
from wan_engine.transformer.s2v import SpeechTransformer

_TASKS = {"t2v": "t2v-A14B", "i2v": "i2v-A14B", "ti2v": "ti2v-5B", "s2v": "s2v-14B"}


def run_text(case: Case) -> dict[str, Tensor]:
    """Run text-to-video."""
    seen = _Seen(case)
    width, height = case.config["run"]["size_wh"]
    frames = text_to_video(
        _parts(case), case.inputs["context"], case.inputs["context_null"], width=width, height=height,
        frame_count=case.config["run"]["frame_num"], sampling=_sampling(case), control=seen.control,
    )  # fmt: skip
    return seen.outputs() | _schedule(case) | {"frames": frames}


def run_image(case: Case) -> dict[str, Tensor]:
    """Run image-to-video."""
    seen, run = _Seen(case), case.config["run"]
    frames = image_to_video(
        _parts(case), case.inputs["context"], case.inputs["context_null"], case.inputs["image_u8"],
        area=run["max_area"], frame_count=run["frame_num"], sampling=_sampling(case), control=seen.control,
    )  # fmt: skip
    return seen.outputs() | _schedule(case) | {"frames": frames}


def run_text_image(case: Case) -> dict[str, Tensor]:
    """Run text-and-image-to-video; the size stands for its area only."""
    seen, run = _Seen(case), case.config["run"]
    frames = text_image_to_video(
        _parts(case), case.inputs["context"], case.inputs["context_null"], case.inputs.get("image_u8"),
        width=run["max_area"], height=1, frame_count=run["frame_num"], sampling=_sampling(case),
        control=seen.control,
    )  # fmt: skip
    return seen.outputs() | _schedule(case) | {"frames": frames}


def run_speech(case: Case) -> dict[str, Tensor]:
    """Run speech-to-video with the released clock."""
    seen, run, inputs = _Seen(case), case.config["run"], case.inputs
    pose = None
    if "pose_frames_u8" in inputs:
        pose = PoseVideo(inputs["pose_frames_u8"], Fraction(run["pose"][3]))
    spoken = SpeechInputs(
        prompt=inputs["context"],
        negative=inputs["context_null"],
        picture_HWC=inputs["ref_image_u8"],
        features_JTC=inputs["audio_feat50"],
        area=run["area"],
        pose=pose,
        starts_from_picture=run["init_first"],
        clip_frames=run["infer_frames"],
        most_clips=run["num_repeat"],
    )
    parts = _parts(case)
    clips = speech_to_video(parts, spoken, _sampling(case), reference_compat=True, control=seen.control)
    frames = torch.cat(list(clips), dim=1)
    outputs = {name: tensor for name, tensor in seen.tensors.items() if name in case.outputs}
    outputs |= _unneeded(case, parts)
    outputs |= {
        name: value[0] for name, value in outputs.items() if case.outputs[name].ndim == value.ndim - 1
    }
    timesteps = _schedule(case)["timesteps"]
    outputs |= {name: timesteps for name in case.outputs if name.endswith("_timesteps")}
    return outputs | {"frames": frames, "frames_sel": frames[:, inputs["frames_sel_idx"]]}


def _unneeded(case: Case, parts: Parts) -> dict[str, Tensor]:
    """Return what the reference makes and then does not use: motion it drops, poses that are not there."""
    outputs = {}
    for name, expected in case.outputs.items():
        if name.endswith("cond_latents") and "pose_frames_u8" not in case.inputs:
            outputs[name] = torch.zeros(expected.shape)
    if case.inputs["drop_motion_flags"][0]:
        height, width = case.inputs["ref_pixel_values"].shape[-2:]
        with parts.vae() as codec:
            grey = torch.zeros(1, 3, case.config["motion_frames"], height, width)
            outputs["clip0_motion_latents"] = codec.encode(grey)
    return outputs


class _Seen:
    """Keeps the intermediate tensors a pipeline shows."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.tensors: dict[str, Tensor] = {}
        self.control = Control(observe=self._keep, shows_unused=True)

    def _keep(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = tensor.clone()

    def outputs(self) -> dict[str, Tensor]:
        """Return those the case stores, without their batch axis."""
        return {name: tensor[0] for name, tensor in self.tensors.items() if name in self._case.outputs}


def _parts(case: Case) -> Parts:
    """Build the case's tiny networks: one transformer, or the low-noise and the high-noise expert."""
    spec = transformer_spec(case.config["dit"])
    task = dataclasses.replace(TASKS[_TASKS[spec.model_type]], transformer=spec)
    names = ("low_noise_model", "high_noise_model") if task.is_mixture else ("dit",)
    networks = [_network(spec, case.weights_of(name)) for name in names]
    vae = vae_from_config(case.config["vae"], case.weights_of("vae"))
    return Parts(task, tuple(held(network) for network in networks), held(vae), _no_text)


def _network(spec: TransformerSpec, weights: dict[str, Tensor]) -> Transformer:
    return load_strictly(
        SpeechTransformer(spec) if isinstance(spec, SpeechTransformerSpec) else Transformer(spec), weights
    )


def _no_text(prompt: str) -> Tensor:
    raise NotImplementedError(f"a case gives its texts encoded, not {prompt!r}")


def _sampling(case: Case) -> Sampling:
    run = case.config["run"]
    guidance = run["guide"] if isinstance(run["guide"], list) else [run["guide"]] * 2
    switch = ExpertSwitch(case.config.get("boundary"))
    seed = run.get("base_seed", run["seed"])
    return Sampling(run["steps"], run["shift"], (guidance[0], guidance[1]), switch, run["solver"], seed)


def _schedule(case: Case) -> dict[str, Tensor]:
    """Return each step's timestep, and which expert is asked."""
    sampling = _sampling(case)
    schedule = make_solver(sampling.solver, steps=sampling.steps, shift=sampling.shift).schedule
    steps = zip(schedule.sigmas.tolist(), schedule.timesteps.tolist(), strict=False)
    shares = [int(sampling.switch.high_share(sigma, timestep)) for sigma, timestep in steps]
    return {"timesteps": schedule.timesteps, "expert_is_high": torch.tensor(shares)}
