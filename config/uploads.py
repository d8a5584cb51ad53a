"""Where does a file sent to the admin wait while it is read? In memory, then in a file without a name: a kill leaves nothing.

What is larger than an upload may be is read to its end, so that the sender hears why, and is not kept.
"""

from __future__ import annotations

import tempfile
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile

MAX_BYTES = 20 * 1024 * 1024
TOO_LARGE = "upload_too_large"
_IN_MEMORY = 2 * 1024 * 1024


class CappedUpload(FileUploadHandler):
    """The only handler there is. It marks the request if a file was too large."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._size = 0
        self._kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with the request's files

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size += len(raw_data)
        if self._size > MAX_BYTES:
            if self.request is not None:
                setattr(self.request, TOO_LARGE, True)
            self._kept.close()
            raise SkipFile
        self._kept.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        self._kept.seek(0)
        return UploadedFile(
            file=self._kept, name=self.file_name, content_type=self.content_type, size=file_size, charset=self.charset
        )

    def upload_interrupted(self) -> None:
        """The sender hung up."""
        self._kept.close()
