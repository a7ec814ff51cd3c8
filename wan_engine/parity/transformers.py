"""Cases of whole transformers: one forward, with and without a look inside."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wan_engine.parity.case import Case, load_strictly, read_case
from wan_engine.shapes import token_grid
from wan_engine.specs import SpeechTransformerSpec, transformer_spec
from wan_engine.transformer.audio_injector import AudioInjector
from wan_engine.transformer.blocks import Block, Layout
from wan_engine.transformer.framepack import KEEP_ALL
from wan_engine.transformer.model import Clip, Memory, Transformer
from wan_engine.transformer.modulation import SCALES, runs_of
from wan_engine.transformer.rope import angles, rotation, speech_positions
from wan_engine.transformer.s2v import SpeechTransformer


def run_base(case: Case) -> dict[str, Tensor]:
    """Run one forward of a text-, image- or text-and-image-to-video transformer."""
    model = load_strictly(Transformer(transformer_spec(case.config)), case.weights)
    inputs, found = case.inputs, _watch(model, case)
    latent = inputs["x"][None]
    count = token_grid(latent.shape).tokens
    times = inputs["t_tokens"][0] if "t_tokens" in inputs else inputs["t"].expand(count)
    velocity = _forward(model, latent, times, inputs["context"], inputs.get("y"))[0]
    if "tap.patch_embedding" in found:
        grid = token_grid(latent.shape)
        found["tap.patch_embedding"] = found["tap.patch_embedding"].transpose(1, 2).unflatten(2, tuple(grid))
    table = model.time_table(times if "t_tokens" in inputs else times[:1])
    embeddings = {
        "tap.time_embedding": table.embedding_TD[None],
        "tap.time_projection": table.projection_T6D[None].flatten(2),
    }
    return found | embeddings | {"velocity": velocity}


def run_batch(case: Case) -> dict[str, Tensor]:
    """Run samples of different sizes, one after the other; weights may lie in the case this one extends."""
    single = case.path.with_name(f"{case.path.stem.removesuffix('_batch')}.safetensors")
    weights = case.weights or read_case(single).weights
    model = load_strictly(Transformer(transformer_spec(case.config)), weights)
    outputs = {}
    for sample, times in enumerate(case.inputs["t_tokens"]):
        latent, text = case.inputs[f"x_{sample}"][None], case.inputs[f"context_{sample}"]
        outputs[f"velocity_{sample}"] = _forward(model, latent, times, text)[0]
    return outputs


def run_speech(case: Case) -> dict[str, Tensor]:
    """Run the speech-to-video transformer with motion, unconditional, without motion, and without pose."""
    spec = transformer_spec(case.config)
    assert isinstance(spec, SpeechTransformerSpec)
    model = load_strictly(_WatchedSpeech(spec), case.weights)
    inputs = case.inputs
    latent, motion, pose = inputs["x"][None], inputs["motion_latents"], inputs["cond_states"]
    frames, latents = (int(value) for value in inputs["motion_frames"])
    modulation = model.time_table([float(inputs["t"]), 0.0]).at(model.timestep_rows(0, 1))

    def velocity(text: str, audio: Tensor, motion: Tensor | None, pose: Tensor) -> Tensor:
        clip = model.speech_clip(latent.shape, inputs["ref_latents"], motion_BCfhw=motion, pose_BCfhw=pose)
        memory = model.speech_memory(
            model.memory([inputs[text]]), audio, motion_frames=frames, motion_latents=latents
        )
        return model(latent, modulation, clip, memory)[0]

    audio = inputs["audio_input"]
    outputs = {"velocity_motion": velocity("context", audio, motion, pose), **model.found}
    local, style = model.audio_tokens(audio, frames, latents)
    outputs |= {"tap.audio_emb": local, "tap.audio_emb_global": style}
    _, packed_positions = model.frame_packer(motion, KEEP_ALL * spec.add_last_motion)
    positions = speech_positions(latent.shape, packed_positions)
    outputs["tap.rope_freqs"] = rotation(angles(positions, spec.head_dim))[None]
    outputs["velocity_uncond"] = velocity("context_null", audio * 0, motion, pose)
    outputs["velocity_drop"] = velocity("context", audio, None, pose)
    outputs["velocity_nopose"] = velocity("context", audio, motion, pose * 0)
    return outputs


def run_eps_probe(case: Case) -> dict[str, Tensor]:
    """Run one block and one audio injection on values so small that the norms' epsilons matter."""
    inputs, hidden = case.inputs, case.inputs["hidden"]
    block_weights = _below(case, "blocks.0.")
    dim, heads, ffn = case.config["dim"], case.config["num_heads"], len(block_weights["ffn.0.bias"])
    spec = SpeechTransformerSpec(
        model_type="s2v",
        dim=dim,
        ffn_dim=ffn,
        num_heads=heads,
        num_layers=1,
        in_dim=16,
        out_dim=16,
        audio_inject_layers=(0,),
    )
    video = case.whole("L0")
    block = load_strictly(Block(spec), block_weights)
    modulation_R6D = inputs["e0"][0].transpose(0, 1) + block.modulation
    modulation_R6D[:, SCALES] += 1
    layout = Layout(inputs["freqs"][0].float(), ((0, video), (video, hidden.shape[1])), torch.float32)
    after = block(hidden.clone(), modulation_R6D, layout, block.cross_attn.remember(inputs["context"]))

    injector = load_strictly(AudioInjector(spec), _below(case, "audio_injector."))
    memory = injector.remember(inputs["audio_emb"][0], inputs["audio_emb_global"][0, :, 0])[0]
    injected = hidden.clone()
    injector.inject_(0, injected[:, :video], memory, torch.float32, 0, video // len(memory.scale_fD))
    return {"after_block": after, "after_injection": injected}


def _forward(
    model: Transformer, latent: Tensor, times: Tensor, text: Tensor, condition: Tensor | None = None
) -> Tensor:
    count = token_grid(latent.shape).tokens
    bounds, rows, values = runs_of(times[:count].tolist())
    clip = model.clip(
        latent.shape, condition_BCfhw=None if condition is None else condition[None], bounds=bounds
    )
    return model(latent, model.time_table(values).at(rows), clip, model.memory([text]))


class _WatchedSpeech(SpeechTransformer):
    """Keeps the residual stream after every block, before and after the audio."""

    def __init__(self, spec: SpeechTransformerSpec) -> None:
        super().__init__(spec)
        self.found: dict[str, Tensor] = {}

    def after_block(self, index: int, x_BLD: Tensor, clip: Clip, memory: Memory) -> Tensor:
        """Keep copies around the audio's turn; the stream itself is updated in place."""
        self.found[f"tap.block_{index}_pre_audio"] = x_BLD.clone()
        x_BLD = super().after_block(index, x_BLD, clip, memory)
        self.found[f"tap.block_{index}"] = x_BLD.clone()
        return x_BLD


def _watch(model: Transformer, case: Case) -> dict[str, Tensor]:
    """Return a dictionary that fills with the outputs of the layers the case looks into."""
    found: dict[str, Tensor] = {}
    layers = dict(model.named_modules())

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[name] = output.clone()

        return hook

    for name in case.outputs:
        layer = name.removeprefix("tap.")
        if name.startswith("tap.") and not layer.startswith("time_"):
            layers[layer].register_forward_hook(keep(name))
    return found


def _below(case: Case, prefix: str) -> dict[str, Tensor]:
    """Return the weights of one layer, named as the layer names them."""
    return {key.removeprefix(prefix): value for key, value in case.weights.items() if key.startswith(prefix)}
