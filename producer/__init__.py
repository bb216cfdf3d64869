"""The portal's side: intake over HTTP and command line, the outbox relay, the sweeper."""
