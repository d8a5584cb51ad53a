"""The application a web server loads. A production start with an unsafe setting ends here, before the first request."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config.checks import refuse_unsafe_start  # noqa: E402 - needs the apps, which the line above loads

# Settings only: a database that is away makes this server answer 503, not stay down.
refuse_unsafe_start(database=False)
