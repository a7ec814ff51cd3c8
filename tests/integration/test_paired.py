"""A daemon on another machine: who may come in, what it may ask, and media that go there and back."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from daemon.channel import Channel
from daemon.client import Client
from daemon.connection import is_locked, load_keys, read_endpoint
from daemon.demo import SHOT, VOICE
from daemon.pairing.clients import PairedClients
from daemon.pairing.codes import Invitation
from daemon.pairing.hosts import join_host, load_host, save_host, with_folder
from daemon.protocol import messages
from daemon.protocol.codec import encode_request
from daemon.protocol.errors import DubwrightError
from daemon.protocol.events import JobProgressed
from daemon.protocol.jobs import JobState
from daemon.provenance.seal import read_seal
from daemon.transfer.carrier import Transfer
from tests.machines import ROOT, Pair, machine, paired, serving
from tests.studio import ALONE, essence_of

SCRIPTED = {"DUBWRIGHT_RUNNER": "tests.fakes.runner:run_job"}
SETTINGS = "upload_gb = 0.01\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two machines for the whole module; the jobs of the daemon there are scripted."""
    with paired(tmp_path_factory.mktemp("pair"), SETTINGS, **SCRIPTED) as found:
        yield found


@pytest.fixture
def client(pair: Pair) -> Iterator[Client]:
    with pair.connect() as connected:
        yield connected


def job_here(folder: Path, script: str = "paint", **fields: Any) -> dict[str, Any]:
    """Return a scripted job whose files lie in a folder of this machine."""
    folder.mkdir(exist_ok=True)
    source, voice = folder / "a.mov", folder / script
    for file in (source, voice):
        if not file.exists():
            file.write_bytes(os.urandom(100_000))
    return {
        "source": str(source),
        "voice": str(voice),
        "in": 0,
        "out": 30,
        "dest": str(folder / "out"),
        **fields,
    }


def ended(client: Client, job_id: str) -> Any:
    for _ in client.watch(job_id):
        pass
    return client.job(job_id)


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    """Return the code of the error that a call raises."""
    with pytest.raises(DubwrightError) as caught:
        call(*arguments, **named)
    return caught.value.code


def offer(client: Client, data: bytes, name: str = "a.bin") -> messages.OfferFileReply:
    sha256 = hashlib.sha256(data).hexdigest()
    return client._ask_files(
        messages.OfferFile(sha256=sha256, size=len(data), name=name), messages.OfferFileReply
    )


def send(client: Client, data: bytes, offset: int, stop: int, *, sha256: str | None = None) -> int:
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    chunk = messages.SendChunk(sha256=sha256, offset=offset, data=data[offset:stop])
    return client._ask_files(chunk, messages.SendChunkReply).have


# Who may come in.


@pytest.mark.parametrize("socket", ["requests", "control", "events", "files"])
def test_the_owners_key_opens_nothing_from_afar_and_a_paired_key_nothing_at_home(
    pair: Pair, socket: str
) -> None:
    host, owner = load_host(pair.here.paths, "there"), load_keys(pair.there.paths.keys_file)
    at_home = read_endpoint(pair.there.paths.endpoint_file)
    assert owner is not None
    assert at_home is not None
    tries = [(getattr(host.endpoint, socket), owner)]
    tries += [(getattr(at_home, socket), host.keys)] if socket != "files" else []
    for address, keys in tries:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        channel = Channel(context, zmq.SUB if socket == "events" else zmq.DEALER, address, keys)
        assert code_of(channel.next, timeout_s=10) == "daemon.refused"
        channel.close()
        context.term()


def test_a_machine_that_was_never_let_in_is_refused(pair: Pair, tmp_path: Path) -> None:
    host = load_host(pair.here.paths, "there")
    stranger = machine(tmp_path / "stranger")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    save_host(stranger.paths, msgspec.structs.replace(host, client_public=public, client_secret=secret))
    assert code_of(Client.connect, paths=stranger.paths, on="there") == "daemon.refused"


