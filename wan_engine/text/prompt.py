"""What a prompt goes through before it is tokenised, and what the released models are told to avoid."""

import html
import re

import ftfy

# Defects to avoid: garish colours, over-exposure, blur, subtitles, malformed hands and faces, a still
# picture, cluttered background, people walking backwards. The exact text the models were released with;
# commas are U+FF0C.
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"  # noqa: RUF001
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，"  # noqa: RUF001
    "杂乱的背景，三条腿，背景人很多，倒着走"  # noqa: RUF001
)
# The same for speech: no colours and styles, but too strong emotion and fast hands.
SPEECH_NEGATIVE_PROMPT = (
    "画面模糊，最差质量，画面模糊，细节模糊不清，情绪激动剧烈，手快速抖动，字幕，丑陋的，残缺的，多余的手指，画得不好的手部，"  # noqa: RUF001
    "画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"  # noqa: RUF001
)


def negative_prompt(task: str) -> str:
    """Return the negative prompt a task was released with."""
    return SPEECH_NEGATIVE_PROMPT if task.startswith("s2v") else NEGATIVE_PROMPT


def clean_prompt(text: str) -> str:
    """Repair mis-decoded characters, undo HTML escapes (twice, as the web has them), collapse white space."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", text.strip()).strip()
