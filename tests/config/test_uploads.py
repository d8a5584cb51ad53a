"""Is a file that somebody sends capped, and gone with its request?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory

from config.uploads import MAX_BYTES, TOO_LARGE


@contextmanager
def sent(size: int) -> Iterator[Any]:
    """A request with a form and a file in it, closed as Django closes it behind its answer."""
    content = SimpleUploadedFile("a.csv", b"x" * size)
    request = RequestFactory().post("/", {"file": content, "word": "kept"})
    yield request
    request.close()


@pytest.mark.parametrize("size", [0, 10, MAX_BYTES])
def test_a_file_up_to_the_limit_comes_through_whole(size: int) -> None:
    with sent(size) as request:
        file = request.FILES["file"]
        assert (file.name, file.size, len(file.read())) == ("a.csv", size, size)
        assert request.POST["word"] == "kept"
        assert not hasattr(request, TOO_LARGE)


def test_a_larger_one_is_read_and_dropped_and_the_rest_of_the_form_is_there() -> None:
    with sent(MAX_BYTES + 1) as request:
        assert (dict(request.FILES), request.POST["word"]) == ({}, "kept")
        assert getattr(request, TOO_LARGE) is True


def test_no_file_with_a_name_exists_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with sent(5 * 1024 * 1024) as request:
        assert request.FILES["file"].size == 5 * 1024 * 1024
        assert list(tmp_path.iterdir()) == []
