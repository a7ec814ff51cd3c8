"""The kinds of cases and what runs each: a case belongs to the kind whose name its own name starts with."""

import importlib
from collections.abc import Callable

from torch import Tensor

from wan_engine.errors import SettingError
from wan_engine.parity.case import Case
from wan_engine.parity.codecs import RUNNERS

Runner = Callable[[Case], dict[str, Tensor]]

_RUNNERS = {
    "dit_t2v": "transformers:run_base",
    "dit_i2v": "transformers:run_base",
    "dit_ti2v": "transformers:run_base",
    "dit_ti2v_batch": "transformers:run_batch",
    "dit_s2v": "transformers:run_speech",
    "eps_probe": "transformers:run_eps_probe",
    "rope": "parts:run_rope",
    "framepack": "parts:run_framepack",
    "causal_audio_encoder": "parts:run_audio_encoder",
    "sizes": "parts:run_sizes",
    "e2e_s2v": "pipelines:run_speech",
    "e2e_t2v": "pipelines:run_text",
    "e2e_i2v": "pipelines:run_image",
    "e2e_ti2v": "pipelines:run_text_image",
}


def find_runner(case: Case) -> Runner:
    """Return the function that computes a case's outputs. Raises SettingError for an unknown kind."""
    if case.name in RUNNERS:
        run = RUNNERS[case.name]
        return lambda case: run(case.config, case.weights, case.inputs, case.outputs)
    kinds = [kind for kind in _RUNNERS if case.name.startswith(kind)]
    if not kinds:
        raise SettingError(f"{case.path.name}: there is no kind of case {case.name!r}.",
                           hint=f"Known are {', '.join(_RUNNERS)}.")  # fmt: skip
    module, _, function = _RUNNERS[max(kinds, key=len)].partition(":")
    return getattr(importlib.import_module(f"wan_engine.parity.{module}"), function)
