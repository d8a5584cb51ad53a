"""Do the embedded servers refuse a socket folder that somebody else prepared for them?"""

import os
from pathlib import Path

import pytest

from config.embedded import EmbeddedError, Postgres, Valkey


@pytest.mark.parametrize("server", [Valkey, Postgres])
def test_a_socket_folder_that_is_a_link_is_refused(
    server: type[Valkey | Postgres], tmp_path: Path, server_path: Path
) -> None:
    (server_path / "sockets").symlink_to(tmp_path)

    with pytest.raises(EmbeddedError, match="is somebody else's"):
        server(server_path / "data").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_socket_folder_of_another_user_is_refused(server_path: Path) -> None:
    (server_path / "sockets").mkdir()
    os.chown(server_path / "sockets", 12_345, 12_345)

    with pytest.raises(EmbeddedError, match="is somebody else's"):
        Valkey(server_path / "data").start()


def test_an_open_socket_folder_of_ours_is_closed(server_path: Path) -> None:
    (server_path / "sockets").mkdir(mode=0o777)
    (server_path / "sockets").chmod(0o777)
    valkey = Valkey(server_path / "data", durable=False, log=server_path / "log")
    try:
        valkey.start()
        assert (server_path / "sockets").stat().st_mode & 0o777 == 0o700
    finally:
        valkey.stop()