def test_a_pairing_that_ends_in_the_middle_of_a_job_ends_at_once(pair: Pair, tmp_path: Path) -> None:
    other = machine(tmp_path / "other")
    address = load_host(pair.here.paths, "there").address
    keys = load_keys(pair.there.paths.keys_file)
    assert keys is not None
    clients = PairedClients(pair.there.paths.paired_file)
    joined = join_host(other.paths, "there", Invitation(address, keys.server_public))
    clients.add("other", joined.client_public, [])
    with Client.connect(paths=other.paths, on="there") as guest, pair.there.owner() as owner:
        owner.schedule(ALONE)
        job = guest.submit(job_here(tmp_path, "loop"))
        with guest.subscribe("job/") as subscription, owner.subscribe("job/") as overheard:
            while not isinstance((subscription.next(timeout_s=20) or [None])[0], JobProgressed):
                pass
            clients.revoke("other")
            for call in (guest.status, lambda: guest.cancel(job.job_id), lambda: offer(guest, b"x")):
                assert code_of(call) == "daemon.refused"
            while not isinstance((overheard.next(timeout_s=20) or [None])[0], JobProgressed):
                pass
            while (late := subscription.next(timeout_s=0)) is not None:  # sent before it was revoked
                assert isinstance(late[0], JobProgressed)
            while not isinstance((overheard.next(timeout_s=20) or [None])[0], JobProgressed):
                pass
            assert subscription.next(timeout_s=0) is None
        assert owner.job(job.job_id).state is JobState.RUNNING
        owner.cancel(job.job_id)
        ended(owner, job.job_id)


def test_a_list_that_cannot_be_read_lets_no_machine_in_and_keeps_no_owner_out(
    pair: Pair, client: Client
) -> None:
    file = pair.there.paths.paired_file
    good = file.read_bytes()
    try:
        file.write_bytes(b"[{")
        assert code_of(client.status) == "home.unwritable"
        assert code_of(pair.connect) in ("daemon.refused", "daemon.unreachable")
        with pair.there.owner() as owner:
            assert owner.status().jobs
    finally:
        file.write_bytes(good)
    assert client.status().jobs


# What it may ask.


def test_what_is_the_owners_is_refused(client: Client) -> None:
    assert code_of(client._ask, messages.Shutdown(), messages.ShutdownReply) == "pair.forbidden"
    assert code_of(client.schedule, ALONE) == "pair.forbidden"
    assert code_of(client.report) == "pair.forbidden"
    assert client.schedule().settings is not None
    assert client.models().models
    assert client.status().logs == ""


def test_jobs_of_others_are_not_there(pair: Pair, client: Client, tmp_path: Path) -> None:
    with pair.there.owner() as owner:
        theirs = owner.submit(job_here(tmp_path), hold=True).job_id
        ours = client.submit(job_here(tmp_path / "b"), hold=True, priority=500)
        assert ours.priority == 0
        assert ours.submitted_by == "here/test"
        assert [job.job_id for job in client.jobs([JobState.HELD])] == [ours.job_id]
        for call in (client.job, client.cancel, client.release, client.job_log, client.takes):
            assert code_of(call, theirs) == "job.not_found"
        assert code_of(client.reorder, ours.job_id, before=theirs) == "job.not_found"
        assert client.reorder(ours.job_id, priority=900).priority == 0
        listed = {job.job_id for job in owner.jobs([JobState.HELD])}
        assert {theirs, ours.job_id} <= listed
        for job_id in (theirs, ours.job_id):
            owner.cancel(job_id)


@pytest.mark.parametrize("field", ["source", "voice", "dest", "model"])
def test_paths_outside_of_its_folders_are_refused(
    pair: Pair, client: Client, tmp_path: Path, field: str
) -> None:
    assert client.daemon is not None
    own = Path(client.daemon.folder or "")
    inside = {name: str(own / name) for name in ("source", "voice", "dest")}
    for path in (tmp_path / "secret", own / ".." / "elsewhere", pair.there.paths.keys_file):
        request = messages.SubmitJob(spec={"in": 0, "out": 9, **inside, field: str(path)})
        reply = client._wire.exchange(encode_request(request, message_id="x" * 20), "x" * 20, "requests")
        assert msgspec.msgpack.decode(reply)["body"]["code"] == "path.forbidden"


