"""The commands that pair machines: a person on each side, a code each way, and a fingerprint to compare."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.output import JsonOption, local_time, print_json, print_line, print_table, say
from daemon.client import Client
from daemon.config import load_config
from daemon.connection import load_keys
from daemon.pairing import codes, hosts
from daemon.pairing.clients import PairedClients
from daemon.pairing.names import LOCAL
from daemon.paths import Paths, find_paths
from daemon.protocol.errors import RequestError

app = typer.Typer(help="Use a daemon on another machine, or let another machine use this one's.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the other machine is called here.")]


@app.command()
def invite(
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="As the other machine reaches this one.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print this daemon's invitation, for `pair join` on the other machine. It holds no secret."""
    paths = find_paths()
    where = address or load_config(paths.config_file).remote.listen
    if where is None:
        hint = f"Set `remote.listen` in {paths.config_file}, then run `dubwright daemon stop`."
        raise RequestError("pair.not_listening", "This daemon listens to no other machine.", hint=hint)
    host, port = codes.split_address(where)
    if host in ("*", "0.0.0.0", "[::]"):
        raise RequestError(
            "pair.code", f"{where} is no address to call.", hint=f"Give --address, as MACHINE:{port}."
        )
    code = codes.encode_invitation(codes.Invitation(where, _public_key(paths)))
    if as_json:
        print_json({"invitation": code})
    else:
        print_line(code)
        say("Send it to whoever is at the other machine, to run there: dubwright pair join NAME INVITATION")
    return 0


@app.command()
def join(
    name: NameArgument,
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="What `pair invite` printed there.")
    ],
    as_json: JsonOption = False,
) -> int:
    """Take up an invitation, and print the answer, for `pair add` on the daemon's machine."""
    host = hosts.join_host(find_paths(), name, codes.decode_invitation(invitation))
    answer = codes.encode_key(host.client_public)
    shown = codes.fingerprint(host.server_public, host.client_public)
    if as_json:
        print_json({"answer": answer, "fingerprint": shown})
    else:
        print_line(answer)
        say("Send it back, to run there: dubwright pair add NAME ANSWER")
        say(f"Both machines must then show this fingerprint: {shown}")
        say(f"Use that daemon with `dubwright --on {name} ...`.")
    return 0


@app.command()
def add(
    name: NameArgument,
    answer: Annotated[str, typer.Argument(metavar="ANSWER", help="What `pair join` printed there.")],
    folder: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder of this machine its jobs may use; may be given again."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Let a machine in. It may run jobs on its own media and in the folders named here; nothing else."""
    paths = find_paths()
    folders = [str(one.absolute()) for one in folder or []]
    client = PairedClients(paths.paired_file).add(name, codes.decode_key(answer), folders)
    shown = codes.fingerprint(_public_key(paths), client.public)
    if as_json:
        print_json({"name": name, "fingerprint": shown})
    else:
        print_line(f"{name} is let in. Its fingerprint: {shown}")
        say(f"Is it another one there, run `dubwright pair revoke {name}`: someone changed the codes.")
    return 0


@app.command(name="list")
def list_(as_json: JsonOption = False) -> int:
    """List the machines that may use this daemon, and the daemons that this machine may use."""
    paths = find_paths()
    public = _public_key(paths) if paths.keys_file.exists() else ""
    clients = [
        {
            "name": client.name,
            "fingerprint": codes.fingerprint(public, client.public),
            "added_at": client.added_at,
            "folders": client.folders,
        }
        for client in PairedClients(paths.paired_file).all()
    ]
    known = [
        {
            "name": host.name,
            "fingerprint": codes.fingerprint(host.server_public, host.client_public),
            "address": host.address,
            "folders": host.folders,
        }
        for host in hosts.all_hosts(paths)
    ]
    if as_json:
        print_json({"clients": clients, "hosts": known})
        return 0
    rows = [
        [one["name"], "may use this daemon", one["fingerprint"], local_time(one["added_at"])]
        for one in clients
    ]
    rows += [[one["name"], "may be used from here", one["fingerprint"], one["address"]] for one in known]
    if rows:
        print_table(["MACHINE", "WHAT", "FINGERPRINT", "SINCE, WHERE"], rows)
    else:
        say("No machines are paired.")
    return 0


@app.command()
def revoke(name: NameArgument, as_json: JsonOption = False) -> int:
    """Let a machine in no more, at once. Its jobs stay on the queue; cancel them if you want them to end."""
    PairedClients(find_paths().paired_file).revoke(name)
    return _say_done(name, f"{name} is not let in any more.", as_json=as_json)


@app.command()
def leave(name: NameArgument, as_json: JsonOption = False) -> int:
    """Forget a daemon on another machine, and this one's key to it."""
    hosts.leave_host(find_paths(), name)
    return _say_done(name, f"{name} is forgotten. Have `dubwright pair revoke` run there.", as_json=as_json)


@app.command(name="map")
def map_(
    name: NameArgument,
    here: Annotated[str, typer.Argument(metavar="HERE", help="A folder on this machine.")],
    there: Annotated[
        str | None, typer.Argument(metavar="THERE", help="The same folder, as that machine sees it.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Say that both machines see a folder, so that nothing in it is sent; without THERE, not any more."""
    paths, folder = find_paths(), str(Path(here).absolute())
    host = hosts.load_host(paths, name)
    changed = hosts.without_folder(host, folder) if there is None else hosts.with_folder(host, folder, there)
    hosts.save_host(paths, changed)
    said = f"What lies in {folder} is sent." if there is None else f"{folder} is {there} on {name}."
    return _say_done(name, said, as_json=as_json)


def _say_done(name: str, sentence: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"name": name})
    else:
        print_line(sentence)
    return 0


def _public_key(paths: Paths) -> str:
    """Return this daemon's public key; starts the daemon, which makes it, when there is none yet."""
    if load_keys(paths.keys_file) is None:
        Client.connect(name="cli", on=LOCAL).close()
    keys = load_keys(paths.keys_file)
    assert keys is not None, "a daemon that answers has keys"
    return keys.server_public
