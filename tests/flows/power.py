"""A loss of power: of the store nothing is left but what had been synced to the disk.

A library that is loaded into every process of an instance keeps a copy of each file of the store as it is
whenever that file is synced. After a loss of power the copies take the place of what was written. Nothing is
left of the edge, and of artifacts those alone whose content was synced, and then the folder with their name.
"""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.running import Slipway, alive
from tests.waiting import wait_until

SOURCE = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *of_store(const char *path) {
    const char *name = strrchr(path, '/');
    return name && (!strcmp(name, "/slipway.db") || !strcmp(name, "/slipway.db-wal")) ? name + 1 : NULL;
}

/* By the descriptor that is there: to close another one would end the process's locks of the file. */
static void keep(int file, const char *folder, const char *name) {
    char fresh[4096], kept[4096], block[65536];
    snprintf(kept, sizeof kept, "%s/%s", folder, name);
    snprintf(fresh, sizeof fresh, "%s/%s.%d", folder, name, gettid());
    int target = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t count;
    for (off_t at = 0; (count = pread(file, block, sizeof block, at)) > 0; at += count)
        if (write(target, block, count) != count) abort();
    if (count < 0 || close(target) || rename(fresh, kept)) abort();
}

static void note(int file, const char *folder, const char *path) {
    char place[4096], line[8192];
    struct stat status;
    snprintf(place, sizeof place, "%s/artifacts", folder);
    int log = open(place, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || fstat(file, &status)) abort();
    if (S_ISDIR(status.st_mode)) {
        DIR *all = opendir(path);
        for (struct dirent *one; all && (one = readdir(all));)
            if (write(log, line, snprintf(line, sizeof line, "name %s/%s\n", path, one->d_name)) < 0) abort();
        if (all) closedir(all);
    } else if (write(log, line, snprintf(line, sizeof line, "content %lu\n", status.st_ino)) < 0) abort();
    close(log);
}

static int synced(const char *how, int file) {
    char link[64], path[4096], lock[4096];
    int (*real)(int) = dlsym(RTLD_NEXT, how);
    const char *folder = getenv("POWER_KEPT"), *name;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || length < 0) return real(file);
    path[length] = 0;
    if ((name = of_store(path))) {
        /* Before the sync: what others write during it may be on the disk afterwards, but need not. */
        snprintf(lock, sizeof lock, "%s/lock", folder);
        int held = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        flock(held, LOCK_EX);
        keep(file, folder, name);
        close(held);
    } else if (strstr(path, "/artifacts/")) {
        int done = real(file);
        note(file, folder, path);
        return done;
    }
    return real(file);
}

/* Who closes the store last has all of its log in the database, synced, and removes it. */
int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    const char *folder = getenv("POWER_KEPT"), *name = of_store(path);
    char kept[4096];
    if (folder && name) {
        snprintf(kept, sizeof kept, "%s/%s", folder, name);
        real(kept);
    }
    return real(path);
}

int fsync(int file) { return synced("fsync", file); }
int fdatasync(int file) { return synced("fdatasync", file); }
"""
STORE = ("slipway.db", "slipway.db-wal")
COMPILER = shutil.which("cc") or shutil.which("gcc")


@dataclass
class Mains:
    """What an instance is plugged into."""

    folder: Path

    def __post_init__(self) -> None:
        assert COMPILER is not None
        self.folder.mkdir()
        source, library = self.folder / "power.c", self.folder / "power.so"
        source.write_text(SOURCE)
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.options = {"LD_PRELOAD": str(library), "POWER_KEPT": str(self.folder)}

    def cut(self, slipway: Slipway) -> None:
        """Let an instance lose its power."""
        assert slipway.process is not None
        first = psutil.Process(slipway.process.pid)
        first.suspend()
        # All at once: nobody sees another one die. Those that are stopped start no others.
        _send(slipway.processes(), signal.SIGSTOP)
        tree = [*slipway.processes(), first]
        _send(tree, signal.SIGKILL)
        slipway.process.wait()
        assert slipway.process.stdout is not None
        slipway.process.stdout.close()
        slipway.process = None
        wait_until(lambda: not alive(tree), 10, "the end of all")
        for name in ("slipway.db-shm", *STORE):
            (slipway.home / name).unlink(missing_ok=True)
        for name in STORE:
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, slipway.home / name)
        self._lose_artifacts(slipway.settings.artifacts)
        shutil.rmtree(slipway.settings.edge_home)

    def _lose_artifacts(self, folder: Path) -> None:
        told = (line.split(" ", 1) for line in (self.folder / "artifacts").read_text().splitlines())
        synced = {"name": set[str](), "content": set[str]()}
        for kind, what in told:
            synced[kind].add(what)
        for path in [*folder.glob("blobs/*/*"), *folder.glob("manifests/*")]:
            status = path.stat()
            has_content = status.st_size == 0 or str(status.st_ino) in synced["content"]
            if str(path) not in synced["name"] or not has_content:
                path.unlink()

    def look(self, slipway: Slipway, check: Callable[[], None]) -> None:
        """Look at the store of an instance that does not run; its log ends up in the database."""
        check()
        slipway.engine.dispose()
        assert not (slipway.home / "slipway.db-wal").exists()
        shutil.copy(slipway.home / "slipway.db", self.folder / "slipway.db")
        (self.folder / "slipway.db-wal").unlink(missing_ok=True)


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
