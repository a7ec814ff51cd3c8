"""What can go wrong while installing, said so that a person can act on it."""

import errno


class InstallError(Exception):
    """Something this machine lacks: one sentence of what and why, one of what to do."""

    exit_status = 4

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


OFFLINE_SIGNS = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname provided",
    "getaddrinfo failed",
    "NameResolutionError",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
)


def problem_of_system(error: OSError) -> InstallError:
    """Say in a sentence which file or folder could not be written, and why."""
    if error.errno == errno.ENOSPC:
        return InstallError("The disk is full.", "Free about 1 GB, then run the same command again.")
    return InstallError(
        f"{error.filename or 'A file'} cannot be written: {error.strerror}.",
        "Change its permissions, or set DUBWRIGHT_HOME to a folder you may write to.",
    )


def problem_of_pip(output: list[str]) -> InstallError:
    """Say in a sentence why pip ended with an error; `output` is what it printed."""
    text = "\n".join(output)
    if "No space left on device" in text or "not enough space" in text:
        return InstallError("The disk is full.", "Free about 1 GB, then run the same command again.")
    if any(sign in text for sign in OFFLINE_SIGNS):
        return InstallError(
            "The package registry cannot be reached.",
            "Check the network (and pip's proxy settings), then run the same command again; "
            "what is already installed is kept.",
        )
    if "SSLError" in text or "CERTIFICATE_VERIFY_FAILED" in text:
        return InstallError(
            "The package registry's certificate is not trusted on this machine.",
            "Tell pip of your network's certificate (pip config set global.cert FILE), then run it again.",
        )
    reason = next((line for line in reversed(output) if line.startswith("ERROR:")), "pip gave no reason")
    return InstallError(
        f"pip could not install the packages: {reason.removeprefix('ERROR:').strip()}.",
        "The lines above tell more; run the same command again once it is put right.",
    )
