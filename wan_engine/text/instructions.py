"""What a chat model is told to do with a prompt, by task and language of the answer."""

from wan_engine.text.aesthetics import VOCABULARY

_LANGUAGE = {
    "zh": "Answer in Chinese, whatever the language of the request.",
    "en": "Answer in English, whatever the language of the request.",
}
_RULES = (
    "Write only the new prompt: no heading, no explanation, no quotation marks. Keep names, numbers, "
    "quoted text and any style the request asks for; a style leads the prompt. If the request asks for "
    "violence against real people or sexual content, write a harmless scene near it. "
)
_FILM = (
    "You are the director of photography of a short film. Rewrite the request as one prompt for a video "
    "model. Keep its subject and action exactly; you may not add people or change what happens. Describe "
    "how subjects look and how they move, then the surroundings and what moves there. Add three to five "
    "fitting choices of the camera department, taken from: {choices}. No feelings, metaphors or comments "
    "on the mood. Between 60 and 200 words. "
)
_PICTURE = (
    "You see the first frame of a video and a request for what happens in it. Write one prompt for a "
    "video model that animates pictures. Keep and stress every motion and every camera movement of the "
    "request; leave out what the picture shows already and does not move. If the request names no motion,"
    " choose one that suits the picture. At most 100 words. "
)
_PICTURE_ALONE = (
    "You see the first frame of a video. Imagine what plausibly happens next and write it as one prompt "
    "for a video model that animates pictures: the subject's motion, then the camera's. At most 100 "
    "words. "
)
_SPEECH = (
    "You see or are told of a person who speaks in a video; the words are given to the video model as "
    "sound. Write one prompt: who speaks, where, with which expression, gestures and posture, and what "
    "the camera does. Do not write what is said. Calm, natural movements unless the request says "
    "otherwise. At most 80 words. "
)


def instruction(task: str, language: str, *, has_picture: bool, has_prompt: bool) -> str:
    """Return the system prompt. A text-and-image task is a picture task when it has a picture."""
    if task.startswith("s2v"):
        role = _SPEECH
    elif not has_picture:
        role = _FILM.format(choices=_choices())
    else:
        role = _PICTURE if has_prompt else _PICTURE_ALONE
    return role + _RULES + _LANGUAGE[language]


def _choices() -> str:
    return "; ".join(f"{name.replace('_', ' ')} ({', '.join(words)})" for name, words in VOCABULARY.items())
