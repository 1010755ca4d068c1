"""`fastcheck hub`: the real process."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from websockets.sync.client import ClientConnection, connect

from fastcheck import cli
from fastcheck.wire.frames import DRAIN, FULL, Commit, Goodbye, Hello, Intent, decode, encode
from rig.hubs import CATALOG, WITHIN_S, RunningHub, running_hub
from rig.warm import run_fastcheck


def stream_of(hub: RunningHub, context: ssl.SSLContext | None = None) -> ClientConnection:
    """A host that has said hello."""
    connection = connect(
        hub.url.replace("http", "ws") + "/v1/stream",
        additional_headers={"Authorization": f"Bearer {hub.token}"},
        compression=None,
        max_size=8 << 20,
        proxy=None,
        ssl=context,
    ).__enter__()
    connection.send(encode(Hello("host", 1, None, 0, "test")))
    return connection


def until(connection: ClientConnection, kind: type[Intent | Commit | Goodbye]) -> Intent | Commit | Goodbye:
    while True:
        message = connection.recv(WITHIN_S)
        assert isinstance(message, bytes)
        for frame in decode(message, from_hub=True):
            if isinstance(frame, kind):
                return frame


def test_a_hub_serves_streams_changes_and_ends_in_good_order(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--log-format", "json", "--drain-s", "0.5", warm=False) as hub:
        token_file = tmp_path / "hub" / "admin.token"
        assert token_file.stat().st_mode & 0o777 == 0o600
        connection = stream_of(hub)
        intent = until(connection, Intent)
        assert isinstance(intent, Intent)
        assert intent.kind == FULL
        until(connection, Commit)
        with hub.http() as http:
            put = http.put("/v1/customers/acme", json={"plan": "pro"})
            assert put.status_code == 200
            commit = until(connection, Commit)
            assert isinstance(commit, Commit)
            assert commit.seq == int(put.headers["Fastcheck-Seq"])
            assert http.get("/v1/snapshot").status_code == 200
            assert http.get("/v1/openapi.json").json()["openapi"].startswith("3.1")
        hub.process.send_signal(signal.SIGTERM)
        goodbye = until(connection, Goodbye)
        assert isinstance(goodbye, Goodbye)
        assert goodbye.code == DRAIN
        assert hub.process.wait(WITHIN_S) == 0
        lines = [json.loads(line) for line in hub.log.read_text().splitlines()]
        assert {"at", "level", "logger", "message"} <= set(lines[0])
        assert hub.token not in hub.log.read_text()
        assert any(line.get("request_id") for line in lines)
    assert list((tmp_path / "hub" / "spool").iterdir()) == []


def test_a_hub_that_starts_again_has_what_it_had_and_makes_no_second_token(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        with hub.http() as http:
            assert http.put("/v1/customers/acme", json={"plan": "pro"}).status_code == 200
        hub.kill()
    with running_hub(tmp_path / "hub", catalog=None) as again:
        assert again.token == hub.token
        with again.http() as http:
            assert http.get("/v1/customers/acme").json()["plan"] == "pro"


def test_requests_under_way_are_answered_before_the_end(tmp_path: Path) -> None:
    """A request whose body comes after the signal."""
    with running_hub(tmp_path / "hub") as hub:
        host, port = hub.url.removeprefix("http://").split(":")
        body = json.dumps({"plan": "pro"}).encode()
        with socket.create_connection((host, int(port)), WITHIN_S) as request:
            request.sendall(
                b"PUT /v1/customers/late HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
                + f"Authorization: Bearer {hub.token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            hub.process.send_signal(signal.SIGTERM)
            ends_at = time.monotonic() + WITHIN_S
            while "going away" not in hub.log.read_text() and time.monotonic() < ends_at:
                time.sleep(0.01)
            request.sendall(body)
            assert request.recv(4_096).startswith(b"HTTP/1.1 200")
        assert hub.process.wait(WITHIN_S) == 0


def test_two_hubs_on_one_database_tell_each_others_changes(tmp_path: Path, postgres_url: str) -> None:
    url = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    # The second finds tokens in the ledger, and makes none.
    with (
        running_hub(tmp_path / "one", database=url) as one,
        running_hub(tmp_path / "two", database=url, token=one.token, catalog=None) as two,
    ):
        assert not (tmp_path / "two" / "admin.token").exists()
        connection = stream_of(two)
        until(connection, Commit)
        with one.http() as http:
            put = http.put("/v1/customers/acme", json={"plan": "pro"})
        commit = until(connection, Commit)
        assert isinstance(commit, Commit)
        assert commit.seq == int(put.headers["Fastcheck-Seq"])
        one.kill()
        with two.http() as http:
            put = http.put("/v1/customers/bolt", json={"plan": "pro"})
        commit = until(connection, Commit)
        assert isinstance(commit, Commit)
        assert commit.seq == int(put.headers["Fastcheck-Seq"])
        connection.close()


def test_a_hub_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "hub.pem", tmp_path / "hub.key"
    certificate.private_key_pem.write_to_path(key)
    for part in certificate.cert_chain_pems:
        part.write_to_path(cert, append=True)
    context = ssl.create_default_context()
    arguments = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with running_hub(tmp_path / "hub", *arguments, ready=False) as hub:
        assert hub.url.startswith("https://")
        with pytest.raises(ssl.SSLCertVerificationError):
            stream_of(hub, context)
        authority.configure_trust(context)
        connection = stream_of(hub, context)
        assert isinstance(until(connection, Intent), Intent)
        connection.close()
        with hub.http(verify=context) as http:
            assert http.get("/readyz").status_code == 200


# What it refuses to begin with.


def fails(*arguments: str) -> str:
    """The one line of a hub that does not begin."""
    done = run_fastcheck("hub", *arguments, timeout_s=WITHIN_S)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = fails(str(tmp_path / "hub"), "--listen", f"127.0.0.1:{port}")
    assert f"cannot listen on 127.0.0.1:{port}" in told
    assert "--listen" in told


def test_a_directory_that_is_in_use_is_named(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", ready=False):
        assert "in use by another hub" in fails(str(tmp_path / "hub"), "--listen", "127.0.0.1:0")


def test_tokens_do_not_travel_in_the_clear_by_mistake(tmp_path: Path) -> None:
    assert "--tls-cert" in fails(str(tmp_path / "hub"), "--listen", "0.0.0.0:0")


def test_a_catalog_with_mistakes_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CATALOG.read_text() + "\nnonsense: 1\n")
    assert "nonsense" in fails(str(tmp_path / "a"), "--listen", "127.0.0.1:0", "--catalog", str(wrong))
    assert "nowhere.yaml" in fails(
        str(tmp_path / "b"), "--listen", "127.0.0.1:0", "--catalog", str(tmp_path / "nowhere.yaml")
    )


def test_tls_files_that_are_none_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.pem"
    file.write_text("no certificate")
    told = fails(
        str(tmp_path / "hub"), "--listen", "127.0.0.1:0", "--tls-cert", str(file), "--tls-key", str(file)
    )
    assert "x.pem" in told
    assert "PEM" in told


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:s3cret@127.0.0.1:{port}/ledger"
    told = fails(str(tmp_path / "hub"), "--listen", "127.0.0.1:0", "--database", url)
    assert "s3cret" not in told
    assert str(port) in told


@pytest.mark.parametrize(
    "arguments",
    [["--listen", "8700"], ["--listen", "127.0.0.1:70000"], ["--drain-s", "-1"], ["--drain-s", "soon"],
     ["--tls-cert", "a.pem"]],
)  # fmt: skip
def test_wrong_arguments_are_wrong_usage(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = cli.main(["hub", str(tmp_path), *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert arguments[0] in capsys.readouterr().err
