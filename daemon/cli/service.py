"""`dubwright daemon start | stop | status`."""

import typer

from daemon.cli.output import JsonOption, print_json, print_line
from daemon.client import Client
from daemon.launch import find_daemon
from daemon.pairing.names import LOCAL
from daemon.paths import find_paths

app = typer.Typer(help="The background process that owns the queue; commands start it on demand.")


@app.command()
def start(as_json: JsonOption = False) -> int:
    """Start the daemon of this machine, if none runs."""
    was_running = find_daemon(find_paths()) is not None
    with Client.connect(name="cli", on=LOCAL) as client:
        assert client.daemon is not None
        pid = client.daemon.server_pid
    if as_json:
        print_json({"server_pid": pid, "was_running": was_running})
    else:
        print_line(f"The daemon {'already runs' if was_running else 'runs'} as process {pid}.")
    return 0


@app.command()
def stop(as_json: JsonOption = False) -> int:
    """Stop the daemon of this machine. Running jobs go on at the next start."""
    was_running = find_daemon(find_paths()) is not None
    if was_running:
        with Client.connect(start=False, name="cli", on=LOCAL) as client:
            client.shutdown()
    if as_json:
        print_json({"was_running": was_running})
    else:
        print_line("The daemon has stopped." if was_running else "No daemon runs.")
    return 0


@app.command()
def status(as_json: JsonOption = False) -> int:
    """Show the daemon, its workers and its queue; the exit status is 4 when none runs."""
    with Client.connect(start=False, name="cli") as client:
        found = client.status()
    if as_json:
        print_json(found)
        return 0
    print_line(f"The daemon {found.version} runs as process {found.server_pid}, for {found.uptime_s:.0f} s.")
    for worker in found.workers:
        memory = "" if worker.rss is None else f", {worker.rss / 2**20:.0f} MB"
        job = f" with job {worker.job_id}" if worker.job_id else ""
        print_line(f"  {worker.role} worker, process {worker.pid}: {worker.state}{job}{memory}")
    for gpu in found.gpus:
        facts = [f"{gpu.memory_used / 2**30:.1f} of {gpu.memory_total / 2**30:.1f} GB"]
        facts += [] if gpu.utilisation is None else [f"{gpu.utilisation} % busy"]
        facts += [] if gpu.temperature is None else [f"{gpu.temperature} °C"]
        print_line(f"  {gpu.name}: {', '.join(facts)}")
    for reason in found.held_back:
        print_line(f"  jobs of the night and of the GPU wait: {reason}")
    counts = ", ".join(f"{count} {state}" for state, count in found.jobs.items() if count)
    print_line(f"  jobs: {counts or 'none'}")
    print_line(f"  data: {found.data}\n  logs: {found.logs}")
    return 0
