"""`python -m hasty`: serves a folder or an application."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