def test_an_address_to_call_is_refused(client: Client) -> None:
    spec = {"kind": "generate", "ckpt_dir": "t2v-A14B", "prompt_extend_url": "http://192.168.1.1/"}
    assert code_of(client.submit, spec) == "pair.forbidden"


def test_events_of_others_are_not_heard_whatever_is_subscribed_to(
    pair: Pair, client: Client, tmp_path: Path
) -> None:
    host = load_host(pair.here.paths, "there")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    snooper = Channel(context, zmq.SUB, host.endpoint.events, host.keys)
    for topic in ("", "job/", "daemon/", "other/job/", f"{host.client_public}/job/"):
        snooper.subscribe(topic)
    assert b"subscribed" in (snooper.next(timeout_s=20) or b"")
    with pair.there.owner() as owner:
        owner.cancel(owner.submit(job_here(tmp_path), hold=True).job_id)
    ours = client.submit(job_here(tmp_path), hold=True).job_id
    assert ours.encode() in (snooper.next(timeout_s=20) or b"")
    snooper.close()
    context.term()
    client.cancel(ours)


# Media that go there and back.


def test_media_go_there_once_and_takes_come_back(pair: Pair, client: Client, tmp_path: Path) -> None:
    sent: list[Transfer] = []
    assert client._carrier is not None
    client._carrier.on_transfer = sent.append
    with pair.there.owner() as owner:
        owner.schedule(ALONE)
    spec = job_here(tmp_path)
    assert client.estimate(spec).usual_s is not None
    assert sent == []
    job = ended(client, client.submit(spec).job_id)
    assert job.state is JobState.DONE, job.error
    assert (job.spec.source, job.spec.dest) == (spec["source"], spec["dest"])
    (take,) = job.takes
    assert take.path == f"{spec['dest']}/0.take"
    with pair.there.owner() as owner:
        (original,) = owner.job(job.job_id).takes
    assert Path(take.path).read_bytes() == Path(original.path).read_bytes()
    assert {Path(one.path).name for one in sent if one.is_upload} == {"a.mov", "paint"}
    sent.clear()
    (tmp_path / "copy.mov").write_bytes(Path(spec["source"]).read_bytes())
    again = client.submit({**spec, "source": str(tmp_path / "copy.mov")}, hold=True)
    assert again.spec.source == str(tmp_path / "copy.mov")  # type: ignore[union-attr]
    assert not [one for one in sent if one.done < one.size]
    client.cancel(again.job_id)
    os.unlink(take.path)
    client.fetch(client.takes())
    assert Path(take.path).exists()
    assert not list(Path(spec["dest"]).glob(".*"))


