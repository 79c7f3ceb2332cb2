"""The training loop: session, optimizer, metrics, loss spikes."""
