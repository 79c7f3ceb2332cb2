"""A small website of our own, and the archive made of it: what the demo and the tests run on."""