def test_an_upload_that_broke_off_goes_on_also_after_the_daemon_was_killed(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    with paired(tmp_path, **SCRIPTED) as two:
        with two.connect() as client:
            assert offer(client, data).have == 0
            assert send(client, data, 0, 100_000) == 100_000
            assert send(client, data, 0, 100_000) == 100_000  # a repeated one changes nothing
            assert send(client, data, 200_000, 300_000) == 100_000  # nor one that leaps
        with two.there.owner() as owner:
            os.kill(owner.status().server_pid, 9)
        while is_alive(two):
            pass
        with serving(two.there, **SCRIPTED), two.connect() as client:
            assert code_of(send, client, data, 100_000, 200_000) == "transfer.unknown"
            reply = offer(client, data)
            assert reply.have == 100_000
            assert send(client, data, 100_000, 300_000) == 300_000
            assert Path(reply.path).read_bytes() == data
            assert offer(client, data, "b.bin").have == 300_000


def is_alive(two: Pair) -> bool:
    return is_locked(two.there.paths.lock_file)


def test_what_is_not_what_was_announced_is_dropped(client: Client) -> None:
    data = os.urandom(1000)
    other = hashlib.sha256(b"other").hexdigest()
    reply = client._ask_files(
        messages.OfferFile(sha256=other, size=1000, name="../../evil\0/x.mov"), messages.OfferFileReply
    )
    assert Path(reply.path).name == "_.._evil__x.mov"
    assert code_of(send, client, data, 0, 1000, sha256=other) == "transfer.damaged"
    assert not Path(reply.path).exists()
    offer(client, data)
    assert (
        code_of(send, client, data + b"x", 0, 1001, sha256=hashlib.sha256(data).hexdigest())
        == "transfer.damaged"
    )
    assert offer(client, data).have == 0


def test_room_that_is_used_up_is_made_by_what_no_job_needs_and_else_refused(
    client: Client, tmp_path: Path
) -> None:
    needed = job_here(tmp_path)
    Path(needed["source"]).write_bytes(os.urandom(6_000_000))
    job = client.submit(needed, hold=True)
    loose = os.urandom(2_000_000)
    path = Path(offer(client, loose).path)
    for at in range(0, len(loose), 2**20):
        send(client, loose, at, at + 2**20)
    more = os.urandom(3_500_000)
    assert code_of(offer, client, more) == "transfer.quota"  # what came just now may be for a job to come
    assert path.exists()
    age(path.parents[1])
    assert offer(client, more).have == 0
    assert not path.exists()
    assert code_of(offer, client, os.urandom(5_000_000)) == "transfer.quota"
    client.cancel(job.job_id)
    assert offer(client, os.urandom(5_000_000)).have == 0


def age(media: Path) -> None:
    """Make media seem to have been used long ago."""
    for folder in media.iterdir():
        os.utime(folder, (0, 0))


def test_files_of_other_jobs_and_other_files_are_not_given(
    pair: Pair, client: Client, tmp_path: Path
) -> None:
    with pair.there.owner() as owner:
        owner.schedule(ALONE)
        theirs = ended(owner, owner.submit(job_here(tmp_path / "theirs")).job_id)
    ask = client._ask_files
    assert code_of(ask, messages.ListFiles(job_id=theirs.job_id), messages.ListFilesReply) == "job.not_found"
    ours = ended(client, client.submit(job_here(tmp_path / "ours")).job_id)
    for path in (str(pair.there.paths.keys_file), theirs.takes[0].path):
        request = messages.ReadChunk(job_id=ours.job_id, path=path, offset=0)
        assert code_of(ask, request, messages.ReadChunkReply) == "transfer.unknown"
    assert code_of(client._ask_files, messages.Status(), messages.StatusReply) == "protocol.unknown_type"


def test_a_folder_that_both_see_is_used_in_place(tmp_path: Path) -> None:
    there, here = tmp_path / "volume", tmp_path / "seen here"
    there.mkdir()
    here.symlink_to(there)
    with paired(tmp_path, folders=(str(there),), **SCRIPTED) as two:
        save_host(two.here.paths, with_folder(load_host(two.here.paths, "there"), str(here), str(there)))
        with two.there.owner() as owner:
            owner.schedule(ALONE)
        with two.connect() as client:
            job = ended(client, client.submit(job_here(here)).job_id)
            assert job.takes[0].path == f"{here}/out/0.take"
            with two.there.owner() as owner:
                assert owner.job(job.job_id).takes[0].path == f"{there}/out/0.take"
        assert not (two.there.paths.paired / "media").exists()


def test_the_bridge_uses_the_daemon_that_was_chosen(pair: Pair, tmp_path: Path) -> None:
    spec = job_here(tmp_path)
    line = msgspec.json.encode({"id": 1, "type": "submit_job", "body": {"spec": spec, "hold": True}})
    variables = {"DUBWRIGHT_HOME": str(pair.here.home), "DUBWRIGHT_DAEMON": "there"}
    bridge = subprocess.run(
        [sys.executable, "-m", "daemon.bridge"],
        input=line + b"\n",
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    reply = msgspec.json.decode(bridge.stdout)
    assert reply["body"]["job"]["spec"]["source"] == spec["source"]
    with pair.connect() as client:
        client.cancel(reply["body"]["job"]["job_id"])


def test_two_people_pair_their_machines_with_the_commands(tmp_path: Path) -> None:
    with paired(tmp_path / "a", **SCRIPTED) as two:
        guest = machine(tmp_path / "guest")
        code = two.there.command("pair", "invite").document["invitation"]
        joined = guest.command("pair", "join", "render", code.lower()).document
        assert guest.command("jobs", "--on", "render").document["error"]["code"] == "daemon.refused"
        added = two.there.command("pair", "add", "laptop", joined["answer"]).document
        assert added["fingerprint"] == joined["fingerprint"]
        assert guest.command("jobs", "--on", "render").document == {"jobs": []}
        assert guest.command("--on", "nobody", "jobs").document["error"]["code"] == "pair.not_found"
        guest.command("pair", "map", "render", tmp_path, "/mnt/x")
        (host,) = guest.command("pair", "list").document["hosts"]
        assert host["folders"] == [[str(tmp_path), "/mnt/x"]]
        (_, client) = two.there.command("pair", "list").document["clients"]
        assert (client["name"], client["fingerprint"]) == ("laptop", added["fingerprint"])
        wrong = two.there.command("pair", "add", "tablet", joined["answer"][:-1] + "A")
        assert wrong.document["error"]["code"] in ("pair.code", "pair.exists")
        two.there.command("pair", "revoke", "laptop")
        assert guest.command("jobs", "--on", "render").status == 4
        guest.command("pair", "leave", "render")
        assert guest.command("pair", "list").document == {"clients": [], "hosts": []}
    silent = machine(tmp_path / "silent")
    assert silent.command("pair", "invite").document["error"]["code"] == "pair.not_listening"


def test_an_address_that_is_not_this_machines_keeps_nobody_else_out(tmp_path: Path) -> None:
    away = machine(tmp_path, '[remote]\nlisten = "203.0.113.9:47100"\n')
    with serving(away, **SCRIPTED), away.owner() as owner:
        (problem,) = owner.status().problems
        assert "203.0.113.9" in problem.message


@pytest.mark.slow
def test_a_redub_by_upload_is_the_same_to_the_bit_as_one_made_there(
    tmp_path: Path, face_models: Path
) -> None:
    fields = {"in": 20, "out": 45, "deliver": "baked", "codec": "h264", "matte": True}
    spec = {"source": str(SHOT), "voice": str(VOICE), "dest": str(tmp_path / "takes"), **fields}
    with paired(tmp_path, DUBWRIGHT_FACE_MODELS=str(face_models)) as two, two.there.owner() as owner:
        owner.schedule(ALONE)
        local = ended(owner, owner.submit({**spec, "dest": str(tmp_path / "local")}).job_id)
        with two.connect() as client:
            job = ended(client, client.submit(spec).job_id)
            assert job.state is JobState.DONE, job.error
            (take,), (expected,) = job.takes, local.takes
            check = ended(client, client.submit({"kind": "check", "take": take.path}).job_id)
            faces = ended(
                client, client.submit({"kind": "faces", "source": str(SHOT), "in": 20, "out": 24}).job_id
            )
    assert take.badge == "pass"
    assert essence_of(take.path) == essence_of(expected.path)
    assert read_seal(Path(take.path))["state"] == read_seal(Path(expected.path))["state"]
    assert take.matte is not None
    assert expected.matte is not None
    assert Path(take.matte).read_bytes() == Path(expected.matte).read_bytes()
    sidecar = msgspec.json.decode(Path(take.sidecar).read_bytes())
    assert sidecar["source"]["path"] == str(SHOT)
    assert sidecar["take"]["path"] == take.path
    (face,) = faces.result["faces"]
    assert Path(face["thumbnail"]).read_bytes()[:4] == b"\x89PNG"
    assert Path(face["thumbnail"]).is_relative_to(two.here.paths.cache)
    assert check.result is not None
    assert check.result["checks"]["sha256"] == take.checks["sha256"]
