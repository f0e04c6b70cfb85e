"""A throw-away Slurm on this machine: a controller, two nodes that exist in name only, and accounting.

All daemons listen on the loopback address alone, keep their state in one temporary folder, and end with
the process that started them. Slurm's commands find it by /etc/slurm/slurm.conf, since the jobs of the
Slurm plugin lose SLURM_CONF (T1 in docs/cluster.md): a link, made and taken away again here; another file
of that name is never touched.

By hand: ``python tests/slurm/cluster.py`` starts it and stops it on Ctrl-C.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("munge", "slurm-client", "slurmctld", "slurmd", "slurmdbd", "mariadb-server")
"""Of Debian."""
PROGRAMS = ("munged", "sbatch", "slurmctld", "slurmd", "slurmdbd", "mariadbd")
FOUND_BY_COMMANDS = Path("/etc/slurm/slurm.conf")
MARK = "cartrace-slurm-"
NODES = ("n1", "n2")
CPUS = 8
MEMORY_MB = 9000
ACCOUNT = "lab"
PARTITION = "short"

SLURM = """\
ClusterName=cartrace
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job whose node went down waits for the end of its credential before it starts elsewhere: else two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=30
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
PlugStackConfig={folder}/plugstack.conf
# Without control groups: this must work in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# A node may claim more cores than this machine has.
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
# A job over its memory is ended within a second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[1]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment
{nodes}
PartitionName={partition} Nodes=ALL Default=YES MaxTime=UNLIMITED State=UP
"""

ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[1]}
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[2]}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct
PidFile={folder}/slurmdbd.pid
CommitDelay=0
"""


class Unavailable(RuntimeError):  # noqa: N818 - says why there can be no cluster here
    """This machine can't have the cluster."""


