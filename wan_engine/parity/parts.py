"""Cases of single parts: rotary positions, the frame packer, the audio encoder, the size rules."""

import re

import torch
from torch import Tensor

from wan_engine.parity.case import Case, load_strictly
from wan_engine.shapes import Grid, image_latent_size, speech_size, text_image_size
from wan_engine.transformer.audio_encoder import CausalAudioEncoder
from wan_engine.transformer.framepack import FramePacker
from wan_engine.transformer.modulation import sinusoid
from wan_engine.transformer.rope import (
    angles,
    grid_positions,
    motion_positions,
    rotate,
    rotation,
    speech_positions,
)

TABLE_ROWS = (0, 1, 2, 30, 77, 1023)  # positions whose multipliers the case stores


def run_rope(case: Case) -> dict[str, Tensor]:
    """Tabulate multipliers, rotate, lay out speech-to-video positions, and draw sinusoids."""
    inputs, outputs = case.inputs, {}
    rows_L3 = torch.tensor(TABLE_ROWS)[:, None].expand(-1, 3)
    for width in (int(name[3:]) for name in inputs if re.fullmatch(r"x_d\d+", name)):
        outputs[f"table_d{width}_rows"] = rotation(angles(rows_L3, width))
        grid = Grid(*inputs[f"grid_d{width}"].tolist())
        outputs[f"rope_apply_d{width}"] = _rotate_padded(inputs[f"x_d{width}"], grid)
        shape = tuple(inputs[f"s2v_grid_d{width}"].tolist())
        positions_L3 = speech_positions(shape, motion_positions(shape))
        outputs[f"s2v_freqs_d{width}"] = rotation(angles(positions_L3, width))
    for name in case.outputs:
        if match := re.fullmatch(r"sinus_(frac_)?(\d+)", name):
            outputs[name] = sinusoid(inputs["sinus_pos_frac" if match[1] else "sinus_pos"], int(match[2]))
    return outputs


def run_framepack(case: Case) -> dict[str, Tensor]:
    """Pack motion of several lengths, with the newest buckets kept, emptied or dropped."""
    config, outputs = case.config, {}
    head_dim = config["inner_dim"] // config["num_heads"]
    for name in case.outputs:
        match = re.fullmatch(r"(drop_)?tokens_(\d+)_last(\d)", name)
        if match is None:
            continue
        motion = case.inputs[f"motion_{match[2]}"][None]
        drop_mode = "drop" if match[1] else config["drop_mode"]
        packer = FramePacker(motion.shape[1], config["inner_dim"], drop_mode)
        tokens, positions = load_strictly(packer, case.weights)(motion, int(match[3]))
        outputs[name] = tokens
        outputs[name.replace("tokens", "freqs")] = rotation(angles(torch.cat(positions), head_dim))[None]
    return outputs


def run_audio_encoder(case: Case) -> dict[str, Tensor]:
    """Encode features of several lengths, and silence."""
    config, outputs = case.config, {}
    encoder = load_strictly(
        CausalAudioEncoder(config["dim"], config["out_dim"], config["num_token"]), case.weights
    )
    for name, features in case.inputs.items():
        key = name.removeprefix("features_")
        outputs[f"local_{key}"], outputs[f"global_{key}"] = local, _ = encoder(features)
        silence = case.outputs.get("local_zero")
        if silence is not None and len(local[0]) == len(silence[0]):  # the case does not say which
            outputs["local_zero"], outputs["global_zero"] = encoder(features * 0)
    return outputs


def run_sizes(case: Case) -> dict[str, Tensor]:
    """Apply the three size rules to every row's picture and area."""
    rules = {
        "s2v_h_w_area_H_W": speech_size,
        "ti2v_h_w_area_H_W": text_image_size,
        "i2v_h_w_area_lath_latw": image_latent_size,
    }
    return {
        name: torch.tensor([[*row[:3], *rule(*row[:3])] for row in case.outputs[name].tolist()])
        for name, rule in rules.items()
        if name in case.outputs
    }


def _rotate_padded(x_BLNK: Tensor, grid: Grid) -> Tensor:
    """Rotate the grid's tokens; those behind it are padding and stay as they are."""
    table_LP2 = rotation(angles(grid_positions(grid), x_BLNK.shape[-1])).float()
    turned = rotate(x_BLNK[:, : grid.tokens].contiguous(), table_LP2)
    return torch.cat([turned, x_BLNK[:, grid.tokens :]], dim=1)
