"""How are values written into the cache? As JSON: reading a pickle would let whoever writes to Redis run code here."""

import json


class JsonSerializer:
    """What Django's Redis cache asks of a serializer; numbers go plain, so that Redis can count with them."""

    def dumps(self, value: object) -> int | bytes:
        """Raises: TypeError for what JSON cannot hold."""
        if type(value) is int:  # not bool
            return value
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> object:
        """Raises: ValueError for what is no JSON."""
        return json.loads(data)
