"""What somebody who wants money or wants evidence gone would try."""
