"""Which command shall run? Django's command line for this project; it decides nothing itself."""

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

from config import running


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        if sys.argv[1:2] == ["up"]:
            _start_everything()
        else:
            running.adopt(Path(os.environ.get("DATA_DIR") or Path(__file__).parent / ".data"))
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refusal:
        sys.exit(f"{refusal}")  # one sentence naming the variable, not a traceback
    except OperationalError as trouble:
        first = str(trouble).strip().splitlines()[0]
        sys.exit(f"The database does not answer: {first}. Is `make run` running here, or is DATABASE_URL right?")


def _start_everything() -> None:
    """Without loading the apps: what starts and watches the others needs none, and loading them takes a second."""
    from config.management.commands.up import Command

    Command().run_from_argv(sys.argv)


if __name__ == "__main__":
    main()
