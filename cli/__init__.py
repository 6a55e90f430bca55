"""The `ringfence` command: everything it knows, it asks of the controller over REST."""
