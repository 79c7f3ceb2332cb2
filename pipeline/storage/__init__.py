"""Files, folders and tables by path or URL: the only access to disks and object stores.

Use it as `from benben.pipeline import storage` and `storage.join(...)`. Modules: `stores` opens the
filesystem of a URL, `files` reads and writes in it. Archives are read by ranges (`ranges`) at a
pace that all processes share (`throttle`, `retrying`).
"""

from benben.pipeline.storage.files import (
    UNFINISHED,
    ParquetWriter,
    create,
    delete_file,
    delete_folder,
    even_batches,
    exists,
    footer,
    is_folder,
    iter_aligned,
    iter_parquet,
    iter_row_groups,
    join,
    list_files,
    list_folders,
    new_file,
    open_input,
    open_output,
    parquet_schema,
    read_bytes,
    read_parquet,
    restore,
    size,
    swap,
    under,
    write_bytes,
)
from benben.pipeline.storage.stores import arrow_filesystem, is_local, local_path

__all__ = [
    "UNFINISHED",
    "ParquetWriter",
    "arrow_filesystem",
    "create",
    "delete_file",
    "delete_folder",
    "even_batches",
    "exists",
    "footer",
    "is_folder",
    "is_local",
    "iter_aligned",
    "iter_parquet",
    "iter_row_groups",
    "join",
    "list_files",
    "list_folders",
    "local_path",
    "new_file",
    "open_input",
    "open_output",
    "parquet_schema",
    "read_bytes",
    "read_parquet",
    "restore",
    "size",
    "swap",
    "under",
    "write_bytes",
]
