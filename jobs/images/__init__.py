"""Work on a run's images that takes several passes over its parts."""
