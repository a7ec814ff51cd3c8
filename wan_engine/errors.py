"""Everything that can go wrong in the engine, as one small tree.

WanError
 |- SettingError      a size, frame count, task or option outside what is allowed (also a ValueError)
 |- CheckpointError   a model folder or file that is missing, broken, unsafe or of another model
 |   |- KeyMismatch   tensors missing, unexpected or of another shape
 |   `- UnsafeFile    a pickle that would run code
 |- LoraError         a LoRA that does not belong to the loaded model
 |- MediaError        a picture, sound or video that cannot be read
 |- MemoryShortage    the model and the job do not fit the device or the budget
 |- NumericError      latents that stopped being numbers
 `- Cancelled         the caller asked to stop; nothing is wrong

`message` says what happened and why in one sentence, `hint` what to do next, `detail` what a programmer would
ask for.
"""


class WanError(Exception):
    """Base of every error the engine raises on purpose."""

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        detail = f"({self.detail})" if self.detail else ""
        return " ".join(part for part in (self.message, self.hint, detail) if part)


class SettingError(WanError, ValueError):
    """A value the caller gave lies outside what is allowed."""


class CheckpointError(WanError):
    """A model folder or file cannot be used."""


class KeyMismatch(CheckpointError):
    """A file's tensors are not the ones the model needs."""


class UnsafeFile(CheckpointError):
    """A file would run code when it is read."""


class LoraError(WanError):
    """A LoRA cannot be applied to this model."""


class MediaError(WanError):
    """A picture, sound or video cannot be read."""


class MemoryShortage(WanError):
    """The job does not fit the device or the budget."""


class NumericError(WanError):
    """A tensor holds values that are not numbers."""


class Cancelled(WanError):
    """The job was stopped by its caller."""
