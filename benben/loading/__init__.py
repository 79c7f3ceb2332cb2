"""Reads a finished dataset for training: documents with texts and pictures in order.

`dataset` is what users call; `files` finds the files, `order` says which rows come when, `pictures`
finds and decodes pictures, `documents` turns rows into documents, and `chat` hands them to
processors of vision-language models. torch and datasets are imported where they are asked for.
"""
