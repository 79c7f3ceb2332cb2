"""Files, folders and tables by path or URL: the only access to disks and object stores.

Use it as `from benben.pipeline import storage` and `storage.join(...)`. Modules: `stores` opens the
filesystem of a URL, `files` and `parquet` read and write in it, `local_folders` swaps folders of a
disk. Archives are read by ranges (`ranges`) at a pace all processes share (`throttle`, `retrying`).
"""

from benben.pipeline.storage.files import (
    UNFINISHED,
    delete_file,
    delete_folder,
    exists,
    is_folder,
    join,
    list_files,
    list_folders,
    new_file,
    open_input,
    open_output,
    read_bytes,
    size,
    under,
    write_bytes,
)
from benben.pipeline.storage.local_folders import restore, swap
from benben.pipeline.storage.parquet import (
    ParquetWriter,
    even_batches,
    footer,
    iter_aligned,
    iter_parquet,
    read_parquet,
)
from benben.pipeline.storage.stores import arrow_filesystem, is_local, local_path

__all__ = [
    "UNFINISHED",
    "ParquetWriter",
    "arrow_filesystem",
    "delete_file",
    "delete_folder",
    "even_batches",
    "exists",
    "footer",
    "is_folder",
    "is_local",
    "iter_aligned",
    "iter_parquet",
    "join",
    "list_files",
    "list_folders",
    "local_path",
    "new_file",
    "open_input",
    "open_output",
    "read_bytes",
    "read_parquet",
    "restore",
    "size",
    "swap",
    "under",
    "write_bytes",
]
