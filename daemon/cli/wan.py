"""Commands of the wan engine alone: a new talking shot, and the final of a draft."""

from typing import Annotated

import typer

from daemon.cli.output import JsonOption
from daemon.cli.redub import choice, run_spec
from daemon.cli.specs import build_spec
from daemon.cli.takes import TakeArgument, find_take
from daemon.protocol.finals import read_final

NoWait = Annotated[bool, typer.Option("--no-wait", help="Return as soon as the job is queued.")]


def speak(
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help="A still of the person.")],
    voice: Annotated[str, typer.Option(metavar="FILE", help="What is said.")],
    prompt: Annotated[str, typer.Option(help="What is seen and how it is said.")] = "",
    quality: Annotated[str, choice("quality", "How many steps.")] = "standard",
    model: Annotated[
        str | None, typer.Option(metavar="DIR|TASK", help="The folder of the weights, or a task's model.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="W*H", help="Whose area is kept; the picture gives the aspect.")
    ] = None,
    pose: Annotated[str | None, typer.Option(metavar="FILE", help="A video of poses to follow.")] = None,
    from_picture: Annotated[
        bool, typer.Option("--from-picture", help="Begin with the picture itself.")
    ] = False,
    chunk: Annotated[int, typer.Option(help="Frames made at a time, a multiple of 4.")] = 80,
    takes: Annotated[int, typer.Option(help="How many takes to make.")] = 1,
    seed: Annotated[int, typer.Option(help="The first take's seed.")] = 0,
    dest: Annotated[str | None, typer.Option(metavar="DIR", help="Where takes go.")] = None,
    no_wait: NoWait = False,
    as_json: JsonOption = False,
) -> int:
    """Make a new shot: the person in PICTURE speaks."""
    fields = {
        "picture": picture, "voice": voice, "prompt": prompt, "quality": quality, "model": model,
        "size": size, "pose": pose, "from_picture": from_picture, "chunk": chunk, "takes": takes,
        "seed": seed, "dest": dest,
    }  # fmt: skip
    return run_spec(build_spec("speak", fields), wait=not no_wait, as_json=as_json)


def final(take: TakeArgument, no_wait: NoWait = False, as_json: JsonOption = False) -> int:
    """Make a draft again as a final: the same seed, face, crop and mask, with every step and guidance."""
    return run_spec(read_final(find_take(take)), wait=not no_wait, as_json=as_json)


COMMANDS = {"speak": speak, "final": final}
