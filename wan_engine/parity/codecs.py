"""Parity runners of codecs, encoders, solvers and the audio clock: a case's inputs to its outputs.

A runner is given the case's configuration, its weights, inputs and expected outputs (keys without their
prefix); it returns the outputs it computes, by name. Of the expected ones it reads only which runs they are
of.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from wan_engine.audio.buckets import (
    released_buckets,
    released_clip_count,
    released_embedding,
    released_indices,
    released_resample,
)
from wan_engine.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, adapt_keys
from wan_engine.sampling.schedule import TRAIN_TIMESTEPS
from wan_engine.sampling.solver import make_solver
from wan_engine.text.umt5 import UmT5Config, UmT5Encoder, relative_bucket
from wan_engine.vae.codec import VideoCodec
from wan_engine.vae.wan21 import Wan21Config, Wan21Vae
from wan_engine.vae.wan22 import Wan22Config, Wan22Vae

Tensors = Mapping[str, Tensor]
Runner = Callable[[Mapping[str, Any], Tensors, Tensors, Tensors], dict[str, Tensor]]


def vae_from_config(config: Mapping[str, Any], weights: Tensors) -> VideoCodec:
    """Build and load the autoencoder of a case; the one with a decoder width of its own is Wan2.2's."""
    if config.get("attn_scales"):
        raise ValueError(f"attn_scales is {config['attn_scales']}; the released autoencoders have none")
    shared: dict[str, Any] = {
        "width": config["dim"],
        "latent_channels": config["z_dim"],
        "multipliers": tuple(config["dim_mult"]),
        "residual_blocks": config["num_res_blocks"],
        "halves_time": tuple(config["temperal_downsample"]),
    }
    if "dec_dim" in config:
        vae = Wan22Vae(Wan22Config(decoder_width=config["dec_dim"], **shared))
    else:
        vae = Wan21Vae(Wan21Config(**shared))
    vae.load_state_dict(weights)
    return vae.eval()


def run_vae(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Encode each `video_*` and decode each `z_*`."""
    vae = vae_from_config(config, weights)
    outputs = {}
    for name, tensor in inputs.items():
        kind, _, rest = name.partition("_")
        if kind == "video":
            outputs[f"latent_{rest}"] = vae.encode(tensor[None])[0]
        elif kind == "z":
            outputs[f"decoded_{rest}_raw"] = vae.decode(tensor[None], clamp=False)[0]
            outputs[f"decoded_{rest}"] = outputs[f"decoded_{rest}_raw"].clamp(-1, 1)
    return outputs


def run_t5(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Encode a masked batch, whole and trimmed, and tabulate the distance buckets."""
    if config.get("shared_pos"):
        raise ValueError("shared_pos is True; umT5 has a table of positions in every layer")
    settings = UmT5Config(
        vocabulary=config["vocab"],
        dim=config["dim"],
        attention_dim=config["dim_attn"],
        ffn_dim=config["dim_ffn"],
        heads=config["num_heads"],
        layers=config["num_layers"],
        buckets=config["num_buckets"],
    )
    encoder = UmT5Encoder(settings)
    encoder.load_state_dict(weights)
    ids, mask = inputs["ids"], inputs["mask"]
    outputs = {"hidden": encoder(ids, mask)}
    outputs |= {f"context_{i}": context for i, context in enumerate(encoder.encode(ids, mask))}
    if "rel_pos" in inputs:
        outputs["bucket_of_rel_pos"] = relative_bucket(inputs["rel_pos"], settings.buckets)
    return outputs


def run_wav2vec2(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Compute every hidden state, and their 30 Hz resampling."""
    model = Wav2Vec2(Wav2Vec2Config.read(config))
    model.load_state_dict(adapt_keys(weights))
    states = model(inputs["raw_16k"])
    return {"hidden_states": states, "feat30": released_resample(states)}


def run_sampler(solver_name: str, inputs: Tensors, expected: Tensors) -> dict[str, Tensor]:
    """Run the solver on the case's synthetic velocity for every (steps, shift) it names."""
    outputs = {}
    for name in expected:
        run = re.fullmatch(r"x_n(\d+)_shift([\d.]+)", name)
        if run is None:
            continue
        solver = make_solver(solver_name, steps=int(run[1]), shift=float(run[2]))
        latent, noise = inputs["x0"], inputs["w"]
        latents, velocities = [latent], []
        for timestep in solver.schedule.timesteps:
            clock = torch.cos(3 * timestep.float() / TRAIN_TIMESTEPS)
            velocities.append(0.8 * latent - 0.6 * torch.tanh(latent + noise) + 0.3 * clock * noise)
            latents.append(latent := solver.step(latent, velocities[-1]))
        key = name.removeprefix("x_")
        outputs[name] = torch.cat(latents)
        outputs[f"v_{key}"] = torch.cat(velocities)
        outputs[f"timesteps_{key}"] = solver.schedule.timesteps
        outputs[f"sigmas_{key}"] = solver.schedule.sigmas
    return outputs


def run_unipc(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Run UniPC."""
    return run_sampler("unipc", inputs, expected)


def run_dpmpp(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Run DPM-Solver++."""
    return run_sampler("dpm++", inputs, expected)


def run_audio_bucket(
    config: Mapping[str, Any], weights: Tensors, inputs: Tensors, expected: Tensors
) -> dict[str, Tensor]:
    """Resample, bucket and count clips for every combination the outputs name."""
    rate = config["fps"]
    features = {name.removeprefix("feat50_"): value for name, value in inputs.items()}
    resampled = {name: released_resample(value) for name, value in features.items()}
    outputs = {f"feat30_{name}": value for name, value in resampled.items()}
    for name, value in expected.items():
        if match := re.fullmatch(r"bucket_(\w+?)_bf(\d+)_m(\d+)", name):
            frames, neighbours = int(match[2]), int(match[3])
            outputs[name], _ = released_buckets(resampled[match[1]], frames, rate=rate, neighbours=neighbours)
        elif match := re.fullmatch(r"audio_emb_(\w+?)_bf(\d+)", name):
            outputs[name] = released_embedding(features[match[1]], int(match[2]), rate=rate)[0]
        elif match := re.fullmatch(r"index_fps(\d+)_n(\d+)", name):
            outputs[name] = released_indices(int(match[2]), rate=int(match[1]))
        elif name == "table_T50_T30_bf_m_numrepeat":
            outputs[name] = torch.tensor(
                [_clip_row(steps, frames, m, rate) for steps, _, frames, m, _ in value.tolist()]
            )
        elif name == "numrepeat_T30_bf_n":
            outputs[name] = torch.tensor(
                [
                    [steps, frames, released_clip_count(steps, frames, rate=rate)]
                    for steps, frames, _ in value.tolist()
                ]
            )
    return outputs


def _clip_row(steps: int, clip_frames: int, neighbours: int, rate: int) -> list[int]:
    """Return one row of the clip table: steps at 50 Hz, steps at 30 Hz, frames, neighbours, clips."""
    resampled = released_resample(torch.zeros(1, steps, 1)).shape[1]
    clips = released_clip_count(resampled, clip_frames, rate=rate)
    return [steps, resampled, clip_frames, neighbours, clips]


RUNNERS: dict[str, Runner] = {
    "vae21": run_vae,
    "vae22": run_vae,
    "t5_encoder": run_t5,
    "wav2vec2_tiny": run_wav2vec2,
    "sampler_unipc": run_unipc,
    "sampler_dpmpp": run_dpmpp,
    "audio_bucket": run_audio_bucket,
}
