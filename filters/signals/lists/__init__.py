"""Word lists made by `build.py` from the packages it names; one line a language, sorted words."""
