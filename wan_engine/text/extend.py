"""Let a chat model enrich a prompt the way the video models were captioned: a local one, or one behind HTTP.

A prompt that cannot be extended stays as it is: the job goes on and the log says why.
"""

import base64
import io
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from wan_engine.errors import SettingError
from wan_engine.text.instructions import instruction

log = logging.getLogger(__name__)

Language = Literal["zh", "en"]
LANGUAGES = ("zh", "en")
EXTENSION_METHODS = ("local_qwen", "dashscope", "openai")
DASHSCOPE_URL = "https://dashscope.aliyuncs.com/compatible-mode/v1"
TRIES = 4
TIMEOUT_S = 120
MOST_TOKENS = 512
PICTURE_AREA = 512 * 512  # pixels sent along at most
_LOCAL_MODELS = {
    "Qwen2.5_3B": "Qwen/Qwen2.5-3B-Instruct",
    "Qwen2.5_7B": "Qwen/Qwen2.5-7B-Instruct",
    "Qwen2.5_14B": "Qwen/Qwen2.5-14B-Instruct",
    "QwenVL2.5_3B": "Qwen/Qwen2.5-VL-3B-Instruct",
    "QwenVL2.5_7B": "Qwen/Qwen2.5-VL-7B-Instruct",
}


class ChatFailure(Exception):  # noqa: N818 - never leaves this file
    """The chat model gave no answer."""


class ChatModel(Protocol):
    """Answers one question, perhaps about a picture (PNG)."""

    def __call__(self, system: str, question: str, *, picture: bytes | None, seed: int) -> str: ...


def extend_prompt(
    prompt: str,
    task: str,
    chat: ChatModel,
    *,
    language: Language = "zh",
    picture: Path | None = None,
    seed: int = 0,
) -> str:
    """Return the enriched prompt, or the prompt itself when the chat model fails."""
    try:
        shown = None if picture is None else small_png(picture)
        system = instruction(task, language, has_picture=shown is not None, has_prompt=bool(prompt.strip()))
        answer = chat(system, prompt, picture=shown, seed=seed).strip()
    except (ChatFailure, OSError) as error:
        log.warning("The prompt was not extended: %s", error)
        return prompt
    if not answer:
        log.warning("The prompt was not extended: the answer was empty.")
        return prompt
    return answer


def extend_from_settings(
    prompt: str,
    task: str,
    *,
    method: str,
    model: str | None = None,
    url: str | None = None,
    language: Language = "zh",
    picture: Path | None = None,
    seed: int = 0,
) -> str:
    """Extend a prompt with the chat model the settings name. Raises SettingError."""
    has_picture = picture is not None
    if method == "local_qwen":
        name = model or ("QwenVL2.5_7B" if has_picture else "Qwen2.5_14B")
        chat: ChatModel = LocalChat(_LOCAL_MODELS.get(name, name), sees=has_picture)
    elif method in ("dashscope", "openai"):
        chat = _http_chat(method, model or ("qwen-vl-max" if has_picture else "qwen-plus"), url)
    else:
        raise SettingError(
            f"There is no way {method!r} to extend prompts.", hint=f"Known: {', '.join(EXTENSION_METHODS)}."
        )
    return extend_prompt(prompt, task, chat, language=language, picture=picture, seed=seed)


def _http_chat(method: str, model: str, url: str | None) -> "HttpChat":
    is_dashscope = method == "dashscope"
    key = os.environ.get("DASH_API_KEY" if is_dashscope else "OPENAI_API_KEY", "")
    url = url or (DASHSCOPE_URL if is_dashscope else os.environ.get("OPENAI_BASE_URL", ""))
    if not url:
        raise SettingError("No endpoint is named.", hint="Give --prompt_extend_url, or set OPENAI_BASE_URL.")
    if is_dashscope and not key:
        raise SettingError("DASH_API_KEY is not set.", hint="Set it, or use another method.")
    return HttpChat(url, model, key=key)


class HttpChat:
    """A model behind any endpoint that speaks OpenAI's chat completions."""

    def __init__(
        self, url: str, model: str, *, key: str = "", pause_s: Callable[[int], float] = float
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise SettingError(f"{url!r} is no address.", hint="Begin it with http:// or https://.")
        self._url, self._model, self._key = url.rstrip("/") + "/chat/completions", model, key
        self._pause_s = pause_s

    def __call__(self, system: str, question: str, *, picture: bytes | None, seed: int) -> str:
        """Ask, up to four times."""
        body = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": _content(question, picture)},
            ],
            "seed": seed,
            "max_tokens": MOST_TOKENS,
        }
        for attempt in range(TRIES):
            try:
                return self._ask(body)
            except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
                if attempt == TRIES - 1:
                    raise ChatFailure(f"{self._url} gave no answer in {TRIES} tries ({error})") from error
            time.sleep(self._pause_s(attempt))
        raise AssertionError("the last try returns or raises")

    def _ask(self, body: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return str(json.load(response)["choices"][0]["message"]["content"])


def _content(question: str, picture: bytes | None) -> str | list[dict[str, Any]]:
    if picture is None:
        return question
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    return [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": question}]


class LocalChat:
    """A chat model run here with `transformers`, in memory only while it answers."""

    def __init__(self, model: str, *, sees: bool = False) -> None:
        self._model, self._sees = model, sees

    def __call__(self, system: str, question: str, *, picture: bytes | None, seed: int) -> str:
        """Load the model, ask, and let it go."""
        try:
            import torch
            import transformers  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ChatFailure("the package transformers is not installed") from error
        torch.manual_seed(seed)
        kind = transformers.AutoModelForImageTextToText if self._sees else transformers.AutoModelForCausalLM
        opener = transformers.AutoProcessor if self._sees else transformers.AutoTokenizer
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            prepare = opener.from_pretrained(self._model)
            model = kind.from_pretrained(self._model, dtype="auto").to(device)
        except (OSError, ValueError) as error:
            raise ChatFailure(f"{self._model} cannot be loaded ({error})") from error
        messages = [
            {"role": "system", "content": self._part(system, None)},
            {"role": "user", "content": self._part(question, picture)},
        ]
        inputs = prepare.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        ).to(device)
        with torch.inference_mode():
            answer = model.generate(**inputs, max_new_tokens=MOST_TOKENS)
        return str(prepare.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

    def _part(self, text: str, picture: bytes | None) -> str | list[dict[str, Any]]:
        if not self._sees:
            return text
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if picture is not None:
            parts.insert(0, {"type": "image", "image": Image.open(io.BytesIO(picture))})
        return parts


def small_png(path: Path) -> bytes:
    """Return a picture as PNG of at most the area chat models are sent."""
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
        scale = min(1.0, (PICTURE_AREA / (picture.width * picture.height)) ** 0.5)
        size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
        file = io.BytesIO()
        picture.resize(size).save(file, "PNG")
    return file.getvalue()
