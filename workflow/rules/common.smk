"""What all stages share: the checked plan of the trial folder, and names for code.

INPUTS:
    config.yaml, sheets/, mappings/ and the laboratory files, all checked here, so
    that a dry-run already tells every problem.

GIVES:
    PLAN              the files to read, with their content hashes
    script(name)      a program of scripts/, as an input of its rule
    sources(name)     one hash of this program and the package files that it rests on, as a
                      param, since Snakemake does not see the package (docs/adr/0002)
    resources(pattern) files of resources/, as inputs
    one_of(names)     a wildcard constraint: one of many names
    settings(section) a part of the configuration with its defaults, as a plain param
    existing(path)    a list of the one file, or of none where none is configured
    library_files(table, names)   one table of single-cell libraries
    repertoire_files(subject, tables)   tables of the contigs of a subject's libraries
    memory, minutes   resources that grow with the input and with each attempt
"""

import functools
import gc
import os
from contextvars import ContextVar
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.jobs import Job
from snakemake.persistence import PersistenceBase

from cartrace import planned, provenance
from cartrace.patterns import one_of
from cartrace.problems import InputError

REPOSITORY = Path(workflow.current_basedir).parents[1]

# Nearly all that is planned here and by Snakemake stays: Python's search for unused circles every
# 700 objects takes an eighth of a start at 1,000 patients and frees nothing (docs/scale.md).
gc.set_threshold(100_000, 20, 100)

if not config:
    raise WorkflowError(
        "cartrace needs the configuration of a trial folder: "
        "make run CONFIG=trial/config.yaml, or make demo for a simulated trial."
    )

try:
    PLAN = planned.plan_workflow(config, Path.cwd(), main=workflow.is_main_process)
except InputError as error:
    raise WorkflowError(str(error))


provenance.remember_imports(
    Path(".snakemake/cartrace_imports.json"), (REPOSITORY / "scripts").rglob("*.py")
)


def remember_failures():
    """Make Snakemake run a job that failed in each run until it ends well (docs/adr/0010).

    It removes the results of a job that failed and records the job as if it had ended well (Snakemake 9.27,
    its issue 3808). The next run would find what rests on the earlier results up to date, and end well on them.
    """
    failed = ContextVar("failed", default=False)
    postprocess, params = Job.postprocess, PersistenceBase._params

    @functools.wraps(postprocess)
    async def postprocess_known(job, *given, error=False, **named):
        token = failed.set(error)
        try:
            return await postprocess(job, *given, error=error, **named)
        finally:
            failed.reset(token)

    def params_known(persistence, job):
        # What is recorded of a job that failed is never what a rule asks for.
        return ["failed"] if failed.get() else params(persistence, job)

    Job.postprocess, PersistenceBase._params = postprocess_known, params_known


remember_failures()


def script(name):
    """Path of a program in scripts/, relative to the trial folder."""
    return os.path.relpath(REPOSITORY / "scripts" / name)


def sources(name):
    """One hash of a program in scripts/ and of the package files that it rests on."""
    return f"code {provenance.code_digest(REPOSITORY / 'scripts' / name)}"


def resources(pattern):
    """Files below resources/ that fit a glob pattern, relative to the trial folder."""
    return [
        os.path.relpath(path)
        for path in sorted((REPOSITORY / "resources").glob(pattern))
    ]


def settings(*keys):
    """JSON of the named parts of the configuration (all of it without a name), defaults filled in."""
    return PLAN.settings(*keys)


def existing(path):
    """A list of the one file, or of none where the configuration names none."""
    return [path] if path else []


def library_files(table, names=None):
    """One table of several single-cell libraries (all without names), in the order of their sheet."""
    chosen = [name for name in PLAN.libraries if names is None or name in names]
    return [f"<results>/cells/library/{name}.{table}" for name in chosen]


def repertoire_files(subject, *tables):
    """Tables of the contigs of each library of a subject."""
    libraries = [item.library_id for item in PLAN.repertoire.contigs_of(subject)]
    return [
        f"<results>/repertoire/library/{name}.{table}.parquet"
        for table in tables
        for name in libraries
    ]


def memory(floor_mb, per_input_mb=0):
    """Megabytes that grow with the input and with each attempt."""
    return lambda wildcards, input, attempt: attempt * max(
        floor_mb, int(per_input_mb * input.size_mb)
    )


def minutes(limit):
    """Run time that grows with each attempt."""
    return lambda wildcards, attempt: attempt * limit


wildcard_constraints:
    file_id=one_of(PLAN.files),
