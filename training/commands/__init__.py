"""The subcommands of `carelane model`, a module each."""
