"""cartrace: CAR-T laboratory files in, one checked timeline per patient out.

The package holds the science and knows nothing of Snakemake. Two tables join
its rooms: every reader ends in ``measurements``, every metric reads only
``measurements`` (and the sheets) and ends in ``metrics``; see
:mod:`cartrace.tables`.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cartrace")
except PackageNotFoundError:  # pragma: no cover - a source tree that was never installed
    __version__ = "0+unknown"
