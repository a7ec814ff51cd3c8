"""Prompts: cleaning, looks, and their extension by a chat model behind a real local HTTP server."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from wan_engine.errors import CheckpointError, SettingError
from wan_engine.specs import TASKS, find_task
from wan_engine.text import extend
from wan_engine.text.aesthetics import VOCABULARY, compose
from wan_engine.text.extend import TRIES, HttpChat, LocalChat, extend_from_settings, extend_prompt, small_png
from wan_engine.text.instructions import instruction
from wan_engine.text.prompt import NEGATIVE_PROMPT, SPEECH_NEGATIVE_PROMPT, clean_prompt, negative_prompt
from wan_engine.text.tokenizer import Tokenizer
from wan_engine.tiny import write_tiny


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a\tcat \n and  a dog ", "a cat and a dog"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("It\u00e2\u20ac\u2122s", "It's"),
        ("\u4e00\u53ea\u732b", "\u4e00\u53ea\u732b"),
        ("", ""),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clean_prompt(text) == cleaned


def test_negative_prompts_are_lists_of_defects_by_task() -> None:
    for task in TASKS:
        text = SPEECH_NEGATIVE_PROMPT if task == "s2v-14B" else NEGATIVE_PROMPT
        assert negative_prompt(task) == text
    assert NEGATIVE_PROMPT.count("\uff0c") == 27
    assert SPEECH_NEGATIVE_PROMPT.startswith("\u753b\u9762\u6a21\u7cca")


def test_tokens_end_with_an_end_mark_and_are_cut_to_length(tmp_path: Path) -> None:
    write_tiny(tmp_path, find_task("t2v-A14B"))
    tokenizer = Tokenizer(tmp_path / "google" / "umt5-xxl")
    ids, mask = tokenizer(["ab", "a rather longer one"], 8)
    assert ids.shape == mask.shape == (2, 8)
    assert ids[0, 2:].tolist() == [1, 0, 0, 0, 0, 0]
    assert mask.sum(dim=1).tolist() == [3, 8]
    assert ids[1, -1] == 1


@pytest.mark.parametrize("text", [None, "{"])
def test_a_missing_or_broken_tokenizer_is_named(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer(tmp_path)


def test_looks_follow_the_prompt_in_the_order_of_the_vocabulary() -> None:
    chosen = {"shot_size": "close-up shot", "light_quality": "soft lighting"}
    assert compose("A man laughs", chosen) == "A man laughs. Soft lighting, close-up shot."
    assert compose("A man laughs.", {}) == "A man laughs."
    assert compose("", chosen) == "Soft lighting, close-up shot."


def test_every_word_of_the_vocabulary_can_be_chosen() -> None:
    for control, words in VOCABULARY.items():
        assert len(set(words)) == len(words)
        for word in words:
            assert word.lower() in compose("x", {control: word}).lower()


@pytest.mark.parametrize(
    ("choice", "nearest"),
    [
        ({"light_quality": "soft light"}, "soft lighting"),
        ({"lite_quality": "soft lighting"}, "light_quality"),
    ],
)
def test_an_unknown_look_is_refused_with_the_nearest(choice: dict[str, str], nearest: str) -> None:
    with pytest.raises(SettingError, match=nearest):
        compose("x", choice)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_an_instruction_for_every_case(task: str) -> None:
    texts = {
        (has_picture, has_prompt): instruction(task, "en", has_picture=has_picture, has_prompt=has_prompt)
        for has_picture in (True, False)
        for has_prompt in (True, False)
    }
    assert all("English" in text for text in texts.values())
    assert "Chinese" in instruction(task, "zh", has_picture=False, has_prompt=True)
    if task != "s2v-14B":
        assert texts[True, True] != texts[True, False] != texts[False, True]


@dataclass
class ChatServer:
    """A stand-in for a chat endpoint: fails as often as told, then answers; remembers what it was asked."""

    url: str = ""
    failures: int = 0
    answer: Any = "A longer prompt."
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked.append(json.loads(body))
            state.keys.append(self.headers["Authorization"])
            state.failures -= 1
            self.send_response(500 if state.failures >= 0 else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"choices": [{"message": {"content": state.answer}}]}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/v1"
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def chat_with(server: ChatServer, key: str = "") -> HttpChat:
    return HttpChat(server.url, "a-model", key=key, pause_s=lambda attempt: 0)


def test_a_chat_model_extends_a_prompt(server: ChatServer) -> None:
    assert (
        extend_prompt("A cat.", "t2v-A14B", chat_with(server, "secret"), language="en", seed=7)
        == "A longer prompt."
    )
    (request,) = server.asked
    assert (request["model"], request["seed"]) == ("a-model", 7)
    assert request["messages"][1] == {"role": "user", "content": "A cat."}
    assert server.keys == ["Bearer secret"]


def test_a_picture_is_sent_small(server: ChatServer, tmp_path: Path) -> None:
    Image.new("RGB", (1600, 900), "red").save(tmp_path / "a.jpg")
    extend_prompt("It moves.", "i2v-A14B", chat_with(server), picture=tmp_path / "a.jpg")
    shown, said = server.asked[0]["messages"][1]["content"]
    assert said["text"] == "It moves."
    assert shown["image_url"]["url"].startswith("data:image/png;base64,")
    assert len(small_png(tmp_path / "a.jpg")) < 100_000


def test_a_failing_endpoint_is_asked_again(server: ChatServer) -> None:
    server.failures = TRIES - 1
    assert extend_prompt("A cat.", "t2v-A14B", chat_with(server)) == "A longer prompt."
    assert len(server.asked) == TRIES


@pytest.mark.parametrize(("failures", "answer"), [(100, "x"), (0, "  "), (0, None)])
def test_a_prompt_that_cannot_be_extended_stays(
    failures: int, answer: str | None, server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.failures, server.answer = failures, answer or ""
    assert extend_prompt("A cat.", "t2v-A14B", chat_with(server)) == "A cat."
    assert "not extended" in caplog.text


def test_an_unreadable_picture_leaves_the_prompt(server: ChatServer, tmp_path: Path) -> None:
    assert extend_prompt("A cat.", "i2v-A14B", chat_with(server), picture=tmp_path / "none.png") == "A cat."
    assert not server.asked


def test_the_command_lines_settings_reach_an_endpoint(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert extend_from_settings("A cat.", "t2v-A14B", method="openai", model="m") == "A longer prompt."
    assert server.keys == ["Bearer k"]


@pytest.mark.parametrize(
    ("method", "url"), [("openai", None), ("dashscope", None), ("openai", "ftp://x"), ("telepathy", None)]
)
def test_settings_that_cannot_work_are_refused(
    method: str, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "DASH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError):
        extend_from_settings("x", "t2v-A14B", method=method, url=url)


def test_a_local_model_that_is_not_there_leaves_the_prompt(tmp_path: Path) -> None:
    assert extend_prompt("A cat.", "t2v-A14B", LocalChat(str(tmp_path / "none"))) == "A cat."


def test_a_local_model_extends_a_prompt_the_same_way_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: 150 MB that only prompt extension needs"
    )
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain)
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(letters), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    transformers.Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    monkeypatch.setattr(extend, "MOST_TOKENS", 8)
    first, again = (extend_prompt("A cat.", "t2v-A14B", LocalChat(str(tmp_path)), seed=3) for _ in range(2))
    assert first == again
    assert first not in ("", "A cat.")