def install() -> None:
    """Install what is missing, from Debian.

    Raises
    ------
    Unavailable
        Where one is not root, or apt has no such packages.
    """
    if os.geteuid() != 0:
        raise Unavailable("only root can start Slurm's daemons")
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if not shutil.which("apt-get"):
        raise Unavailable(f"no apt-get; install {' '.join(PACKAGES)}")
    print("installing", *PACKAGES, flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=quiet, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}")


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the accounting knows it."""

    number: str
    state: str
    account: str
    node: str
    memory_mb: int
    name: str


@dataclass(slots=True)
class Cluster:
    """The daemons, and questions to them; a context manager."""

    folder: Path = field(init=False)
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    cleaning: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self.cleaning.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.cleaning.close()

    def _start(self) -> None:
        only_one = Path("/tmp/cartrace-slurm.lock").open("w")  # noqa: SIM115 - closed with the rest
        self.cleaning.callback(only_one.close)
        try:
            fcntl.flock(only_one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable("the Slurm tests are running on this machine already") from error
        # Not below TMPDIR: the path of a socket may have no more than 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix=MARK, dir="/tmp"))
        self.cleaning.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._configure()
        self.cleaning.callback(self._stop)
        self._start_database()
        self.start_controller()
        for node in NODES:
            self._run(node, "slurmd", "-D", "-N", node)
        self._wait_until(lambda: self.ask("sinfo", "-hN", "-t", "idle").count("\n") == len(NODES))

    def _configure(self) -> None:
        for name in ("controller", "database", *NODES):
            (self.folder / name).mkdir()
        (self.folder / "plugstack.conf").touch()
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (self.folder / "munge.key").chmod(0o600)
        ports = free_ports(3 + len(NODES))
        password = secrets.token_hex(16)
        nodes = "\n".join(
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} "
            f"CPUs={CPUS} RealMemory={MEMORY_MB} State=UNKNOWN"
            for node, port in zip(NODES, ports[3:], strict=True)
        )
        filled = {"folder": self.folder, "ports": ports, "partition": PARTITION}
        configuration = self.folder / "slurm.conf"
        configuration.write_text(SLURM.format(**filled, nodes=nodes))
        accounting = self.folder / "slurmdbd.conf"
        accounting.touch(mode=0o600)
        accounting.write_text(ACCOUNTING.format(**filled, password=password))
        (self.folder / "database.sql").touch(mode=0o600)
        (self.folder / "database.sql").write_text(
            "create database slurm_acct;"
            f"create user slurm@'127.0.0.1' identified by '{password}';"
            f"create user slurm@localhost identified by '{password}';"
            "grant all on slurm_acct.* to slurm@'127.0.0.1';"
            "grant all on slurm_acct.* to slurm@localhost;"
        )
        (self.folder / "port").write_text(str(ports[2]))
        self._link(configuration)

    def _link(self, configuration: Path) -> None:
        """Put the configuration where Slurm's commands look, if nothing of another's is there."""
        here = FOUND_BY_COMMANDS
        if here.is_symlink() and here.readlink().parent.name.startswith(MARK):
            here.unlink()  # left by tests that were killed
        if here.is_symlink() or here.exists():
            raise Unavailable(f"{here} belongs to another Slurm")
        here.parent.mkdir(exist_ok=True)
        here.symlink_to(configuration)
        self.cleaning.callback(here.unlink, missing_ok=True)

    def _start_database(self) -> None:
        folder = self.folder
        self._run(
            "munged",
            *("munged", "--foreground", "--force", "--num-threads=2"),
            *(f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket"),
            *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"),
            f"--log-file={folder}/munged.log",
        )
        data, door = f"--datadir={folder}/database", f"--socket={folder}/database.socket"
        self.ask("mariadb-install-db", "--no-defaults", "--user=root", data, "--skip-test-db")
        self._run(
            "mariadbd",
            *("mariadbd", "--no-defaults", "--user=root", data, door, "--skip-log-bin"),
            *("--bind-address=127.0.0.1", f"--port={(folder / 'port').read_text()}"),
            *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"),
            *(f"--pid-file={folder}/mariadbd.pid", "--innodb-lock-wait-timeout=900"),
        )
        self._wait_until(lambda: self.ask("mariadb-admin", "--no-defaults", door, "ping") != "")
        self.ask("mariadb", "--no-defaults", door, "-e", f"source {folder}/database.sql")
        self.start_accounting()
        manage = ("sacctmgr", "-i", "-Q")
        self.ask(*manage, "add", "cluster", "cartrace")
        # The first is where jobs go that ask for none.
        for account in ("other", ACCOUNT):
            self.ask(*manage, "add", "account", account, f"Description={account}", "Organization=trial")
            self.ask(*manage, "add", "user", "root", f"Account={account}")

    def start_accounting(self) -> None:
        """Start slurmdbd."""
        # It looks for its configuration beside that of Slurm, which it finds by this alone.
        self._run("slurmdbd", "env", f"SLURM_CONF={self.folder}/slurm.conf", "slurmdbd", "-D")
        self._wait_until(lambda: self.answers("sacctmgr", "-n", "list", "cluster"))

    def start_controller(self) -> None:
        """Start slurmctld; it goes on with the jobs that it knows."""
        self._run("slurmctld", "slurmctld", "-D")
        self._wait_until(lambda: "is UP" in self.ask("scontrol", "ping", check=False))

    def ask(self, *command: str, check: bool = True) -> str:
        """Run a command and return what it says."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def answers(self, *command: str) -> bool:
        """Say whether a command ends well."""
        return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0

    def running(self, prefix: str = "") -> list[str]:
        """Numbers of the jobs that run now, of those whose name begins so."""
        lines = self.ask("squeue", "--noheader", "--states=RUNNING", "--format=%A %j").splitlines()
        return sorted(number for number, name in map(str.split, lines) if name.startswith(prefix))

    def jobs(self, prefix: str = "") -> list[Job]:
        """Return the jobs of the accounting by number, of those whose name begins so."""
        fields = "JobIDRaw,State,Account,NodeList,ReqMem,JobName%80"
        told = self.ask("sacct", "-X", "-a", "-n", "-P", "--units=M", "-S", "now-1days", "-o", fields)
        rows = (line.split("|") for line in told.splitlines())
        return [
            Job(number, state.split()[0], account, node, int(memory.removesuffix("M") or 0), name)
            for number, state, account, node, memory, name in sorted(rows, key=lambda row: int(row[0]))
            if name.startswith(prefix)
        ]

    def _run(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        # Whatever happens to this process, its daemons end with it.
        command = ("setpriv", "--pdeathsig", "TERM", *command)
        self.daemons[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def stop(self, name: str) -> None:
        """Stop a daemon; the jobs go on."""
        daemon = self.daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _stop(self) -> None:
        """End jobs, then daemons, the last started first."""
        if "slurmctld" in self.daemons:
            with suppress(RuntimeError, subprocess.TimeoutExpired):
                self.ask("scancel", "--me")
                self._wait_until(lambda: not self.ask("squeue", "--noheader"))
        for name in reversed(list(self.daemons)):
            self.stop(name)

    def _wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    said = (self.folder / f"{name}.out").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended: {said[-2000:]}")
            with suppress(RuntimeError):
                if ready():
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the cluster was not ready within {seconds:g} s")


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    install()
    with suppress(KeyboardInterrupt), Cluster() as cluster:
        print(f"up; state in {cluster.folder}", flush=True)
        signal.pause()
