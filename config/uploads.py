"""How large may a file sent to the admin be? What is larger is read to its end, so that the sender hears why, and is not kept."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile

MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = "upload_too_large"


class CappedUpload(FileUploadHandler):
    """Stands before Django's own handlers: lets a file through up to the limit, and marks the request beyond it."""

    _size = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._size = 0
        length = kwargs.get("content_length") or (self.request.META.get("CONTENT_LENGTH") if self.request else None)
        if length and int(length) > MAX_BYTES + 1024 * 1024:
            self._refuse()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self._size += len(raw_data)
        if self._size > MAX_BYTES:
            self._refuse()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None

    def _refuse(self) -> None:
        if self.request is not None:
            setattr(self.request, TOO_LARGE, True)
        raise SkipFile
