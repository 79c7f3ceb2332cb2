"""A small website written for this project, and a crawl of it: input of the demo and the tests."""
