"""Real processes are hurt while messages come in; then the books are checked. See README.md."""
