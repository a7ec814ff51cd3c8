"""`python -m daemon.demo`: re-dub the bundled shot with the bundled voice, and say how it went."""

import sys

from daemon.cli.follow import follow
from daemon.cli.output import print_error, print_line, say
from daemon.cli.status import ExitStatus, status_of
from daemon.cli.takes import print_checks
from daemon.client import Client
from daemon.demo import SHOT, VOICE, read_facts
from daemon.protocol.errors import DubwrightError
from daemon.protocol.jobs import Job, RedubSpec

OWN = "  python3 installer exec -- dubwright redub SHOT.mov --in 0 --out 100 --voice LINE.wav"


def main() -> int:
    """Run the demo; return 0 only when the take passed its checks."""
    try:
        job = _redub()
    except DubwrightError as error:
        print_error(error.to_info(), as_json=False)
        return error.exit_status
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    if job.error is not None:
        print_error(job.error, as_json=False)
    for take in job.takes:
        print_line()
        print_checks(take)
    if job.takes:
        say(f"\nPlay the take. With a shot and a voice of your own:\n{OWN}")
    if job.takes and all(take.badge == "pass" for take in job.takes):
        return ExitStatus.OK
    return status_of(job) or ExitStatus.BAD_TAKE


def _redub() -> Job:
    facts = read_facts()
    spec = RedubSpec(
        source=str(SHOT),
        voice=str(VOICE),
        in_=facts["demo"]["in"],
        out=facts["demo"]["out"],
        deliver="baked",
        codec="h264",
    )
    say(f"The shot says:  {facts['text']}")
    say(f"It will say:    {facts['voice_text']}")
    with Client.connect(name="demo") as client:
        return follow(client, client.submit(spec).job_id)


if __name__ == "__main__":
    sys.exit(main())
